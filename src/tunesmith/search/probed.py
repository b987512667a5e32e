"""What a probe saw, as it is kept on disk and as it is told: who was judged when, who stands where, who can't be told apart.

Pure but for the answers it is handed. A rung that not every arm came through compares nothing: its arms are placed by the rung before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tunesmith.score.intervals import interval
from tunesmith.score.measures import Measure
from tunesmith.score.paired import Comparison, compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples
from tunesmith.search.halving import Pace, arms_of

Answers = Callable[[int, str], list[Prediction]]
"""What an arm answered at the end of a rung."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An arm judged at the end of a rung."""

    key: str
    rung: int
    step: int
    value: float | None
    """Of the deciding measure on `select`; None where training diverged, or failed."""


@dataclass(slots=True)
class Kept:
    """The probe as it is kept on disk."""

    spent: float = 0.0
    paces: dict[str, Pace] = field(default_factory=dict)
    untried: dict[str, str] = field(default_factory=dict)
    """Key -> why it was not tried."""
    total: int = 0
    """Steps of the last rung; 0: not planned yet."""
    seen: list[Seen] = field(default_factory=list)
    over: bool = False
    """Nothing is left to do."""
    failed: dict[str, str] = field(default_factory=dict)
    """Key -> why its training could not go on, where it didn't diverge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An arm as the probe leaves it."""

    key: str
    name: str
    rung: int
    step: int
    value: float | None
    low: float | None
    """Of its 95% interval; None where there is none."""
    high: float | None
    against_first: Comparison | None
    """The first arm against this one, paired, where both were judged last; None for the first, and where one diverged."""
    told: str
    """In a sentence."""

    @property
    def tied(self) -> bool:
        """Whether it can't be told apart from the first."""
        return self.against_first is not None and not self.against_first.is_gain and not self.against_first.is_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe saw."""

    placed: tuple[Placed, ...]
    """Best first: by the last rung reached, then by value."""
    untried: tuple[tuple[str, str], ...]
    """Name and why."""
    measure: str
    rows: tuple[int, int]
    """Trained on, judged on."""
    steps: int
    """Of the last rung."""
    seconds: float
    whole: bool
    """False where the time ended before the last rung did."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        placed = [asdict(one) | {"tied_with_first": one.tied} for one in self.placed]
        told = {name: getattr(self, name) for name in ("measure", "steps", "seconds", "whole")}
        untried = [{"name": name, "why": why} for name, why in self.untried]
        return {"placed": placed, "untried": untried, "trained_on": self.rows[0], "judged_on": self.rows[1]} | told


@dataclass(frozen=True, slots=True)
class Standing:
    """All that places arms."""

    kept: Kept
    names: Mapping[str, str]
    """Key -> name, in the order the arms were given."""
    measure: Measure
    answers: Answers
    resamples: Resamples

    def at(self, rung: int, key: str) -> Seen | None:
        """An arm at the end of a rung; None where it was not judged then."""
        return next((one for one in self.kept.seen if one.rung == rung and one.key == key), None)

    def ranked(self, keys: Sequence[str], rung: int) -> list[str]:
        """Best first; equals in the order they were given, those that diverged last."""
        places = {key: place for place, key in enumerate(self.names)}

        def worth(key: str) -> tuple[bool, float, int]:
            seen = self.at(rung, key)
            value = None if seen is None else seen.value
            sign = -1 if self.measure.higher_is_better else 1
            return value is None, sign * (value or 0.0), places[key]

        return sorted(keys, key=worth)

    def outcome(self, rows: tuple[int, int]) -> Probed:
        """Everyone's place. `rows`: trained on, judged on."""
        tried = [key for key in self.names if key in self.kept.paces]
        counts = arms_of(len(tried)) if tried else []
        last = {key: max((one.rung for one in self.kept.seen if one.key == key), default=-1) for key in tried}
        whole = [sum(one.rung == rung for one in self.kept.seen) >= count for rung, count in enumerate(counts)]
        rungs = {key: min(rung, sum(whole) - 1) for key, rung in last.items()}
        keys: list[str] = []
        for rung in range(sum(whole) - 1, -1, -1):
            keys += self.ranked([key for key, held in rungs.items() if held == rung], rung)
        untried = [(self.names[key], why) for key, why in self.kept.untried.items() if key in self.names]
        untried += [(self.names[key], "the time ended before it was judged") for key in tried if rungs[key] < 0]
        return Probed(
            placed=tuple(self._placed(keys, rungs)),
            untried=tuple(untried),
            measure=self.measure.title,
            rows=rows,
            steps=self.kept.total,
            seconds=self.kept.spent,
            whole=all(whole),
        )

    def _placed(self, keys: Sequence[str], rungs: Mapping[str, int]) -> Iterator[Placed]:
        for place, key in enumerate(keys):
            seen = self.at(rungs[key], key)
            assert seen is not None, "an arm is placed by a rung it was judged in"
            answers = None if seen.value is None else self.answers(seen.rung, key)
            around = None if answers is None else interval(self.measure, answers, self.resamples)
            found = Placed(
                key=key,
                name=self.names[key],
                rung=seen.rung,
                step=seen.step,
                value=seen.value,
                low=None if around is None else around.low,
                high=None if around is None else around.high,
                against_first=self._against(keys[0], seen, answers) if place else None,
                told="",
            )
            yield replace(found, told=self._told_of(found))

    def _against(self, first: str, seen: Seen, answers: list[Prediction] | None) -> Comparison | None:
        best = self.at(seen.rung, first)
        if answers is None or best is None or best.value is None:
            return None
        return compare(self.measure, self.answers(seen.rung, first), answers, self.resamples)

    def _told_of(self, one: Placed) -> str:
        if one.value is None:
            why = self.kept.failed.get(one.key)
            return f"diverged at step {one.step}" if why is None else f"left out after step {one.step}: {why}"
        ends = "" if one.low is None or one.high is None else f" ({self.measure.shown(one.low)} to {self.measure.shown(one.high)})"
        told = f"{self.measure.shown(one.value)}{ends} after {one.step} steps"
        if one.against_first is None:
            return told
        between = one.against_first
        low, high = (self.measure.shown_difference(end, unit=False) for end in (between.low, between.high))
        if one.tied:
            return f"{told}; it can't be told apart from the first ({low} to {high})"
        side = "better" if between.is_gain else "worse"
        return f"{told}; the first is {side} by {self.measure.shown_difference(abs(between.difference))} ({low} to {high})"
