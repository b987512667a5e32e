"""Files that are whole or absent: write beside, fsync, rename.

A reader never sees half a file, whatever kills the writer; a full disk leaves the earlier file as it was.
"""

import errno
import fcntl
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tunesmith.core.errors import BusyError, MachineError, RecipeError

_TEMPORARY = re.compile(r"^\.(.+)\.[0-9a-f]{32}\.part$")


def _explain(error: OSError, path: Path) -> MachineError:
    """The operating system's refusal as one sentence with a next move."""
    path = Path(*(_TEMPORARY.sub(r"\1", part) for part in path.parts))  # as it would be called, were it whole
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"No space left for {path}: nothing was half-written; free some space there and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError(f"{path} can't be written ({error.strerror}): name a folder you may write to with --workspace.")
    return MachineError(f"{path} can't be written: {error.strerror or error}.")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a MachineError that names `path`."""
    try:
        yield
    except OSError as error:
        raise _explain(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def home_path(path: str) -> Path:
    """A path with `~` resolved; RecipeError where it names a user who isn't there."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise RecipeError(f"{path!r} begins with the home folder of a user this machine doesn't know: write the path out.") from error


def make_folder(folder: Path) -> Path:
    """Create a folder and its parents; MachineError where that can't be."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it into place, on failure remove it."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with explained(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success fsync its files and rename it into place, on failure remove it.

    An existing folder at `path` is replaced; between the two renames a reader may find none, never half of one.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with explained(path):
            temporary.mkdir()
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    with file.open("rb+") as handle:
                        os.fsync(handle.fileno())
            if path.exists():
                old = path.with_name(f".{path.name}.{uuid.uuid4().hex}.old")
                path.replace(old)
                temporary.replace(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.replace(path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def mend_folder(path: Path) -> None:
    """Put back a folder whose replacement was cut short between its two renames, and remove what killed writers left beside it.

    Only its one writer may call this.
    """
    if not path.parent.is_dir():
        return
    left = [item for item in path.parent.iterdir() if item.name.startswith(f".{path.name}.") and item.suffix in (".part", ".old")]
    with explained(path):
        for old in [item for item in left if item.suffix == ".old"]:
            if not path.exists():
                old.replace(path)
    for item in left:
        shutil.rmtree(item, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole (UTF-8)."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole, indented for people; NaN refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; MachineError names a file that is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MachineError(f"{path} can't be read: {error}.") from error


def write_jsonl(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value a line, whole; streams, so that `values` may be long."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def read_jsonl(path: Path) -> Iterator[Any]:
    """Yield one JSON value a line; MachineError names a file that is missing or a damaged line."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise MachineError(f"{path}:{number} is damaged: {error}.") from error
                yield value
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"{path} can't be read: {error}.") from error


@contextmanager
def only_one(lock: Path, what: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on a file while inside. Freed by the kernel on any death.

    Args:
        lock: the file.
        what: is in use, to begin a sentence.
        wait_seconds: so long is waited for another process that holds it.

    Raises:
        BusyError: another process holds it, and still did when the wait was over.
    """
    make_folder(lock.parent)
    with explained(lock):
        file = lock.open("w")
    with file:  # what fails inside is not the lock's to explain
        deadline = time.monotonic() + wait_seconds
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise BusyError(f"{what} is in use by another process: wait for it to end, or stop it, then run the same command again.")
            time.sleep(0.05)
        yield


def _taken(file: IO[str]) -> bool:
    """Whether the lock of an open file could be had at once."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
