"""Clean text before anything compares it: broken encodings, characters that print nothing, white space.

One outcome per row. The words of a row change, its id stays. What is inside ``` fences keeps its spaces and line breaks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache

from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row, Span
from tunesmith.data.config import NormaliseConfig
from tunesmith.score.meanings import write_labels, write_spans

_ESCAPES = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")
"""Terminal sequences: colours and cursor moves, window titles, two-character codes."""
_SILENT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
"""Control characters and invisible ones that carry no meaning; joiners (U+200C, U+200D) stay: scripts and emoji need them."""
_FENCE = re.compile(r"(^[ \t]*```.*?(?:^[ \t]*```[ \t]*$|\Z))", re.MULTILINE | re.DOTALL)
_SPACES = re.compile(r"(?<=\S)[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]{2,}(?=\S)")
_ENDS = re.compile(r"[^\S\n]+$", re.MULTILINE)
_BREAKS = re.compile(r"\n{3,}")


def normalise(rows: Iterable[Row], config: NormaliseConfig) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order; the reason names what was cleaned."""
    for row in rows:
        reasons: dict[str, None] = {}
        prompt = tuple(Message(turn.role, _clean(turn.content, config, reasons)) for turn in row.prompt)
        answer = _clean(row.answer, config, reasons)
        rejected = None if row.rejected is None else _clean(row.rejected, config, reasons)
        labels = None if row.labels is None else tuple(sorted({clean for label in row.labels if (clean := _clean(label, config, reasons))}))
        if reasons:
            changed = replace(row.with_text(prompt, answer, rejected), labels=labels)
            yield Changed(_with_targets(row, changed, config), stage="normalise", reason=", ".join(reasons))
        else:
            yield Kept(row)


def _with_targets(before: Row, row: Row, config: NormaliseConfig) -> Row:
    """The row with its spans moved to where their characters went, and with an answer that says what its labels or spans are now."""
    if row.labels is not None:
        return replace(row, answer=write_labels(row.labels) if before.answer else "")
    if row.tags is None:
        return row
    text, tags = before.text(), row.tags
    for wanted, _, step in _steps(config):
        if wanted:
            cleaned = step(text)
            tags, text = moved(tags, _respelt(text, cleaned) if step is mend_encoding else _thinned(text, cleaned)), cleaned
    return replace(row, tags=tags, answer=write_spans(text, tags) if before.answer else "")


Places = list[tuple[int, int] | None]
"""For each character of a text, the bounds of what stands for it in another; None where it is gone."""


def moved(spans: Sequence[Span], places: Places) -> tuple[Span, ...]:
    """Spans where their characters went; a span of which nothing is left is gone."""
    found = []
    for start, end, label in spans:
        kept = [place for place in places[start:end] if place is not None]
        if kept:
            found.append((min(low for low, _ in kept), max(high for _, high in kept), label))
    return tuple(found)


def _thinned(before: str, after: str) -> Places:
    """For cleaning that only takes characters out, or writes one white space for another: one walk along both texts."""
    places: Places = [None] * len(before)
    there = 0
    for here, character in enumerate(before):
        if there < len(after) and (character == after[there] or (character.isspace() and after[there].isspace())):
            places[here] = (there, there + 1)
            there += 1
    return places


def _respelt(before: str, after: str) -> Places:
    """For mended letters. Plain ones (ASCII) never change, so what stands between two of them stands for one another."""
    ours, theirs = _plain_places(before), _plain_places(after)
    if [before[place] for place in ours] != [after[place] for place in theirs]:
        return _matched(before, after)
    places: Places = [None] * len(before)
    bounds = zip([-1, *ours], [*ours, len(before)], [-1, *theirs], [*theirs, len(after)], strict=True)
    for low, high, to_low, to_high in bounds:
        same = before[low + 1 : high] == after[to_low + 1 : to_high]
        for here in range(low + 1, high):
            step = to_low + here - low
            places[here] = (step, step + 1) if same else (to_low + 1, to_high) if to_high > to_low + 1 else None
        if high < len(before):
            places[high] = (to_high, to_high + 1)
    return places


def _plain_places(text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character.isascii()]


def _matched(before: str, after: str) -> Places:
    """For the few repairs that touch plain letters too; slow for long texts."""
    places: Places = [None] * len(before)
    for kind, low, high, to_low, to_high in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for here in range(low, high):
            step = to_low + here - low
            places[here] = (step, step + 1) if kind == "equal" else (to_low, to_high) if to_high > to_low else None
    return places


def _clean(text: str, config: NormaliseConfig, reasons: dict[str, None]) -> str:
    """The text cleaned; what was done is added to `reasons`."""
    for wanted, reason, step in _steps(config):
        if wanted:
            cleaned = step(text)
            if cleaned != text:
                reasons[reason] = None
            text = cleaned
    return text


def _steps(config: NormaliseConfig) -> tuple[tuple[bool, str, Callable[[str], str]], ...]:
    """In this order: a broken encoding may hide in control characters, and these between spaces."""
    return (
        (config.fix_encoding, "encoding repaired", mend_encoding),
        (config.control_characters, "control characters removed", drop_silent),
        (config.white_space, "white space", tidy_space),
    )


@lru_cache(maxsize=4096)
def mend_encoding(text: str) -> str:
    """Undo a wrong decoding (UTF-8 read as Latin-1 or Windows-1252), with ftfy's `fix_encoding`; nothing else of ftfy."""
    if text.isascii():
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def drop_silent(text: str) -> str:
    """Remove terminal sequences and characters that print nothing, except tab and line breaks."""
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SILENT.sub("", text)


def tidy_space(text: str) -> str:
    """Strip ends; outside code fences one space for a run inside a line, none at its end, at most two line breaks in a row."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "```" not in text:
        return _tidy(text).strip()
    return "".join(part if place % 2 else _tidy(part) for place, part in enumerate(_FENCE.split(text))).strip()


def _tidy(text: str) -> str:
    return _BREAKS.sub("\n\n", _ENDS.sub("", _SPACES.sub(" ", text)))
