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
_CHANCES = ("auroc", "auprc", "ece", "brier", "nll")
_PARSED = ("numeric_match", "json_valid", "json_fields")
_TEXTS = ("exact_match", "rougeL", "chrf", "bleu", "perplexity")
_LONG_TEXTS = ("rougeL", "exact_match", "chrf", "bleu", "perplexity")
_STYLES = tuple(name for name in NAMES if name == "style" or name.startswith("style_"))
_PAIRS = ("preference_accuracy", "preference_accuracy_per_token")
_JUDGED = ("wanted_auc",)
_DEFAULTS = {
    Task.CLASSIFY: _LABELS,
    Task.MULTILABEL: ("labels_micro_f1", "labels_macro_f1", "subset_accuracy", "hamming_loss"),
    Task.REGRESS: ("pearson", "spearman", "mae", "rmse", "r2"),
    Task.TAG: ("span_f1", "span_precision", "span_recall", "token_accuracy"),
    Task.TEXT: ("perplexity",),
}
"""What a task is judged by where the recipe names nothing."""
_COUNTED = {
    **dict.fromkeys(_LABELS, ("counts labels", Task.CLASSIFY)),
    **dict.fromkeys(_DEFAULTS[Task.MULTILABEL], ("compares sets of labels", Task.MULTILABEL)),
    **dict.fromkeys(_DEFAULTS[Task.REGRESS], ("compares numbers", Task.REGRESS)),
    **dict.fromkeys(_DEFAULTS[Task.TAG], ("compares spans", Task.TAG)),
    **dict.fromkeys(_CHANCES, ("needs a probability of each label", Task.CLASSIFY)),
    **dict.fromkeys(_PARSED, ("reads what an answer's text holds", Task.GENERATE)),
    **dict.fromkeys(_STYLES, ("looks at how an answer is written", Task.GENERATE)),
    **dict.fromkeys((*_PAIRS, *_JUDGED), ("compares likelihoods of judged answers", Task.PREFER)),
}
"""Measures of one task alone: what they do, and the task."""
_SHORT = {Task.MULTILABEL: {"micro_f1": "labels_micro_f1", "macro_f1": "labels_macro_f1"}}
"""Names that mean a task's own measure."""


def resolve(task: Task, names: Sequence[str] = (), *, answers: Sequence[str] = (), judged: bool = False) -> tuple[str, ...]:
    """The measures of a round; the first decides its verdict.

    Args:
        names: those the recipe asks for; the task's own where there are none.
        answers: references of training rows. Where their median is long, ROUGE-L decides in place of exact match,
            which long free text never reaches. Never pass answers of test rows: what decides is chosen before them.
        judged: of the task prefer, whether answers are judged one by one instead of in pairs.

    Raises:
        RecipeError: an unknown name, or a measure that the task has nothing for.
    """
    for name in names:
        if name not in NAMES:
            raise RecipeError(f"evaluate.metrics: no measure is called {name!r}.{did_you_mean(name, NAMES)}")
    names = [_SHORT.get(task, {}).get(name, name) for name in names]
    own = _JUDGED if task is Task.PREFER and judged else _PAIRS if task is Task.PREFER else _DEFAULTS.get(task, _TEXTS)
    for name in names:
        _check(name, task, own)
    if task is Task.CLASSIFY and names and names[0] == "perplexity":
        raise RecipeError("evaluate.metrics: perplexity is not known of labels, so it can't decide: put another measure first.")
    if names or task in _DEFAULTS or task is Task.PREFER:
        return tuple(dict.fromkeys(names or own))
    long = bool(answers) and median(len(words(answer)) for answer in answers) >= LONG_ANSWER_WORDS
    return _LONG_TEXTS if long else _TEXTS


def _check(name: str, task: Task, own: Sequence[str]) -> None:
    """RecipeError where the task has nothing for a measure."""
    if task is Task.TEXT and name != "perplexity":
        raise RecipeError(f"evaluate.metrics: {name} compares answers, and the task is text, which has none: take perplexity.")
    does, home = _COUNTED.get(name, ("", task))
    if home is not task:
        raise RecipeError(
            f"evaluate.metrics: {name} {does}, and the task is {task.value}: take from {', '.join(own)}, or set data.task to {home.value}."
        )
    if task not in (Task.CLASSIFY, Task.GENERATE, Task.TEXT) and name not in own and not (task is Task.PREFER and name == "perplexity"):
        raise RecipeError(f"evaluate.metrics: {name} has nothing to go by, since the task is {task.value}: take from {', '.join(own)}.")


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
