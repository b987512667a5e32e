"""What stand-ins are drawn with: a secret key and the value. The same value is always drawn the same way, so no table of names is kept.

Words are invented: three or four plain syllables and an ending, `Talomirenk`. A name that the lists know is numbered there, and the
number goes through a keyed permutation (four rounds of a Feistel network over 18 bits), so two known names never share a stand-in.
Other words are hashed to 24 bits: among n of them two meet with a probability of about n * n / 2 ** 25 (3% among a thousand).
"""

import hmac
import re
import unicodedata
from functools import cached_property, lru_cache
from hashlib import blake2b

from tunesmith.data.anonymise.names import FIRST, LAST, known_words
from tunesmith.data.anonymise.word_lists import words

_SYLLABLES = [consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeio"]
_ENDINGS = words("ng rk lt mp ft lm rl sk rb lb nz rz lz pt kt gz bz dz vz zd zg zb zv gd bd kf pf tf lv rv nv mz")
_SHAPE = re.compile(rf"((?:[bdfghjklmnprstvz][aeio]){{3,4}})({'|'.join(_ENDINGS)})\Z")
_HALF_BITS = 9
_HALF = (1 << _HALF_BITS) - 1


class Draws:
    """Draws of one key; cheap to make, and holds a few thousand recent words."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.word = lru_cache(maxsize=4096)(self._word)

    def number(self, *what: str) -> int:
        """128 bits that follow from the key and the strings."""
        return int.from_bytes(hmac.digest(self._key, "\0".join(what).encode("utf-8", "surrogatepass"), "sha256")[:16])

    def _word(self, word: str) -> str:
        """The stand-in of a word, in its case: all capitals, small letters, or one capital in front."""
        low = unicodedata.normalize("NFC", word).lower()
        if stands_in(low):
            return word
        rank = self._ranks.get(low)
        code, count = (self.number("word", low) % (1 << 24), 4) if rank is None else (self._permuted(rank), 3)
        found = _spelt(code, count)
        return found.upper() if word.isupper() and len(word) > 1 else found if word.islower() else found.capitalize()

    @cached_property
    def _ranks(self) -> dict[str, int]:
        names = (word for word, flags in known_words().items() if flags & (FIRST | LAST))
        return {word: rank for rank, word in enumerate(names)}

    def _permuted(self, rank: int) -> int:
        left, right = rank >> _HALF_BITS, rank & _HALF
        for turn in range(4):
            left, right = right, left ^ (self.number("turn", str(turn), str(right)) & _HALF)
        return left << _HALF_BITS | right

    def like(self, value: str, zeros: int = 0) -> str:
        """Digits for digits and letters for letters, other signs as they are; the first `zeros` digits become 0."""
        number = self.number("like", value)
        drawn, left = [], zeros
        for place, sign in enumerate(value):
            if place % 16 == 15:
                number = self.number("like", value, str(place))
            number, step = divmod(number, 260)
            if sign.isdigit():
                first = sign != "0" and not value[max(0, place - 1) : place].isdigit()  # a number keeps its length
                drawn.append("0" if left > 0 else str(1 + step % 9 if first else step % 10))
                left -= 1
            elif sign.isalpha():
                letter = chr(97 + step % 26)
                drawn.append(letter.upper() if sign.isupper() else letter)
            else:
                drawn.append(sign)
        return "".join(drawn)


def _spelt(code: int, count: int) -> str:
    syllables = "".join(_SYLLABLES[code >> 6 * place & 63] for place in range(count))
    return syllables + _ending(syllables)


def _ending(syllables: str) -> str:
    """The ending tells a stand-in from a name: it follows from what is before it."""
    return _ENDINGS[blake2b(syllables.encode(), digest_size=2).digest()[0] % len(_ENDINGS)]


def stands_in(word: str) -> bool:
    """Whether a word is a stand-in already, whoever drew it. Of unlisted real names fewer than one in a thousand look so by chance."""
    match = _SHAPE.match(word.lower())
    return match is not None and match[2] == _ending(match[1]) and word.lower() not in known_words()
