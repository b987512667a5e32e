"""What the rows are, as far as an advice depends on it, and how each base's tokenizer reads them.

Looks at a seeded sample of the training rows and, for the linear floor, at `select`; of the test side it knows how many rows there
are and nothing else. Costs 0.2 ms a text for its language, a tokenisation of the sample for each base, and seconds for the floor.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import fraction
from tunesmith.data.checks import labels_of
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.data.power import smallest_gain
from tunesmith.search.advice.bases import Candidate

SAMPLED = 1000
"""Training rows that are looked at."""
FLOOR_ROWS = 4000
"""Training rows that the linear floor is fitted on, at most."""
_TOGETHER = 20
"""Texts whose language is told at once: one by one, short texts mislead."""
LABELLED = (Task.CLASSIFY, Task.MULTILABEL, Task.TAG)
"""Tasks that have a label set."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What logistic regression on TF-IDF gets on `select`, with its 95% interval, and what the commonest label gets there."""

    value: float
    low: float
    high: float
    commonest: float
    rows: int
    """It was judged on."""
    trained_on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsLook:
    """What the rows are."""

    task: Task
    counts: Mapping[str, int]
    """Rows of each side."""
    label_rows: tuple[int, ...]
    """Training rows of each label, fewest first; empty where there are no labels."""
    words: int
    """Of what is shown, at the median."""
    words_p95: int
    answer_words: int
    """Of the answer, at the median."""
    language: str | None
    """The commonest one of those that could be told."""
    personal: int
    """Pieces of personal data seen in the sample that preparing looked at, where nothing was replaced."""
    floor: Floor | None
    """Where rows are classified, and `select` holds some."""
    sample: tuple[Row, ...]
    """Training rows, seeded."""

    @property
    def gain(self) -> float:
        """The smallest gain in the share of right answers that the test rows show four times in five."""
        return smallest_gain(self.counts.get("test", 0))

    def to_json(self) -> dict[str, Any]:
        """A plain dict, without a row."""
        floor = None if self.floor is None else {name: getattr(self.floor, name) for name in Floor.__slots__}
        labels = (
            {"labels": len(self.label_rows), "fewest": self.label_rows[0], "median": int(median(self.label_rows))}
            if self.label_rows
            else None
        )
        told = {name: getattr(self, name) for name in ("words", "words_p95", "answer_words", "language", "personal")}
        return (
            {"task": self.task.value, "counts": dict(self.counts), "label_rows": labels, "smallest_gain": self.gain}
            | told
            | {"linear_floor": floor}
        )


def look_at(dataset: Dataset, seed: int) -> RowsLook:
    """Look at prepared rows.

    Raises:
        DataError: no training row is left.
    """
    train = dataset.sides["train"]
    if not train:
        raise DataError(f"{dataset.path} leaves no row to train on, so there is nothing to advise on: add rows.")
    sample = sampled(train, SAMPLED, seed)
    shown = sorted(len(row.text().split()) for row in sample)
    counts = Counter(label for row in train for label in labels_of(row, dataset.task)) if dataset.task in LABELLED else Counter[str]()
    personal = dataset.findings.get("personal") or {}
    return RowsLook(
        task=dataset.task,
        counts=dataset.counts(),
        label_rows=tuple(sorted(counts.values())),
        words=shown[len(shown) // 2],
        words_p95=shown[int(0.95 * (len(shown) - 1))],
        answer_words=int(median(len(row.answer.split()) for row in sample)),
        language=_language([row.text() for row in sample]),
        personal=0 if personal.get("replaced") else sum((personal.get("kinds") or {}).values()),
        floor=_floor(dataset, seed) if dataset.task is Task.CLASSIFY else None,
        sample=tuple(sample),
    )


def sampled(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """At most so many rows in their order, chosen by seed and id alone: appending rows changes few of them."""
    if len(rows) <= most:
        return list(rows)
    chosen = set(sorted(range(len(rows)), key=lambda place: fraction(seed, f"advise {rows[place].id}"))[:most])
    return [row for place, row in enumerate(rows) if place in chosen]


def _language(texts: Sequence[str]) -> str | None:
    from tunesmith.data.filter.language import language_of
    from tunesmith.data.settings.filter import LanguageRule

    groups = ["\n".join(texts[start : start + _TOGETHER]) for start in range(0, len(texts), _TOGETHER)]
    told = Counter(found for group in groups if (found := language_of(group, LanguageRule())) is not None)
    return min(told, key=lambda code: (-told[code], code)) if told else None


def _floor(dataset: Dataset, seed: int) -> Floor | None:
    from tunesmith.evaluate.linear import linear_floor
    from tunesmith.score.intervals import share_interval

    train, select = sampled(dataset.sides["train"], FLOOR_ROWS, seed), dataset.sides["select"]
    if not select:
        return None
    found = linear_floor(train, select, seed=seed)
    right = sum(one.answer == one.reference for one in found)
    common = Counter(row.answer for row in train).most_common(1)[0][0]
    around = share_interval(right, len(select))
    commonest = sum(row.answer == common for row in select) / len(select)
    return Floor(around.value, around.low, around.high, commonest, len(select), len(train))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a base reads the sample."""

    tokens: int
    """Of a row, answer included, at the median."""
    tokens_p95: int
    tokens_most: int
    tokens_mean: float
    """Of a row as far as the context reaches: times the rows, what training reads."""
    answer_tokens: int
    """Of the answer, at the median."""
    answer_mean: float
    cut: float
    """Share of the rows that are longer than the context; 0 for raw text, which is read in windows."""
    per_word: float
    """Tokens of a word."""
    per_token: float
    """Characters of a token: of two bases on the same texts, the higher one knows more of their words."""
    pieces: float
    """Share of the tokens that are less than a character, or stand for what the tokenizer doesn't know."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {name: getattr(self, name) for name in self.__slots__}


def read_by(base: Candidate, look: RowsLook, *, label_words: bool = True, new_tokens: Sequence[str] = ()) -> Reading:
    """Read the sample with a base's tokenizer.

    Raises:
        MachineError: the tokenizer can't end an answer.
        DataError: its chat template can't be rendered.
    """
    labels = sorted({row.answer for row in look.sample}) if look.task is Task.CLASSIFY else []
    texts = label_texts(labels, words=label_words)
    renderer = Renderer(base.tokenizer, max_tokens=max(10 * base.context, 100_000), label_texts=texts, new_tokens=new_tokens)
    lengths, answers = _lengths(look, renderer)
    plain = [text for row in look.sample for text in (row.text(), row.answer if look.task is Task.GENERATE else "") if text]
    ids = [token for text in plain for token in base.tokenizer.encode(text, add_special_tokens=False)]
    words = sum(len(text.split()) for text in plain)
    lengths.sort()
    return Reading(
        tokens=lengths[len(lengths) // 2],
        tokens_p95=lengths[int(0.95 * (len(lengths) - 1))],
        tokens_most=lengths[-1],
        tokens_mean=fmean(length if look.task is Task.TEXT else min(length, base.context) for length in lengths),
        answer_tokens=int(median(answers)),
        answer_mean=fmean(answers),
        cut=0.0 if look.task is Task.TEXT else sum(length > base.context for length in lengths) / len(lengths),
        per_word=len(ids) / max(1, words),
        per_token=sum(map(len, plain)) / max(1, len(ids)),
        pieces=_pieces(base.tokenizer, ids),
    )


def _lengths(look: RowsLook, renderer: Renderer) -> tuple[list[int], list[int]]:
    """Tokens of each row of the sample, and of its answer."""
    lengths: list[int] = []
    answers: list[int] = []
    refused: DataError | None = None
    for row in look.sample:
        try:
            sides = renderer.pair(row) if row.rejected is not None else (renderer.row(row, whole=not row.prompt),)
        except DataError as error:
            refused = error
            continue
        lengths.append(max(len(one.ids) for one in sides))
        answers.append(len(sides[0].answer_ids))
    if not lengths and refused is not None:
        raise refused
    return lengths, answers


def _pieces(tokenizer: Any, ids: Sequence[int]) -> float:
    """Share of tokens that are bytes of a character, or unknown. Single letters are no pieces: they are whole characters."""
    counts = Counter(ids)
    unknown = getattr(tokenizer, "unk_token_id", None)
    broken = 0
    for token, times in counts.items():
        name = tokenizer.convert_ids_to_tokens(token)
        byte = isinstance(name, str) and name.startswith("<0x") and name.endswith(">")
        if token == unknown or byte or "\ufffd" in tokenizer.decode([token]):
            broken += times
    return broken / max(1, len(ids))
