"""Text for a terminal: rows and recipes are written by strangers, and a terminal obeys what it is sent."""

import re

_SEQUENCES = re.compile(
    r"""
    (?:\x1b\]|\x9d) [^\x07\x1b\x9c]* (?:\x07|\x1b\\|\x9c)?   # operating system commands: titles, links
    | (?:\x1b[PX^_]|[\x90\x98\x9e\x9f]) [^\x1b\x9c]* (?:\x1b\\|\x9c)?   # device control and other strings
    | (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]?   # control sequences: colours, cursor, screen
    | \x1b [ -/]* [0-~]?   # two-character escapes
    """,
    re.VERBOSE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without anything a terminal would act on; tabs, line breaks and every visible character stay.

    Characters that turn the direction of writing go too: they make a line read otherwise than it is.
    """
    return _CONTROLS.sub("", _SEQUENCES.sub("", text))


def one_line(text: str) -> str:
    """The same on a single line."""
    return " ".join(printable(text).split())
