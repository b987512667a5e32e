"""Two texts side by side with what differs marked, and everything in it to be seen: blanks, line ends, hidden characters.

Words are matched first, then the characters of words that resemble one another (edit distance, by rapidfuzz). Long texts are
cut to a window that begins shortly before the first difference, so the cost is bounded: some milliseconds a pair.
"""

import re
import unicodedata
from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report.text import visible

_LEAD = 60
"""So many characters that are the same stand before the first difference of long texts."""
_PIECE = re.compile(r"⟨[^⟩]*⟩|\w+|\s|.", re.DOTALL)
_ALIKE = 0.5
"""Words of at least this similarity are compared by characters."""
_ISLAND = 3
"""Fewer equal characters between two differences are taken into them."""

Segments = list[tuple[bool, str]]
"""Stretches of a text in order: whether it differs, and what it is."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One of two texts, ready for the page."""

    text: Markup
    before: int
    """Characters left out in front."""
    after: int
    """Characters left out behind."""


def side_by_side(before: str, after: str, longest: int) -> tuple[Shown, Shown]:
    """Both texts, `longest` characters of each, what is gone in <del> and what is new in <ins>."""
    start = max(0, _same(before, after) - _LEAD) if before != after and max(len(before), len(after)) > longest else 0
    old, new = _differences(_written(before[start : start + longest]), _written(after[start : start + longest]))
    return _shown(old, "del", start, len(before), longest), _shown(new, "ins", start, len(after), longest)


def _same(before: str, after: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), min(len(before), len(after)))


def alone(text: str, longest: int) -> Shown:
    """One text in the same way, with nothing marked."""
    return _shown([(False, _written(text[:longest]))], "", 0, len(text), longest)


def _shown(segments: Segments, tag: str, start: int, total: int, longest: int) -> Shown:
    text = Markup("").join(
        Markup(f"<{tag}>{{}}</{tag}>").format(_blanks(part)) if differs else Markup.escape(part) for differs, part in segments
    )
    return Shown(text, min(start, total), max(0, total - start - longest))


def _written(text: str) -> str:
    """Hidden characters written out; a carriage return is one of them here, and a tab is an arrow."""
    return visible(text.replace("\r", "⟨U+000D⟩").replace("\t", "⇥"))


def _blanks(text: str) -> str:
    """Text that differs, with its blanks to be seen; and its accents apart, where they are characters of their own."""
    apart = unicodedata.normalize("NFC", text) != text
    shown = []
    for character in text:
        category = unicodedata.category(character)
        if character == " ":
            shown.append("·")
        elif character == "\n":
            shown.append("↵\n")
        elif category == "Zs" or (apart and category == "Mn"):
            shown.append(f"⟨U+{ord(character):04X}⟩")
        else:
            shown.append(character)
    return "".join(shown)


def _differences(before: str, after: str) -> tuple[Segments, Segments]:
    from rapidfuzz.distance import Levenshtein

    old, new = _PIECE.findall(before), _PIECE.findall(after)
    left: Segments = []
    right: Segments = []
    for step in Levenshtein.opcodes(old, new):
        gone, come = "".join(old[step.src_start : step.src_end]), "".join(new[step.dest_start : step.dest_end])
        if step.tag == "equal":
            _add(left, False, gone)
            _add(right, False, come)
        else:
            for side, parts in zip((left, right), _by_character(gone, come), strict=True):
                for differs, part in parts:
                    _add(side, differs, part)
    return left, right


def _by_character(gone: str, come: str) -> tuple[Segments, Segments]:
    """Characters that differ between two stretches; all of them where the stretches are unlike, or hold what was written out."""
    from rapidfuzz.distance import Levenshtein

    whole: tuple[Segments, Segments] = ([(True, gone)], [(True, come)])
    if not gone or not come or "⟨" in gone + come or Levenshtein.normalized_similarity(gone, come) < _ALIKE:
        return whole
    left: Segments = []
    right: Segments = []
    for step in Levenshtein.opcodes(gone, come):
        inner = step.src_start > 0 and step.src_end < len(gone)
        differs = step.tag != "equal" or (inner and step.src_end - step.src_start < _ISLAND)
        _add(left, differs, gone[step.src_start : step.src_end])
        _add(right, differs, come[step.dest_start : step.dest_end])
    return left, right


def _add(segments: Segments, differs: bool, part: str) -> None:
    """One stretch more, joined to the last where it is of its kind."""
    if not part:
        return
    if segments and segments[-1][0] == differs:
        part = segments.pop()[1] + part
    segments.append((differs, part))
