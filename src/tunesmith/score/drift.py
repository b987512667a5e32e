"""Whether two sketches of traffic differ by more than chance, and in what.

Every question is whether a share differs: of answers with a label, of answers at most as long as some bound (together Kolmogorov's and
Smirnov's question, at the edges of bins). Each share is tested by Fisher's exact test (1935) on as many answers as there would have to be
of strangers to vary as much: boxes of users tell how alike the answers of one box are (design effect; Rao and Scott, 1981), which is never
taken below 1. Shares of one signal are corrected by Bonferroni, and so are signals and references of one look.

A look is wrong with probability `ALPHA` at most, so that one a day gives under a third of a false alarm a month; `benchmarks/drift.py`
shows it, and the power. A shift under `MATERIAL` is told by no alarm, however many answers prove it.

Legend: U boxes (units), K bins, E events.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.sketch import Counts, Frame, Sketch, Variable

ALPHA = 0.01
"""Probability of a false alarm in one look, all signals and references together."""
MATERIAL = 0.02
"""Change of a share, in parts of all answers, that is worth telling."""
FEWEST_UNITS = 8
FEWEST = 50
"""Answers on either side under which nothing is tested."""
_WORTH_EXACT = 2.5
"""Standard errors under which the exact probability is not computed: corrected for all events it would be no finding."""
_MARGIN = 1.5
"""The excess of a design effect over 1 counts so many times: it is itself estimated from a few dozen boxes."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """The share that moved most clearly."""

    variable: str
    at: int
    """Which event: a label's place, or the edge up to which values count."""
    before: float
    now: float

    @property
    def size(self) -> float:
        """Change of the share."""
        return abs(self.now - self.before)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal against one reference."""

    name: str
    against: str
    p: float
    """Corrected for the shares of this signal, not yet for other signals."""
    p_look: float
    """Corrected for all that was looked at together."""
    shift: Shift
    answers: int
    reference_answers: int
    found: bool
    """Whether it is an alarm."""


def effective(units_UE: Floats, sizes_U: Floats) -> tuple[float, Floats, Floats]:
    """Answers, shares and design effects of events.

    Args:
        units_UE: of each box, answers with each event.
        sizes_U: of each box, all answers.
    """
    total = float(sizes_U.sum())
    share_E = units_UE.sum(axis=0) / total
    units = len(sizes_U)
    if units < 2:
        return total, share_E, np.full(len(share_E), np.inf)
    between_E = units / (units - 1) * ((units_UE - share_E * sizes_U[:, None]) ** 2).sum(axis=0)
    alone_E = total * share_E * (1 - share_E)
    own_E = np.divide(between_E, alone_E, out=np.ones_like(share_E), where=alone_E > 0)
    pooled = float(between_E.sum() / alone_E.sum()) if alone_E.sum() > 0 else 1.0
    return total, share_E, 1 + _MARGIN * (np.maximum(np.maximum(own_E, pooled), 1.0) - 1)


def events(units_UK: Counts, variable: Variable) -> Floats:
    """Counts of bins as counts of events: labels as they are, values as those at most so great."""
    if variable.labels:
        return units_UK.astype(float)
    return np.cumsum(units_UK, axis=1)[:, :-1].astype(float)


def p_values(now_UK: Counts, then_UK: Counts, variable: Variable) -> tuple[Floats, Floats, Floats]:
    """Two-sided probabilities of events under no change, and the shares then and now."""
    (n, now_E, deff_E), (m, then_E, deff_then_E) = (
        effective(events(units, variable), units.sum(axis=1).astype(float)) for units in (now_UK, then_UK)
    )
    n_E, m_E = n / deff_E, m / deff_then_E
    both_E = (now_E * n_E + then_E * m_E) / np.maximum(n_E + m_E, 1e-9)
    error_E = np.sqrt(both_E * (1 - both_E) * (1 / np.maximum(n_E, 1e-9) + 1 / np.maximum(m_E, 1e-9)))
    z_E = np.divide(np.abs(now_E - then_E), error_E, out=np.zeros_like(error_E), where=error_E > 0)
    p_E = np.ones_like(z_E)
    for at in np.flatnonzero(z_E >= _WORTH_EXACT):
        p_E[at] = exact(now_E[at], n_E[at], then_E[at], m_E[at])
    return p_E, then_E, now_E


def exact(now: float, n: float, then: float, m: float) -> float:
    """Fisher's test of two shares over effective numbers of answers, which are cut to whole ones towards no finding."""
    from scipy.stats import hypergeom

    n_whole, m_whole = int(n), int(m)
    if n_whole < 1 or m_whole < 1:
        return 1.0
    if now > then:
        hits, others = int(np.floor(now * n_whole + 1e-9)), int(np.ceil(then * m_whole - 1e-9))
        tail = hypergeom.sf(hits - 1, n_whole + m_whole, hits + others, n_whole)
    else:
        hits, others = int(np.ceil(now * n_whole - 1e-9)), int(np.floor(then * m_whole + 1e-9))
        tail = hypergeom.cdf(hits, n_whole + m_whole, hits + others, n_whole)
    return min(1.0, 2 * float(tail))


def look(now: Sketch, references: Mapping[str, Sketch], frame: Frame, *, alpha: float = ALPHA, also: int = 0) -> list[Signal]:
    """Every signal against every reference.

    Args:
        now: the latest traffic.
        references: name -> what it is held against: the training set, the week before.
        frame: of all of them.
        alpha: probability of any false alarm.
        also: signals that are tested elsewhere in the same look, and share the correction.

    Returns:
        Those that had enough answers on both sides, in order of the frame.
    """
    made: list[tuple[str, str, float, Shift, int, int]] = []
    for against, reference in references.items():
        for name in dict.fromkeys(variable.signal for variable in frame.variables):
            found = _signal(name, now.units_UK, reference.units_UK, frame)
            if found is not None:
                made.append((name, against, *found))
    together = max(1, len(made) + also)
    return [
        Signal(name, against, p, min(1.0, p * together), shift, n, m, found=p * together <= alpha and shift.size >= MATERIAL)
        for name, against, p, shift, n, m in made
    ]


def _signal(name: str, now_UK: Counts, then_UK: Counts, frame: Frame) -> tuple[float, Shift, int, int] | None:
    """The clearest shift of a signal's variables; None where answers are too few."""
    tested = 0
    best: tuple[float, float, Shift] | None = None
    answers = reference_answers = 0
    for variable in (one for one in frame.variables if one.signal == name and one.bins > 1):
        start = frame.starts[variable.name]
        units = [_of(held[:, start : start + variable.bins]) for held in (now_UK, then_UK)]
        latest, earlier = units
        if any(len(part) < FEWEST_UNITS or part.sum() < FEWEST for part in units):
            continue
        p_E, then_E, now_E = p_values(latest, earlier, variable)
        tested += len(p_E)
        at = int(np.lexsort((-np.abs(now_E - then_E), p_E))[0])
        shift = Shift(variable.name, at, float(then_E[at]), float(now_E[at]))
        if best is None or (p_E[at], -shift.size) < best[:2]:
            best = (float(p_E[at]), -shift.size, shift)
        answers, reference_answers = (max(old, int(part.sum())) for old, part in zip((answers, reference_answers), units, strict=True))
    return None if best is None else (min(1.0, best[0] * tested), best[2], answers, reference_answers)


def _of(units_UK: Counts) -> Counts:
    kept: Counts = units_UK[units_UK.any(axis=1)]
    return kept


def share_shift(now: Mapping[str, tuple[int, int]], then: Mapping[str, tuple[int, int]]) -> tuple[float, float, float] | None:
    """Whether a share of opinions moved: probability under no change, share then, share now.

    None where there are under 20 opinions or `FEWEST_UNITS` givers on a side: how alike the opinions of one giver are is told by how givers
    differ, and a key may be an application behind which many people stand.

    Args:
        now: who -> how many of theirs, and how many in all.
        then: the same of the earlier time.
    """
    sides = [np.array(list(held.values()), float).reshape(-1, 2) for held in (now, then)]
    sides = [side[side[:, 1] > 0] for side in sides]
    if any(side[:, 1].sum() < 20 or len(side) < FEWEST_UNITS for side in sides):
        return None
    found = []
    for side in sides:
        total, share_E, deff_E = effective(side[:, :1], side[:, 1])
        found.append((total / float(deff_E[0]), float(share_E[0])))
    (n, now_share), (m, then_share) = found
    return exact(now_share, n, then_share, m), then_share, now_share
