r"""Answers that end in a number, as GSM8K's do: right where that number is the reference's, compared exactly.

The number is looked for after the last `####`, else in the last `\boxed{}`, else it is the last of the text. Read are signs,
thousands (`1,200`, `1{,}200`), decimals, fractions (`3/4`, `1 1/2`, `\frac{3}{4}`, `½`), powers (`3e4`, `3 x 10^4`, `2^5`),
currencies before and units behind. A percentage is the number it says or a hundredth of it, whichever the other side means:
`50%` is `50` and is `0.5`. Numbers are exact fractions, so `0.50` is `1/2`, and `0.333` is not `1/3`.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import mean

_MARK = "####"
_BOX = "\\boxed{"
_MOST = 300
"""Digits of a number, and of its power of ten: more is no answer to anything, and exact arithmetic with them is slow."""
_VULGAR = {
    mark: f"{above}/{below}"
    for below, marks in {2: "½", 3: "⅓⅔", 4: "¼ ¾", 5: "⅕⅖⅗⅘", 6: "⅙   ⅚", 8: "⅛ ⅜ ⅝ ⅞"}.items()
    for above, mark in enumerate(marks, 1)
    if mark != " "
}
_ALIKE = str.maketrans({"−": "-", "–": "-", "⁄": "/", "\u202f": "\u00a0", "％": "%", "×": "x"})
_TURNS = (
    (re.compile(rf"(?<=\d)([{''.join(_VULGAR)}])"), r" \1"),
    (re.compile(rf"[{''.join(_VULGAR)}]"), lambda found: _VULGAR[found[0]]),
    (re.compile(r"(?<=\d)\\[dt]?frac"), r" \\frac"),
    (re.compile(r"\\[dt]?frac\s?\{\s?(\d+)\s?\}\s?\{\s?(\d+)\s?\}"), r"\1/\2"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,!]|\\(?=[%$])"), ""),
    (re.compile(r"\\times|\\cdot"), "x"),
)
"""What people and LaTeX write, as plain text; in this order."""
_NUMBER = re.compile(
    r"""
    (?:(?P<sign>(?<![\w)\]}%])[-+])[$€£¥]?|(?<![\w.^])(?<!\^\{))  # -5, -$5; no part of a word, a decimal or an exponent
    (?P<whole>\d{1,3}(?:[,\u00a0]\d{3})+(?!\d)|\d+|(?=\.\d))
    (?P<point>\.\d+|(?<=\d),\d{1,2}(?!\d))?
    (?:
        [eE](?P<power>[-+]?\d+)
      | \s?[x*]\s?10\s?\^\s?\{?(?P<tens>[-+]?\d+)
      | \s?\^\s?\{?(?P<raised>[-+]?\d+)
      | \s(?P<above>\d+)/(?P<below>\d+)                        # 1 1/2
      | \s?/\s?(?P<under>\d+)                                  # 3/4
    )?
    (?P<percent>\s?(?:%|percent\b|per\ cent\b))?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: Fraction
    percent: bool = False
    """Whether a per cent sign stood behind it."""

    def same(self, other: "Number") -> bool:
        """Whether two numbers are one; a percentage is also its hundredth where the other is none."""
        if self.value == other.value or self.percent == other.percent:
            return self.value == other.value
        percentage, plain = (self, other) if self.percent else (other, self)
        return percentage.value == 100 * plain.value


def final_number(text: str) -> Number | None:
    r"""The number that a text answers with: after the last `####`, else in the last `\boxed{}`, else the last; None where there is none."""
    text = text.translate(_ALIKE)
    for pattern, turned in _TURNS:
        text = pattern.sub(turned, text)
    if _MARK in text and (first := _NUMBER.search(text.rpartition(_MARK)[2])) is not None:
        return _read(first)
    for part in (_boxed(text), text):
        last = deque(_NUMBER.finditer(part), maxlen=1)
        if last:
            return _read(last[0])
    return None


def _boxed(text: str) -> str:
    r"""What stands in the last `\boxed{}`; all that follows where it isn't closed, nothing where there is none."""
    _, box, inside = text.rpartition(_BOX)
    if not box:
        return ""
    depth = 1
    for place, character in enumerate(inside):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return inside[:place]
    return inside


def _read(found: re.Match[str]) -> Number | None:
    """A match as a number; None where it is too long to be meant, or divides by nothing."""
    if len(found[0]) > _MOST:
        return None
    digits = re.sub("[,\u00a0]", "", found["whole"]) + (found["point"] or "").replace(",", ".")
    try:
        value = _worked_out(Fraction(digits), found)
    except ZeroDivisionError:
        return None
    if value is None:
        return None
    return Number(-value if found["sign"] == "-" else value, found["percent"] is not None)


def _worked_out(value: Fraction, found: re.Match[str]) -> Fraction | None:
    """With what stands behind the digits: a power, a part, a divisor."""
    if found["below"]:
        return value + Fraction(int(found["above"]), int(found["below"]))
    if found["under"]:
        return value / int(found["under"])
    power = int(found["power"] or found["tens"] or found["raised"] or 0)
    if abs(power) > _MOST:
        return None
    return value**power if found["raised"] else value * Fraction(10) ** power


def right(predictions: Sequence[Prediction]) -> NDArray[np.bool_] | None:
    """Which answers end in the reference's number, [R]; None where a reference has none."""
    wanted = [final_number(one.reference) for one in predictions]
    found = [final_number(one.answer) for one in predictions]
    if any(number is None for number in wanted):
        return None
    return np.array(
        [ours is not None and theirs is not None and ours.same(theirs) for ours, theirs in zip(found, wanted, strict=True)], dtype=np.bool_
    )


def tabulate(predictions: Sequence[Prediction]) -> Floats | None:
    """Match and 1, [R, 2]; None where a reference has no number."""
    right_R = right(predictions)
    return None if right_R is None else np.column_stack([right_R.astype(np.float64), np.ones(len(right_R))])


NUMERIC_MATCH = Measure(name="numeric_match", title="numeric answer", tabulate=tabulate, value=mean, right=right)
