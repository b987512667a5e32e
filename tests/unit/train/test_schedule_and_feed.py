"""When to evaluate, and which rows make up a step."""

import pytest

from tunesmith.chat.render import Rendered
from tunesmith.core.errors import RecipeError
from tunesmith.train.batches import Feed, example, lay_out, text_examples
from tunesmith.train.config import ObjectiveConfig, TrainConfig
from tunesmith.train.loop import evaluation_steps
from tunesmith.train.objectives import objective


def feed_of(rows: int, seed: int = 0, **settings: object) -> Feed:
    examples = [example(Rendered(str(number), (number + 1, 5, 6), 1), weight_by="token") for number in range(rows)]
    return Feed(examples, TrainConfig.model_validate({"batch_rows": 4, "epochs": 2} | settings), seed, layout="tree")


def taken(feed: Feed, step: int) -> list[str]:
    return [row for batch in feed.step(step) for row in batch.row_ids]


def test_an_epoch_takes_every_row_once_in_an_order_of_its_own() -> None:
    feed = feed_of(10)
    assert (feed.steps_per_epoch, feed.steps) == (3, 6)
    epochs = [[row for step in steps for row in taken(feed, step)] for steps in ((1, 2, 3), (4, 5, 6))]
    assert all(sorted(epoch) == sorted(str(number) for number in range(10)) for epoch in epochs)
    assert [set(taken(feed, step)) for step in (1, 2, 3)] != [set(taken(feed, step)) for step in (4, 5, 6)]


def test_a_step_depends_on_seed_and_number_alone() -> None:
    assert [taken(feed_of(10), step) for step in (5, 2)] == [taken(feed_of(10), step) for step in (5, 2)]
    assert [set(taken(feed_of(10, seed=1), step)) for step in (1, 2)] != [set(taken(feed_of(10), step)) for step in (1, 2)]


def test_steps_follow_epochs_and_their_bound() -> None:
    assert feed_of(10, epochs=0.5).steps == 2
    assert feed_of(10, epochs=0.01).steps == 1
    assert feed_of(10, max_steps=5).steps == 5


def test_when_to_evaluate() -> None:
    assert evaluation_steps(feed_of(40, evaluations_per_epoch=2)) == {0, 5, 10, 15, 20}
    assert evaluation_steps(feed_of(4, evaluations_per_epoch=9)) == {0, 1, 2}
    assert evaluation_steps(feed_of(40, evaluations_per_epoch=1, max_steps=7)) == {0, 7}


def test_weights_of_a_row() -> None:
    answer = Rendered("r", (1, 2, 3, 4), 2)
    assert example(answer, weight_by="token").sequence.weights == (0, 0, 1, 1)
    assert example(answer, weight_by="row").sequence.weights == (0, 0, 0.5, 0.5)
    assert example(Rendered("r", (1, 2, 3), 0), weight_by="token").sequence.weights == (0, 1, 1)


def test_text_is_cut_into_windows_that_teach_every_token_once() -> None:
    ids = tuple(range(10, 21))
    windows = text_examples([Rendered("r", ids, 0)], max_tokens=4, weight_by="token")
    assert all(len(window.sequence.ids) <= 4 for window in windows)
    learnt = [token for window in windows for token, weight in zip(window.sequence.ids, window.sequence.weights, strict=True) if weight]
    assert learnt == list(ids[1:])


@pytest.mark.parametrize(("weight_by", "heavy", "plain"), [("token", 3.0, 1.0), ("row", 1.5, 0.5)])
def test_every_window_of_a_text_counts_as_its_row_does(weight_by: str, heavy: float, plain: float) -> None:
    rows = [Rendered("heavy", (1, 2, 3, 4, 5), 0), Rendered("plain", (6, 7, 8), 0)]
    windows = text_examples(rows, max_tokens=3, weight_by=weight_by, weights=[3.0, 1.0])
    assert [window.row_id for window in windows] == ["heavy.0", "heavy.1", "plain.0"]
    assert [window.sequence.weights for window in windows] == [(0, heavy, heavy), (0, heavy, heavy), (0, plain, plain)]
    assert [window.weight for window in windows] == [3.0, 3.0, 1.0]


def test_accumulation_divides_evenly() -> None:
    examples = feed_of(10).examples
    assert [len(batch.row_ids) for batch in lay_out(examples, TrainConfig(accumulate=3), layout="tree")] == [3, 4, 3]
    assert [len(batch.row_ids) for batch in lay_out(examples[:2], TrainConfig(accumulate=8), layout="tree")] == [1, 1]


def test_an_unknown_objective_is_answered_with_a_near_one() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'sft'"):
        objective(ObjectiveConfig(), "sftt")
