"""Words of a text as they may be meant: what is written in disguise is read as the word beneath it.

Undone are: letter case, accents, full-width and mathematical letters (NFKD), invisible characters, letters of other scripts that
look Latin inside a Latin word, digits and signs in place of letters (sh1p, $hip), letters said three times or more (shiiip), letters
kept apart (s h i p, s.h.i.p, s-hip), one vowel starred out (sh*p). One word may be meant in several ways; all are given.

Nothing is looked for inside a word, and words are never run together but where a piece of one or two letters says that a word was
cut: most harm that word lists do is to innocent words (Scunthorpe, assume, "he'll", "the pen.is"). Not undone, for the same reason: a
letter said twice, a whole word in another script, letters left out, words run into one. Costs time in proportion to the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

LONGEST = 64
"""A word of more letters, after letters said often are cut to two, is not looked at."""
_UNSEEN = ("Mn", "Cf")
"""Categories of characters that make no letter of their own: accents, joiners, soft hyphens."""
_ATOM = re.compile(r"(?:[^\W_]|[@$!|+])+")
_SIGNS = "@$!|+"
_TRAILING = "!|+"
"""Signs that end a sentence, a list or a grade as often as they stand for a letter."""
_AS_I = str.maketrans("013457@$!|+8", "oieastasiitb")
_AS_L = str.maketrans("013457@$!|+8", "oleastaslltb")
_LEET = frozenset("013457@$!|+8")
_RUN = re.compile(r"(.)\1{2,}")
_RUNS_EACH_WAY = 3
"""So many letters said often are each tried once and twice; of more, all once or all twice."""
_APART = re.compile(r"[^\w'’‘`]{1,3}|_{1,3}")
"""What may stand between the letters of a word that is spelled out; an apostrophe never does: he'll."""
_TOUCHING = re.compile(r"[^\w\s'’‘`]{1,3}|_{1,3}")
_LETTERS_APART = 3
"""Single letters in a row that make a word."""
_PIECES = 32
_LOOKALIKES = str.maketrans("аеорсухіјѕкмтнвԁɡιοαρτυνκεıłøһԛԝ", "aeopcyxijskmthbdgioaptuvkeilohqw")


@dataclass(frozen=True, slots=True)
class Word:
    """A word where it stands, and what it may be."""

    start: int
    end: int
    """Characters `start` to `end - 1` of the text as it was given."""
    forms: tuple[str, ...]
    """Normal forms it may stand for, the plainest first."""


@dataclass(frozen=True, slots=True)
class Worded:
    """A text as words."""

    words: tuple[Word, ...]
    """In their order."""
    adjoining: tuple[bool, ...]
    """For each word but the first, whether next to nothing stands between it and the one before."""
    rejoined: tuple[Word, ...]
    """Words put together from several: letters kept apart, starred vowels."""


def worded(text: str) -> Worded:
    """Read a text as words."""
    plain, places = folded(text)
    atoms = [match.span() for match in _ATOM.finditer(plain)]

    def placed(start: int, end: int, forms: tuple[str, ...]) -> Word:
        last = places[end - 1] + 1
        while last < len(text) and unicodedata.category(text[last]) in _UNSEEN:  # an accent behind the last letter is of that letter
            last += 1
        return Word(places[start], last, forms)

    words = tuple(placed(start, end, forms_of(plain[start:end])) for start, end in atoms)
    adjoining = tuple(later[0] - earlier[1] <= 3 for earlier, later in pairwise(atoms))
    rejoined = tuple(placed(start, end, forms) for start, end, forms in _rejoined(plain, atoms))
    return Worded(words, adjoining, rejoined)


def folded(text: str) -> tuple[str, list[int]]:
    """The text without case, accents and invisible characters, and where each of its characters came from."""
    kept: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for one in char.lower() if char.isascii() else _plain(char):
            kept.append(one)
            places.append(place)
    return "".join(kept), places


def _plain(char: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).lower())
    return "".join(part for part in parts if unicodedata.category(part) not in _UNSEEN)


def forms_of(atom: str) -> tuple[str, ...]:
    """What a folded word without spaces may stand for; empty where it is too long for a word."""
    if atom.isascii() and atom.isalpha() and len(atom) <= LONGEST:  # nearly every word there is
        return _once_or_twice(atom)
    if any("a" <= char <= "z" for char in atom):
        atom = atom.translate(_LOOKALIKES)
    bodies = dict.fromkeys((atom.strip(_SIGNS), *_spoken(atom.rstrip(_TRAILING))))
    forms = dict.fromkeys(form for body in bodies for form in _once_or_twice(body))
    return tuple(form for form in forms if 0 < len(form) <= LONGEST)


def _spoken(atom: str) -> tuple[str, ...]:
    """Digits and signs as letters; not where most are digits (A55, 1,000, 3D)."""
    letters, digits = sum(map(str.isalpha, atom)), sum(map(str.isdigit, atom))
    if not letters or letters < digits or _LEET.isdisjoint(atom):
        return ()
    return atom.translate(_AS_I), atom.translate(_AS_L)


def _once_or_twice(word: str) -> tuple[str, ...]:
    """The word with letters that are said three times or more said once, and said twice."""
    runs = list(_RUN.finditer(word))
    if not runs:
        return (word,)
    if len(runs) > _RUNS_EACH_WAY:
        return _RUN.sub(r"\1", word), _RUN.sub(r"\1\1", word)
    made, end = [""], 0
    for run in runs:
        before = word[end : run.start()]
        made = [one + before + run.group(1) * times for one in made for times in (1, 2)]
        end = run.end()
    return tuple(one + word[end:] for one in made)


def _rejoined(plain: str, atoms: list[tuple[int, int]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Start, end and forms of words whose letters were kept apart."""
    for run in _chains(plain, atoms, spelled=True):
        if len(run) >= _LETTERS_APART:
            yield _joined(plain, run)
            if plain[run[0][0]] in "ai" and len(run) > _LETTERS_APART:  # words of their own, before a word that is spelled out
                yield _joined(plain, run[1:])
    for run in _chains(plain, atoms, spelled=False):
        sizes = [end - start for start, end in run]
        cut = min(sizes) == 1 or max(sizes) <= 2
        if len(run) > 1 and cut and max(sizes) > 1:
            yield _joined(plain, run)
        if len(run) == 2 and sum(sizes) > 2 and plain[run[0][1] : run[1][0]] == "*":
            start, end = run[0][0], run[1][1]
            yield start, end, tuple(plain[start:end].replace("*", vowel) for vowel in "aeiou")


def _joined(plain: str, run: list[tuple[int, int]]) -> tuple[int, int, tuple[str, ...]]:
    return run[0][0], run[-1][1], forms_of("".join(plain[start:end] for start, end in run))


def _chains(plain: str, atoms: list[tuple[int, int]], *, spelled: bool) -> Iterator[list[tuple[int, int]]]:
    """Atoms that hang together, as many as there are: single letters with one and the same thing between them, or any with signs between."""
    run: list[tuple[int, int]] = []
    between = ""
    for atom in atoms:
        gap = plain[run[-1][1] : atom[0]] if run else ""
        follows = bool((_APART if spelled else _TOUCHING).fullmatch(gap)) and (not spelled or len(run) < 2 or gap == between)
        if run and not (follows and len(run) < _PIECES):
            yield run
            run = []
        if spelled and atom[1] - atom[0] > 1:
            if run:
                yield run
                run = []
            continue
        between = gap if len(run) == 1 else between
        run.append(atom)
    if run:
        yield run
