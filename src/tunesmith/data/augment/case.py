"""Letter case: all small, all capitals, Each Word With A Capital, or the first letters of a few words turned."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit, Word, some, words_to_touch

_SOME = 0.3


@dataclass(frozen=True, slots=True)
class Case:
    """One of the four, drawn among those that change something."""

    name: str = "case"
    noise: bool = True
    bound: str = "letters"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The words of the first text rewritten."""
        words = words_to_touch(texts[0])
        turned = [_edit(word, _turned(word.text)) for word in some(words, _SOME, len(words), draw)]
        choices = [[_edit(word, form(word.text)) for word in words] for form in (str.lower, str.upper, _capital)]
        edits = [[edit for edit in found if edit[2] != texts[0][edit[0] : edit[1]]] for found in [*choices, turned]]
        real = [found for found in edits if found]
        return [draw.choice(real) if real else []]


def _edit(word: Word, new: str) -> Edit:
    return (word.start, word.end, new)


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


def _turned(word: str) -> str:
    return word[:1].swapcase() + word[1:]
