"""Measures of answers that should be JSON: is it JSON at all, and how many of the reference's fields does it hold.

JSON is RFC 8259's and nothing laxer: no `NaN`, no comments, nothing around it. A name twice in one object is refused too, since
programs differ in which they take. Text over a million characters or nested deeper than 100 is refused unread.
For the fields, an answer in a ``` fence is read as well: what it says is judged there, how it says it by validity.

A field is a value that is no container, or an empty one, under its path of names and places in lists. Values are equal
where their kinds are: `1` is `1.0` and `1e0`, compared exactly, but neither `true` nor `"1"`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import mean

LARGEST = 1_000_000
"""Characters."""
DEEPEST = 100
"""Containers within one another."""
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_STRING = re.compile(r'"[^"]*"?')
_FENCE = "```"
_OUTSIDE = re.compile(r"[\[\]{}]")


class Number(NamedTuple):
    """A JSON number as sign, digits and power of ten: equal where the numbers are, whatever their size."""

    negative: bool
    digits: str
    power: int


class NotJSON(ValueError):
    """The text is no JSON that every program reads alike."""


def read_json(text: str) -> Any:
    """The value of a whole text, its numbers as `Number`.

    Raises:
        NotJSON: it is none, or none that every program reads alike, or larger or deeper than is read.
    """
    if len(text) > LARGEST or _depth(text) > DEEPEST:
        raise NotJSON("too large or too deep")
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refused, object_pairs_hook=_object)
    except ValueError as error:
        raise NotJSON("no JSON") from error


def _depth(text: str) -> int:
    """How deep containers nest; of what is no JSON, some number no smaller than a parser would reach."""
    depth = deepest = 0
    for bracket in _OUTSIDE.finditer(_STRING.sub("", _ESCAPED.sub("", text))):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _number(text: str) -> Number:
    body, _, power = text.lower().partition("e")
    whole, _, part = body.lstrip("-").partition(".")
    digits = (whole + part).lstrip("0")
    short = digits.rstrip("0")
    if not short:
        return Number(False, "", 0)
    return Number(body.startswith("-"), short, int(power or 0) - len(part) + len(digits) - len(short))


def _refused(name: str) -> NoReturn:
    raise NotJSON(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotJSON("a name twice in an object")
    return made


Path = tuple[str | int, ...]


def fields(value: Any) -> dict[Path, Any]:
    """The fields of a value by their paths; a value that is no container is one field with an empty path."""
    return dict(_walk((), value))


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    if not inside:
        yield path, value
    for name, held in inside:
        yield from _walk((*path, name), held)


def field_share(answer: str, reference: str) -> float:
    """The share of the reference's fields that the answer holds, with equal values; 0 where the answer is no JSON.

    Raises:
        NotJSON: the reference is none.
    """
    wanted = fields(read_json(reference))
    try:
        found = fields(read_json(_unfenced(answer)))
    except NotJSON:
        return 0.0
    missing = object()
    return sum(_same(found.get(path, missing), value) for path, value in wanted.items()) / len(wanted)


def _unfenced(answer: str) -> str:
    """What stands in the fence, where the whole answer is one."""
    body = answer.strip()
    if not (body.startswith(_FENCE) and body.endswith(_FENCE) and "\n" in body):
        return answer
    return body.removesuffix(_FENCE).split("\n", 1)[1]


def _same(ours: Any, theirs: Any) -> bool:
    return type(ours) is type(theirs) and bool(ours == theirs)


def valid(predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
    """Which answers are JSON, the whole of them, [R]."""
    return np.array([_is_json(one.answer) for one in predictions], dtype=np.bool_)


def _is_json(text: str) -> bool:
    try:
        read_json(text)
    except NotJSON:
        return False
    return True


def tabulate_valid(predictions: Sequence[Prediction]) -> Floats:
    """Validity and 1, [R, 2]."""
    return np.column_stack([valid(predictions).astype(np.float64), np.ones(len(predictions))])


def tabulate_fields(predictions: Sequence[Prediction]) -> Floats | None:
    """The share of fields held and 1, [R, 2]; None where a reference is no JSON."""
    try:
        shares = [field_share(one.answer, one.reference) for one in predictions]
    except NotJSON:
        return None
    return np.column_stack([np.array(shares, dtype=np.float64), np.ones(len(shares))])


JSON_VALID = Measure(name="json_valid", title="valid JSON", tabulate=tabulate_valid, value=mean, right=valid)
JSON_FIELDS = Measure(name="json_fields", title="JSON field match", tabulate=tabulate_fields, value=mean)
