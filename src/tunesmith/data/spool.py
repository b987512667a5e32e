"""Rows on disk while a dataset is made: written once, read in order or by ordinal; memory holds 8 bytes a row.

The file holds raw rows, so it lies in a folder that its owner alone may read, and goes with it.
"""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.files import explained
from tunesmith.core.rows import Row
from tunesmith.data.lines import line_of, row_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ordinals = npt.NDArray[np.int64] | Iterable[int]

_BLOCK = 2**20


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
        place = self._starts[-1]
        with explained(self._path):
            for line in lines:
                self._file.write(line)
                place += len(line)
                self._starts.append(place)

    def __iter__(self) -> Iterator[Row]:
        """Every row, in order."""
        return self.rows(range(len(self)))

    def rows(self, ordinals: "Ordinals") -> Iterator[Row]:
        """The rows of these ordinals, in the order given; sorted ones are read fastest. They have no id yet."""
        return map(row_of, self.lines(ordinals))

    def lines(self, ordinals: "Ordinals") -> Iterator[bytes]:
        """The same as they lie on disk."""
        starts = self._starts
        with explained(self._path):
            self._file.flush()
            with self._path.open("rb", buffering=_BLOCK) as file:
                place = 0
                for ordinal in map(int, ordinals):
                    start, end = starts[ordinal], starts[ordinal + 1]
                    if start != place:
                        file.seek(start)
                    yield file.read(end - start)
                    place = end

    def close(self) -> None:
        """Forget the rows."""
        self._file.close()
        self._path.unlink(missing_ok=True)
