"""Verbatim continuation: how often the model goes on word for word as a training row does, against rows it never saw.

A row with a prompt is begun by its prompt, a raw text by its first half. Only rows that go on for several words count: a
short answer can be right without having been learned by heart. What is right among rows never seen is what such text gives
away by itself; only what goes beyond that was memorised (Carlini et al., 2023, compare 50 tokens in the same way).

Rows of a group (one template, one document) are continued alike, and the test takes each start for a trial of its own: so one row,
drawn at random, speaks for its group.

Costs one generation a row or group, of at most `verbatim_tokens` and a few.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from typing import Any

import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.evaluate.harm_config import MemorisationConfig
from tunesmith.evaluate.running import arithmetic
from tunesmith.infer.generate import generate
from tunesmith.score.intervals import TAIL, Interval, share_interval

_FEW_MORE = 8
"""Tokens generated beyond those compared: the same words may be cut into more of them."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a row is begun, and how it goes on."""

    ids: tuple[int, ...]
    words: tuple[str, ...]
    """The words it goes on with, as far as they are compared."""
    tokens: int
    """Tokens those words take in the row."""


Continue = Callable[[Sequence[Start]], Sequence[str]]
"""Starts to what a model goes on with, as text."""


def _start(row: Row, renderer: Renderer, config: MemorisationConfig) -> Start:
    return _prompted(row, renderer, config) if row.prompt else _halved(row, renderer, config)


@dataclass(frozen=True, slots=True)
class Started:
    """The starts of one side's rows."""

    starts: list[Start]
    """One for each group."""
    short: int
    """Rows that go on for too few words."""
    spoken_for: int
    """Rows that go on for long enough, whose group has a start already."""


def started(rows: Sequence[Row], renderer: Renderer, config: MemorisationConfig, groups: Sequence[str] | None = None) -> Started:
    """Starts of rows that go on for `verbatim_words` or more, the first such row of each group; groups: one name a row, None: each alone."""
    first: dict[str, Start] = {}
    short = 0
    for row, group in zip(rows, map(str, range(len(rows))) if groups is None else groups, strict=True):
        start = _start(row, renderer, config)
        if len(start.words) < config.verbatim_words:
            short += 1
        else:
            first.setdefault(group, start)
    return Started(list(first.values()), short, len(rows) - short - len(first))


def _prompted(row: Row, renderer: Renderer, config: MemorisationConfig) -> Start:
    answer = renderer.answer(row.answer)[: -len(renderer.end_ids)]
    words, tokens = _compared(answer, renderer, config)
    room = min(tokens + _FEW_MORE, renderer.max_tokens // 2)
    return Start(renderer.prompt(row.prompt, room=room).ids if words else (), words, tokens)


def _halved(row: Row, renderer: Renderer, config: MemorisationConfig) -> Start:
    ids = renderer.row(row, whole=True).ids[: -len(renderer.end_ids)]
    half = (len(ids) + 1) // 2
    words, tokens = _compared(ids[half:], renderer, config)
    first = max(0, half + tokens + _FEW_MORE - renderer.max_tokens)
    return Start(ids[min(first, half - 1) : half] if half else (), words, tokens)


def _compared(ids: Sequence[int], renderer: Renderer, config: MemorisationConfig) -> tuple[tuple[str, ...], int]:
    """The words that are compared; one that the limit may have cut through is left out."""
    kept = ids[: config.verbatim_tokens]
    words = tuple(renderer.decode(kept).split())
    return (words[:-1] if len(kept) < len(ids) else words), len(kept)


def continuing(model: nn.Module, renderer: Renderer, device: torch.device, precision: str = "fp32") -> Continue:
    """A model that goes on greedily from starts."""

    def go_on(some: Sequence[Start]) -> list[str]:
        if not some:
            return []
        model.eval()
        most = max(start.tokens for start in some) + _FEW_MORE
        with arithmetic(device, precision):
            made = generate(model, [start.ids for start in some], end_ids=renderer.end_ids, max_new_tokens=most, device=device)
        return [renderer.decode(ids) for ids in made]

    return go_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Shares of rows that the model goes on with word for word."""

    trained: Interval
    """Of training rows."""
    unseen: Interval
    """Of rows it never saw."""
    difference: Interval
    """Of the two shares (Newcombe, 1998, method 10)."""
    p_value: float
    """One-sided: how probable so great a difference is if there is none (Fisher, exact)."""
    trained_rows: int
    """Training rows that were continued; of a group one."""
    unseen_rows: int
    left_out: int
    """Training rows that go on for too few words."""
    spoken_for: int = 0
    """Rows of both kinds that were not continued, since another one of their group was."""

    @property
    def found(self) -> bool:
        """More of the training rows, at one-sided 2.5%."""
        return self.difference.low > 0 and self.p_value <= TAIL

    @property
    def sentence(self) -> str:
        """For people."""
        told = f"it continues {self.trained.value:.1%} of {self.trained_rows} training rows word for word"
        against = f"{self.unseen.value:.1%} of {self.unseen_rows} rows it never saw (p = {self.p_value:.2g})"
        beside = f" One row was taken of each group; {self.spoken_for} more were not asked." if self.spoken_for else ""
        opening = "The model repeats training rows" if self.found else "No training row is shown to be repeated beyond what text gives away"
        return f"{opening}: {told}, and {against}.{beside}"

    def to_json(self) -> dict[str, Any]:
        """The report's `verbatim`."""
        return asdict(self) | {"found": self.found, "sentence": self.sentence}


def verbatim(
    trained: Sequence[Row],
    unseen: Sequence[Row],
    renderer: Renderer,
    config: MemorisationConfig,
    go_on: Continue,
    groups: Sequence[str] | None = None,
) -> Verbatim:
    """Compare training rows with rows of the same source that were not trained on.

    Args:
        trained: rows that were trained on, in random order.
        unseen: rows that were not, in random order.
        renderer: of the model.
        config: how much must be repeated.
        go_on: the model.
        groups: the group of each row, training rows first; one row of each is asked. None: every row stands for itself.

    Raises:
        DataError: of one of the two no row goes on for long enough.
    """
    seen = started(trained, renderer, config, None if groups is None else groups[: len(trained)])
    other = started(unseen, renderer, config, None if groups is None else groups[len(trained) :])
    if not seen.starts or not other.starts:
        where = "training" if not seen.starts else "held-out"
        raise DataError(
            f"No {where} row goes on for {config.verbatim_words} words, so none can be continued word for word: "
            "lower evaluate.memorisation.verbatim_words, or set verbatim to false."
        )
    found = _compare(_hits(seen.starts, go_on), len(seen.starts), _hits(other.starts, go_on), len(other.starts))
    return replace(found, left_out=seen.short, spoken_for=seen.spoken_for + other.spoken_for)


def _hits(some: Sequence[Start], go_on: Continue) -> int:
    return sum(tuple(text.split()[: len(one.words)]) == one.words for one, text in zip(some, go_on(some), strict=True))


def _compare(hits: int, rows: int, other_hits: int, other_rows: int) -> Verbatim:
    from scipy.stats import fisher_exact

    trained, unseen = share_interval(float(hits), float(rows)), share_interval(float(other_hits), float(other_rows))
    difference = trained.value - unseen.value
    down = sqrt((trained.value - trained.low) ** 2 + (unseen.high - unseen.value) ** 2)
    up = sqrt((trained.high - trained.value) ** 2 + (unseen.value - unseen.low) ** 2)
    table = [[hits, rows - hits], [other_hits, other_rows - other_hits]]
    return Verbatim(
        trained=trained,
        unseen=unseen,
        difference=Interval(difference, max(-1.0, difference - down), min(1.0, difference + up)),
        p_value=float(fisher_exact(table, alternative="greater").pvalue),
        trained_rows=rows,
        unseen_rows=other_rows,
        left_out=0,
    )
