"""Confidence of generated answers, from their likelihood and from samples that agree."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.score.prediction import Prediction
from tunesmith.score.sureness import Agreed, agreement, gist, majority, sequence_likelihood, spread, sure


def test_likelihood_per_token_does_not_fall_with_length() -> None:
    assert sequence_likelihood(4 * math.log(0.5), 4) == pytest.approx(0.5)
    assert sequence_likelihood(8 * math.log(0.5), 8) == pytest.approx(0.5)
    assert sequence_likelihood(4 * math.log(0.5), 4, per_token=False) == pytest.approx(1 / 16)
    assert sequence_likelihood(-math.inf, 3) == 0.0
    assert sequence_likelihood(1e-6, 3) == 1.0  # rounding


@pytest.mark.parametrize(("logprob", "tokens"), [(math.nan, 3), (1.0, 3), (-1.0, 0)])
def test_what_is_no_log_probability_is_refused(logprob: float, tokens: int) -> None:
    with pytest.raises(DataError, match="at most 0, over at least one token"):
        sequence_likelihood(logprob, tokens)


def test_samples_agree_by_their_words() -> None:
    samples = ["42.", " 42 ", "forty-two", "41"]
    assert agreement("42", samples) == pytest.approx(2.5 / 5)
    assert agreement("PARIS!", ["paris", "Paris."]) == pytest.approx(2.5 / 3)
    assert agreement("Paris", []) == 0.5
    assert gist("...") != gist("???") and gist("") == gist("  ")


def test_sameness_can_be_told() -> None:
    assert agreement("x = 4", ["y = 4"], same=lambda text: text.split("=")[-1].strip()) == pytest.approx(1.5 / 2)


def test_the_majority_speaks_and_the_earliest_breaks_ties() -> None:
    assert majority(["no", "Yes", "yes."]) == Agreed("Yes", pytest.approx(2.5 / 4))
    assert majority(["b", "a", "a", "b"]).answer == "b"
    with pytest.raises(DataError, match="draw at least one"):
        majority([])


def test_spread_runs_from_one_voice_to_as_many_as_samples() -> None:
    assert spread(["a", "a", "A"]) == 0.0
    assert spread(["a", "b", "c", "d"]) == pytest.approx(1.0)
    assert spread(["a", "a", "b", "b"]) == pytest.approx(0.5)
    assert spread(["a"]) == spread([]) == 0.0


@given(st.text("ab !", max_size=8), st.lists(st.sampled_from(["a", "b", "", "!"]), max_size=9))
def test_one_more_that_agrees_makes_surer_and_nothing_makes_certain(answer: str, samples: list[str]) -> None:
    before = agreement(answer, samples)
    assert 0 < before < 1
    assert agreement(answer, [*samples, answer]) > before


def test_confidences_are_put_to_predictions() -> None:
    rows = [Prediction(row_id=str(row), reference="a", answer="a") for row in range(2)]
    assert [one.confidence for one in sure(rows, [0.25, 0.5])] == [0.25, 0.5]
    with pytest.raises(DataError, match="give each answer one"):
        sure(rows, [0.5])
