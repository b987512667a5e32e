"""How every command ends: an answer on stdout, or one line on stderr and the exit code that goes with it."""

import contextlib
import errno
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import typer

from tunesmith.cli.listening import Ear, listener_for
from tunesmith.cli.printable import printable
from tunesmith.core.errors import MachineError, TunesmithError

INTERRUPTED = 130
_PIPE_CLOSED = 141
"""128 + SIGPIPE, what other commands return when their reader has gone."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Coloured(str):
    """A line that holds our own colours, and from which everything else was stripped: it is printed as it is."""

    __slots__ = ()


class Console:
    """Where one command speaks. `out` is the answer's stream; everything else goes to stderr."""

    def __init__(self, out: TextIO, *, as_json: bool, quiet: bool) -> None:
        self.out, self.as_json = out, as_json
        self.listener: Ear = listener_for(sys.stderr, quiet=quiet, plain=as_json)
        """Give this to whatever works long."""
        self.colour = not as_json and out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def answer(self, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        """Print the answer: the value as one JSON object, or the lines for people."""
        self.listener.close()
        if self.as_json:
            # ASCII only: a row's control characters must not reach a terminal through JSON either.
            print(json.dumps(value, allow_nan=False), file=self.out)
            return
        for line in lines:
            print(line if isinstance(line, Coloured) else printable(line), file=self.out)

    def complain(self, text: str, kind: str = "error") -> None:
        """`error: ...` on stderr, a line for each line of the text."""
        self.listener.close()
        for line in printable(text).splitlines() or [""]:
            print(f"{kind}: {line}", file=sys.stderr, flush=True)


@contextmanager
def console(workspace: Path, as_json: bool, quiet: bool, debug: bool) -> Iterator[Console]:
    """Run a command inside: its errors become one line and an exit code, and with --json an object on stdout too.

    With --json, what a library prints goes to stderr: stdout holds the one object.
    """
    out = sys.stdout
    spoken = Console(out, as_json=as_json, quiet=quiet)
    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            yield spoken
        spoken.listener.close()
        out.flush()
    except BrokenPipeError:
        _forget_the_reader()
        raise typer.Exit(_PIPE_CLOSED) from None
    except typer.Exit:
        spoken.listener.close()
        raise
    except (typer.Abort, KeyboardInterrupt):
        spoken.complain("continue with the same command", "interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        known = _known(error)
        if debug:
            spoken.listener.close()
            traceback.print_exc()
        spoken.complain(str(known) if known is not None else _bug(error, workspace, debug))
        code = known.exit_code if known is not None else 1
        if as_json:
            _last_words(out, str(known) if known is not None else f"{type(error).__name__}: {error}", code)
        raise typer.Exit(code) from None


def _known(error: Exception) -> TunesmithError | None:
    """The error as one a person may meet; None for a bug."""
    if isinstance(error, TunesmithError):
        return error
    if isinstance(error, MemoryError):
        return MachineError("Memory ran out: lower train.token_budget or train.batch_rows, then run the same command again.")
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return MachineError("No space left on the disk: free some, then run the same command again.")
    return None


def _bug(error: Exception, workspace: Path, debug: bool) -> str:
    """One line for an error nobody foresaw; its traceback goes to a file only the user may read, or was shown already."""
    what = f"this is a bug in tunesmith ({type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]})"
    if debug:
        return f"{what}; its traceback is above."
    name = f"tunesmith-bug-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    for folder in (workspace / "bugs", Path(tempfile.gettempdir())):
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write("".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace"))
        except OSError:
            continue
        return f"{what}; its traceback is in {path}."
    return f"{what}; see its traceback with --debug."


def _last_words(out: TextIO, message: str, code: int) -> None:
    with contextlib.suppress(OSError):
        print(json.dumps({"error": message, "exit_code": code}), file=out, flush=True)


def _forget_the_reader() -> None:
    """Point stdout at nothing, so that Python's own flush at exit does not complain of the closed pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
