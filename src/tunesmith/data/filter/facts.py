"""What rules need to know of the whole set before they look at a row: common lines, how answers end, labels outside the set.

One pass, memory that doesn't grow with the rows: at most 16,384 lines as 8-byte digests, 4,096 lengths, 4,096 labels.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from math import ceil

from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.data.filter.answers import Endings, ends_with_mark, is_sentence
from tunesmith.data.filter.frequent import Frequent
from tunesmith.data.filter.seen import Seen, see
from tunesmith.data.missing import Missing
from tunesmith.data.settings.fill import FillConfig
from tunesmith.data.settings.filter import BoilerplateRule, FilterConfig

LINE_CHARS = 40
_EDGE = 60
_LINES_READ = 200
_MIN_ROWS = 20
_CUT_ROWS, _CUT_SHARE, _CUT_CHARS = 5, 0.005, 200


@dataclass(frozen=True, slots=True)
class FilterFacts:
    """What an earlier pass over all rows has found."""

    boilerplate: frozenset[bytes] = frozenset()
    """Digests of lines that stand in many rows."""
    endings: Endings = field(default_factory=Endings)
    """How answers end."""
    strange: tuple[tuple[str, int], ...] = ()
    """Labels outside the label set and how many rows carry each, the commonest first; at most 4,096. Missing ones are not among them."""


class FilterCount:
    """Gathers the facts: `add` each row, then ask for the `result`. `fill` says which labels are missing: these are its to tell."""

    def __init__(self, config: FilterConfig, task: Task, labels: tuple[str, ...] = (), fill: FillConfig | None = None) -> None:
        self._config, self._task, self._labels = config, task, frozenset(labels)
        self._missing = Missing(fill or FillConfig())
        self._words: Counter[str] = Counter()
        self._lines: Frequent[bytes] = Frequent(16_384)
        self._lengths: Frequent[int] = Frequent(4096)
        self._strange: Frequent[str] = Frequent(4096)
        self._rows = self._answers = self._sentences = self._ended = self._longest = 0

    def add(self, row: Row) -> None:
        """One row more."""
        self._rows += 1
        seen = see(row, self._task)
        if self._config.boilerplate.action != "off":
            for digest in dict.fromkeys(digest for line in long_lines(seen.learned) for digest in (line.whole, *line.ends)):
                self._lines.add(digest)
        if seen.answer and self._config.truncated.action != "off":
            self._end(seen.answer)
        if self._labels:
            self._look_for_strange(seen)

    def _look_for_strange(self, seen: Seen) -> None:
        if seen.label is not None and (word := self._missing.word(seen.label)):
            self._words[word] += 1
        labels = seen.labels if seen.label is None else (seen.label,)
        if len(labels) > 1 or not any(map(self._missing.says_nothing, labels)):
            for label in labels:
                if label not in self._labels:
                    self._strange.add(label)

    def merge(self, other: "FilterCount") -> None:
        """Take in what another has counted of rows that come after these."""
        for mine, theirs in ((self._lines, other._lines), (self._lengths, other._lengths), (self._strange, other._strange)):
            mine.merge(theirs)  # type: ignore[arg-type]
        self._words.update(other._words)
        self._rows += other._rows
        self._answers += other._answers
        self._sentences += other._sentences
        self._ended += other._ended
        self._longest = max(self._longest, other._longest)

    def _end(self, answer: str) -> None:
        self._answers += 1
        self._lengths.add(len(answer))
        self._longest = max(self._longest, len(answer))
        if is_sentence(answer):
            self._sentences += 1
            self._ended += ends_with_mark(answer)

    def result(self) -> FilterFacts:
        """What was found in the rows so far."""
        return FilterFacts(
            frozenset(self._common_lines(self._config.boilerplate)),
            Endings(self._ended / self._sentences if self._sentences else 0.0, self._cut_at()),
            tuple(self._outside()),
        )

    def _outside(self) -> Iterator[tuple[str, int]]:
        """Labels that are not in the set, without the rare words that stand for none: `fill` takes those rows."""
        unsaid = self._words.keys() - Missing.labels_among(self._words, self._rows)
        return ((label, count) for label, count in self._strange.items() if self._missing.word(label) not in unsaid)

    def _common_lines(self, rule: BoilerplateRule) -> Iterator[bytes]:
        enough = max(_MIN_ROWS, ceil(rule.rows_share * self._rows))
        return (digest for digest, count in self._lines.items() if count >= enough)

    def _cut_at(self) -> int | None:
        """The greatest length, where five answers and a two-hundredth of all have it: lengths that fall as they may don't pile up there."""
        many = self._lengths[self._longest] >= max(_CUT_ROWS, ceil(_CUT_SHARE * self._answers))
        return self._longest if many and self._longest >= _CUT_CHARS else None


@dataclass(frozen=True, slots=True)
class Line:
    """A long line by its digests: of all of it, and of both ends (60 characters) where it is twice as long as these."""

    length: int
    whole: bytes
    ends: tuple[bytes, ...]


def long_lines(text: str) -> Iterator[Line]:
    """The lines of at least 40 characters among the first 200. The ends tell what stands before or after words that differ."""
    if len(text) < LINE_CHARS:
        return
    for line in text.split("\n", _LINES_READ)[:_LINES_READ]:
        bare = line.strip()
        if len(bare) >= LINE_CHARS:
            ends = (_digest("<" + bare[:_EDGE]), _digest(">" + bare[-_EDGE:])) if len(bare) > 2 * _EDGE else ()
            yield Line(len(bare), _digest(bare), ends)


def boilerplate_share(text: str, common: frozenset[bytes]) -> float:
    """The share of a text's characters that stand in common lines, or in common ends of a line."""
    held = 0
    for line in long_lines(text):
        held += line.length if line.whole in common else _EDGE * sum(end in common for end in line.ends)
    return held / max(1, len(text))


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
