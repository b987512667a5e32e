"""Excel workbooks (.xlsx, .xlsm): the rows of one sheet, as their cells were last worked out. No formula or macro is run.

Rows stream; what is held is the workbook's table of shared texts. The archive is looked at before it is opened: a part may claim no more than its
share of a bomb's size, and none may define entities of its own.
"""

import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.columnar import check_columns, plain, seekable
from tunesmith.data.formats.lines import too_long
from tunesmith.data.formats.many import printable
from tunesmith.data.formats.packed import FREE

_SHARED = 512 * 2**20
"""Most bytes of the table of texts, which is held in memory."""


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record for each row below the first that holds anything, which names the columns; rows of empty cells are left out.

    Raises:
        DataError: the file is no workbook, is damaged or locked, or unpacks too far.
        RecipeError: there is no such sheet.
    """
    with source.open() as file, seekable(file) as whole:
        check_zip(whole, source)
        try:
            from openpyxl import load_workbook

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of styles and names it leaves out, which no row needs
                book = load_workbook(whole, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # openpyxl lets a dozen kinds through where the XML is not as it expects
            raise _damaged(source) from error
        try:
            yield from _rows(_sheet(book, source), source)
        except (DataError, RecipeError, GeneratorExit):
            raise
        except Exception as error:
            raise _damaged(source) from error
        finally:
            book.close()


def _damaged(source: Source) -> DataError:
    return DataError(f"{source.path} can't be read as an Excel workbook (it is cut short or damaged): save it again, or save it as .csv.")


def check_zip(file: BinaryIO, source: Source, shared: str = "sharedStrings.xml") -> None:
    """DataError where an Office file is no whole archive, unpacks too far, or defines entities.

    No part yields more than the archive says it does, so that what it says can be believed.
    """
    try:
        size = file.seek(0, 2)
        with zipfile.ZipFile(file) as held:
            parts = held.infolist()
            if any(part.flag_bits & 1 for part in parts):
                raise DataError(f"{source.path} is locked with a password: save it without one.")
            total = sum(part.file_size for part in parts)
            if total > min(FREE + source.config.max_unpacked_ratio * size, source.config.max_unpacked_gib * 2**30):
                raise DataError(
                    f"{source.path} unpacks to {total / 2**20:,.0f} MiB, {total / max(1, size):,.0f} times its size, as a zip bomb does: "
                    "look at it, save it as .csv, or raise data.read.max_unpacked_ratio."
                )
            if any(part.filename.endswith(shared) and part.file_size > _SHARED for part in parts):
                raise DataError(f"{source.path} holds over {_SHARED >> 20} MiB of texts, which would all be in memory: save it as .csv.")
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with held.open(part) as opened:
                        if b"<!DOCTYPE" in opened.read(4096):
                            raise DataError(f"{source.path} defines entities, which no Office file needs: save it again.")
    except DataError:
        raise
    except Exception as error:  # zipfile and zlib let many errors through, and the bytes are anybody's
        raise DataError(f"{source.path} is cut short or damaged: copy it or save it again.") from error
    file.seek(0)


def _sheet(book: Any, source: Source) -> Any:
    """The sheet that the recipe names, or the first that is shown."""
    names: list[str] = [sheet.title for sheet in book.worksheets]
    wanted: str | int | None = source.part or source.config.sheet
    if not names:
        raise DataError(f"{source.path} has no sheet of cells.")
    if isinstance(wanted, str) and wanted not in names and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, int):
        if wanted > len(names):
            raise RecipeError(f"{source.path} has {len(names)} sheets, and number {wanted} is asked for in data.read.sheet.")
        return book.worksheets[wanted - 1]
    if wanted is not None:
        if wanted not in names:
            raise RecipeError(f"{source.path} has no sheet {wanted!r}.{did_you_mean(wanted, map(printable, names))}")
        return book.worksheets[names.index(wanted)]
    shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
    if len(names) > 1:
        source.note(f"{source.name}: the sheet {printable(shown[0].title)!r} of {len(names)} is read; name another in data.read.sheet.")
    return shown[0]


def _rows(sheet: Any, source: Source) -> Iterator[Record | BadLine]:
    sheet.reset_dimensions()  # what a sheet says of its size may be anything
    header: list[str] = []
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        values = [_value(cell) for cell in cells]
        while values and values[-1] in (None, ""):
            values.pop()
        if not values:
            continue
        if not header:
            header = [str(value).strip() if value not in (None, "") else f"column {place}" for place, value in enumerate(values, 1)]
            check_columns(header, str(source.path))
            continue
        yield _record(number, values, header, source.longest)


def _record(number: int, values: list[Any], header: list[str], longest: int) -> Record | BadLine:
    if len(values) > len(header):
        return BadLine(number, f"{len(values)} cells where the header has {len(header)}", "\t".join(str(value) for value in values)[:4096])
    if sum(len(value) for value in values if isinstance(value, str)) > longest:
        return BadLine(number, too_long(longest), "")
    return Record(number, dict(zip(header, values + [None] * (len(header) - len(values)), strict=True)))


def _value(cell: Any) -> Any:
    """A cell as JSON can hold it: whole numbers without a point, dates in ISO 8601, errors (#N/A) as they are shown."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    value = plain(cell)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
