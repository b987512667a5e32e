"""Labels outside the label set, and the nearest one inside it."""

from functools import lru_cache


def plain(label: str) -> str:
    """A label as it is compared: letter case, spaces, `-` and `_` don't count."""
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=65_536)
def nearest(label: str, known: tuple[str, ...]) -> tuple[str, float]:
    """The label of the set that is nearest, and how near: 1 for the same after `plain`, else the Indel similarity of the two.

    Of labels equally near, the first in order of name.
    """
    from rapidfuzz.distance import Indel

    ours = plain(label)
    scored = [(Indel.normalized_similarity(ours, plain(other)), other) for other in known]
    best = max(score for score, _ in scored)
    return min(other for score, other in scored if score == best), float(best)
