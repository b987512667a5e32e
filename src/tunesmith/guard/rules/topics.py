"""Subjects by their words: terms found as those of a lexicon are, and patterns within a line, whose matches have a bounded length.

A stream is held back by a pattern for as long as its longest match: patterns of more than `WIDEST` characters are refused, as are those
that look ahead, behind or for the ends of a text, since these change with what is not there yet.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from tunesmith.core.errors import DataError, MachineError, RecipeError
from tunesmith.guard.config import TopicConfig
from tunesmith.guard.finding import Finding, Rule
from tunesmith.guard.rules.lexicon import LexiconRule
from tunesmith.score.lexicon import Lexicon, Term

WIDEST = 120
"""Characters of a match, at most."""
PATTERN = "re:"
_MOST_BYTES = 2**22
_OWN = Path(__file__).parents[1] / "topics"
_WITHIN = (_constants.AT_BOUNDARY, _constants.AT_NON_BOUNDARY)
_BEYOND = (_constants.ASSERT, _constants.ASSERT_NOT)


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Finds matches of patterns."""

    patterns: tuple[re.Pattern[str], ...]
    widest: int
    """Characters of the longest match there can be."""
    like: Finding
    """What every finding is but for its place."""

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """Matches; those that overlap are one."""
        one = self.like
        return [Finding(start, end, one.rule, one.action, one.instead, one.message) for start, end in self._spans(text)]

    def settled(self, text: str) -> int:
        """A space so far from the end that all matches before it are known, and none of them reaches it; or the last line break."""
        line = text.rfind("\n") + 1
        spans = self._spans(text[line:])
        for place in range(len(text) - self.widest - 1, line, -1):
            here = place - line
            if text[place - 1].isspace() and not any(start < here <= end for start, end in spans):
                return place
        return line

    def _spans(self, text: str) -> list[tuple[int, int]]:
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._matches(text)):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        start = 0
        for line in text.split("\n"):
            for pattern in self.patterns:
                yield from ((start + match.start(), start + match.end()) for match in pattern.finditer(line))
            start += len(line) + 1


def topic_rules(topics: Sequence[TopicConfig], instead: str) -> list[Rule]:
    """The rules of topics: one for all their terms, and one for the patterns of each. A term of two topics is of the first.

    Raises:
        RecipeError: no such file; a pattern that is none, or not a bounded one.
        MachineError: the file can't be read.
        DataError: it holds nothing, or a term that is none.
    """
    rules: list[Rule] = []
    terms: list[Term] = []
    kinds: dict[str, Finding] = {}
    for config in topics:
        path = _OWN / f"{config.name}.txt" if config.path is None else Path(config.path).expanduser()
        lines = list(_lines(path))
        if not lines:
            raise DataError(f"{path} holds no term: write one a line.")
        like = kinds[config.name] = Finding(0, 0, f"topic.{config.name}", config.action, instead, config.message)
        terms += _terms([line for _, line in lines if not line.startswith(PATTERN)], config.name, path)
        found = [_pattern(line.removeprefix(PATTERN).strip(), f"{path}:{number}") for number, line in lines if line.startswith(PATTERN)]
        if found:
            rules.append(PatternRule(tuple(pattern for pattern, _ in found), max(width for _, width in found), like))
    if terms:
        rules.insert(0, LexiconRule(Lexicon.of(terms), kinds[terms[0].severity], kinds))
    return rules


def _terms(lines: Sequence[str], topic: str, path: Path) -> list[Term]:
    """The terms of one topic, under its name. DataError, with the file, where one is none."""
    terms = [Term(line, topic) for line in lines]
    try:
        if terms:
            Lexicon.of(terms)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return terms


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line that says something; `#` begins a remark."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is larger than 4 MiB: a topic is shorter.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecipeError(f"There is no file {path}: name one of terms, one a line.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: save it as such.") from None
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.strip().startswith("#"):
            yield number, line.strip()


def _pattern(text: str, place: str) -> tuple[re.Pattern[str], int]:
    """A pattern and the length of its longest match. RecipeError where it can't serve."""
    try:
        made = re.compile(text, re.IGNORECASE)
        tree = _parser.parse(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise RecipeError(f"{place}: the pattern can't be read ({error}): mend it.") from None
    least, most = tree.getwidth()
    if not least:
        raise RecipeError(f"{place}: the pattern matches an empty text: ask for one character at least.")
    if most > WIDEST:
        raise RecipeError(f"{place}: the pattern may match more than {WIDEST} characters: bound its repeats, as in .{{0,20}}.")
    if any(op in _BEYOND or (op is _constants.AT and what not in _WITHIN) for op, what in _parts(tree)):
        raise RecipeError(f"{place}: the pattern looks ahead, behind, or for the end of a text, which a stream doesn't know yet: use \\b.")
    return made, int(most)


def _parts(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every operation of a parsed pattern, at any depth."""
    for op, what in tree:
        yield op, what
        for inner in _trees(what):
            yield from _parts(inner)


def _trees(what: Any) -> Iterable[Any]:
    if isinstance(what, _parser.SubPattern):
        yield what
    elif isinstance(what, list | tuple):
        for part in what:
            yield from _trees(part)
