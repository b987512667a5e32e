"""The trials of a search as a table for people: what a mean over seeds holds is said beside it."""

from types import SimpleNamespace
from typing import Any

from tunesmith.cli.searching import _best_trials
from tunesmith.search.outcome import Finalist, TrialRecord
from tunesmith.search.trial import Measured


def lines(*finalists: Finalist) -> list[str]:
    trials = [one.first for one in finalists]
    outcome: Any = SimpleNamespace(finalists=finalists, trials=trials, best=trials[0], steps=16)
    found: Any = SimpleNamespace(outcome=outcome, higher_is_better=True, compared="By accuracy.")
    return list(_best_trials(found))


def trial(number: int, value: float, seed: int = 0) -> TrialRecord:
    return TrialRecord(number, {"method.rank": 8}, seed, Measured(value=value, steps=8, seconds=1.0))


def test_a_mean_over_seeds_is_said_to_hold_the_value_that_the_trial_was_chosen_for() -> None:
    repeated = lines(Finalist((trial(0, 0.8), trial(1, 0.6, seed=1)), 0.7, 0.141))
    assert any("0.7 ± 0.14" in line for line in repeated)
    assert (
        "Over seeds: the mean of the trial's own value, which it was chosen for, and of those under other seeds; it flatters still."
        in repeated
    )
    assert not any("Over seeds" in line for line in lines(Finalist((trial(0, 0.8),), 0.8, None)))
