"""Slips of the hand: a neighbouring key, two letters swapped, one left out, one doubled.

At most one slip a word, never in its first letter, never in words of under four letters: such words would become others.
Only scripts with letter case are touched; neighbouring keys are those of a QWERTY keyboard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit, Word, allowed, is_negation, like, some, words_to_touch

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LEAST = 4


def _neighbours() -> dict[str, str]:
    """Key -> the keys beside, above and below it; each row stands half a key further right than the one above."""
    place = {key: (column + row / 2, row) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}
    return {
        key: "".join(other for other, (x, y) in place.items() if other != key and abs(x - at[0]) <= 1 and abs(y - at[1]) <= 1)
        for key, at in place.items()
    }


NEIGHBOURS = _neighbours()


@dataclass(frozen=True, slots=True)
class Typos:
    """`rate` of the letters get a slip."""

    rate: float
    words_kept: float
    name: str = "typos"
    noise: bool = True
    bound: str = "letters"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """One slip in each of some words."""
        words = [word for word in words_to_touch(texts[0]) if _can_slip(word.text)]
        letters = sum(len(word.text) for word in words)
        most = min(allowed(texts[0], self.words_kept), max(1, round(self.rate * letters)))
        return [[_slip(word, draw) for word in some(words, 1.0, most, draw)]]


def _can_slip(word: str) -> bool:
    return len(word) >= _LEAST and word.isalpha() and word.lower() != word.upper() and not is_negation(word)


def _slip(word: Word, draw: Random) -> Edit:
    text, at = word.text, draw.randrange(1, len(word.text) - 1)
    here, after = text[at], text[at + 1]
    kinds = ["drop", "double"] + (["swap"] if here != after else []) + (["neighbour"] if here.lower() in NEIGHBOURS else [])
    kind, start = draw.choice(kinds), word.start + at
    if kind == "drop":
        return (start, start + 1, "")
    if kind == "double":
        return (start, start + 1, here * 2)
    if kind == "swap":
        return (start, start + 2, after + here)
    return (start, start + 1, like(here * 2, draw.choice(NEIGHBOURS[here.lower()])) if here.isupper() else draw.choice(NEIGHBOURS[here]))
