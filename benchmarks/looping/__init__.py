"""The closing journey in parts: rows, a server and its users, a reviewer, what it all came to. See benchmarks/loop.py."""
