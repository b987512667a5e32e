"""How small a gain a test set can show, and how many rows it takes to show one.

Two systems are compared on the same rows; only rows that one answers rightly and the other wrongly tell them apart. The
share of such rows is not known beforehand: a fifth is assumed, as between systems that are right about 85% of the time and
err on different rows. Connor (1987), "Sample size for testing differences in proportions for the paired-sample design".
"""

import math

DISCORDANT = 0.2
"""Share of rows on which exactly one of two systems is right, assumed."""
_Z_TEST = 1.959963984540054
"""One-sided 2.5%."""
_Z_POWER = 0.8416212335729143
"""Seen four times in five."""


def rows_to_show(gain: float, discordant: float = DISCORDANT) -> int:
    """Rows that show a gain in the share of right answers four times in five; `gain` above 0, at most `discordant`."""
    spread = _Z_TEST * math.sqrt(discordant) + _Z_POWER * math.sqrt(max(0.0, discordant - gain * gain))
    return math.ceil((spread / gain) ** 2)


def smallest_gain(rows: int, discordant: float = DISCORDANT) -> float:
    """The smallest gain that so many rows show four times in five; `discordant` where they show none."""
    if rows < rows_to_show(discordant, discordant):
        return discordant
    low, high = 0.0, discordant
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rows_to_show(middle, discordant) > rows else (low, middle)
    return high
