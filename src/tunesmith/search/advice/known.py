"""What this project has measured that an advice may rest on, each with where it stands. What is not here is not known.

A prior is a sentence and its source; it orders options, and `--probe` is stronger than any of them.
"""

from dataclasses import dataclass

NOT_KNOWN = "not known; --probe measures it"


@dataclass(frozen=True, slots=True)
class Fact:
    """One finding."""

    told: str
    source: str

    def __str__(self) -> str:
        """As it is told to people."""
        return f"{self.told} ({self.source})"


TINY = 100_000_000
"""Parameters below which the facts about small bases are believed to hold: all were measured on 7.6 million."""

HEAD_BEATS_FLOOR = Fact(
    "a head on the embedded base got 69.2% on banking77 with 10 rows an intent, TF-IDF 67.6%", "benchmarks/results/2026-11-21-base.json"
)
HEAD_BEATS_TEXT = Fact("on the sample a head got 73.0%, labels as text 48.1%, in three times the time", "docs/log.md, 2026-11-21, data")
RIDGE_WINS = Fact(
    "on stsb with 1,500 rows TF-IDF with ridge regression got a Pearson of 0.747, the embedded base 0.315",
    "docs/log.md, 2026-11-21, the engine",
)
PREFERENCES_SHOW_NOTHING = Fact(
    "DPO on 120 pairs of preferences_hh moved the embedded base from 47.5% to 47.5%", "docs/log.md, 2026-11-21, the engine"
)
LARGER_IS_BETTER = Fact("larger bases of one family predict text better", "Kaplan et al., 2020; not measured here")
