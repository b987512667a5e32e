"""Clean text before anything compares it: broken encodings, characters that print nothing, white space.

One outcome per row. The words of a row change, its id stays. What is inside ``` fences keeps its spaces and line breaks.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row
from tunesmith.data.config import NormaliseConfig

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
        if reasons:
            yield Changed(row.with_text(prompt, answer, rejected), stage="normalise", reason=", ".join(reasons))
        else:
            yield Kept(row)


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
