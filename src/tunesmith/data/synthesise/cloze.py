"""Blanks without a model: the most telling term of a sentence is left out, and others of its shape are offered beside it.

A wrong choice must not stand in the passage at all, so that it can't be right there too. Numbers are offered in similar magnitude, and made up
where the documents hold too few.
"""

import re
from collections.abc import Iterator, Sequence
from random import Random

from tunesmith.core.seeds import derive_seed
from tunesmith.data.settings.synthesise import ClozeConfig
from tunesmith.data.synthesise.items import BLANK, Item, Passage, holds, item, plain
from tunesmith.data.synthesise.sentences import sentences, stands_alone
from tunesmith.data.synthesise.terms import Term, Terms, terms_of

KIND = "cloze"
_ASK = "Fill in the blank: "
_MAGNITUDE = 5.0
_POOL = 500
"""Terms of a shape that are looked at for one blank, a seeded sample of those there are."""


def cloze(passage: Passage, terms: Terms, config: ClozeConfig, seed: int) -> Iterator[Item]:
    """The passage's blanks, the most telling first; a sentence gives one at most."""
    draw = Random(derive_seed(seed, KIND, passage.source, passage.position, passage.text))
    best = []
    for place, sentence in enumerate(sentences(passage.text)):
        told = terms_of(sentence) if stands_alone(sentence) else []
        if told:
            term = max(told, key=lambda term: (terms.score(term), term.text))
            best.append((-terms.score(term), place, sentence, term))
    for _, _, sentence, term in sorted(best, key=lambda one: one[:2])[: config.per_passage]:
        question = _ASK + re.sub(rf"(?<!\w){re.escape(term.text)}(?!\w)", BLANK, sentence)
        wrong = distractors(term, passage, terms, config.wrong, draw)
        choices = [term.text, *wrong] if config.wrong and len(wrong) == config.wrong else []
        draw.shuffle(choices)
        yield item(passage, KIND, question, term.text, tuple(choices))


def distractors(term: Term, passage: Passage, terms: Terms, wanted: int, draw: Random) -> list[str]:
    """Up to `wanted` other terms that could stand there and don't stand in the passage, the most alike first."""
    pool = [other.text for other in terms.of_shape(term, _POOL, draw) if _could_stand(other, term)]
    draw.shuffle(pool)
    found: list[str] = []
    for other in sorted(pool, key=lambda other: _unlike(term, other)):
        if len(found) == wanted:
            break
        if not holds(passage.text, other) and not any(_overlap(other, chosen) for chosen in [term.text, *found]):
            found.append(_cased(other, term))
    return found if term.kind != "number" else [*found, *_invented(term.text, passage, found, wanted - len(found), draw)]


def _invented(number: str, passage: Passage, found: Sequence[str], wanted: int, draw: Random) -> list[str]:
    """Numbers of the same form and half to twice the size, where the documents hold too few; none stands in the passage."""
    bare, tail = number.rstrip("%"), number[len(number.rstrip("%")) :]
    places, comma = len(bare.partition(".")[2]), "," if "," in bare else ""
    made: list[str] = []
    for _ in range(10 * max(0, wanted)):
        other = f"{_value(number) * draw.uniform(0.5, 2.0):{comma}.{places}f}{tail}"
        if len(made) < wanted and _value(other) and other not in (number, *found, *made) and not holds(passage.text, other):
            made.append(other)
    return made


def _cased(other: str, term: Term) -> str:
    """A defined word as it would be written there: a capital at the start of a sentence must not tell the answer."""
    if term.kind != "term" or other[1:2].isupper():
        return other
    return (other[0].upper() if term.text[0].isupper() else other[0].lower()) + other[1:]


def _could_stand(other: Term, term: Term) -> bool:
    if term.kind != "number":
        return True
    one, two = _value(term.text), _value(other.text)
    return one != two and max(one, two) <= _MAGNITUDE * min(one, two) if one and two else False


def _unlike(term: Term, other: str) -> float:
    """How different they look: numbers by ratio, words by their number and length."""
    if term.kind in ("number", "year"):
        return abs(_value(term.text) - _value(other)) / max(_value(term.text), 1.0)
    return 10.0 * abs(len(term.text.split()) - len(other.split())) + abs(len(term.text) - len(other))


def _value(number: str) -> float:
    return float(number.replace(",", "").rstrip("%"))


def _overlap(one: str, two: str) -> bool:
    """Whether one holds the other: `Ada` and `Ada Lovelace` may be the same."""
    ours, theirs = f" {plain(one)} ", f" {plain(two)} "
    return ours in theirs or theirs in ours or ours.strip().rstrip("s") == theirs.strip().rstrip("s")
