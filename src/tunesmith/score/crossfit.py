"""Which calibrator serves, by log loss on rows it was not fitted on: seeded folds that keep labels in proportion.

The rule is the plainest candidate whose loss is within one standard error of the least (Breiman et al., 1984, section 3.4.3): a
correction has to earn its place, so a model that is calibrated already is left as it is. Rows of one group never stand on two
sides of a fold, and the error of a difference is counted over groups.

Legend: N rows, C labels, U groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.seeds import derive_seed
from tunesmith.score.calibration import LEAST_CHANCE
from tunesmith.score.calibrators import NAMES, Calibrator, kind
from tunesmith.score.calibrators.logs import Indices
from tunesmith.score.measures import Floats
from tunesmith.score.resampling import Resamples

FULL_CHOICE = 200
"""From so many rows on all candidates are tried; below, a temperature alone."""
LEAST_ROWS = {"isotonic": 1000}
"""Rows that a calibrator of many bends asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The calibrator that serves, and what it and its rivals do on rows they were not fitted on."""

    calibrator: Calibrator
    """Fitted on all rows."""
    losses: dict[str, float]
    """Each candidate's mean log loss out of fold, in the order tried."""
    p_NC: Floats
    """The chosen one's probabilities, each row's from the other folds."""


def candidates(rows: int, *, judged: bool) -> tuple[str, ...]:
    """What so many rows allow, the plainest first; `judged`: of two labels, right and wrong."""
    if rows < FULL_CHOICE:
        return ("identity", "temperature")
    names = ("identity", "temperature", "platt" if judged else "vector", "isotonic")
    return tuple(name for name in names if rows >= LEAST_ROWS.get(name, 0))


def dealt(label_N: Indices, folds: int, *, seed: int = 0, groups: Sequence[str] | None = None) -> Indices:
    """The fold of each row, 0 to folds - 1: units shuffled within their first row's label, then dealt one after another.

    Folds differ by one unit at most; where there are fewer units than folds, some folds are empty.
    """
    unit_N = Resamples(rows=len(label_N), groups=groups).unit_R
    first_U = np.unique(unit_N, return_index=True)[1]
    order_U = np.random.default_rng(derive_seed(seed, "folds")).permutation(len(first_U))
    by_label_U = order_U[np.argsort(label_N[first_U][order_U], kind="stable")]
    fold_U = np.empty(len(first_U), dtype=np.int64)
    fold_U[by_label_U] = np.arange(len(first_U)) % folds
    return fold_U[unit_N]


def out_of_fold(name: str, logp_NC: Floats, label_N: Indices, fold_N: Indices) -> Floats:
    """Each row's probabilities from a calibrator fitted on the other folds' rows with a known label (not -1), [N, C].

    Where the other folds have no such row, the probabilities stay as they are.
    """
    p_NC = kind("identity").fit(logp_NC[:1], np.zeros(1, dtype=np.int64)).apply(logp_NC)
    for fold in np.unique(fold_N):
        fit_N, held_N = (fold_N != fold) & (label_N >= 0), fold_N == fold
        if fit_N.any():
            p_NC[held_N] = kind(name).fit(logp_NC[fit_N], label_N[fit_N]).apply(logp_NC[held_N])
    return p_NC


def choose(
    names: Sequence[str], logp_NC: Floats, label_N: Indices, *, folds: int = 5, seed: int = 0, groups: Sequence[str] | None = None
) -> Chosen:
    """Fit and choose; rows whose label is -1 are scored (as wrong) but not fitted on.

    Args:
        names: candidates; the order that counts as plainest first is `NAMES`'.

    Raises:
        DataError: no candidate, or no row with a known label.
    """
    names = sorted(dict.fromkeys(names), key=lambda name: list(NAMES).index(name) if name in NAMES else -1)
    known_N = label_N >= 0
    if not names or not known_N.any():
        raise DataError("No calibrator can be chosen: it takes one candidate, and one row whose answer is among the labels.")
    fold_N = dealt(label_N, folds, seed=seed, groups=groups)
    told = {name: out_of_fold(name, logp_NC, label_N, fold_N) for name in names}
    loss = {name: _losses(p_NC, label_N) for name, p_NC in told.items()}
    best = min(names, key=lambda name: float(loss[name].mean()))
    drawn = Resamples(rows=len(label_N), groups=groups)
    taken = next(name for name in names if _no_worse(loss[name] - loss[best], drawn))
    return Chosen(
        calibrator=kind(taken).fit(logp_NC[known_N], label_N[known_N]),
        losses={name: float(loss[name].mean()) for name in names},
        p_NC=told[taken],
    )


def _losses(p_NC: Floats, label_N: Indices) -> Floats:
    told_N = np.where(label_N >= 0, p_NC[np.arange(len(label_N)), np.maximum(label_N, 0)], 0.0)
    found: Floats = -np.log(np.maximum(told_N, LEAST_CHANCE))
    return found


def _no_worse(surplus_N: Floats, drawn: Resamples) -> bool:
    """Whether a mean surplus of loss is within its standard error, over units."""
    mean = float(surplus_N.mean())
    if drawn.units < 2:
        return True
    apart_U = np.bincount(drawn.unit_R, weights=surplus_N - mean, minlength=drawn.units)
    error = np.sqrt(drawn.units / (drawn.units - 1) * float((apart_U**2).sum())) / len(surplus_N)
    return bool(mean <= error)
