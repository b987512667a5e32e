"""What answers may be told to keep to: a JSON schema, a regular expression, a set of labels.

What is handed over may be hostile: size and depth are bounded before anything is parsed, and the parser's work by its
own limits, counted in steps and not in seconds. How answers are made to keep to it is rules.py's.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import RecipeError

MOST_BYTES = 64 * 1024
"""Of a schema as JSON, of a pattern, of all labels."""
DEEPEST = 32
"""Levels of a schema's braces and brackets."""
MOST_COUNTED = 100_000
"""Of the counts in one pattern, their product: `(a{1000}){1000}` spells a million letters, and takes as long at every token."""
SPACES = r"(\n {0,24}| )?"
"""Whitespace between the parts of JSON: none, a space, or a new line with its indent; endless runs of it are no use."""
LIMITS: dict[str, Any] = {
    "max_lexer_states": 20_000,
    "max_grammar_size": 100_000,
    "precompute_large_lexemes": False,
    "verbose_errors": False,
}
"""Of llguidance's parser; it then says that it gave up."""
_COUNT = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@dataclass(frozen=True, slots=True)
class Constraint:
    """What answers are to keep to, in the words of llguidance."""

    name: str
    """What it is called in a message: "the JSON schema", "the pattern", "the labels"."""
    grammar: str
    json: bool = False
    """Whether answers are JSON, which tells what closes them."""


def json_schema(schema: Mapping[str, Any] | str) -> Constraint:
    """Answers are JSON that the schema accepts (draft 2020-12, the part of it that llguidance knows).

    Properties come in the schema's order. A schema may refer to itself, as long as an end can be reached.

    Raises:
        RecipeError: not a schema, too large, too deep, with keywords that can't be kept to, or with settings of the parser.
    """
    from llguidance import LLMatcher

    read = _parsed(schema)
    if "x-guidance" in read:
        raise RecipeError("The JSON schema holds x-guidance, which would set the parser itself: leave it out.")
    options: Any = {"lenient": False, "coerce_one_of": False, "whitespace_flexible": True, "whitespace_pattern": SPACES}
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(read), overrides=options)
    return _checked(Constraint("the JSON schema", grammar, json=True))


def matching(pattern: str) -> Constraint:
    """Answers match a regular expression from start to end (Rust's syntax: no look-around, no references back).

    Raises:
        RecipeError: not a pattern, or too large.
    """
    from llguidance import LLMatcher

    _bounded("the pattern", pattern)
    _countable("the pattern", pattern)
    return _checked(Constraint("the pattern", LLMatcher.grammar_from_regex(pattern)))


def one_of(labels: Sequence[str]) -> Constraint:
    """Answers are one of some texts.

    Raises:
        RecipeError: no labels, an empty one, or too many.
    """
    from llguidance import LLMatcher

    if not labels or not all(labels):
        raise RecipeError("The labels to choose from are none, or one of them is empty: name at least one, each with a letter.")
    _bounded("the labels", "".join(labels))
    pattern = "|".join(re.sub(r"[\\.+*?()|\[\]{}^$#&~-]", r"\\\g<0>", label) for label in labels)  # one automaton, however many there are
    return _checked(Constraint("the labels", LLMatcher.grammar_from_regex(pattern)))


def _bounded(name: str, text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise RecipeError(f"{capital(name)} would take {size:,} bytes, and at most {MOST_BYTES:,} are read: make it smaller.")


def capital(name: str) -> str:
    """A name that begins a sentence."""
    return name[0].upper() + name[1:]


def _countable(name: str, pattern: str) -> None:
    counts = [int(most or least) for least, most in _COUNT.findall(pattern) if len(most or least) < 10]
    if len(counts) < len(_COUNT.findall(pattern)) or math.prod(max(1, count) for count in counts) > MOST_COUNTED:
        raise RecipeError(
            f"{capital(name)} repeats things more than {MOST_COUNTED:,} times, its counts taken together: use smaller counts."
        )


def _parsed(schema: Mapping[str, Any] | str) -> dict[str, Any]:
    """The schema as a plain dict, its depth and size checked before anything recurses into it."""
    try:
        if isinstance(schema, str):
            _bounded("the JSON schema", schema)
            schema = json.loads(schema)
        _shallow(schema)
        text = json.dumps(schema, allow_nan=False)
    except RecursionError:
        raise RecipeError(f"The JSON schema is nested deeper than {DEEPEST} levels: make it flatter.") from None
    except (ValueError, TypeError) as error:
        raise RecipeError(f"The JSON schema can't be written as JSON ({error}): hand over an object.") from None
    _bounded("the JSON schema", text)
    for string in re.findall(r'"(?:[^"\\]|\\.)*"', text):
        _countable("the JSON schema", string)
    read = json.loads(text)
    if not isinstance(read, dict):
        raise RecipeError(f"The JSON schema is a {type(read).__name__}, and must be an object such as {{'type': 'object'}}.")
    return read


def _shallow(value: Any) -> None:
    """Refuse what is nested deeper than `DEEPEST`, level by level; what holds itself is deeper than any bound."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
        if len(level) > MOST_BYTES:
            break
    raise RecipeError(f"The JSON schema is nested deeper than {DEEPEST} levels, or too wide: make it flatter.")


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list | tuple) else ()


def _checked(constraint: Constraint) -> Constraint:
    """The constraint, if its grammar can be read."""
    from llguidance import LLMatcher, LLParserLimits

    wrong, messages = LLMatcher.validate_grammar_with_warnings(constraint.grammar, limits=LLParserLimits(**LIMITS))
    if wrong:
        raise RecipeError(f"{capital(constraint.name)} can't be kept to: {line(messages)}. Change or leave out that part of it.")
    return constraint


def line(messages: Sequence[str]) -> str:
    """A parser's message as part of a sentence."""
    text = " ".join(" ".join(messages).replace("<non-verbose/>", "").split())
    return (text if len(text) <= 200 else text[:200] + " ...").rstrip(".")
