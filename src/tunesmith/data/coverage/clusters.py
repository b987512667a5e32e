"""Which kinds of production inputs have no train row, or hardly any: clusters of production, and who of train falls into them.

Half of the production inputs, a seeded choice, defines the clusters (k-means) and how far each reaches: to 95% of its own
inputs, and at least as far as the middling cluster. The other half and the train rows are then counted in them, so that a gap
can be tested: by Fisher's exact test, corrected over all clusters (Holm). A cluster is thin where train rows fall into it less
than a fifth as often as production inputs. Legend: N, M rows; K clusters; D dimensions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.support import exact_p, share_of
from tunesmith.score.several import holm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_BLOCK = 20_000
_REACH, _THIN = 0.95, 0.2
_PER_CLUSTER = 20
FEWEST = 40
"""Fewer inputs are not put into clusters."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """K centres, found by k-means."""

    centres_KD: "Floats"

    @classmethod
    def of(cls, unit_ND: "Floats", count: int | None, seed: int) -> "Clusters":
        """Centres of some rows: `count`, or one for every 20, from 4 to 200; never more than one for five."""
        from sklearn.cluster import MiniBatchKMeans

        rows = len(unit_ND)
        wanted = min(count or min(200, max(4, rows // _PER_CLUSTER)), max(1, rows // 5))
        means = MiniBatchKMeans(wanted, batch_size=2048, n_init=3, max_iter=50, random_state=derive_seed(seed, "coverage", "means") % 2**32)
        return cls(means.fit(unit_ND).cluster_centers_)

    def nearest(self, unit_ND: "Floats") -> tuple["Ints", "Floats"]:
        """The cluster of each row, and how far it is from its centre."""
        import numpy as np

        found, far = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        sizes_K = (self.centres_KD**2).sum(axis=1)
        for start in range(0, len(unit_ND), _BLOCK):
            block = unit_ND[start : start + _BLOCK]
            squares = (block**2).sum(axis=1)[:, None] - 2 * block @ self.centres_KD.T + sizes_K
            which = squares.argmin(axis=1)
            found.append(which)
            far.append(np.sqrt(np.maximum(0, squares[np.arange(len(block)), which])))
        return np.concatenate(found), np.concatenate(far)


@dataclass(frozen=True, slots=True)
class Gaps:
    """What of production has no train row."""

    told: dict[str, Any]
    uncovered: list[tuple[int, int, float]]
    """Production inputs of uncovered and thin clusters as (input, cluster, distance from the centre): the most central of each cluster in turn."""


def gaps(train_ND: "Floats", production_MD: "Floats", *, count: int | None, level: float, seed: int) -> Gaps:
    """Clusters of production with no train row within their reach, or few; 40 inputs or more."""
    import numpy as np

    order = np.random.default_rng(derive_seed(seed, "coverage", "halves")).permutation(len(production_MD))
    fitted, counted = order[: len(order) // 2], order[len(order) // 2 :]
    clusters = Clusters.of(production_MD[fitted], count, seed)
    which_M, far_M = clusters.nearest(production_MD)
    reach_K = _reaches(which_M[fitted], far_M[fitted], len(clusters.centres_KD))
    which_N, far_N = clusters.nearest(train_ND)

    def inside(which: "Ints", far: "Floats") -> "Ints":
        held: Ints = np.bincount(which[far <= reach_K[which]], minlength=len(reach_K))
        return held

    train_K, counted_K = inside(which_N, far_N), inside(which_M[counted], far_M[counted])
    rows_K = np.bincount(which_M, minlength=len(reach_K))
    empty = set(np.flatnonzero((train_K == 0) & (rows_K > 0)).tolist())
    thin_K = (train_K / len(train_ND) < _THIN * counted_K / len(counted)) & (counted_K > 0)
    tested = [exact_p(int(hits), len(counted), int(ours), len(train_ND)) for hits, ours in zip(counted_K, train_K, strict=True)]
    sure = {at for at, p in enumerate(holm(tested, len(tested))) if p <= level and (thin_K[at] or at in empty)}
    ranked = sorted(empty | sure, key=lambda at: (at not in sure, at not in empty, -int(rows_K[at]), at))
    there = int((rows_K > 0).sum())
    told = {
        "clusters": there,
        "uncovered": share_of(len(empty), there),
        "uncovered_rows": share_of(int(rows_K[sorted(empty)].sum()), len(production_MD)),
        "beyond_chance": len(sure),
        "beyond_chance_rows": share_of(int(rows_K[sorted(sure)].sum()), len(production_MD)),
        "list": [{"cluster": at, "rows": int(rows_K[at]), "train": int(train_K[at]), "beyond_chance": at in sure} for at in ranked],
    }
    return Gaps(told, _in_turn(ranked, which_M, far_M))


def _reaches(which_M: "Ints", far_M: "Floats", count: int) -> "Floats":
    """How far each cluster reaches; one without inputs as far as the middling one."""
    import numpy as np

    reaches = np.array([np.quantile(far_M[which_M == at], _REACH) if (which_M == at).any() else 0.0 for at in range(count)], np.float32)
    middling = float(np.median(reaches[reaches > 0])) if (reaches > 0).any() else 0.0
    widest: Floats = np.maximum(reaches, np.float32(middling)) + np.float32(1e-5)
    return widest


def _in_turn(ranked: list[int], which_M: "Ints", far_M: "Floats") -> list[tuple[int, int, float]]:
    """The inputs of these clusters: the most central of each, then the second of each, and so on."""
    import numpy as np

    turns: list[tuple[int, int, tuple[int, int, float]]] = []
    for rank, cluster in enumerate(ranked):
        members = np.flatnonzero(which_M == cluster)
        for turn, at in enumerate(members[np.argsort(far_M[members], kind="stable")].tolist()):
            turns.append((turn, rank, (at, cluster, float(far_M[at]))))
    return [entry for _, _, entry in sorted(turns, key=lambda each: each[:2])]
