"""Several hypotheses tested at once: p-values that allow for how many there are."""

from collections.abc import Sequence


def holm(p_values: Sequence[float], tested: int) -> list[float]:
    """Adjusted p-values (Holm, 1979): at most `level` of them at or under it by chance, however they depend on one another.

    Args:
        p_values: of the hypotheses that matter; the others count as 1.
        tested: how many hypotheses there are in all, at least as many.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, which in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        least = max(least, min(1.0, (tested - place) * p_values[which]))
        adjusted[which] = least
    return adjusted
