"""How diverse texts are within: distinct n-grams, how near they are to one another, how many clusters they fill, where few are.

Legend: N rows, D dimensions.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.terms import words_of
from tunesmith.data.coverage.clusters import FEWEST, Clusters
from tunesmith.data.coverage.features import MOST_CHARS
from tunesmith.data.coverage.nearest import MOST_ASKED, MOST_TRAIN, QUANTILES, distances, some

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_WORDS = 50_000
"""Distinct n-grams are counted among so many words, as their share falls with every word more."""
_SPARSE = 0.1
"""A region is nearly empty when it has a tenth of its even share of the rows, or less."""
_ALIKE = 0.05


def distinct(texts: Sequence[str], seed: int) -> dict[str, Any]:
    """The share of different n-grams among all (distinct-n: Li et al., 2016), over 50,000 words of texts in a seeded order."""
    import numpy as np

    order = np.random.default_rng(derive_seed(seed, "coverage", "distinct")).permutation(len(texts))
    chosen: list[list[str]] = []
    count = 0
    for at in order:
        if count >= _WORDS:
            break
        words = words_of(texts[at][:MOST_CHARS])[: _WORDS - count]
        chosen.append(words)
        count += len(words)
    told: dict[str, Any] = {"words": count}
    for size in (1, 2, 3):
        grams = [gram for words in chosen for gram in zip(*(words[at:] for at in range(size)), strict=False)]
        told[str(size)] = len(set(grams)) / len(grams) if grams else None
    return told


def similarity(unit_ND: "Floats", text_N: "Ints", seed: int) -> dict[str, Any]:
    """The cosine of each row with the one nearest to it; equal texts are set aside and counted."""
    import numpy as np

    held = some(len(unit_ND), MOST_TRAIN, seed, "held")
    asked = held[some(len(held), MOST_ASKED, seed, "asked")]
    cosines = 1 - distances(unit_ND[asked], unit_ND[held], text_N[asked], text_N[held])
    return {
        "rows": len(asked),
        "mean": float(cosines.mean()),
        "quantiles": list(QUANTILES),
        "values": np.quantile(cosines, QUANTILES).tolist(),
        "nearly_equal": float((cosines >= 1 - _ALIKE).mean()),
        "repeated_texts": 1 - len(np.unique(text_N)) / len(text_N),
    }


def regions(unit_ND: "Floats", count: int | None, seed: int) -> tuple[dict[str, Any], list[tuple[int, int, float]]]:
    """How evenly rows fill clusters, and rows of nearly empty ones as (row, cluster, distance), the most central of each.

    The effective number of clusters is e to the entropy of their shares; that of directions, e to the entropy of the
    eigenvalues of the mean outer product (the Vendi score with the cosine: Friedman and Dieng, 2023).
    """
    import numpy as np

    moments = unit_ND.T.astype(np.float64) @ unit_ND / len(unit_ND)
    eigen = np.linalg.eigvalsh(moments)
    told: dict[str, Any] = {"effective_directions": _effective(eigen[eigen > 1e-12] / eigen.sum()) if eigen.sum() > 0 else 0.0}
    if len(unit_ND) < FEWEST:
        return told, []
    clusters = Clusters.of(unit_ND, count, seed)
    which_N, far_N = clusters.nearest(unit_ND)
    rows_K = np.bincount(which_N, minlength=len(clusters.centres_KD))
    even = len(unit_ND) / len(rows_K)
    thin = [int(at) for at in np.argsort(rows_K, kind="stable") if 0 < rows_K[at] <= _SPARSE * even]
    told |= {
        "clusters": int((rows_K > 0).sum()),
        "effective_clusters": _effective(rows_K[rows_K > 0] / len(unit_ND)),
        "largest_share": float(rows_K.max() / len(unit_ND)),
        "nearly_empty": len(thin),
        "list": [{"cluster": at, "rows": int(rows_K[at])} for at in thin],
    }
    central = []
    for at in thin:
        members = np.flatnonzero(which_N == at)
        first = int(members[far_N[members].argmin()])
        central.append((first, at, float(far_N[first])))
    return told, central


def _effective(shares: "npt.NDArray[np.floating[Any]]") -> float:
    return math.exp(-sum(float(share) * math.log(float(share)) for share in shares))
