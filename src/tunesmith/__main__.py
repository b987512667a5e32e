"""`python -m tunesmith`: the same as the `tunesmith` command."""

from tunesmith.cli.main import entry

if __name__ == "__main__":
    entry()
