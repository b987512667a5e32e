"""Answers that stand for something else than their words: sets of labels, numbers, spans. How each is written, and read back.

What is written is what a language model learns and generates, and what people are shown; what is compared is the meaning.
Reading is lenient, since a base that was never trained on the form must not lose for a comma.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from tunesmith.core.rows import Span

NONE = "none"
"""What stands for no label at all, and for no span."""
_PARTS = re.compile(r"[,;|\n]|\band\b")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:[.,]\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_SHOWN = 6
"""Significant digits of a number that is written."""


def write_labels(labels: Iterable[str]) -> str:
    """The labels in order of name with commas between them; `none` where there are none."""
    return ", ".join(sorted(labels)) or NONE


def read_labels(text: str, written: Mapping[str, str]) -> tuple[str, ...]:
    """The known labels that a text names, sorted.

    Args:
        text: generated text, such as `billing, Late parcel.`
        written: label -> what is written for it; a text may hold either. A label that holds a comma is found too.
    """
    known = {_plain(name): label for label, words in written.items() for name in (label, words)}
    longest = max((len(_PARTS.findall(name)) for name in known), default=0) + 1
    cuts = [0, *(place for match in _PARTS.finditer(text) for place in match.span()), len(text)]
    bounds = [(cuts[index], cuts[index + 1]) for index in range(0, len(cuts), 2)]
    found: set[str] = set()
    at = 0
    while at < len(bounds):
        for width in range(min(longest, len(bounds) - at), 0, -1):  # the longest first: `a, b` may be one label
            label = known.get(_plain(text[bounds[at][0] : bounds[at + width - 1][1]]))
            if label is not None:
                found.add(label)
                at += width
                break
        else:
            at += 1
    return tuple(sorted(found))


def _plain(text: str) -> str:
    """A label as it is compared: case, white space and the marks around it don't count."""
    return " ".join(text.casefold().split()).strip(" .\"'`*-:")


def write_number(value: float) -> str:
    """A number with at most six significant digits, whole ones without a point: `3.8`, `5`."""
    return f"{value + 0.0:.{_SHOWN}g}"


def read_number(text: str) -> float | None:
    """The first number in a text; None where there is none. `3,8` is 3.8, `1,200` is 1200."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    digits = re.sub(r",(?=\d{3}(?:\D|$))", "", match[0]) if re.search(r"^[-+]?[1-9]\d{0,2}(,\d{3})+", match[0]) else match[0]
    return float(digits.replace(",", "."))


def write_spans(text: str, spans: Sequence[Span]) -> str:
    """Spans for people: `person: Ada Lovelace; place: London`; `none` where there are none."""
    return "; ".join(f"{label}: {text[start:end]}" for start, end, label in spans) or NONE
