"""A text and what a first glance shows of it, so that most rules need not look at most texts."""

import re
from dataclasses import dataclass
from functools import cached_property

_DIGIT = re.compile(r"\d")
_LETTERS = re.compile(r"[^\W\d_]+")
_LONG = re.compile(r"\S{12}")


@dataclass(frozen=True)
class Seen:
    """One text on its way through the recognisers; each glance is taken once."""

    text: str

    @cached_property
    def low(self) -> str:
        """In lower case, to see whether a word is there at all; offsets may differ from those of `text`."""
        return self.text.lower()

    @cached_property
    def words(self) -> frozenset[str]:
        """Its words in lower case: whether one of many stands in it is then a question of one look."""
        return frozenset(_LETTERS.findall(self.low))

    @cached_property
    def digit(self) -> bool:
        return _DIGIT.search(self.text) is not None

    @cached_property
    def long(self) -> bool:
        """Whether twelve characters stand in a row without a space."""
        return _LONG.search(self.text) is not None

    @cached_property
    def lower(self) -> bool:
        """Whether nobody pressed the shift key: names then stand in small letters too."""
        return self.text == self.low

    def before(self, place: int, count: int = 48) -> str:
        """What stands before a place, in lower case."""
        return self.text[max(0, place - count) : place].lower()


def ranges(letters: str) -> str:
    """The letters as ranges for a character class of `re`, which has none for capitals."""
    codes = sorted({ord(letter) for letter in letters})
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(chr(low) if low == high else f"{chr(low)}-{chr(high)}" for low, high in found)


_SCRIPTS = (range(0x41, 0x250), range(0x370, 0x530), range(0x1E00, 0x2000))
"""Latin, Greek and Cyrillic: the alphabets that have capitals."""

CAPITAL = ranges("".join(chr(code) for script in _SCRIPTS for code in script if chr(code).isupper()) + "∆")
"""Capital letters, to be put between [ and ]."""
