"""Which measures a task is judged by."""

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task
from tunesmith.evaluate.measures import better, resolve, values
from tunesmith.score.measures import NAMES
from tunesmith.score.prediction import Prediction


def test_each_task_has_its_own() -> None:
    assert resolve(Task.CLASSIFY)[:2] == ("accuracy", "macro_f1")
    assert {f"{average}_{name}" for average in ("macro", "micro") for name in ("precision", "recall", "f1")} < set(resolve(Task.CLASSIFY))
    assert resolve(Task.GENERATE) == ("exact_match", "rougeL", "chrf", "bleu", "perplexity")
    assert resolve(Task.TEXT) == ("perplexity",)
    for task in Task:
        assert set(resolve(task)) <= set(NAMES)


def test_long_answers_are_not_judged_word_for_word() -> None:
    assert resolve(Task.GENERATE, answers=["yes", "no", "maybe so"])[0] == "exact_match"
    assert resolve(Task.GENERATE, answers=["one two three four five six seven eight nine"] * 3)[0] == "rougeL"
    assert resolve(Task.GENERATE, ["bleu"], answers=["one two three four five six seven eight nine"]) == ("bleu",)


def test_names_are_checked() -> None:
    assert resolve(Task.CLASSIFY, ["mcc", "accuracy", "mcc"]) == ("mcc", "accuracy")
    with pytest.raises(RecipeError, match=r"evaluate.metrics.*'rougel'.*Did you mean 'rougeL'"):
        resolve(Task.GENERATE, ["rougel"])
    with pytest.raises(RecipeError, match="counts labels, and the task is generate"):
        resolve(Task.GENERATE, ["macro_f1"])


def test_values_of_one_system() -> None:
    scored = [Prediction(row_id=str(index), reference="a", answer=answer) for index, answer in enumerate("aab")]
    assert values(scored, ["accuracy", "perplexity"]) == {"accuracy": pytest.approx(2 / 3), "perplexity": None}


def test_better_runs_the_measures_way() -> None:
    assert better("accuracy", 0.6, 0.5) and not better("accuracy", 0.5, 0.5)
    assert better("perplexity", 4.0, 5.0) and not better("perplexity", 5.0, 4.0)
    assert better("accuracy", 0.0, None) and not better("accuracy", None, 0.0) and not better("accuracy", None, None)
