"""Which measures a task is judged by, and their values for one system."""

from collections.abc import Sequence
from statistics import median

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.data.config import Task
from tunesmith.score.measures import NAMES, measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import words

LONG_ANSWER_WORDS = 8
"""From this median on, nobody writes an answer word for word: an exact match says nothing."""

_LABELS = (
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "micro_precision",
    "micro_recall",
    "micro_f1",
    "mcc",
)
_TEXTS = ("exact_match", "rougeL", "chrf", "bleu", "perplexity")
_LONG_TEXTS = ("rougeL", "exact_match", "chrf", "bleu", "perplexity")


def resolve(task: Task, names: Sequence[str] = (), *, answers: Sequence[str] = ()) -> tuple[str, ...]:
    """The measures of a round; the first decides its verdict.

    Args:
        names: those the recipe asks for; the task's own where there are none.
        answers: references of training rows. Where their median is long, ROUGE-L decides in place of exact match,
            which long free text never reaches. Never pass answers of test rows: what decides is chosen before them.

    Raises:
        RecipeError: an unknown name, or a measure that the task has nothing for.
    """
    for name in names:
        if name not in NAMES:
            raise RecipeError(f"evaluate.metrics: no measure is called {name!r}.{did_you_mean(name, NAMES)}")
        if task is Task.TEXT and name != "perplexity":
            raise RecipeError(f"evaluate.metrics: {name} compares answers, and the task is text, which has none: take perplexity.")
        if name in _LABELS and task is not Task.CLASSIFY:
            raise RecipeError(
                f"evaluate.metrics: {name} counts labels, and the task is {task.value}: "
                f"take from {', '.join(_TEXTS)}, or set data.task to classify."
            )
    if task is Task.CLASSIFY and names and names[0] == "perplexity":
        raise RecipeError("evaluate.metrics: perplexity is not known of labels, so it can't decide: put another measure first.")
    if names:
        return tuple(dict.fromkeys(names))
    if task is Task.CLASSIFY:
        return _LABELS
    if task is Task.TEXT:
        return ("perplexity",)
    long = bool(answers) and median(len(words(answer)) for answer in answers) >= LONG_ANSWER_WORDS
    return _LONG_TEXTS if long else _TEXTS


def values(predictions: Sequence[Prediction], names: Sequence[str]) -> dict[str, float | None]:
    """One system's values by name, without intervals: enough to choose among systems on `select`.

    None where the predictions don't carry what a measure needs (perplexity without log-probabilities).
    """
    return {name: measure(name).of(predictions) for name in names}


def better(name: str, ours: float | None, theirs: float | None) -> bool:
    """Whether the first value of a measure beats the second, whichever way the measure runs; None beats nothing."""
    if ours is None or theirs is None:
        return ours is not None and theirs is None
    return ours > theirs if measure(name).higher_is_better else ours < theirs
