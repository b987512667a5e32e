"""The same training from several seeds: how much of the round's figure is luck, and whether its gain is one in every seed.

Each seed's model is judged as the round's own is, against the same baselines on the same test rows. The verdict stays that of the
round's own model: it is the one that will be used, and the best of several seeds would be chosen by test rows.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.evaluate.verdict import Judgement
from tunesmith.score.measures import Measure
from tunesmith.score.rounds import Rounds, over_rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """What each seed gave."""

    measure: Measure
    judged: Mapping[str, Judgement]
    """By seed's name, the round's own first."""
    diverged: tuple[str, ...]
    """Seeds whose training left the finite numbers."""

    @property
    def rounds(self) -> Rounds:
        """Mean, spread and interval."""
        return over_rounds(self.measure, [_value(one, self.measure) for one in self.judged.values()])

    @property
    def gains(self) -> int:
        """How many seeds beat every baseline."""
        return sum(one.outcome == "gain" for one in self.judged.values())

    @property
    def sentence(self) -> str:
        """For people, in one line: `Over 3 seeds accuracy is 69.2%, 65.9% to 73.0%; a gain in each.`"""
        shown, found, count = self.measure.shown, self.rounds, len(self.judged)
        ends = "" if found.low is None or found.high is None else f", {shown(found.low)} to {shown(found.high)}"
        said = f"Over {count} seeds {self.measure.title} is {shown(found.mean)}{ends}" if count > 1 else "Only one seed came to an end"
        gains = "a gain in each" if self.gains == count else "a gain in none"
        if 0 < self.gains < count:
            gains = f"a gain in {self.gains} of {count} only, so another seed would have had another verdict"
        lost = f"; training diverged from {len(self.diverged)} more" if self.diverged else ""
        return f"{said}; {gains}{lost}."

    def to_json(self) -> dict[str, Any]:
        """The report's `over_seeds`."""
        runs = [
            {
                "name": name,
                "value": _value(one, self.measure),
                "gain": {"value": one.gain.difference, "low": one.gain.low, "high": one.gain.high, "p_value": one.gain.p_value},
                "best_baseline": one.best_baseline,
                "outcome": one.outcome,
            }
            for name, one in self.judged.items()
        ]
        told = {"measure": self.measure.name, "sentence": self.sentence, "gains": self.gains, "diverged": list(self.diverged)}
        return told | {"over": asdict(self.rounds), "runs": runs}


def _value(judgement: Judgement, measure: Measure) -> float:
    tuned = next(one for one in judgement.systems if one.system.kind == "tuned").metrics[measure.name]
    assert tuned is not None  # a deciding measure whose figures a model lacks is refused by the judge
    return tuned.value
