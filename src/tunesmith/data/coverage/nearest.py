"""How far production inputs are from the train row next to them, against how far train rows are from one another.

Distance is 1 - cosine. At most 5,000 inputs are measured against 20,000 train rows. Legend: N, M rows; D dimensions.
"""

from typing import TYPE_CHECKING, Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.support import share_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

MOST_TRAIN, MOST_ASKED = 20_000, 5000
_BLOCK = 1000
_FAR = 0.95
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def distances(asked_MD: "Floats", held_ND: "Floats", asked_M: "Ints | None" = None, held_N: "Ints | None" = None) -> "Floats":
    """Of each row asked, the distance to the nearest row held; rows of equal numbers (equal texts) are not compared."""
    import numpy as np

    found = np.ones(len(asked_MD), np.float32)
    for start in range(0, len(asked_MD), _BLOCK):
        cosines = asked_MD[start : start + _BLOCK] @ held_ND.T
        if asked_M is not None and held_N is not None:
            cosines[asked_M[start : start + _BLOCK, None] == held_N[None, :]] = -1.0
        found[start : start + _BLOCK] = 1 - cosines.max(axis=1)
    clipped: Floats = np.clip(found, 0, 2)
    return clipped


def some(count: int, most: int, seed: int, name: str) -> "Ints":
    """Which of `count` rows are looked at, in order: all, or a seeded sample."""
    import numpy as np

    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(derive_seed(seed, "coverage", name)).permutation(count)[:most])


def nearest_train(train_ND: "Floats", text_N: "Ints", production_MD: "Floats", seed: int) -> dict[str, Any]:
    """Quantiles of both distributions, and the share of inputs farther off than 19 in 20 train rows are from one another.

    Every input is measured against the train rows that are left when as many are set aside to be measured themselves.
    """
    import numpy as np

    held = some(len(train_ND), MOST_TRAIN, seed, "held")
    asked = some(len(production_MD), MOST_ASKED, seed, "asked")
    order = np.random.default_rng(derive_seed(seed, "coverage", "aside")).permutation(held)
    aside = order[: max(1, min(MOST_ASKED, len(order) // 2))]
    rest = order[len(aside) :] if len(order) > 1 else order
    own = distances(train_ND[aside], train_ND[rest])
    theirs = distances(production_MD[asked], train_ND[rest])
    bound = float(np.quantile(own, _FAR))
    far, own_far = int((theirs > bound + 1e-6).sum()), int((own > bound + 1e-6).sum())
    return {
        "quantiles": list(QUANTILES),
        "production": np.quantile(theirs, QUANTILES).tolist(),
        "train": np.quantile(own, QUANTILES).tolist(),
        "bound": bound,
        "far": share_of(far, len(theirs)),
        "train_far": share_of(own_far, len(own)),
    }
