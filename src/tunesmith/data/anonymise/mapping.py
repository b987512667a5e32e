"""The file that says which stand-in is for what: written only if asked, readable by its owner alone, outside the data set's folder."""

import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Self, TextIO

from tunesmith.core.errors import MachineError, RecipeError

_RECENT = 65_536


class MapFile:
    """JSON lines of kind, value and stand-in, as they first come up; a value may be written again long after. A context manager.

    Args:
        path: a file that does not exist.
        data_set: the folder that the prepared data goes to; the map may not lie in it.

    Raises:
        RecipeError: the path lies in that folder, or is taken.
        MachineError: it can't be written there.
    """

    def __init__(self, path: Path, data_set: Path) -> None:
        where, folder = path.expanduser().resolve(), data_set.expanduser().resolve()
        if where.is_relative_to(folder):
            raise RecipeError(f"data.anonymise.map is {path}, which lies in the data set's own folder: choose a place outside it.")
        try:
            handle = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileExistsError:
            raise RecipeError(f"data.anonymise.map is {path}, which exists, and a map is never written over: name a new file.") from None
        except OSError as error:
            raise MachineError(f"data.anonymise.map is {path}, which can't be written ({error.strerror}): choose another place.") from None
        os.fchmod(handle, 0o600)
        self._file: TextIO = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace")
        self._recent: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, kind: str, value: str, stand_in: str) -> None:
        """Write the line, unless it was among the last 65,536 distinct ones."""
        if (kind, value) in self._recent:
            self._recent.move_to_end((kind, value))
            return
        self._recent[kind, value] = None
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        self._file.write(json.dumps({"kind": kind, "value": value, "stand_in": stand_in}, ensure_ascii=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
