"""What does not fit in memory: numbers in parts on disk, and texts that are fetched back by their place.

Files are scratch: they hold nothing that a rerun would not write again, and are neither synced nor kept.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tunesmith.core.files import explained, make_folder
from tunesmith.data.near.grams import U64, Array, distinct

HELD_BYTES = 32 << 20
_GAP_BYTES, _RUN_BYTES = 1 << 10, 4 << 20


class Parts:
    """uint64 values, kept in parts by their highest bits; written in turn, then read one part at a time. Few values never leave memory.

    Args:
        folder: where the files go; earlier ones of this name are removed.
        name: what they are called.
        bits: 2**bits parts, or a single one where all fit in memory.
        top: bits of the value above the parts' own bits that are always 0.
    """

    def __init__(self, folder: Path, name: str, bits: int, top: int = 0) -> None:
        self._paths = [make_folder(folder) / f"{name}-{part:03d}.u64" for part in range(2**bits)]
        self._bounds = np.arange(1, 2**bits, dtype=U64) << U64(64 - top - bits)
        self._held: list[Array] = []
        self._held_bytes = 0
        self._on_disk = False
        for left in folder.glob(f"{name}-*.u64"):
            left.unlink(missing_ok=True)

    def add(self, values: Array) -> None:
        """Take in values, in any order."""
        if len(values):
            self._held.append(values)
            self._held_bytes += values.nbytes
        if self._held_bytes >= HELD_BYTES:
            self._write()

    def settle(self) -> None:
        """No more values come: they may now be read."""
        if self._on_disk:
            self._write()
        else:
            self._held = [distinct(np.concatenate([np.zeros(0, U64), *self._held]))]

    def _write(self) -> None:
        """Append what is held to the files."""
        values = np.sort(np.concatenate([np.zeros(0, U64), *self._held]))
        self._held, self._held_bytes, self._on_disk = [], 0, True
        for path, part in zip(self._paths, np.split(values, np.searchsorted(values, self._bounds)), strict=True):
            if len(part):
                with explained(path), path.open("ab") as file:
                    file.write(part.data)

    def __len__(self) -> int:
        return len(self._paths) if self._on_disk else 1

    def read(self, part: int) -> Array:
        """The values of a part, sorted, none twice."""
        path = self._paths[part]
        if not self._on_disk:
            return self._held[0]
        if not path.exists():
            return np.zeros(0, U64)
        with explained(path):
            return distinct(np.fromfile(path, U64))

    def replace(self, part: int, values: Array) -> None:
        """Put other values, sorted and distinct, in a part's place."""
        if not self._on_disk:
            self._held = [values]
            return
        with explained(self._paths[part]), self._paths[part].open("wb") as file:
            file.write(values.data)

    def remove(self) -> None:
        """Forget the values and delete the files."""
        self._held, on_disk, self._on_disk = [], self._on_disk, False
        for path in self._paths if on_disk else ():
            path.unlink(missing_ok=True)


class TextStore:
    """Texts by ordinal, on disk; about 12 bytes a text in memory."""

    def __init__(self, folder: Path) -> None:
        self._path = make_folder(folder) / "texts.utf8"
        with explained(self._path):
            self._file = self._path.open("w+b")
        self._ends: list[Array] = []
        self._starts: Array | None = None

    def add(self, texts: Sequence[str]) -> None:
        """Append texts."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        with explained(self._path):
            self._file.write(b"".join(encoded))
        self._ends.append(np.fromiter(map(len, encoded), np.int64, len(encoded)))

    def fetch(self, ordinals: Array) -> list[str]:
        """The texts at these ordinals, which rise and don't repeat: neighbours are read together."""
        if self._starts is None:
            with explained(self._path):
                self._file.flush()
            self._starts = np.concatenate([np.zeros(1, np.int64), *self._ends]).cumsum()
            self._ends = []
        if not len(ordinals):
            return []
        starts, ends = self._starts[ordinals], self._starts[ordinals + 1]
        apart = (starts[1:] - ends[:-1] > _GAP_BYTES) | (starts[1:] // _RUN_BYTES != starts[:-1] // _RUN_BYTES)
        breaks = np.flatnonzero(apart) + 1
        texts: list[str] = []
        for first, stop in zip(np.append(0, breaks).tolist(), np.append(breaks, len(ordinals)).tolist(), strict=True):
            texts += self._slices(starts[first:stop], ends[first:stop])
        return texts

    def _slices(self, starts: Array, ends: Array) -> Iterator[str]:
        base = int(starts[0])
        with explained(self._path):
            block = os.pread(self._file.fileno(), int(ends[-1]) - base, base)
        pairs = zip((starts - base).tolist(), (ends - base).tolist(), strict=True)
        return (block[start:end].decode("utf-8", "surrogatepass") for start, end in pairs)

    def remove(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)
