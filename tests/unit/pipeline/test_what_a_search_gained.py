"""What is said of a search's gain: better only where a gain is shown, and a measure of which less is better turned round."""

import pytest

from tunesmith.pipeline.looks.searched import _sentence
from tunesmith.score.measures import measure
from tunesmith.score.paired import Comparison

TOLD = {"count": 6, "as_it_was": {"model": "m", "diverged": None}}


@pytest.mark.parametrize(
    ("name", "difference", "low", "high", "p", "said"),
    [
        ("accuracy", 0.262, 0.193, 0.334, 0.0, "is better in accuracy by 26.2 points than the recipe as it was (95% interval +19.3 to +33.4): a gain."),
        ("accuracy", 0.0, -0.02, 0.02, 0.5, "differs in accuracy by 0.0 points from the recipe as it was (95% interval -2.0 to +2.0): no gain is shown."),
        ("accuracy", -0.0001, -0.02, 0.02, 0.5, "differs in accuracy by 0.0 points from"),
        ("accuracy", -0.03, -0.07, 0.01, 0.9, "differs in accuracy by -3.0 points from"),
        ("accuracy", -0.05, -0.08, -0.02, 1.0, "is worse in accuracy by 5.0 points than the recipe as it was (95% interval -8.0 to -2.0): a loss,"),
        ("perplexity", 0.5, 0.2, 0.8, 0.0, "is better in perplexity by 0.500 than the recipe as it was (95% interval +0.200 to +0.800): a gain."),
    ],
)  # fmt: skip
def test_better_is_said_of_a_gain_alone(name: str, difference: float, low: float, high: float, p: float, said: str) -> None:
    found = Comparison(difference=difference, low=low, high=high, p_value=p, test="paired bootstrap")
    assert f"On test the recipe that was found {said}" in _sentence(TOLD, measure(name), found, gone=False)
