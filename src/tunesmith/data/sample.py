"""Fewer rows for trying things out: seeded, in proportion to the labels, and mostly the same rows again when others are appended."""

from typing import TYPE_CHECKING

from tunesmith.data.decision import Decision, mixed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


def at_most(
    keys_N: "npt.NDArray[np.uint64]",
    labels_N: "npt.NDArray[np.int64] | npt.NDArray[np.uint64]",
    among_N: "Mask",
    *,
    count: int | None,
    seed: int,
    per_label: int | None = None,
) -> Decision:
    """Drop all but so many of the rows `among_N`. Legend: N rows.

    Args:
        keys_N: hashes of the rows' content; with the seed they order the rows.
        labels_N: equal where rows carry the same label, each of which keeps its share; all equal where there are none.
        among_N: which rows to choose from; the others are kept.
        count: how many to keep of all; None keeps all.
        seed: the recipe's, derived.
        per_label: how many to keep of each label, before `count` applies; None keeps all.
    """
    import numpy as np

    codes_N = np.zeros(len(keys_N), np.uint8)
    rows = np.flatnonzero(among_N)
    order_key = mixed(keys_N[rows], seed)
    by_label = np.lexsort((rows, order_key, labels_N[rows]))
    labels = labels_N[rows][by_label]
    starts = np.concatenate(([True], labels[1:] != labels[:-1])) if len(labels) else np.zeros(0, bool)
    group = np.cumsum(starts) - 1
    place = np.arange(len(labels)) - np.flatnonzero(starts)[group] if len(labels) else np.zeros(0, int)
    kept = place < per_label if per_label is not None else np.ones(len(labels), bool)
    codes_N[rows[by_label[~kept]]] = 2
    if count is not None:
        sizes = np.bincount(group[kept], minlength=group[-1] + 1 if len(group) else 0)
        # The i-th of n rows of a label stands at (i + 1/2) / n: taking the lowest takes the same share of every label.
        stand = (place[kept] + 0.5) / sizes[group[kept]]
        ranked = by_label[kept][np.lexsort((rows[by_label[kept]], order_key[by_label[kept]], stand))]
        codes_N[rows[ranked[count:]]] = 1
    return Decision(codes_N, (f"not among the {count or 0:,} sampled", f"not among the {per_label or 0:,} sampled of its label"))
