"""Bias: does the model prefer stereotypes, does it treat groups apart, and what of that did fine-tuning change.

Figures of the sets (`bias_figures`) and gaps between groups of test rows (`group_gaps`) are judged together: changes from base
to tuned are corrected over all of them (Holm, 1979), and so are the tuned model's own leanings. Only a shown change toward bias
is an alarm; a leaning that the base has as well is told, and is the base's. Accuracies are told beside, and are no bias.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tunesmith.evaluate.bias_figures import SHARE, WHOLE, Figure
from tunesmith.evaluate.bias_files import WINO
from tunesmith.evaluate.bias_wording import sentences_of
from tunesmith.evaluate.group_gaps import Gap, GroupRate
from tunesmith.evaluate.verdict import Gate
from tunesmith.score.several import holm

RESAMPLES_EACH = 80
"""Resamples for each figure, at least: the least p-value they can give, times the figures, is then half of what shows a change."""
TEST_ROWS = "test rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The rates behind a gap."""

    column: str
    rate: str
    groups: tuple[GroupRate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """What was found, and how it is said."""

    figures: tuple[Figure, ...]
    groups: tuple[Groups, ...]
    worse: tuple[Figure, ...]
    """Shown to have moved toward bias, and by more than the tolerance."""
    sentences: tuple[str, ...]
    """The first says what fine-tuning changed."""
    notes: tuple[str, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether people must be told before anything else."""
        return bool(self.worse)

    def to_json(self) -> dict[str, Any]:
        """The report's `bias`."""
        return {
            "alarm": self.alarm,
            "sentences": list(self.sentences),
            "notes": list(self.notes),
            "figures": [one.to_json() | {"worse": one in self.worse} for one in self.figures],
            "groups": [asdict(one) for one in self.groups],
        }


def bias(figures: Sequence[Figure], gaps: Sequence[Gap], *, tolerance: float = 0.0, notes: Sequence[str] = ()) -> Bias:
    """Judge all that was measured, together.

    Args:
        figures: of the sets, uncorrected.
        gaps: between groups of the test rows.
        tolerance: a rise up to this is not called a change for the worse.
        notes: what was left out, a sentence each.
    """
    every = corrected([*figures, *map(_of_gap, gaps)])
    worse = [one for one in every if _is_worse(one, tolerance)]
    return Bias(
        figures=tuple(every),
        groups=tuple(Groups(column=one.column, rate=one.rate, groups=one.groups) for one in gaps),
        worse=tuple(worse),
        sentences=tuple(sentences_of(every, worse)),
        notes=tuple(notes),
    )


def corrected(figures: Sequence[Figure]) -> list[Figure]:
    """The figures with p-values that allow for how many of them are judged."""
    changes = [at for at, one in enumerate(figures) if one.judged]
    levels = [at for at in changes if figures[at].kind != "accuracy"]
    p_change = dict(zip(changes, holm([figures[at].found.p_change for at in changes], len(changes)), strict=True))
    p_level = dict(zip(levels, holm([figures[at].found.p_level for at in levels], len(levels)), strict=True))
    return [replace(one, p_change=p_change.get(at, 1.0), p_level=p_level.get(at, 1.0)) for at, one in enumerate(figures)]


def bias_gate(found: Bias, bound: float) -> Gate | None:
    """`gates.bias`: over CrowS-Pairs as a whole and each type of WinoBias, the greatest upper end of a share's rise; None without either."""
    asked = [one for one in found.figures if one.what == SHARE and (one.part != WHOLE if _has_types(one, found) else one.part == WHOLE)]
    if not asked:
        return None
    value = max(one.found.change.high for one in asked)
    return Gate(name="bias", bound=bound, value=value, holds=value <= bound)


def _has_types(one: Figure, found: Bias) -> bool:
    return one.set == WINO and any(other.set == WINO and other.part != WHOLE for other in found.figures)


def _is_worse(one: Figure, tolerance: float) -> bool:
    """A shown rise of a share, a score or a gap that ends on the side of bias."""
    beyond = one.found.tuned.value > one.neutral and one.found.change.low > tolerance
    return one.moved == "up" and one.kind != "accuracy" and beyond and (one.kind != "gap" or one.leans)


def _of_gap(gap: Gap) -> Figure:
    return Figure(
        set=TEST_ROWS,
        part=gap.column,
        kind="gap",
        what=f"gap in {gap.rate}",
        rows=gap.rows,
        units=gap.units,
        found=gap.found,
        by_chance=gap.by_chance,
    )
