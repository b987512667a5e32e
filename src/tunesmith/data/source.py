"""From a path to records that can be read: what kind of file it is, or which files of a folder, a glob or an archive are meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.core.errors import DataError, MachineError, RecipeError, did_you_mean
from tunesmith.core.files import home_path
from tunesmith.data.formats import PACKED, SUFFIXES, Source, suffix_of
from tunesmith.data.formats.archive import archive, is_archive
from tunesmith.data.formats.folder import folder, globbed, is_glob, raw
from tunesmith.data.formats.many import family_of
from tunesmith.data.formats.opening import source_of
from tunesmith.data.settings.read import ReadConfig

_OTHERS = {
    ".xls": "save it as .xlsx or .csv",
    ".xlsb": "save it as .xlsx or .csv",
    ".ods": "save it as .xlsx or .csv",
    ".doc": "save it as .docx",
    ".rtf": "save it as .docx",
    ".odt": "save it as .docx",
    ".yaml": "write its rows as .jsonl",
    ".yml": "write its rows as .jsonl",
    ".xml": "write its rows as .jsonl",
    ".pkl": "write its rows as .jsonl (a pickle can run code, and is never read)",
    ".pickle": "write its rows as .jsonl (a pickle can run code, and is never read)",
    ".arrow": "give the folder that save_to_disk wrote, or write it as .parquet",
    ".feather": "write it as .parquet",
    ".rar": "pack it again as .zip",
    ".7z": "pack it again as .zip",
}
"""Suffixes that aren't read, and the next move."""


def find(path: str, longest: int, config: ReadConfig | None = None) -> tuple[str, Source]:
    """The family of a path and a source to read its records from.

    Args:
        path: a file, packed or not; a folder of files of one kind or one that save_to_disk wrote; a glob; a .zip or .tar of files; `sample`.
            Behind a `#` may stand what of a file is meant: a key of a JSON object, a sheet of a workbook.
        longest: most bytes in one record.
        config: encoding, sheet, how far packed files may unpack, whether .txt files are documents.

    Raises:
        RecipeError: nothing is there, or its name says no known format.
        DataError: it is empty or binary.
        MachineError: it may not be read.
    """
    if path == "sample":
        from tunesmith.embedded import sample_path

        path = str(sample_path())
    place, part = _parted(path)
    like = Source(place, partial(raw, place), longest, config=config or ReadConfig(), part=part)
    try:
        family, source = _found(path, place, like)
        if source.parts is None and family != "arrow":
            _check_not_blank(source)
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL in a path
        raise RecipeError(f"{path!r} is no path: give the path of a file of examples.") from error
    if part and family not in ("json", "excel"):
        raise RecipeError(f"{path}: #{part} names a key of a JSON object or a sheet of a workbook, and this is neither; leave it out.")
    return family, source


def files_of(path: str, config: ReadConfig | None = None) -> list[Path]:
    """The files that a path stands for, in the order they are read: what decides whether data have changed.

    A folder of save_to_disk gives the files in it; an archive gives itself. Raises as `find` does.
    """
    place, _ = _parted(str(path))
    if path == "sample" or place.is_file():
        return [find(path, 1, config)[1].path if path == "sample" else place]
    family, source = find(path, 1, config)
    if family == "arrow":
        return sorted(child for child in place.iterdir() if child.is_file())
    return [part.path for part in source.parts()] if source.parts else [source.path]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading bytes into one sentence that names `path`."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error


def _parted(path: str) -> tuple[Path, str]:
    """A path and what stands behind its `#`; a file whose own name has one is that file."""
    place = home_path(path)
    before, mark, part = path.rpartition("#")
    if mark and part and before and not place.exists() and home_path(before).is_file():
        return home_path(before), part
    return place, ""


def _found(path: str, place: Path, like: Source) -> tuple[str, Source]:
    if place.is_dir():
        return _folder(place, like)
    if not place.exists():
        if is_glob(path) and "://" not in path:
            return globbed(path, place, like)
        raise RecipeError(_missing(path, place))
    if not place.is_file():
        raise RecipeError(f"{path} is neither a file nor a folder: write the rows to a file and give its path.")
    if is_archive(place.name):
        return archive(place, like)
    return _family(place, like.config), source_of(place, like.open, like, place.name)


def _family(place: Path, config: ReadConfig) -> str:
    family = family_of(place.name, config.documents)
    if not family:
        suffix = suffix_of(place.name)
        if suffix in _OTHERS:
            raise RecipeError(f"{place} ends in {suffix}, which isn't read: {_OTHERS[suffix]}.")
        raise RecipeError(
            f"{place} ends in {suffix or 'no suffix'}, which says no known format: "
            f"rename it to one of {', '.join(SUFFIXES)}, or one of these with {', '.join(PACKED)}."
        )
    return family


def _folder(place: Path, like: Source) -> tuple[str, Source]:
    """A folder written by `datasets`, or one of files."""
    if (place / "state.json").is_file():
        return "arrow", replace(like, open=partial(raw, place / "state.json"))
    if (place / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in place.iterdir() if (child / "state.json").is_file())
        raise RecipeError(f"{place} holds the splits {', '.join(splits)}: name one, such as {place / (splits[0] if splits else 'train')}.")
    return folder(place, like)


def _missing(path: str, place: Path) -> str:
    if "://" in path:
        return f"{path} is an address, not a path: download it and give the path of the file."
    try:
        near = did_you_mean(place.name, [child.name for child in place.parent.iterdir()][:2000]) if place.parent.is_dir() else ""
    except OSError:
        near = ""
    near = near if near.startswith(" Did") else ""
    return f"{path} does not exist: give the path of a file of examples, or `sample` for the embedded one.{near}"


def _check_not_blank(source: Source) -> None:
    """DataError where a file holds nothing but space, or is no file of its family; its first bytes are looked at, most often no more."""
    with source.open() as file:
        blank = not any(block.strip() for block in iter(lambda: file.read(2**20), b""))
    if blank:
        raise DataError(f"{source.path} is empty: it must hold at least one row.")
