"""Words replaced by others of the same meaning, from a list of yours and a small built-in one.

Words are matched as they stand in the list, without grammar: list `order` and `orders` both. A word after `a` or `an` is only
replaced by one that takes the same article.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import home_path
from tunesmith.data.augment.edits import WORD, Bounds, Edit, Word, allowed, like, some, words_to_touch

BUILTIN: Mapping[str, tuple[str, ...]] = {
    word: tuple(other for other in line if other != word)
    for line in (
        ("buy", "purchase"),
        ("bought", "purchased"),
        ("begin", "start"),
        ("began", "started"),
        ("big", "large"),
        ("bigger", "larger"),
        ("error", "mistake"),
        ("errors", "mistakes"),
        ("fast", "quick"),
        ("faster", "quicker"),
        ("glad", "happy"),
        ("help", "assist"),
        ("incorrect", "wrong"),
        ("maybe", "perhaps"),
        ("often", "frequently"),
        ("picture", "image"),
        ("pictures", "images"),
        ("quickly", "rapidly"),
        ("reply", "respond"),
        ("replied", "responded"),
        ("shop", "store"),
        ("shops", "stores"),
        ("sick", "ill"),
        ("small", "little"),
        ("trip", "journey"),
        ("trips", "journeys"),
        ("whole", "entire"),
    )
    for word in line
}
"""Pairs that hold in nearly every sense of both words; English."""


_LARGEST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Synonyms:
    """`rate` of the words that have one."""

    words: Mapping[str, tuple[str, ...]]
    """Folded word -> others."""
    rate: float
    words_kept: float
    name: str = "synonyms"
    noise: bool = False
    bound: str = "words"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The first text only: an answer that quotes it would need the same words."""
        text = texts[0]
        found = {word: others for word in words_to_touch(text, tuple(spans)) if (others := self._others(text, word))}
        picked = some(list(found), self.rate, allowed(text, self.words_kept), draw)
        return [[(word.start, word.end, like(word.text, draw.choice(found[word]))) for word in picked]]

    def _others(self, text: str, word: Word) -> tuple[str, ...]:
        others = self.words.get(word.text.casefold(), ())
        before = WORD.findall(text[max(0, word.start - 8) : word.start])
        if before and before[-1].casefold() in ("a", "an"):
            return tuple(other for other in others if _open(other) == _open(word.text))
        return others


def _open(word: str) -> bool:
    return word[:1].casefold() in "aeiou"


def read_words(path: str) -> dict[str, list[str]]:
    """A JSON file of `{word: [other, ...]}`. RecipeError where it can't be read or has another form."""
    file = home_path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise RecipeError(f"{file} is over 64 MiB: a list of synonyms is smaller; is it the right file?")
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(
            f'The synonyms in {file} can\'t be read ({type(error).__name__}): name a JSON file such as {{"big": ["large"]}}.'
        ) from error
    right = isinstance(value, dict) and all(
        isinstance(others, list) and all(isinstance(other, str) for other in others) for others in value.values()
    )
    if not right:
        raise RecipeError(f'The synonyms in {file} have another form: write each word with a list of words, such as {{"big": ["large"]}}.')
    return dict(value)


def listed(words: Mapping[str, Sequence[str]], *, builtin: bool) -> dict[str, tuple[str, ...]]:
    """The list to use: yours first, each word folded, none its own synonym."""
    found = dict(BUILTIN) if builtin else {}
    for word, others in words.items():
        key = word.strip().casefold()
        found[key] = tuple(dict.fromkeys(other.strip() for other in others if other.strip() and other.strip().casefold() != key))
    return {word: others for word, others in found.items() if others}
