"""What tokens carry, told by the words of a text: each token's value goes to the words it stands for, by characters.

The sum stays what it was. Words are runs of letters and digits, marks of punctuation go together, and scripts written without
spaces are taken character by character. White space belongs to no word and carries what tokens of nothing else do.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*|[^\w\s]+|\s+")


class Piece(NamedTuple):
    """A word, or what stands between words."""

    text: str
    value: float | None
    """None where no token stands for it: it was cut away, or is nothing but space."""


def pieces_of(text: str, offsets_T: Sequence[tuple[int, int] | None], value_T: Sequence[float]) -> list[Piece]:
    """The text in pieces that join to it again, each with its share of the tokens' values.

    Args:
        text: what was read.
        offsets_T: first and one past the last character of each token; None for tokens of something else.
        value_T: a number for each token.
    """
    bounds = [match.span() for match in _WORD.finditer(text)]
    owner = [place for place, (low, high) in enumerate(bounds) for _ in range(low, high)]
    held: list[float | None] = [None] * len(bounds)
    for offset, value in zip(offsets_T, value_T, strict=True):
        if offset is None:
            continue
        inside = range(*offset)
        inked = [character for character in inside if not text[character].isspace()] or list(inside)
        for character in inked:
            held[owner[character]] = (held[owner[character]] or 0.0) + value / len(inked)
    return [Piece(text[low:high], value) for (low, high), value in zip(bounds, held, strict=True)]
