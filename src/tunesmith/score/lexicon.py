"""Terms that nobody wants to read, found in a text as whole words, also in disguise (`tunesmith.score.obfuscation`).

A term is a word or several. Its plural in -s is found with it; other inflections have to be listed. A term may be given as the
SHA-256 of its normal form, so that a list can be handed round without being read: `sha256:` and 64 hex digits. That hides words from
the eye, not from someone who tries a dictionary on it. A hashed term is one word.

Pure: no files (`tunesmith.data.lexicon` reads them), no model. Some 10 to 20 microseconds a word of text.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Self

from tunesmith.core.errors import DataError
from tunesmith.score.obfuscation import Word, folded, forms_of, worded

HASHED = "sha256:"
MOST_WORDS = 8
"""Words of a term, at most."""
_READINGS = 16
"""Of several words that may each be meant in several ways, so many together are looked at."""
_PLURAL = 5
"""Letters of a plural, at least: of shorter words those in -s are others (as, gas)."""
_JOINED = 6
"""Letters of a term of several words, from which on it is also found written as one."""
_PIECE = 3
"""Letters of each part of a hyphenated term that is also found as several words: "the pen is" is no disguise."""


@dataclass(frozen=True, slots=True)
class Term:
    """What is looked for."""

    text: str
    """As people write it, or `sha256:` with the hash of its normal form."""
    severity: str = ""
    """In the list's own words; empty where it says nothing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A term in a text."""

    start: int
    end: int
    """Characters `start` to `end - 1`."""
    severity: str
    masked: str
    """Its first letter, and a star for each of the others: fit to be shown."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms by their normal form. Make one with `of`."""

    plain: dict[str, str]
    """Normal form -> severity; several words with one space between."""
    hashed: dict[str, str]
    """SHA-256 of a normal form, 64 hex digits -> severity."""
    longest: int
    """Words of the longest term."""

    @classmethod
    def of(cls, terms: Iterable[Term]) -> Self:
        """A lexicon of these terms; the first severity of a term that comes twice is kept.

        Raises:
            DataError: no term, one without a letter or digit, one of too many words, or a hash that is none.
        """
        plain: dict[str, str] = {}
        hashed: dict[str, str] = {}
        for term in terms:
            if term.text.startswith(HASHED):
                hashed.setdefault(_hash_of(term.text), term.severity)
            else:
                for form in normal_forms(term.text):
                    plain.setdefault(form, term.severity)
        if not plain and not hashed:
            raise DataError("The lexicon holds no term: give one a line.")
        longest = max((form.count(" ") + 1 for form in plain), default=1)
        return cls(plain, hashed, longest)

    def find(self, text: str) -> list[Hit]:
        """Every term in a text, in the order of their places; of two that overlap the earlier, of these the longer."""
        told = worded(text)
        found = [hit for word in told.rejoined if (hit := self._hit(text, [word])) is not None]
        for first in range(len(told.words)):
            for last in range(first, min(first + self.longest, len(told.words))):
                if last > first and not told.adjoining[last - 1]:
                    break
                hit = self._hit(text, told.words[first : last + 1])
                if hit is not None:
                    found.append(hit)
        return _apart(found)

    def only(self, severities: Iterable[str]) -> Self:
        """The terms of these severities. Raises DataError where none is left."""
        kept = set(severities)
        plain, hashed = ({key: held for key, held in some.items() if held in kept} for some in (self.plain, self.hashed))
        if not plain and not hashed:
            known = sorted({*self.plain.values(), *self.hashed.values()} - {""})
            raise DataError(f"No term of the lexicon has severity {' or '.join(sorted(kept))}; it knows: {', '.join(known) or 'none'}.")
        return type(self)(plain, hashed, self.longest)

    def _hit(self, text: str, words: "list[Word] | tuple[Word, ...]") -> Hit | None:
        readings = product(*(word.forms for word in words))
        for _, forms in zip(range(_READINGS), readings, strict=False):
            severity = self._severity(" ".join(forms))
            if severity is not None:
                start, end = words[0].start, words[-1].end
                return Hit(start, end, severity, masked(text[start:end]))
        return None

    def _severity(self, form: str) -> str | None:
        """Of the term, or of the one that it is a plural of; None where it is no term."""
        forms = (form, form[:-1]) if form.endswith("s") and len(form) >= _PLURAL else (form,)
        for one in forms:
            if one in self.plain:
                return self.plain[one]
            if self.hashed and " " not in one:
                held = self.hashed.get(hashlib.sha256(one.encode("utf-8", "replace")).hexdigest())
                if held is not None:
                    return held
        return None


def normal_forms(term: str) -> list[str]:
    """The forms under which a term is known: without disguise, without signs, several words with one space between.

    Raises:
        DataError: it has neither letter nor digit, or more than `MOST_WORDS` words.
    """
    words = ["".join(char for char in word if char.isalnum() or char in "@$!|+") for word in folded(term)[0].split()]
    spoken = [_spoken(word) for word in words if any(map(str.isalnum, word))]
    if not spoken:
        raise DataError("A term of the lexicon has neither letter nor digit: remove it.")
    if len(spoken) > MOST_WORDS:
        raise DataError(f"A term of the lexicon has {len(spoken)} words, and {MOST_WORDS} is the most: shorten it.")
    single = all(len(word) == 1 for word in spoken)
    forms = ["".join(spoken) if single else " ".join(spoken)]
    if len(spoken) > 1 and len("".join(spoken)) >= _JOINED:
        forms.append(_spoken("".join(spoken)))
    pieces = folded(term)[0].replace("-", " ").split()
    if 1 < len(pieces) <= MOST_WORDS and all(piece.isalpha() and len(piece) >= _PIECE for piece in pieces):
        forms.append(" ".join(pieces))
    return list(dict.fromkeys(forms))


def _spoken(word: str) -> str:
    """A word of a term without disguise: where digits or signs may be letters, as letters."""
    forms = forms_of(word)
    return next((form for form in forms if form.isalpha() and len(form) >= len(word.rstrip("!|+")) > 0), forms[0] if forms else word)


def masked(text: str) -> str:
    """The first letter or digit of a text, and a star for each of the others."""
    kept = [char for char in text if char.isalnum()] or ["*"]
    return kept[0] + "*" * min(len(kept) - 1, 20)


def _hash_of(text: str) -> str:
    found = text.removeprefix(HASHED).strip().lower()
    if len(found) != 64 or set(found) - set("0123456789abcdef"):
        raise DataError(f"A line of the lexicon begins with {HASHED} and is no SHA-256: write 64 hex digits after it.")
    return found


def _apart(found: list[Hit]) -> list[Hit]:
    """Those that do not overlap."""
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept
