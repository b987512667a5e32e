"""Terms of a lexicon, in disguise too (`tunesmith.score.lexicon`).

What is held back of a stream: the word under way; words that begin a term of several; letters or signs that may yet turn out to be one
word spelled apart. In plain prose that is a word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise, product

from tunesmith.guard.finding import Finding
from tunesmith.score.lexicon import Lexicon
from tunesmith.score.obfuscation import Word, worded

_READINGS = 16


@dataclass(frozen=True, slots=True)
class LexiconRule:
    """Finds terms of a lexicon."""

    lexicon: Lexicon
    like: Finding
    """What every finding is but for its place."""
    topics: Mapping[str, Finding] = field(default_factory=dict)
    """Severity of a term -> what its findings are instead: several subjects are found in one reading."""
    _begun: frozenset[str] = field(init=False)
    """Proper beginnings of terms of several words."""

    def __post_init__(self) -> None:
        several = (form.split(" ") for form in self.lexicon.plain if " " in form)
        begun = frozenset(" ".join(words[:count]) for words in several for count in range(1, len(words)))
        object.__setattr__(self, "_begun", begun)

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """Terms, each once."""
        hits = self.lexicon.find(text)
        return [replace(self.topics.get(hit.severity, self.like), start=hit.start, end=hit.end) for hit in hits]

    def settled(self, text: str) -> int:
        """Behind the last space before which no term, and no word spelled apart, is under way."""
        if not text:
            return 0
        words = worded(text).words
        for later, word in pairwise((None, *reversed(words))):
            assert word is not None
            end = len(text) if later is None else later.start
            place = _space(text, word.end, end)
            apart = not _single(text, word) or (later is not None and not _single(text, later))
            if place and apart and not self._under_way(text, words, word):
                return place
        return 0 if words else _space(text, 0, len(text))

    def _under_way(self, text: str, words: tuple[Word, ...], last: Word) -> bool:
        """Whether the words up to this one begin a term of several."""
        if not self._begun:
            return False
        here = words.index(last)
        for first in range(max(0, here - self.lexicon.longest + 2), here + 1):
            read = islice(product(*(word.forms for word in words[first : here + 1])), _READINGS + 1)
            for place, forms in enumerate(read):
                if place == _READINGS or " ".join(forms) in self._begun:
                    return True
        return False


def _space(text: str, start: int, end: int) -> int:
    """Right behind the last space of a gap between words; 0 where it has none."""
    return next((place + 1 for place in range(end - 1, start - 1, -1) if text[place].isspace()), 0)


def _single(text: str, word: Word) -> bool:
    """Whether it is, or may be, a letter by itself: part of a word that is spelled out."""
    return sum(map(str.isalnum, text[word.start : word.end])) < 2
