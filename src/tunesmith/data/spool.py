"""Rows on disk while a dataset is made: written once, read in order or by ordinal; memory holds 8 bytes a row.

The file holds raw rows, so it lies in a folder that its owner alone may read, and goes with it.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tunesmith.core.files import explained
from tunesmith.core.rows import Row
from tunesmith.data.lines import line_of, row_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ordinals = npt.NDArray[np.int64] | Iterable[int]

_BLOCK, _SPAN = 2**20, 2**22
_AT_ONCE = 1000
"""Rows taken or given together; read at once where they lie within `_SPAN` bytes."""


class Spool:
    """Rows by ordinal: 0, 1, 2, ... in the order they were added."""

    def __init__(self, path: Path) -> None:
        """An empty spool in a file of its own.

        Raises:
            MachineError: nothing can be written there.
        """
        self._path = path
        with explained(self._path):
            self._file = self._path.open("w+b", buffering=_BLOCK)
        self._starts = array("Q", [0])

    def __len__(self) -> int:
        """How many rows were added."""
        return len(self._starts) - 1

    def add(self, rows: Iterable[Row]) -> None:
        """Rows at the end. MachineError where the disk is full."""
        self.add_lines(map(line_of, rows))

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """The same of rows that are lines already."""
        some = iter(lines)
        with explained(self._path):
            while block := list(islice(some, _AT_ONCE)):
                self._file.writelines(block)
                self._starts.extend(islice(accumulate(map(len, block), initial=self._starts[-1]), 1, None))

    def add_block(self, block: bytes, lengths: Iterable[int]) -> None:
        """The same of lines laid end to end."""
        with explained(self._path):
            self._file.write(block)
        self._starts.extend(islice(accumulate(lengths, initial=self._starts[-1]), 1, None))

    def flush(self) -> None:
        """Put on disk what was added, for other processes to read."""
        with explained(self._path):
            self._file.flush()

    def __iter__(self) -> Iterator[Row]:
        """Every row, in order."""
        return self.rows(range(len(self)))

    def rows(self, ordinals: "Ordinals") -> Iterator[Row]:
        """The rows of these ordinals, in the order given; sorted ones are read fastest. They have no id yet."""
        return map(row_of, self.lines(ordinals))

    def lines(self, ordinals: "Ordinals") -> Iterator[bytes]:
        """The same as they lie on disk."""
        wanted = map(int, ordinals)
        with explained(self._path):
            self._file.flush()
            with self._path.open("rb", buffering=_BLOCK) as file:
                while some := list(islice(wanted, _AT_ONCE)):
                    yield from self._together(file, some) if self._lie_close(some) else self._apart(file, some)

    def _lie_close(self, some: list[int]) -> bool:
        """Whether all that lies between the first and the last may be read at once."""
        span = self._starts[some[-1] + 1] - self._starts[some[0]]
        return 0 <= span <= _SPAN and min(some) == some[0] and max(some) == some[-1]

    def _together(self, file: BinaryIO, some: list[int]) -> Iterator[bytes]:
        starts, base = self._starts, self._starts[some[0]]
        file.seek(base)
        span = file.read(starts[some[-1] + 1] - base)
        return (span[starts[ordinal] - base : starts[ordinal + 1] - base] for ordinal in some)

    def _apart(self, file: BinaryIO, some: list[int]) -> Iterator[bytes]:
        for ordinal in some:
            start = self._starts[ordinal]
            file.seek(start)
            yield file.read(self._starts[ordinal + 1] - start)

    def close(self) -> None:
        """Forget the rows."""
        self._file.close()
        self._path.unlink(missing_ok=True)
