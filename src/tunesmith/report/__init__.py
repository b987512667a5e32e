"""Report cards: one HTML page and the same as JSON, from what a round left behind; and its verdict in the terminal.

Importing this room loads neither altair, nor jinja2, nor rich: each is taken by the function that draws with it.
"""
