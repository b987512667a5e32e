"""Clean text before anything compares it: broken encodings, silent characters, remains of HTML, Unicode form, white space.

One outcome per row. The words of a row change, its id stays. What is inside ``` fences keeps its spaces, line breaks and
markup. A row of clean ASCII costs a few searches of each text; others cost what their steps do, ftfy's most of all.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache, partial
from typing import Literal

from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row, Span
from tunesmith.data import markup
from tunesmith.data.settings.normalise import NormaliseConfig
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
_BLANK_ENDS = tuple(f"{blank}\n" for blank in " \t\r\x0b\x0c\x1c\x1d\x1e\x1f")
_BREAKS = re.compile(r"\n{3,}")


_Form = Literal["NFC", "NFKC"]
Step = tuple[str, Callable[[str], str]]
"""What a step does, as the waterfall tells it, and the step."""
_ENCODING, _CONTROL, _HTML, _FORM, _SPACE = (
    "encoding repaired",
    "control characters removed",
    "remains of HTML",
    "Unicode form",
    "white space",
)


def normalise(rows: Iterable[Row], config: NormaliseConfig, *, labelled: bool = False) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order; the reason names what was cleaned.

    Args:
        rows: as they were read.
        config: which steps are wanted.
        labelled: answers are labels: cleaned alike in every row, whatever its text is about.
    """
    steps = _steps(config)
    plain = tuple(step for step in steps if step[0] != _HTML)
    for row in rows:
        if row.rejected is None and row.labels is None and _is_clean("|".join([*[turn.content for turn in row.prompt], row.answer, ""])):
            yield Kept(row)
        else:
            shown = plain if config.html and any(map(markup.is_meant, _texts(row, labelled))) else steps
            yield _cleaned(row, shown, steps if labelled else shown, steps)


def _is_clean(text: str) -> bool:
    """Whether no step can change any of the texts joined by `|`: so are most of most sets, and it is told without a regular expression."""
    return (
        text.isascii()
        and text.isprintable()
        and not ("&" in text or "<" in text or "  " in text or " |" in text or "| " in text or text[0] == " " or text[-1] == " ")
    )


def _texts(row: Row, labelled: bool) -> Iterator[str]:
    yield from (turn.content for turn in row.prompt)
    if not labelled:
        yield row.answer
    yield row.rejected or ""


def _cleaned(row: Row, shown: Sequence[Step], asked: Sequence[Step], label: Sequence[Step]) -> Outcome:
    """The row with every text cleaned by the steps for what is shown, for its answers, and for its labels."""
    reasons: dict[str, None] = {}
    prompt = tuple(Message(turn.role, _clean(turn.content, shown, reasons)) for turn in row.prompt)
    answer = _clean(row.answer, asked, reasons)
    rejected = None if row.rejected is None else _clean(row.rejected, asked, reasons)
    labels = None if row.labels is None else tuple(sorted({clean for name in row.labels if (clean := _clean(name, label, reasons))}))
    if not reasons:
        return Kept(row)
    changed = replace(row.with_text(prompt, answer, rejected), labels=labels)
    return Changed(_with_targets(row, changed, shown), stage="normalise", reason=", ".join(reasons))


def _clean(text: str, steps: Sequence[Step], reasons: dict[str, None]) -> str:
    """The text cleaned; what was done is added to `reasons`."""
    for reason, step in steps:
        cleaned = step(text)
        if cleaned != text:
            reasons[reason] = None
        text = cleaned
    return text


def _steps(config: NormaliseConfig) -> tuple[Step, ...]:
    """In this order: a broken encoding may hide in control characters, these inside entities, and both between letters and spaces."""
    form: _Form = "NFKC" if config.unicode_form == "NFKC" else "NFC"
    wanted = (
        (config.fix_encoding, (_ENCODING, mend_encoding)),
        (config.control_characters, (_CONTROL, drop_silent)),
        (config.html, (_HTML, markup.drop_remains)),
        (config.unicode_form != "none", (_FORM, partial(to_form, form=form))),
        (config.white_space, (_SPACE, tidy_space)),
    )
    return tuple(step for is_wanted, step in wanted if is_wanted)


def _with_targets(before: Row, row: Row, steps: Sequence[Step]) -> Row:
    """The row with its spans moved to where their characters went, and with an answer that says what its labels or spans are now."""
    if row.labels is not None:
        return replace(row, answer=write_labels(row.labels) if before.answer else "")
    if row.tags is None:
        return row
    text, tags = before.text(), row.tags
    for reason, step in steps:
        cleaned = step(text)
        if cleaned != text:
            tags, text = moved(tags, _PLACES[reason](text, cleaned)), cleaned
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


def _unmarked(before: str, after: str) -> Places:
    """For remains of HTML: all characters of an entity go where the one they stand for is."""
    places: Places = []
    there = 0
    for start, end, instead in [*markup.edits(before), (len(before), len(before), "")]:
        kept = start - len(places)
        places += [(place, place + 1) for place in range(there, there + kept)]
        there += kept
        places += [(there, there + len(instead)) if instead else None] * (end - start)
        there += len(instead)
    return places


def _composed(before: str, after: str) -> Places:
    """For another Unicode form: each letter with the marks that join it goes where the two together went."""
    form: _Form = "NFC" if unicodedata.normalize("NFC", before) == after else "NFKC"
    places: Places = []
    there = start = 0
    for end in range(1, len(before) + 1):
        if end < len(before) and _joins(before[start:end], before[end], form):
            continue
        part = before[start:end]
        length = len(unicodedata.normalize(form, part))
        same = length == len(part) == 1
        places += [(there, there + 1)] if same else [(there, there + length) if length else None] * len(part)
        start, there = end, there + length
    return places if there == len(after) else _matched(before, after)


def _joins(part: str, following: str, form: _Form) -> bool:
    """Whether a character is written with what stands before it."""
    if unicodedata.combining(following):
        return True
    if following.isascii():
        return False
    return unicodedata.normalize(form, part + following) != unicodedata.normalize(form, part) + unicodedata.normalize(form, following)


def _matched(before: str, after: str) -> Places:
    """For the few repairs that touch plain letters too; slow for long texts."""
    places: Places = [None] * len(before)
    for kind, low, high, to_low, to_high in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for here in range(low, high):
            step = to_low + here - low
            places[here] = (step, step + 1) if kind == "equal" else (to_low, to_high) if to_high > to_low else None
    return places


_PLACES: dict[str, Callable[[str, str], Places]] = {
    _ENCODING: _respelt,
    _CONTROL: _thinned,
    _HTML: _unmarked,
    _FORM: _composed,
    _SPACE: _thinned,
}
"""What follows the characters of a text through each step."""


@lru_cache(maxsize=4096)
def mend_encoding(text: str) -> str:
    """Undo a wrong decoding (UTF-8 read as Latin-1 or Windows-1252), with ftfy's `fix_encoding`; nothing else of ftfy."""
    if text.isascii():
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def drop_silent(text: str) -> str:
    """Remove terminal sequences and characters that print nothing, except tab and line breaks."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SILENT.sub("", text)


def to_form(text: str, form: _Form) -> str:
    """The text in a Unicode normal form: `e` and a combining accent become `é`."""
    return text if text.isascii() or unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)


def tidy_space(text: str) -> str:
    """Strip ends; outside code fences one space for a run inside a line, none at its end, at most two line breaks in a row."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "```" not in text:
        return _tidy(text).strip()
    return "".join(part if place % 2 else _tidy(part) for place, part in enumerate(_FENCE.split(text))).strip()


def _tidy(text: str) -> str:
    """Each expression is asked only where it may find something: looking for a text in a text is many times faster."""
    if "  " in text or not text.isascii():
        text = _SPACES.sub(" ", text)
    if not text.isascii() or text[-1:].isspace() or any(mark in text for mark in _BLANK_ENDS):
        text = _ENDS.sub("", text)
    return _BREAKS.sub("\n\n", text) if "\n\n\n" in text else text
