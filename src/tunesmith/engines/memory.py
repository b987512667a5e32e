"""Answers kept on disk by the hash of what was asked, so that a killed run pays nothing twice.

One JSON line an answer in `answers.jsonl`, written as soon as it is there, each with its own check sum; memory holds a key and
a place a line (about 200 bytes). The file may hold private text: its mode is 0600, its folder's 0700. A line cut short by a kill,
or damaged since, counts as not there.
"""

import fcntl
import json
import os
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tunesmith.core.files import explained, make_folder
from tunesmith.engines.asking import Completion

NAME = "answers.jsonl"
_LONGEST_LINE = 64 * 2**20


class Memory:
    """The answers of a folder. Safe for threads, and for several processes that write at once."""

    def __init__(self, folder: Path) -> None:
        """Open or make the memory in `folder`. MachineError where it can't be written."""
        self._path = make_folder(folder) / NAME
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self.damaged = 0
        """Lines that could not be read; what they held is asked again."""
        with explained(self._path):
            folder.chmod(0o700)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            os.fchmod(self._file, 0o600)
        self._index()

    def get(self, key: str) -> Completion | None:
        """The answer kept under a key, marked as remembered; None where there is none that is whole."""
        with self._lock:
            place = self._places.get(key)
        found = None if place is None else _read_line(os.pread(self._file, place[1], place[0]))
        return replace(found[1], remembered=True) if found and found[0] == key else None

    def put(self, key: str, answer: Completion) -> None:
        """Keep an answer; it is on its way to the disk when this returns. MachineError where the disk is full."""
        line = _write_line(key, answer)
        with self._lock, explained(self._path):
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                place = _whole_end(self._file)
                if os.write(self._file, line) < len(line):
                    raise OSError(28, os.strerror(28))  # a short write to a file: no space left
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._places[key] = (place, len(line))

    def close(self) -> None:
        """Close the file; the memory can't be used after."""
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._places)

    def _index(self) -> None:
        place = 0
        with self._path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                found = _read_line(line)
                if found is None:
                    self.damaged += 1
                else:
                    self._places.setdefault(found[0], (place, len(line)))
                place += len(line)


def _whole_end(file: int) -> int:
    """Where the next line will stand; ends a line that was cut short, so that the next one is not glued to it."""
    end = os.fstat(file).st_size
    if end and os.pread(file, 1, end - 1) != b"\n":
        os.write(file, b"\n")
        return end + 1
    return end


def _write_line(key: str, answer: Completion) -> bytes:
    value = {"key": key, "text": answer.text, "finish": answer.finish, "tokens": [answer.prompt_tokens, answer.answer_tokens]}
    return json.dumps(value | {"sum": _sum(value)}, ensure_ascii=True).encode() + b"\n"


def _read_line(line: bytes) -> tuple[str, Completion] | None:
    try:
        value = json.loads(line)
        said = value.pop("sum")
        key, text, finish, (asked, answered) = value["key"], value["text"], value["finish"], value["tokens"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    if said != _sum(value) or not isinstance(key, str):
        return None
    return key, Completion(text=text, finish=finish, prompt_tokens=asked, answer_tokens=answered)


def _sum(value: dict[str, Any]) -> str:
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]
