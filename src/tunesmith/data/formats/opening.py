"""From raw bytes to bytes a reader can use: unpacked, as UTF-8, and refused in one sentence where they are no text."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BINARY, Source, suffix_of
from tunesmith.data.formats.encoding import Transcoded, encoding_of
from tunesmith.data.formats.packed import Bounds, Unpacked, packing

MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x7fELF": "a program",
    b"PK\x03\x04": "a zip archive: name it .zip, or .xlsx or .docx where it is one of these",
    b"%PDF": "a PDF: name it .pdf",
    b"PAR1": "a Parquet file: name it .parquet",
    b"ARROW1": "an Arrow file: give the folder that save_to_disk wrote",
    b"SQLite format 3": "a SQLite database",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office file (.xls, .doc), or one locked with a password: save it as .xlsx or .docx without one",
    b"\x80\x04\x95": "a pickle",
}
_BEGINS = {
    ".parquet": (b"PAR1", "Parquet"),
    ".xlsx": (b"PK\x03\x04", "an Excel workbook"),
    ".xlsm": (b"PK\x03\x04", "an Excel workbook"),
    ".docx": (b"PK\x03\x04", "a Word document"),
}
"""What a binary file of this suffix begins with, and its name in messages. A PDF may begin anywhere in its first kilobyte."""
_BLOCK = 2**18
_LOOKED_AT = 4096


def bounds_of(source: Source, packed: int = 0) -> Bounds:
    """How far one file may unpack, by the recipe."""
    return Bounds(ratio=source.config.max_unpacked_ratio, most=source.config.max_unpacked_gib * 2**30, packed=packed)


def source_of(path: Path, raw: Callable[[], BinaryIO], like: Source, name: str) -> Source:
    """A source of one file: `raw` opens its bytes as they lie there; limits and notes are those of `like`."""
    made = Source(path, raw, like.longest, like.notes, like.config, name=name, part=like.part)
    made.open = partial(_opened, made, raw)
    return made


def _opened(source: Source, raw: Callable[[], BinaryIO]) -> BinaryIO:
    """The bytes to read: unpacked where they are packed, decoded where they are text of another encoding.

    Raises:
        DataError: they are not what the suffix says.
    """
    file = raw()
    try:
        buffered: BinaryIO = _buffered(file)
        start = start_of(buffered)
        kind = packing(start)
        if kind:
            buffered = io.BufferedReader(Unpacked(buffered, kind, str(source.path), bounds_of(source)), _BLOCK)
            start = start_of(buffered)
            if packing(start):
                raise DataError(f"{source.path} is no text: it is compressed twice ({packing(start)} inside {kind}); unpack it once.")
        elif source.path.suffix.lower() in (".gz", ".zst", ".zstd", ".bz2", ".xz"):
            source.note(f"{source.name} is not packed, though its name says so.")
        suffix = suffix_of(source.name)
        if suffix in BINARY:
            _check_binary(source, suffix, start)
            return buffered
        return _text(source, buffered, start)
    except BaseException:
        file.close()
        raise


def _buffered(raw: Any) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(raw, _BLOCK))


def _check_binary(source: Source, suffix: str, start: bytes) -> None:
    begins, called = _BEGINS.get(suffix, (b"", ""))
    if not start:
        raise DataError(f"{source.path} is empty: it must hold at least one row.")
    if not start.startswith(begins):
        found = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "")
        raise DataError(
            f"{source.path} is not {called}: " + (f"it is {found}." if found else "its first bytes are others; copy or write it again.")
        )


def start_of(file: BinaryIO) -> bytes:
    """The first bytes of what an opened source gives, which stay to be read."""
    return bytes(cast(io.BufferedReader, file).peek(_LOOKED_AT)[:_LOOKED_AT])


def _text(source: Source, buffered: BinaryIO, start: bytes) -> BinaryIO:
    """Text as UTF-8; DataError where the first bytes show that it is none."""
    named = source.config.encoding
    marked = encoding_of(start)
    encoding = marked if marked or named is None else named
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            raise DataError(f"{source.path} is no text: it is {kind}.")
    source.foreign = bool(named or marked)
    if encoding and encoding not in ("utf-8", "utf-8-sig"):
        if marked:
            source.note(f"{source.name} is {encoding.upper()}, and read as that.")
        return io.BufferedReader(Transcoded(buffered, encoding, str(source.path)), _BLOCK)
    if start.count(0) > len(start) // 50 + 1:
        raise DataError(f"{source.path} is no text: {start.count(0)} of its first {len(start)} bytes are NUL.")
    return buffered
