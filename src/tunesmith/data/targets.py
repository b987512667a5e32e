"""Records that ask for something else than words: sets of labels, a number, spans; or that judge an answer."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.core.rows import Span
from tunesmith.data.content import BadRow, Content, as_text, user
from tunesmith.data.values import flag_of, number_of
from tunesmith.score.meanings import write_labels, write_number, write_spans

FIRST, SECOND = "First: ", "\nSecond: "
"""What stands before the two texts of a row that compares them."""

LARGEST = 3.4e38
"""Of a value, either side of 0: about what 32 bits hold."""

_START = ("start", "start_position", "start_offset", "begin", "start_char", "from")
_END = ("end", "end_position", "end_offset", "stop", "end_char", "to")
_LABEL = ("label", "entity_type", "type", "entity", "entity_group", "tag", "category", "labels")
_BEGIN, _INSIDE, _ALONE = "B", ("I", "E", "L"), ("S", "U")
"""Marks before a tag's label, of BIO, BIOES and BILOU."""


def labels(row: Mapping[str, Any], separator: str | None) -> Content:
    """A text and the set of its labels: a list, a list as text, or one text divided at the separator. Nothing is no label."""
    held, given = row["labels"], row["text"]
    if held is None:
        return Content(user(as_text(given, "text")), "")
    parts = _list(held)
    if parts is None:
        words = as_text(held, "labels")
        parts = words.split(separator) if separator else [words]
    names = tuple(sorted({name for part in parts if (name := as_text(part, "a label").strip())}))
    return Content(user(as_text(given, "text")), write_labels(names), labels=names)


def _list(value: Any) -> list[Any] | None:
    """A list, or text that holds one as JSON or Python writes it; None for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            try:
                value = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return None
    return list(value) if isinstance(value, (list, tuple)) else None


def value(row: Mapping[str, Any]) -> Content:
    """A text and a number."""
    return _numbered(as_text(row["text"], "text"), row["value"])


def compared(row: Mapping[str, Any]) -> Content:
    """Two texts and a number that says how they stand to one another."""
    first, second = as_text(row["first"], "first"), as_text(row["second"], "second")
    text = f"{FIRST}{first.strip()}{SECOND}{second.strip()}" if first.strip() and second.strip() else ""
    return _numbered(text, row["value"])


def _numbered(text: str, held: Any) -> Content:
    if held is None or (isinstance(held, str) and not held.strip()):
        return Content(user(text), "")
    number = number_of(held)
    if number is None:
        raise BadRow("value is not a finite number")
    if abs(number) > LARGEST:
        raise BadRow(f"value is beyond what a model can hold, {LARGEST:.2g}")
    return Content(user(text), write_number(number), value=number)


def weight(held: Any) -> float:
    """How much a row counts; BadRow where it isn't a finite number above 0."""
    number = number_of(held)
    if number is None or number <= 0:
        raise BadRow("weight is not a finite number above 0")
    return number


def marked(content: Content, row: Mapping[str, Any]) -> Content:
    """An answer and whether it is one to give; BadRow where that isn't said."""
    flag = flag_of(row["wanted"])
    if flag is None:
        raise BadRow("wanted is neither true nor false")
    return replace(content, wanted=flag)


def spans(row: Mapping[str, Any]) -> Content:
    """A text and its spans, a list of objects with start, end and label under their usual names, or of such triples."""
    text, held = as_text(row["text"], "text"), row["spans"]
    if held is None:
        return Content(user(text), "")
    parts = _list(held)
    if parts is None:
        raise BadRow("spans is not a list")
    found = apart([_span(part, text) for part in parts])
    return Content(user(text), write_spans(text, found), tags=found)


def _span(part: Any, text: str) -> Span:
    if isinstance(part, dict):
        start, end, label = (next((part[name] for name in names if name in part), None) for names in (_START, _END, _LABEL))
    elif isinstance(part, (list, tuple)) and len(part) == 3:
        start, end, label = part
    else:
        raise BadRow("a span is neither an object with start, end and label nor a list of these three")
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    whole = [number_of(place) for place in (start, end)]
    if any(place is None or place != int(place) for place in whole) or not isinstance(label, (str, int)) or not str(label).strip():
        raise BadRow("a span lacks start, end or label")
    low, high = (int(place) for place in whole if place is not None)
    if not 0 <= low < high <= len(text):
        raise BadRow("a span that is empty or reaches beyond its text")
    return low, high, str(label).strip()


def apart(found: Sequence[Span]) -> tuple[Span, ...]:
    """Spans in order; of two that overlap, the longer stays: a token has one tag."""
    kept: list[Span] = []
    for span in sorted(set(found), key=lambda span: (span[0] - span[1], span)):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return tuple(sorted(kept))


def tokens(row: Mapping[str, Any]) -> Content:
    """Tokens, joined with spaces, and a tag of each, in BIO, BIOES, BILOU or without marks."""
    words, tags = _list(row["tokens"]), _list(row["tags"])
    if row["tokens"] is None or row["tags"] is None:
        return Content(user("" if words is None else " ".join(map(str, words))), "")
    if words is None or tags is None:
        raise BadRow("tokens or tags is not a list")
    if len(words) != len(tags):
        raise BadRow("there are not as many tags as tokens")
    if any(not isinstance(tag, str) for tag in tags):
        raise BadRow("tags are numbers: names such as B-person are needed")
    text = " ".join(as_text(word, "a token") for word in words)
    found = _tagged([as_text(word, "a token") for word in words], [tag.strip() for tag in tags])
    return Content(user(text), write_spans(text, found), tags=found)


def _tagged(words: Sequence[str], tags: Sequence[str]) -> tuple[Span, ...]:
    found: list[Span] = []
    start, goes_on = 0, False
    for word, tag in zip(words, tags, strict=True):
        end = start + len(word)
        mark, dash, label = tag.partition("-")
        if not dash or mark not in (_BEGIN, *_INSIDE, *_ALONE):
            mark, label = "I", tag  # without marks: neighbours of one label are one span
        if tag in ("O", "") or not word:
            goes_on = False
        elif goes_on and mark in _INSIDE and found[-1][2] == label:
            found[-1] = (found[-1][0], end, label)
            goes_on = mark == "I"
        else:
            found.append((start, end, label))
            goes_on = mark not in _ALONE
        start = end + 1
    return tuple(found)
