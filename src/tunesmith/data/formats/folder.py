"""Folders and globs: the files in them that are of one family, in order of name. No link leads out of the folder."""

import io
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from tunesmith.core.errors import RecipeError
from tunesmith.data.formats import Source
from tunesmith.data.formats.many import MOST, chosen, shown
from tunesmith.data.formats.opening import source_of

_WILD = re.compile(r"[*?\[]")
_LOOKED_AT = 20 * MOST
"""Entries of a folder, of any kind, before it is too large to look through."""


def is_glob(path: str) -> bool:
    """Whether a path has a wildcard."""
    return _WILD.search(path) is not None


def folder(place: Path, like: Source) -> tuple[str, Source]:
    """The family of a folder's files, sub-folders included, and a source that reads them one after the other.

    Raises:
        RecipeError: it holds none, or of several kinds or splits; or a link leads out of it.
    """
    names = []
    for base, folders, files in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [(Path(base) / name).relative_to(place).as_posix() for name in files]
        if len(names) > _LOOKED_AT:
            raise RecipeError(f"{place} holds over {_LOOKED_AT:,} files: name a part of it.")
    return _many(place, [name for name in names if (place / name).is_file()], like, str(place))


def globbed(path: str, pattern: Path, like: Source) -> tuple[str, Source]:
    """The same for the files that a pattern meets."""
    parts = pattern.parts
    fixed = next(count for count, part in enumerate(parts) if is_glob(part))
    base = Path(*parts[:fixed]) if fixed else Path()
    try:
        met = [one for one in base.glob(str(Path(*parts[fixed:]))) if one.is_file()]
    except (ValueError, NotImplementedError, IndexError, re.error) as error:
        raise RecipeError(f"{path} is no pattern that can be read: write one such as data/*.jsonl or data/**/*.parquet.") from error
    if not met:
        raise RecipeError(f"{path} meets no file: look at the pattern, or give the path of a file.")
    return _many(base, [one.relative_to(base).as_posix() for one in met], like, path)


def _many(base: Path, names: list[str], like: Source, where: str) -> tuple[str, Source]:
    family, wanted = chosen(names, where, like.config.documents, str(base))
    inside = base.resolve()
    for name in wanted:
        if not (base / name).resolve().is_relative_to(inside):
            raise RecipeError(f"{base / name} is a link out of {base}, which is not followed: copy the file there, or give its own path.")
    called = shown(wanted)
    if len(wanted) > 1:
        like.note(f"{where}: {len(wanted):,} files are read as one, {called[0]} to {called[-1]}.")

    def parts() -> Iterator[Source]:
        for name, people in zip(wanted, called, strict=True):
            yield source_of(base / name, partial(raw, base / name), like, people)

    return family, Source(Path(where), partial(raw, base / wanted[0]), like.longest, like.notes, like.config, parts)


def raw(path: Path) -> BinaryIO:
    """A file's bytes as they lie there, for one buffer to stand on."""
    return cast(BinaryIO, io.FileIO(path))
