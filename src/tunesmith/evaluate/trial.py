"""The contestants of a verdict, lined up on the same test rows, with their figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.score.intervals import Interval
from tunesmith.score.measures import Measure
from tunesmith.score.paired import Comparison
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

if TYPE_CHECKING:
    from tunesmith.evaluate.prices import Bill

CHAMPION = "champion"
"""Key of the first model of `evaluate.against`; the next are model-2, model-3."""
PROMPTS = ("zero-shot", "few-shot")
"""Keys of the base's prompts, the cheaper one first."""
FEWEST = 20
"""Below so many independent rows no gain is called, whatever the figures."""
WIDE = 0.1
"""Half an interval from which on the test set is called too small to tell: ten points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One contestant and its answers on the test rows."""

    key: str
    """`zero-shot`, `few-shot`, `linear`, `tuned`, `champion`."""
    name: str
    """For people: `Base, few-shot (k = 4)`."""
    kind: Literal["baseline", "tuned", "floor"]
    predictions: Sequence[Prediction]


def is_rival(key: str) -> bool:
    """Whether a system is another fine-tuned model, one of `evaluate.against`."""
    return key == CHAMPION or key.startswith("model-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A contestant with its figures."""

    system: System
    metrics: Mapping[str, Interval | None]
    against: Comparison | None
    """The tuned model's improvement over this one; None for the tuned model itself."""

    @property
    def compared(self) -> Comparison:
        """`against`, of a system that has one: a baseline, once the deciding measure is known to exist."""
        assert self.against is not None
        return self.against

    def to_json(self) -> dict[str, Any]:
        """One entry of the report's `systems`."""
        rows = self.system.predictions
        return {
            "key": self.system.key,
            "name": self.system.name,
            "kind": self.system.kind,
            "metrics": {name: _interval_json(one) for name, one in self.metrics.items()},
            "rows": len(rows),
            "prompt_tokens": sum(one.prompt_tokens for one in rows) / len(rows),
            "answer_tokens": sum(one.answer_tokens for one in rows) / len(rows),
            "seconds_per_answer": sum(one.seconds for one in rows) / len(rows),
            "against": None if self.against is None else _comparison_json(self.against),
        }


def _interval_json(one: Interval | None) -> dict[str, float | None]:
    return {"value": None, "low": None, "high": None} if one is None else {"value": one.value, "low": one.low, "high": one.high}


def _comparison_json(one: Comparison) -> dict[str, Any]:
    return {"difference": one.difference, "low": one.low, "high": one.high, "p_value": one.p_value, "test": one.test}


@dataclass(frozen=True, slots=True)
class Trial:
    """What the verdict is read from."""

    measure: Measure
    scored: tuple[Scored, ...]
    drawn: Resamples
    bill: "Bill | None" = None
    """What answers cost; None where the recipe states no prices."""
    best_prompt: str | None = None
    """Key of the base's prompt that did best on `select`; None where that is not known."""

    def value(self, one: Scored) -> float:
        """The deciding measure's value; only for systems that have one."""
        found = one.metrics[self.measure.name]
        assert found is not None
        return found.value

    @property
    def tuned(self) -> Scored:
        """The contestant that must earn its place."""
        return next(one for one in self.scored if one.system.kind == "tuned")

    @property
    def baselines(self) -> list[Scored]:
        """Best first; of equals, the one the tuned model is least certain to beat."""
        sign = -1.0 if self.measure.higher_is_better else 1.0
        found = [one for one in self.scored if one.system.kind == "baseline"]
        return sorted(found, key=lambda one: (sign * self.value(one), one.compared.low))

    @property
    def too_small(self) -> bool:
        """Whether the best baseline's interval, or the number of rows, allows no answer."""
        against = self.baselines[0].compared
        wide = self.measure.scale == 100.0 and (against.high - against.low) / 2 > WIDE and not against.is_loss
        return self.drawn.units < FEWEST or wide


def line_up(systems: Sequence[System]) -> list[System]:
    """The systems with their rows in one order; DataError where they answered different rows."""
    tuned = [system for system in systems if system.kind == "tuned"]
    if len(tuned) != 1 or not any(system.kind == "baseline" for system in systems):
        raise RecipeError(f"A verdict needs one tuned system and at least one baseline: {len(tuned)} tuned of {len(systems)} were given.")
    keys = [system.key for system in systems]
    if len(set(keys)) < len(keys):
        raise RecipeError(f"Two systems have one key among {', '.join(keys)}: give each its own.")
    asked = {one.row_id: one.reference for one in tuned[0].predictions}
    if not asked:
        raise DataError("No test row was scored: a verdict needs at least one. Raise data.split.test or give data.test_path.")
    return [_in_order(system, asked) for system in systems]


def _in_order(system: System, asked: Mapping[str, str]) -> System:
    answered = {one.row_id: one for one in system.predictions}
    if len(answered) < len(system.predictions):
        raise DataError(f"{system.name} answered a row twice ({len(system.predictions)} answers, {len(answered)} rows): score it again.")
    if answered.keys() != asked.keys():
        odd = sorted(answered.keys() ^ asked.keys())
        raise DataError(
            f"{system.name} and the tuned model were scored on different rows ({len(odd)} differ, {odd[0]} first): score both again."
        )
    other = [row_id for row_id, reference in asked.items() if answered[row_id].reference != reference]
    if other:
        raise DataError(f"{system.name} was scored against another reference on {len(other)} rows, {other[0]} first: score it again.")
    return replace(system, predictions=tuple(answered[row_id] for row_id in asked))
