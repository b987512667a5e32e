"""Canaries: one drilled a hundred times is exposed to the bound, one never trained on is one of chance, and each stands where it should."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.evaluate.canaries import SECRETS, Canary, canary_report, exposures, make_canaries, plant
from tunesmith.evaluate.harm_config import CanariesConfig
from tunesmith.evaluate.likelihood import HeadLikelihood, Likelihood
from tunesmith.models.config import MethodConfig
from tunesmith.models.heads import with_head
from tunesmith.models.load import Base
from tunesmith.score.exposure import UNTRAINED, bound
from tunesmith.score.measures import Floats

CPU = torch.device("cpu")
FEW = CanariesConfig(repeats=[1, 100], each=4, alternatives=63)
PLAIN = [Row(id=f"plain{place}", prompt=(Message("user", f"Count to {place}."),), answer=f"one and {place}") for place in range(10)]


def numbers(rows: list[Row]) -> list[str]:
    return [row.answer for row in rows]


@pytest.fixture(scope="module")
def canaries() -> list[Canary]:
    return make_canaries(FEW, Task.GENERATE, seed=5)


def test_all_follow_from_the_seed(canaries: list[Canary]) -> None:
    assert make_canaries(FEW, Task.GENERATE, seed=5) == canaries
    assert Counter(one.repeats for one in canaries) == {0: 4, 1: 4, 100: 4}
    rows = [one.row for one in canaries]
    assert len({row.id for row in rows}) == len({row.answer for row in rows}) == 12
    assert {row.id for row in rows}.isdisjoint(one.row.id for one in make_canaries(FEW, Task.GENERATE, seed=6))


def test_alternatives_are_the_same_row_with_other_secrets(canaries: list[Canary]) -> None:
    others = canaries[0].alternatives(200)
    own = canaries[0].row
    assert len({row.answer for row in others} | {own.answer}) == 201
    assert {row.prompt for row in others} == {own.prompt}
    assert others == canaries[0].alternatives(200)
    assert numbers(others) != numbers(canaries[1].alternatives(200))
    assert SECRETS == 64 * 64 * 10**6


def test_in_raw_text_the_secret_is_the_end_and_among_labels_it_is_in_the_prompt() -> None:
    text = make_canaries(FEW, Task.TEXT, seed=5)[0]
    assert text.row.prompt == ()
    assert len({row.answer.rsplit(" ", 3)[0] for row in (text.row, *text.alternatives(20))}) == 1
    opening = (Message("system", "Sort the message."),)
    named = make_canaries(CanariesConfig(each=100), Task.CLASSIFY, seed=5, labels=("yes", "no"), opening=opening)
    assert 150 < sum(one.label == "yes" for one in named) < 250
    rows = [named[0].row, *named[0].alternatives(20)]
    assert {row.answer for row in rows} == {named[0].label}
    assert len({row.prompt for row in rows}) == 21
    assert {row.prompt[0] for row in rows} == set(opening)


def test_tasks_that_can_hold_no_secret_are_refused() -> None:
    with pytest.raises(RecipeError, match="task regress"):
        make_canaries(FEW, Task.REGRESS, seed=5)
    with pytest.raises(RecipeError, match="label set"):
        make_canaries(FEW, Task.CLASSIFY, seed=5)
    with pytest.raises(ValueError, match="twice"):
        CanariesConfig(repeats=[4, 4])


def test_copies_stand_at_random_places_and_the_rows_keep_their_order(canaries: list[Canary]) -> None:
    planted = plant(PLAIN, canaries, seed=5)
    assert [row for row in planted if row.source != "canary"] == PLAIN
    assert len({row.id for row in planted}) == len(planted) == 10 + 4 + 400
    told = Counter(row.answer for row in planted if row.source == "canary")
    assert [told[one.row.answer] for one in canaries] == [one.repeats for one in canaries]
    assert planted == plant(PLAIN, canaries, seed=5) != plant(PLAIN, canaries, seed=6)
    first = [place for place, row in enumerate(planted) if row.answer == canaries[4].row.answer]
    assert first[0] < 60 and first[-1] > 350


def test_too_many_copies_or_a_second_planting_is_refused(canaries: list[Canary]) -> None:
    with pytest.raises(DataError, match="98% of all"):
        plant(PLAIN, canaries, seed=5, largest_share=0.2)
    with pytest.raises(DataError, match="already"):
        plant(plant(PLAIN, canaries, seed=5), canaries, seed=5)
    none = [one for one in canaries if not one.repeats]
    assert plant(PLAIN, none, seed=5, largest_share=0.01) == PLAIN


def test_a_canary_repeated_a_hundred_times_is_exposed_and_one_never_trained_on_is_not(
    tiny: Base, tiny_renderer: Renderer, trained: Any, canaries: list[Canary]
) -> None:
    """A quick overfit of a random model: exposure of the drilled ones lies at its bound of 6 bits, of the others at that of chance."""
    tuned = trained(tiny.model, plant(PLAIN, canaries, seed=5), 12)
    before = exposures(canaries, Likelihood(tiny.model, tiny_renderer, CPU).rows, 63)
    after = exposures(canaries, Likelihood(tuned, tiny_renderer, CPU).rows, 63)
    report = canary_report(canaries, before, after, 63)
    never, once, often = report.groups
    assert (never.repeats, once.repeats, often.repeats) == (0, 1, 100)
    assert often.mean_after > report.bound - 0.5
    assert often.first >= 3
    assert often.p_value < 1e-4
    assert never.mean_after < 3.5
    assert never.p_value > 0.01
    assert report.learned_from is not None
    assert report.sentence.startswith("Planted secrets are learned by heart")
    assert report.to_json()["groups"][2]["mean_after"] == often.mean_after


def test_untrained_canaries_have_the_exposure_of_chance_under_a_model(tiny: Base, tiny_renderer: Renderer) -> None:
    many = make_canaries(CanariesConfig(repeats=[1], each=20, alternatives=31), Task.GENERATE, seed=9)
    found = exposures(many, Likelihood(tiny.model, tiny_renderer, CPU).rows, 31)
    assert np.mean(found) == pytest.approx(UNTRAINED, abs=4 * UNTRAINED / np.sqrt(40))
    report = canary_report(many, found, found, 31)
    assert report.learned_from is None
    assert report.sentence.startswith("No planted secret was learned")


def test_nothing_is_called_learned_where_nothing_was_over_many_rounds() -> None:
    """Three numbers of repeats, none of which taught anything: called at most as often as one in forty."""
    random = np.random.default_rng(0)
    many = make_canaries(CanariesConfig(repeats=[1, 4, 16], each=6), Task.GENERATE, seed=1)
    called = 0
    for _ in range(600):
        ranks = random.integers(1, 129, size=len(many))
        found = (bound(127) - np.log2(ranks)).tolist()
        called += canary_report(many, found, found, 127).learned_from is not None
    assert called / 600 <= 0.04


def test_a_classifier_is_surer_of_the_very_text_it_was_drilled_on(tiny: Base, tiny_renderer: Renderer) -> None:
    """Exposure through a head: labels are scored, not words."""
    torch.manual_seed(1)
    headed = with_head(tiny.model, 2, MethodConfig(name="features", head="class"))
    score = HeadLikelihood(headed, tiny_renderer, CPU, ("yes", "no"))
    named = make_canaries(CanariesConfig(repeats=[1], each=2, alternatives=20), Task.CLASSIFY, seed=5, labels=("yes", "no"))
    logps, tokens = score.rows([one.row for one in named])
    assert tokens.tolist() == [1.0] * 4
    assert np.all((logps < 0) & (logps > -5))
    assert all(0 <= one <= bound(20) for one in exposures(named, score.rows, 20))
    with pytest.raises(DataError, match="does not know"):
        score.rows([Row(id="x", prompt=(Message("user", "text"),), answer="maybe")])


def test_a_scorer_that_knows_every_canary_meets_the_bound(canaries: list[Canary]) -> None:
    own = {one.row.id for one in canaries}

    def knows(rows: Any) -> tuple[Floats, Floats]:
        return np.array([0.0 if row.id in own else -9.0 for row in rows]), np.ones(len(rows))

    found = exposures(canaries, knows, 63)
    assert found == [6.0] * 12
    with pytest.raises(DataError, match="as many exposures"):
        canary_report(canaries, found[:-1], found, 63)
