"""Parts of the training rows for a learning curve: each within the next, in proportion to what rows ask for, groups whole.

Rows (or groups of them) are put in one order, which begins with as large a share of each label as of any other; a part is the
beginning of that order. So a larger part holds a smaller one, and what a curve shows is rows added, not rows exchanged.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tunesmith.core.rows import Row
from tunesmith.core.seeds import fraction
from tunesmith.data.strata import Strata

FEWEST = 10
"""A part of fewer rows says more of which rows they are than of how many."""


def nested_parts(rows: Sequence[Row], shares: Sequence[float], *, seed: int, groups: Mapping[str, str] | None = None) -> list[list[Row]]:
    """The rows of each share in their own order, fewest first; parts of fewer than ten rows, or as large as another, are left out.

    Args:
        rows: the whole train side.
        shares: above 0 and below 1; a part ends with the row, or whole group, that reaches its share.
        seed: of the recipe.
        groups: row id -> group, where rows of a group stay together; a row without one stands alone.
    """
    parts: dict[int, list[Row]] = {}
    ordered = _ordered(rows, seed, groups or {})
    for share in sorted(shares):
        chosen: set[str] = set()
        for unit in ordered:
            if len(chosen) >= round(share * len(rows)):
                break
            chosen.update(row.id for row in unit)
        if FEWEST <= len(chosen) < len(rows):
            parts.setdefault(len(chosen), [row for row in rows if row.id in chosen])
    return list(parts.values())


def _ordered(rows: Sequence[Row], seed: int, groups: Mapping[str, str]) -> list[list[Row]]:
    """Units of rows in an order whose every beginning has about the same share of each stratum: the i-th of n stands at (i + 1/2) / n."""
    strata, units, kinds = Strata(), defaultdict[tuple[str, str], list[Row]](list), defaultdict[tuple[str, str], Counter[str]](Counter)
    for row in rows:
        name = ("group", groups[row.id]) if row.id in groups else ("row", row.id)
        units[name].append(row)
        kinds[name][strata.of(row)] += 1
    key = {name: fraction(seed, f"part/{'/'.join(name)}") for name in units}
    by_kind = defaultdict[str, list[tuple[str, str]]](list)
    for name in sorted(units, key=lambda name: (key[name], name)):
        by_kind[max(sorted(kinds[name]), key=lambda kind: kinds[name][kind])].append(name)
    stand = {name: (place + 0.5) / len(names) for names in by_kind.values() for place, name in enumerate(names)}
    return [units[name] for name in sorted(units, key=lambda name: (stand[name], key[name], name))]
