"""Lexicons from files: one term a line, or a table with a column of terms and one of severities, in any format rows are read from.

Of raw text, lines that begin with `#` are remarks, and behind a hashed term (`sha256:...`) its severity may stand.
"""

from collections.abc import Iterator
from typing import Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import explained, find
from tunesmith.score.lexicon import HASHED, Lexicon, Term

TERMS = ("text", "term", "word", "phrase")
SEVERITIES = ("severity", "severity_description", "severity_rating")
MOST_TERMS = 1_000_000
"""Of a file; more is no lexicon."""
_LONGEST = 2**16
"""Bytes of a record."""


def read_lexicon(path: str, severities: list[str] | None = None) -> Lexicon:
    """The lexicon of a file, its terms of some severities alone where these are named.

    Raises:
        RecipeError: nothing is there, or its format is unknown, or no column holds terms.
        DataError: it is empty or damaged, a record can't be read or is no term, or no term is of such a severity.
        MachineError: it may not be read.
    """
    try:
        lexicon = Lexicon.of(_terms(path))
        return lexicon.only(severities) if severities else lexicon
    except DataError as error:
        raise DataError(str(error) if path in str(error) else f"{path}: {error}") from error


def _terms(path: str) -> Iterator[Term]:
    family, source = find(path, _LONGEST, ReadConfig())
    found = 0
    with explained(source.path):
        for item in reader(family)(source):
            for term in _of_item(item, family, path):
                found += 1
                if found > MOST_TERMS:
                    raise DataError(f"{path} holds more than {MOST_TERMS:,} terms: a lexicon is shorter.")
                yield term


def _of_item(item: Record | BadLine, family: str, path: str) -> Iterator[Term]:
    if isinstance(item, BadLine):
        raise DataError(f"{path}:{item.number} can't be read ({item.reason}): mend or remove it.")
    if family == "txt":
        yield from _of_lines(str(item.values["text"]))
        return
    named = {str(name).strip().casefold(): value for name, value in item.values.items()}
    column = next((name for name in TERMS if name in named), None)
    if column is None:
        raise RecipeError(f"{path} has no column of terms: name one {', '.join(TERMS[:-1])} or {TERMS[-1]}.")
    text = _cell(named[column])
    if text:
        yield Term(text, next((held for name in SEVERITIES if (held := _cell(named.get(name)))), ""))


def _of_lines(text: str) -> Iterator[Term]:
    for line in text.splitlines():
        told = line.strip()
        if told and not told.startswith("#"):
            term, _, severity = told.partition(" ") if told.startswith(HASHED) else (told, "", "")
            yield Term(term, severity.strip())


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()
