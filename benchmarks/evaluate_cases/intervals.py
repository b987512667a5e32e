"""Whether 95% intervals cover and how often a gain is called where there is none, over 10,000 simulated test sets a setting.

`interval-coverage`: accuracy of 50%, 70%, 85% and 95% on 50, 200 and 1,000 test rows; on 200 and 1,000 rows in groups of five whose
rows tend to be right together (beta-distributed shares, correlation 0.2), too. The figure is the worst setting at 200 rows.
`false-gain`: two systems of the same accuracy, right on the same rows more or less often (agreement 0, 0.5, 0.9 of what could be); how
often the first is said to have gained. The figure is the worst of all settings.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from tunesmith.score.intervals import grouped_share_interval, share_interval
from tunesmith.score.paired import compare_right
from tunesmith.score.resampling import Resamples

DRAWS = 10_000
SIZES, SHARES = (50, 200, 1000), (0.5, 0.7, 0.85, 0.95)
GROUP, TOGETHER, GROUPED_SIZES, GROUPED_DRAWS = 5, 0.2, (200, 1000), 10_000
AGREEMENTS = (0.0, 0.5, 0.9)


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"interval-coverage": coverage, "false-gain": false_gain}


def coverage() -> dict[str, Any]:
    """How often the interval holds the truth."""
    alone = {f"{rows} rows, {share:.0%}": _covered(rows, share) for rows, share in product(SIZES, SHARES)}
    grouped = {f"{rows} rows in groups, {share:.0%}": _covered_in_groups(rows, share) for rows, share in product(GROUPED_SIZES, SHARES)}
    at_200 = [value for name, value in (alone | grouped).items() if name.startswith("200 ")]
    worst = max(at_200, key=lambda value: abs(value - 0.95))
    told = list((alone | grouped).values())
    return {
        "case": "interval-coverage",
        "value": round(worst, 4),
        "unit": "share of 95% intervals that hold the truth, worst setting at 200 rows",
        "spread": [round(min(told), 4), round(max(told), 4)],
        "repeats": DRAWS,
        "to_reach": [0.93, 0.97],
        "ours": {name: round(value, 4) for name, value in (alone | grouped).items()},
    }


def _covered(rows: int, share: float) -> float:
    @cache
    def holds(right: int) -> bool:
        found = share_interval(float(right), float(rows))
        return found.low <= share <= found.high

    drawn = np.random.default_rng(rows).binomial(rows, share, DRAWS)
    return float(np.mean([holds(int(right)) for right in drawn]))


def _covered_in_groups(rows: int, share: float) -> float:
    random, units = np.random.default_rng(rows), rows // GROUP
    spread = 1 / TOGETHER - 1
    resamples = Resamples(rows=rows, count=200, seed=0, groups=[str(row // GROUP) for row in range(rows)])

    @cache
    def holds(counts: tuple[int, ...]) -> bool:
        right_R = np.concatenate([np.arange(GROUP) < right for right in counts]).astype(np.float64)
        found = grouped_share_interval(right_R, resamples)
        return found.low <= share <= found.high

    shares = random.beta(share * spread, (1 - share) * spread, size=(GROUPED_DRAWS, units))
    return float(np.mean([holds(tuple(sorted(line))) for line in random.binomial(GROUP, shares).tolist()]))


def false_gain() -> dict[str, Any]:
    """How often a gain is called between systems of the same accuracy."""
    told = {
        f"{rows} rows, {share:.0%}, agreement {agreement:.1f}": _gains(rows, share, agreement)
        for rows, share, agreement in product(SIZES, SHARES, AGREEMENTS)
    }
    return {
        "case": "false-gain",
        "value": round(max(told.values()), 4),
        "unit": "share of gains called where there is none, worst setting",
        "spread": [round(min(told.values()), 4), round(max(told.values()), 4)],
        "repeats": DRAWS,
        "to_reach": 0.03,
        "ours": {name: round(value, 4) for name, value in told.items()},
    }


def _gains(rows: int, share: float, agreement: float) -> float:
    """Only rows that one of the two has right matter: each with the probability that chance agreement leaves."""
    one_alone = share * (1 - share) * (1 - agreement)

    @cache
    def gained(wins: int, losses: int) -> bool:
        return compare_right(wins, losses, rows).is_gain

    drawn = np.random.default_rng(rows).multinomial(rows, [one_alone, one_alone, 1 - 2 * one_alone], DRAWS)
    return float(np.mean([gained(int(wins), int(losses)) for wins, losses, _ in drawn]))
