"""Spans of characters and tags of tokens, each from the other.

Tags are BIO: `B-x` begins a span of label x, `I-x` goes on with it, `O` is none. A token belongs to the span it shares
most characters with, its white space left out of account, so tokens that begin with a space, or reach over the end of a
span, are tagged like others. Spans come back exactly where they begin and end at tokens; elsewhere they grow to whole
tokens, and `reachable` says how they come back.

Legend: T tokens.
"""

import re
from collections.abc import Iterable, Sequence

from tunesmith.core.rows import Span

OUTSIDE = "O"
IGNORED = -1
"""The class of tokens that are no part of the text: instruction, template."""
_WORD = re.compile(r"\w+|[^\w\s]")

Offsets = Sequence[tuple[int, int] | None]
"""Where each token stands in the text, as characters; None where it stands for none of it."""


def bio_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """The classes a token may have: `O`, then `B-` and `I-` of each label in order of name. 1 + 2 x labels."""
    return (OUTSIDE, *(f"{mark}-{label}" for label in sorted(set(labels)) for mark in "BI"))


def token_tags(text: str, offsets_T: Offsets, spans: Sequence[Span]) -> list[str | None]:
    """The tag of each token; None for tokens that stand for no text, or for white space alone.

    Args:
        text: what the offsets and spans count in.
        offsets_T: of each token, in order.
        spans: apart from one another.
    """
    ordered = sorted(spans)
    tags: list[str | None] = []
    before: Span | None = None
    first = 0
    for place in offsets_T:
        start, end = (0, 0) if place is None else _trimmed(text, *place)
        if start == end:
            tags.append(None)
            continue
        while first < len(ordered) and ordered[first][1] <= start:
            first += 1
        here = _most_shared(ordered[first:], start, end)
        tags.append(OUTSIDE if here is None else f"{'I' if here == before else 'B'}-{here[2]}")
        before = here
    return tags


def token_classes(text: str, offsets_T: Offsets, spans: Sequence[Span], classes: Sequence[str]) -> list[int]:
    """The place of each token's tag among `classes`; IGNORED where it has none, or one that is not among them."""
    place = {tag: index for index, tag in enumerate(classes)}
    return [IGNORED if tag is None else place.get(tag, IGNORED) for tag in token_tags(text, offsets_T, spans)]


def spans_of(text: str, offsets_T: Offsets, tags_T: Sequence[str | None]) -> tuple[Span, ...]:
    """The spans that tags make, in order, without white space at their ends.

    A span ends where a token has another label, a `B-`, or `O`; an `I-` with nothing to go on from begins one, as
    conlleval has it. Tokens without a tag neither end a span nor lengthen it.
    """
    spans: list[Span] = []
    goes_on = False
    for place, tag in zip(offsets_T, tags_T, strict=True):
        start, end = (0, 0) if place is None else _trimmed(text, *place)
        if tag is None or start == end:
            continue
        mark, _, label = tag.partition("-")
        if goes_on and mark == "I" and spans[-1][2] == label:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]), label)
        elif tag != OUTSIDE:
            spans.append((start, end, label))
        goes_on = tag != OUTSIDE
    return tuple(spans)


def reachable(text: str, offsets_T: Offsets, spans: Sequence[Span]) -> tuple[Span, ...]:
    """What perfect tags would give back: the spans themselves, but for those that begin or end inside a token."""
    return spans_of(text, offsets_T, token_tags(text, offsets_T, spans))


def words_of(text: str) -> list[tuple[int, int]]:
    """Bounds of the words of a text and of each mark of punctuation: what token accuracy counts, the same for every system."""
    return [match.span() for match in _WORD.finditer(text)]


def agreement(text: str, truth: Sequence[Span], found: Sequence[Span]) -> tuple[int, int]:
    """Words of a text whose tag is the same in both, and all its words."""
    words = words_of(text)
    ours, theirs = token_tags(text, words, found), token_tags(text, words, truth)
    return sum(one == other for one, other in zip(ours, theirs, strict=True)), len(words)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds without white space at either end; two equal numbers where nothing else is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _most_shared(ordered: Sequence[Span], start: int, end: int) -> Span | None:
    """Of sorted spans, the one that shares most characters with these bounds; the earlier of equals."""
    best: Span | None = None
    most = 0
    for span in ordered:
        if span[0] >= end:
            break
        shared = min(end, span[1]) - max(start, span[0])
        if shared > most:
            best, most = span, shared
    return best
