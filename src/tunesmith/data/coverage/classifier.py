"""Can train rows and production inputs be told apart? The AUC of a classifier that tries (a classifier two-sample test).

Logistic regression, five folds; equal texts share a fold, whichever side they are of. The AUC is that of the folds together,
pairs within a fold alone being compared. Its interval is DeLong's (DeLong, DeLong and Clarke-Pearson, 1988) with equal texts as
one unit (Obuchowski, 1997), its variance times 2.25 as the folds share training rows (Nadeau and Bengio, 2003; without that, 86 to
89% of intervals held 0.5 in 100 draws of one source). Two samples of one source give 0.5. At most 10,000 rows of each side.

A kind of input that train lacks may be too small to move the AUC. It shows at the end: of the hundredth of each fold's rows that look
most like production, the share that is of production is told, against that of the other rows.
Legend: N rows, F rows of a fold.
"""

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.support import share_of
from tunesmith.data.relabel import folds_of
from tunesmith.score.intervals import wilson

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_FOLDS = 5
_SHARED = 1 + _FOLDS / (_FOLDS - 1)
"""1/K + the test rows for each training row, over 1/K."""
_END = 0.01
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Domain:
    """What the classifier could tell."""

    told: dict[str, Any]
    likeliest: list[int]
    """Production inputs among the hundredth that looks most like production, the likeliest first; places among the rows given."""


def domain_auc(wide_ND: Any, production_N: "Ints", groups_N: "Ints", seed: int) -> Domain | None:
    """The AUC with its interval, and the end; None where either side has too few distinct texts.

    Args:
        wide_ND: the features of both sides.
        production_N: 1 for production inputs, 0 for train rows.
        groups_N: equal where texts are.
        seed: the recipe's.
    """
    import numpy as np

    if min(len(np.unique(groups_N[production_N == side])) for side in (0, 1)) < 2 * _FOLDS:
        return None
    fold_N = folds_of(production_N, groups_N, _FOLDS, derive_seed(seed, "coverage", "folds"))
    parts: list[tuple[float, int]] = []
    influence_N, end = np.zeros(len(production_N)), []
    for fold in range(_FOLDS):
        held, rest = np.flatnonzero(fold_N == fold), np.flatnonzero(fold_N != fold)
        if len(np.unique(production_N[held])) < 2 or len(np.unique(production_N[rest])) < 2:
            continue
        scores = _scores(wide_ND, production_N, held, rest)
        auc, influence = auc_of(scores, production_N[held])
        pairs = int(production_N[held].sum()) * int((1 - production_N[held]).sum())
        influence_N[held] = influence * pairs
        parts.append((auc, pairs))
        order = np.argsort(-scores, kind="stable")[: max(1, round(_END * len(held)))]
        end += [(float(scores[at]), int(held[at])) for at in order]
    whole = sum(pairs for _, pairs in parts)
    if not whole:
        return None
    value = sum(auc * pairs for auc, pairs in parts) / whole
    interval = _interval(value, influence_N / whole, groups_N, int(min(production_N.sum(), (1 - production_N).sum())), _SHARED)
    likeliest = [at for _, at in sorted(end, key=lambda each: (-each[0], each[1])) if production_N[at]]
    told = {"value": value, "interval": list(interval), "rows": len(production_N), "folds": len(parts)}
    rest_rows, rest_hits = len(production_N) - len(end), int(production_N.sum()) - len(likeliest)
    return Domain(told | {"end": share_of(len(likeliest), len(end)), "others": share_of(rest_hits, rest_rows)}, likeliest)


def _scores(wide_ND: Any, production_N: "Ints", held: "Ints", rest: "Ints") -> "Floats":
    """How much rows look like production, by a model fitted on the rest."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=60, tol=1e-3)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopped early: the classifier need not be the best there is, only fair
        model.fit(wide_ND[rest], production_N[rest])
    scores: Floats = model.decision_function(wide_ND[held])
    return scores


def auc_of(scores_F: "Floats", positive_F: "Ints") -> tuple[float, "Floats"]:
    """The AUC, ties counted half, and how far each row moves it: DeLong's placement values less the AUC, over the rows of its side."""
    import numpy as np

    good, bad = np.flatnonzero(positive_F == 1), np.flatnonzero(positive_F != 1)
    above = _placed(scores_F[good], scores_F[bad])
    below = 1 - _placed(scores_F[bad], scores_F[good])
    auc = float(above.mean())
    influence = np.empty(len(scores_F))
    influence[good] = (above - auc) / len(good)
    influence[bad] = (below - auc) / len(bad)
    return auc, influence


def _placed(one: "Floats", others: "Floats") -> "Floats":
    """The share of the others that lie below each, ties counted half."""
    import numpy as np

    ordered = np.sort(others)
    placed: Floats = (np.searchsorted(ordered, one, "left") + np.searchsorted(ordered, one, "right")) / (2 * len(others))
    return placed


def _interval(value: float, influence_N: "Floats", groups_N: "Ints", fewest: int, inflation: float = 1.0) -> tuple[float, float]:
    """Wilson's interval of a share that would vary as much, so that it stays within 0 and 1."""
    import numpy as np

    _, unit_N = np.unique(groups_N, return_inverse=True)
    sums = np.bincount(unit_N, weights=influence_N)
    variance = inflation * float((sums**2).sum()) * len(sums) / max(1, len(sums) - 1)
    effective = value * (1 - value) / variance if variance > 1e-12 else float(fewest)
    effective = max(1.0, effective) if math.isfinite(effective) else float(fewest)
    return wilson(value * effective, effective)
