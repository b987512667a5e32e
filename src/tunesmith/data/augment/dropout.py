"""Words left out, as by someone in a hurry. Never numbers or negations, and never a word of a span that is to be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit, allowed, is_negation, some, words_to_touch


@dataclass(frozen=True, slots=True)
class Dropout:
    """`rate` of the words go, with the space before or after them."""

    rate: float
    words_kept: float
    name: str = "dropout"
    noise: bool = True
    bound: str = "words"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The first text with words missing; a text of one or two words keeps them."""
        text = texts[0]
        words = [word for word in words_to_touch(text, tuple(spans)) if not is_negation(word.text)]
        gone = some(words, self.rate, min(allowed(text, self.words_kept), len(words) - 1), draw) if len(words) > 2 else []
        edits: list[Edit] = []
        for word in gone:
            low, high = _with_space(text, word.start, word.end)
            inside = any(start < high and low < end for start, end in spans)
            edits.append((word.start, word.end, "") if inside else (low, high, ""))
        return [_apart(edits)]


def _with_space(text: str, start: int, end: int) -> Bounds:
    """The word and one space beside it: before it where there is one, else after."""
    if start and text[start - 1] == " ":
        return start - 1, end
    return (start, end + 1) if text[end : end + 1] == " " else (start, end)


def _apart(edits: list[Edit]) -> list[Edit]:
    """Two neighbours may claim the same space: the second leaves it."""
    found: list[Edit] = []
    for start, end, new in edits:
        found.append((max(start, found[-1][1]) if found else start, end, new))
    return found
