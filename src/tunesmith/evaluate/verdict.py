"""The verdict: did fine-tuning earn its place on the test rows, and by how much.

Every language-model baseline must be beaten at one-sided 2.5%. All must hold, so no correction for several tests is
due (Berger, 1982, intersection-union): a false "gain" is at most as probable as in one test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.price_config import PricesConfig
from tunesmith.evaluate.price_wording import prompted
from tunesmith.evaluate.prices import Bill, bill_of
from tunesmith.evaluate.trial import FEWEST, Scored, System, Trial, line_up
from tunesmith.evaluate.wording import notes_on, sentence_of
from tunesmith.score.classification import Confusion, confusion
from tunesmith.score.intervals import intervals
from tunesmith.score.measures import measure
from tunesmith.score.paired import Comparison, compare
from tunesmith.score.resampling import Resamples, units

__all__ = ["Gate", "Judgement", "System", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A bound of the recipe, and what was found."""

    name: str
    bound: float
    value: float | None
    """None where it was not measured: then it does not hold."""
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict and all it rests on."""

    outcome: Literal["gain", "no gain shown"]
    sentence: str
    metric: str
    best_baseline: str
    """Key of the best language-model baseline."""
    gain: Comparison
    """Improvement over it."""
    notes: tuple[str, ...]
    gates: tuple[Gate, ...]
    systems: tuple[Scored, ...]
    confusion: Confusion | None
    """Of the tuned model, where answers are labels."""
    bill: Bill | None = None
    """What answers cost; None where no prices are stated."""
    prompted: Scored | None = None
    """The base's best prompt, which costs are held against."""

    def to_json(self) -> dict[str, Any]:
        """The report's `verdict`, `systems` and `confusion`."""
        gain = {"value": self.gain.difference, "low": self.gain.low, "high": self.gain.high, "p_value": self.gain.p_value}
        table = self.confusion
        return {
            "verdict": {
                "outcome": self.outcome,
                "sentence": self.sentence,
                "metric": self.metric,
                "best_baseline": self.best_baseline,
                "gain": gain,
                "notes": list(self.notes),
                "gates": [asdict(gate) for gate in self.gates],
                "costs": None if self.bill is None else self.bill.to_json(self.prompted),
            },
            "systems": [one.to_json() | {"cost_per_1000": self._cost(one)} for one in self.systems],
            "confusion": None if table is None else {"labels": list(table.labels), "counts": [list(line) for line in table.counts]},
        }

    def _cost(self, one: Scored) -> float | None:
        found = None if self.bill is None else self.bill.of(one)
        return None if found is None else 1000 * found


def judge(
    systems: Sequence[System],
    *,
    task: Task,
    metrics: Sequence[str],
    resamples: int,
    seed: int,
    gates: GatesConfig,
    groups: Mapping[str, str] | None = None,
    prices: PricesConfig | None = None,
    training_seconds: float | None = None,
    best_prompt: str | None = None,
) -> Judgement:
    """Score every system on the test rows and say whether the tuned one earned its place.

    Args:
        systems: exactly one tuned, at least one baseline; floors are reported and advise, but don't decide.
        metrics: names of measures; the first decides.
        resamples: bootstrap resamples behind each interval that isn't exact.
        seed: of the resamples, which all systems and measures share.
        gates: the recipe's bounds.
        groups: row id -> group, where rows of a group aren't independent; a row without one stands alone.
        prices: what answers cost, where the recipe says so.
        training_seconds: what training took, where it is known.
        best_prompt: key of the base's prompt that did best on `select`, which costs are held against.

    Raises:
        DataError: systems with different rows or references, a row twice, no row, or a deciding measure whose
            figures a model lacks.
        RecipeError: no tuned system or no baseline, or an unknown measure.
    """
    lined_up = line_up(systems)
    tuned = next(system for system in lined_up if system.kind == "tuned")
    measures = [measure(name) for name in metrics]
    if not measures:
        raise RecipeError("No measure was named: the first of evaluate.metrics decides the verdict.")
    drawn = _resamples(tuned, resamples, seed, groups)
    scored = tuple(
        Scored(
            system=system,
            metrics=intervals(measures, list(system.predictions), drawn),
            against=None if system is tuned else compare(measures[0], tuned.predictions, system.predictions, drawn),
        )
        for system in lined_up
    )
    bill = None if prices is None else bill_of(lined_up, prices, training_seconds)
    return _decide(Trial(measures[0], scored, drawn, bill, best_prompt), task, gates)


def _resamples(tuned: System, count: int, seed: int, groups: Mapping[str, str] | None) -> Resamples:
    ids = [one.row_id for one in tuned.predictions]
    return Resamples(rows=len(ids), count=count, seed=seed, groups=units(ids, groups))


def _decide(trial: Trial, task: Task, gates: GatesConfig) -> Judgement:
    for one in trial.scored:
        if one.system.kind != "floor" and one.metrics[trial.measure.name] is None:
            raise DataError(
                f"{trial.measure.title} can't decide the verdict: {one.system.name} lacks what it is told from (log-probabilities of the references, or of labels). "
                "Put another measure first in evaluate.metrics."
            )
    best = trial.baselines[0]
    gained = trial.drawn.units >= FEWEST and all(one.compared.is_gain for one in trial.baselines)
    low = best.compared.low
    return Judgement(
        outcome="gain" if gained else "no gain shown",
        sentence=sentence_of(trial, gained),
        metric=trial.measure.name,
        best_baseline=best.system.key,
        gain=best.compared,
        notes=tuple(notes_on(trial, task, gained)),
        gates=() if gates.gain is None else (Gate(name="gain", bound=gates.gain, value=low, holds=low >= gates.gain),),
        systems=trial.scored,
        confusion=confusion(trial.tuned.system.predictions) if task is Task.CLASSIFY else None,
        bill=trial.bill,
        prompted=prompted(trial),
    )
