"""What the values of a column look like, and what one of them says: numbers, flags, lists, labels."""

from collections.abc import Iterable
from math import isfinite
from typing import Any

from tunesmith.data.content import is_transcript


def mostly(kind: type, values: list[Any]) -> bool:
    """Whether most values that are there are of a kind."""
    given = [value for value in values if value is not None]
    return 2 * sum(isinstance(value, kind) for value in given) > len(given)


def holds_numbers(values: list[Any]) -> bool:
    """Whether most values that are there are numbers, or text that is one."""
    given = [value for value in values if value is not None and str(value).strip()]
    return not values or 2 * sum(number_of(value) is not None for value in given) > len(given)


def number_of(value: Any) -> float | None:
    """A finite number, or text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def flag_of(value: Any) -> bool | None:
    """True or false, as JSON, 0 and 1, or text has it; None for anything else."""
    return _FLAGS.get(str(value).strip().casefold())


_FLAGS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


def holds_flags(values: list[Any]) -> bool:
    """Whether most values that are there say yes or no."""
    given = [value for value in values if value is not None]
    return not values or 2 * sum(flag_of(value) is not None for value in given) > len(given)


def separator_of(values: Iterable[Any]) -> str | None:
    """What most texts are divided by, of `;` `|` and comma; None where none holds one."""
    texts = [value for value in values if isinstance(value, str) and not value.lstrip().startswith("[")]
    counts = {mark: sum(mark in text for text in texts) for mark in ";|,"}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else None


def holds_lists(values: list[Any]) -> bool:
    """Whether a column looks like conversations: lists, lists as JSON text, or transcripts."""
    first = next((value for value in values if value), None)
    return first is None or isinstance(first, list) or (isinstance(first, str) and (first.lstrip().startswith("[") or is_transcript(first)))


def holds_transcripts(values: list[Any]) -> bool:
    """Whether most values that are there are transcripts of Human: and Assistant: turns."""
    given = [value for value in values if value is not None]
    return bool(given) and 2 * sum(is_transcript(value) for value in given) > len(given)


def holds_tools(values: list[Any]) -> bool:
    """Whether a column holds tools: lists of objects, or such lists as JSON text."""
    first = next((value for value in values if value), None)
    if isinstance(first, list):
        return isinstance(first[0], dict)
    return isinstance(first, str) and first.lstrip().startswith("[")


def few_distinct(values: list[Any]) -> bool:
    """Whether values look like labels: at least two different ones, each there twice on average, none over 80 characters."""
    texts = [str(value).strip() for value in values if value is not None and str(value).strip()]
    distinct = set(texts)
    return 2 <= len(distinct) <= len(texts) / 2 and all(len(text) <= 80 for text in distinct)
