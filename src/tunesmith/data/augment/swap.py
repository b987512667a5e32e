"""Neighbouring words swapped. Never negations, never across marks or line ends, and never a word of a span that is to be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit, allowed, is_negation, some, words_to_touch


@dataclass(frozen=True, slots=True)
class Swap:
    """`rate` of the words change places with the next one."""

    rate: float
    words_kept: float
    name: str = "swap"
    noise: bool = True
    bound: str = "words"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The first text with pairs swapped; the pairs don't overlap."""
        text, words = texts[0], words_to_touch(texts[0], tuple(spans))
        after = dict(pairwise(words))
        firsts = [
            word
            for word, other in after.items()
            if text[word.end : other.start] == " "
            and word.text.casefold() != other.text.casefold()
            and not is_negation(word.text)
            and not is_negation(other.text)
        ]
        edits: list[Edit] = []
        for word in some(firsts, self.rate, allowed(text, self.words_kept) // 2, draw):
            if not edits or edits[-1][1] <= word.start:
                edits.append((word.start, after[word].end, f"{after[word].text} {word.text}"))
        return [edits]
