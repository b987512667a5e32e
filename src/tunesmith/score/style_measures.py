"""Measures of style: of each rule of a style guide the share of answers that keep it, from what was saved with the answers.

`style` is the mean share of rules kept, `style_all` the share of answers that keep all, `style_RULE` the share that keep one. None where
answers were not held against a guide (`Prediction.kept`), or the guide has no such rule.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.style import RULES
from tunesmith.score.text import mean


def _all_kept(predictions: Sequence[Prediction]) -> list[Mapping[str, bool]] | None:
    """Rules kept by each answer; None where any answer was not looked at."""
    kept = [one.kept for one in predictions]
    return [one for one in kept if one] if all(kept) else None


def tabulate_style(predictions: Sequence[Prediction]) -> Floats | None:
    """The share of rules kept and 1, [R, 2]; None where answers were not held against a guide."""
    kept = _all_kept(predictions)
    return None if kept is None else _with_ones([sum(one.values()) / len(one) for one in kept])


def whole(predictions: Sequence[Prediction]) -> NDArray[np.bool_] | None:
    """Which answers keep every rule, [R]."""
    kept = _all_kept(predictions)
    return None if kept is None else np.array([all(one.values()) for one in kept], dtype=np.bool_)


def keeping(rule: str, predictions: Sequence[Prediction]) -> NDArray[np.bool_] | None:
    """Which answers keep one rule, [R]; None where the guide has no such rule."""
    kept = _all_kept(predictions)
    if kept is None or any(rule not in one for one in kept):
        return None
    return np.array([one[rule] for one in kept], dtype=np.bool_)


def _tabulate_right(right: Callable[[Sequence[Prediction]], NDArray[np.bool_] | None], predictions: Sequence[Prediction]) -> Floats | None:
    found = right(predictions)
    return None if found is None else _with_ones(found)


def _with_ones(score_R: Sequence[float] | NDArray[np.bool_]) -> Floats:
    return np.column_stack([np.asarray(score_R, dtype=np.float64), np.ones(len(score_R))])


def _of_rule(rule: str) -> Measure:
    right = partial(keeping, rule)
    title = f"style: {rule.replace('_', ' ')}"
    return Measure(name=f"style_{rule}", title=title, tabulate=partial(_tabulate_right, right), value=mean, right=right)


STYLE = Measure(name="style", title="style score", tabulate=tabulate_style, value=mean)
STYLE_ALL = Measure(name="style_all", title="all style rules kept", tabulate=partial(_tabulate_right, whole), value=mean, right=whole)
BY_RULE: dict[str, Measure] = {name: _of_rule(name) for name in RULES}
SENTENCES = BY_RULE["sentences"]
LENGTH = BY_RULE["length"]
FORBIDDEN = BY_RULE["forbidden"]
MUST_HAVE = BY_RULE["must_have"]
GREETING = BY_RULE["greeting"]
SIGN_OFF = BY_RULE["sign_off"]
TONE = BY_RULE["tone"]
EMOJI = BY_RULE["emoji"]
EXCLAMATIONS = BY_RULE["exclamations"]
PASSIVE = BY_RULE["passive"]
ADDRESS = BY_RULE["address"]
SPEAKER = BY_RULE["speaker"]
READING_LEVEL = BY_RULE["reading_level"]
