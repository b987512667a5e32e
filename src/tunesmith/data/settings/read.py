"""How files become rows: the section `data.read` of a recipe."""

import codecs
from typing import Annotated

from pydantic import Field, field_validator

from tunesmith.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
_NO_TEXT = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf-7")
"""Codecs of Python that no file of rows is written in, or that run escapes."""


class ReadConfig(Section):
    """How files become rows."""

    columns: dict[str, str] = Field(default={})
    """Role -> your column: text, label, prompt, completion, messages, labels, value, spans, wanted and others (docs/guide/data.md); weight is read only where named."""
    label_separator: str | None = Field(default=None, min_length=1, max_length=8)
    """What stands between the labels of `data.task: multilabel` where they are one text; guessed among ; | and comma where absent."""
    bad_lines: Share = 0.01
    """The share of lines that may be unreadable: they are set aside in quarantine.jsonl; above it the round stops."""
    max_line_mib: float = Field(default=1.0, gt=0, le=1024)
    """Longest line read, in MiB; longer ones are set aside."""
    encoding: str | None = Field(default=None, min_length=1, max_length=40)
    """The encoding of text files, such as cp1251 or shift_jis; where absent UTF-8, with UTF-16, UTF-32 and Windows-1252 told by their bytes and said."""
    sheet: str | int | None = None
    """The sheet of Excel files, by its name or its number from 1; the first that is shown where absent. `book.xlsx#name` says it for one file."""
    documents: bool = False
    """Cut .txt files into passages, as .md, .html, .pdf and .docx always are; otherwise a .txt holds one text a line or block."""
    passage_words: int = Field(default=200, ge=20, le=10_000)
    """About how many words a passage of a document has; sentences stay whole."""
    max_unpacked_ratio: float = Field(default=200.0, ge=2, le=100_000)
    """Packed files may unpack to so many times their size beyond the first 64 MiB; above it they are taken for a bomb and refused."""
    max_unpacked_gib: float = Field(default=256.0, gt=0, le=65_536)
    """Most that one packed file may unpack to, in GiB."""

    @field_validator("columns")
    @classmethod
    def _one_role_a_column(cls, columns: dict[str, str]) -> dict[str, str]:
        """Refuse a column with two roles: what is asked would stand in what is shown."""
        role_of: dict[str, str] = {}
        for role, column in columns.items():
            if column in role_of:
                raise ValueError(f"{role_of[column]} and {role} are both column {column[:80]!r}: name another column for one of them")
            role_of[column] = role
        return columns

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        """Refuse what is no encoding of text."""
        if name is None:
            return None
        try:
            known = codecs.lookup(name)
            "".encode(name)  # codecs of bytes to bytes (zip, hex) refuse a text
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name!r} is no encoding of text that Python knows: write utf-8, utf-16, cp1252, shift_jis or another"
            ) from error
        if known.name.replace("-", "_") in {one.replace("-", "_") for one in _NO_TEXT}:
            raise ValueError(f"{name!r} is no encoding that files of rows are written in: write utf-8, cp1252, shift_jis or another")
        return known.name

    @field_validator("sheet")
    @classmethod
    def _counted_from_one(cls, sheet: str | int | None) -> str | int | None:
        """Refuse a sheet numbered below 1."""
        if isinstance(sheet, int) and sheet < 1:
            raise ValueError("sheets are counted from 1")
        return sheet
