"""From a path to bytes that can be read: what kind of file it is, unpacked, and refused in one sentence where it is no text."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tunesmith.core.errors import DataError, MachineError, RecipeError, did_you_mean
from tunesmith.core.files import home_path
from tunesmith.data.formats import SUFFIXES, Source

_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x7fELF": "a program",
    b"PK\x03\x04": "a zip archive (an .xlsx or .docx is one too)",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file: name it .parquet",
    b"ARROW1": "an Arrow file: give the folder that save_to_disk wrote",
    b"SQLite format 3": "a SQLite database",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x1f\x8b": "compressed twice with gzip",
    b"\x80\x04\x95": "a pickle",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"


def find(path: str, longest: int) -> tuple[str, Source]:
    """The family of a path and a source to read its records from.

    Raises:
        RecipeError: nothing is there, or its name says no known format.
        DataError: it is empty, binary or not UTF-8.
        MachineError: it may not be read.
    """
    if path == "sample":
        from tunesmith.embedded import sample_path

        path = str(sample_path())
    place = home_path(path)
    try:
        if place.is_dir():
            return "arrow", _folder(place, longest)
        if not place.exists():
            raise RecipeError(_missing(path, place))
        if not place.is_file():
            raise RecipeError(f"{path} is neither a file nor a folder: write the rows to a file and give its path.")
        family = _family(place)
        packed = _starts(place, len(_GZIP)) == _GZIP
        source = Source(place, lambda: _open(place, packed), longest)
        _check_start(source, family, packed)
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error
    return family, source


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading bytes into one sentence that names `path`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} can't be unpacked (its gzip data is cut short or damaged): copy or write it again.") from error
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error


def _open(path: Path, packed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")


def _starts(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _family(place: Path) -> str:
    suffixes = [suffix.lower() for suffix in place.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    family = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if family is None:
        known = ", ".join(SUFFIXES)
        raise RecipeError(
            f"{place} ends in {suffixes[-1] if suffixes else 'no suffix'}, which says no known format: "
            f"rename it to one of {known}, or one of these with .gz."
        )
    return family


def _folder(place: Path, longest: int) -> Source:
    """A folder written by `datasets`, or a sentence on what to name instead."""
    if (place / "state.json").is_file():
        return Source(place, lambda: (place / "state.json").open("rb"), longest)
    if (place / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in place.iterdir() if (child / "state.json").is_file())
        raise RecipeError(f"{place} holds the splits {', '.join(splits)}: name one, such as {place / (splits[0] if splits else 'train')}.")
    readable = sorted(child.name for child in place.iterdir() if set(child.suffixes) & set(SUFFIXES))
    shown = ", ".join(readable[:6]) + (" ..." if len(readable) > 6 else "")
    held = f"it holds {shown}; name one of them" if readable else "give the path of a file of rows"
    raise RecipeError(f"{place} is a folder that save_to_disk did not write: {held}.")


def _missing(path: str, place: Path) -> str:
    if "://" in path:
        return f"{path} is an address, not a path: download it and give the path of the file."
    try:
        near = did_you_mean(place.name, [child.name for child in place.parent.iterdir()][:2000]) if place.parent.is_dir() else ""
    except OSError:
        near = ""
    near = near if near.startswith(" Did") else ""
    return f"{path} does not exist: give the path of a file of examples, or `sample` for the embedded one.{near}"


def _check_start(source: Source, family: str, packed: bool) -> None:
    """Refuse what the first bytes show to be no text."""
    with explained(source.path), source.open() as file:
        start = file.read(4096)
    if not start.strip():
        with explained(source.path), source.open() as file:
            blank = not any(block.strip() for block in iter(lambda: file.read(2**20), b""))
        if blank:
            raise DataError(f"{source.path} is empty: it must hold at least one row.")
    if family == "parquet":
        if not start.startswith(b"PAR1"):
            raise DataError(f"{source.path} is not Parquet: its first bytes are others; copy or write it again.")
        return
    if start.startswith(_UTF16) or _looks_utf16(start):
        raise DataError(f"{source.path} is UTF-16, and UTF-8 is read: convert it with `iconv -f UTF-16 -t UTF-8`.")
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise DataError(f"{source.path} is no text: it is {kind}.")
    if start.count(0) > len(start) // 50 + 1:
        raise DataError(f"{source.path} is no text: {start.count(0)} of its first {len(start)} bytes are NUL.")
    if not packed and source.path.suffix.lower() == ".gz":
        source.notes.append(f"{source.path.name} is not packed with gzip, though its name says so.")


def _looks_utf16(start: bytes) -> bool:
    """Text in a Latin script as UTF-16 without a mark: every second byte is NUL, and the others aren't."""
    if len(start) < 8:
        return False
    even, odd = start[0::2], start[1::2]
    return (odd.count(0) > 0.8 * len(odd) and even.count(0) == 0) or (even.count(0) > 0.8 * len(even) and odd.count(0) == 0)
