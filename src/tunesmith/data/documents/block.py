"""The parts that a document is read as, whatever its format."""

from dataclasses import dataclass

from tunesmith.core.errors import DataError
from tunesmith.data.formats import Source

LONGEST = 128 * 2**20
"""Most bytes of a document that has to be in memory whole."""


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, a table or a piece of code."""

    text: str
    number: int
    """The line, page (PDF) or paragraph (docx, html) it begins on, counted from 1."""
    level: int | None = None
    """1 to 6 for a heading; 0 for the document's title as its metadata tell it, which is no part of its words; None for all else."""
    verbatim: bool = False
    """Tables and code: divided between lines only."""


def damaged(source: Source, kind: str) -> DataError:
    """What to say of a document that its library can't read."""
    return DataError(f"{source.path} can't be read as {kind} (it is cut short or damaged): copy or save it again.")
