"""Terms worth asking for: numbers, names, defined words and rare words, with a shape that tells which others could stand in their place.

The score is how rare a term is among the passages (log of their number over those that hold it) plus what its kind is worth;
a term a document comes back to is worth more. One pass over the passages collects them; memory holds each term once.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tunesmith.data.synthesise.items import Passage
from tunesmith.data.synthesise.sentences import sentences, stands_alone

_NUMBER = re.compile(r"(?<![\w.,/:-])\d+(?:,\d{3})*(?:\.\d+)?%?(?![\w/:]|[.,-]\d)")
_NAME = re.compile(r"\b[A-ZÀ-ÖØ-Þ][\w’'-]*(?: (?:of |de |von |van |the )?[A-ZÀ-ÖØ-Þ][\w’'-]*)*")
_WORD = re.compile(r"\b[a-zß-öø-ÿ][a-zß-öø-ÿ-]{4,}[a-zß-öø-ÿ]\b")
DEFINED = re.compile(
    r"^(?P<article>(?:The|A|An) )?(?P<term>[A-Za-zÀ-ÿ][\w-]*(?: [\w-]+){0,3}?) (?P<verb>is|are|was|were) (?P<what>(?:a|an|the|any|one of) [^;:?!]{8,}?)[.!]$"
)
"""`Term is a thing that ...`, a whole sentence."""
_ENDINGS = (
    "tion",
    "ment",
    "ness",
    "ity",
    "ing",
    "ism",
    "ist",
    "ous",
    "ful",
    "able",
    "ible",
    "ive",
    "ic",
    "al",
    "ed",
    "ly",
    "er",
    "or",
    "ate",
    "es",
    "s",
)
_COMMON = (
    "about above across after again against almost along already although always among another around because become becomes before being"
    " below between beyond called cannot certain could different during either enough especially every example first follow following"
    " further given gives great greater group having important include included including instead known large larger later least less little"
    " likely makes making might moreover mostly myself named nearly never number often other others otherwise people perhaps place possible"
    " probably quite rather really same second several shall should simply since small smaller sometimes still taken their theirs themselves"
    " there therefore these thing things third those though three through throughout together toward towards under until using usually"
    " various where whereas whether which while whole whose within without would years"
)
_STOP = frozenset(_COMMON.split())
_OPENING = "The A An In On At By For From With If When While After Before Since As It This That These Those There He She We They You I Its Their Our My"
_SMALL = frozenset(_OPENING.split())
_WORTH = {"number": 1.5, "year": 1.5, "name": 2.0, "term": 3.0, "word": 0.0}


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of a sentence that could be left out."""

    text: str
    kind: str
    """number, year, name, term or word."""

    @property
    def shape(self) -> tuple[str, ...]:
        """Terms of equal shape could stand in one another's place."""
        if self.kind == "number":
            return ("number", "%" if self.text.endswith("%") else "", str(len(self.text.rstrip("%").partition(".")[2])))
        if self.kind == "word":
            return ("word", next((ending for ending in _ENDINGS if self.text.endswith(ending)), ""))
        return (self.kind,)


def terms_of(sentence: str) -> list[Term]:
    """The terms of a sentence, each once, in order of kind and place."""
    found: dict[str, Term] = {}
    defined = DEFINED.match(sentence)
    if defined and not leaning_term(defined["term"]):
        found[defined["term"]] = Term(defined["term"], "term")
    for match in _NUMBER.finditer(sentence):
        found.setdefault(match[0], Term(match[0], "year" if _is_year(match[0]) else "number"))
    for match in _NAME.finditer(sentence):
        name = match[0].removesuffix("'s").removesuffix("’s")
        if match.start() > 0 and sentence[match.start() - 1] not in "\"“‘'(" and name not in _SMALL and len(name) > 2:
            found.setdefault(name, Term(name, "name"))
    for match in _WORD.finditer(sentence):
        if match[0] not in _STOP:
            found.setdefault(match[0], Term(match[0], "word"))
    return list(found.values())


def leaning_term(term: str) -> bool:
    """Whether what stands before `is` names nothing: `This`, `There`, `The result of it`."""
    first = term.split()[0]
    return first.capitalize() in _SMALL or first.casefold() in _STOP or any(word in ("which", "that", "who") for word in term.split())


def _is_year(number: str) -> bool:
    return len(number) == 4 and number.isdigit() and 1000 <= int(number) <= 2100


@dataclass(slots=True)
class Terms:
    """What all passages hold, collected before any is asked about."""

    passages: int = 0
    _in_passages: Counter[str] = field(default_factory=Counter)
    _by_shape: dict[tuple[str, ...], dict[str, Term]] = field(default_factory=dict)
    _lists: dict[tuple[str, ...], list[Term]] = field(default_factory=dict)

    def add(self, passage: Passage) -> None:
        """One more passage."""
        self._lists.clear()
        self.passages += 1
        here = {term.text: term for sentence in sentences(passage.text) if stands_alone(sentence) for term in terms_of(sentence)}
        self._in_passages.update(here.keys())
        for term in here.values():
            self._by_shape.setdefault(term.shape, {}).setdefault(term.text, term)

    def score(self, term: Term) -> float:
        """How much the term is worth asking for."""
        often = self._in_passages[term.text]
        again = 0.5 if 2 <= often <= max(2, self.passages // 10) else 0.0
        return math.log((1 + self.passages) / (1 + often)) + _WORTH[term.kind] + again

    def of_shape(self, term: Term, most: int, draw: Random) -> list[Term]:
        """The other terms of its shape, in order of first sight; of more than `most`, a seeded sample."""
        listed = self._lists.setdefault(term.shape, list(self._by_shape.get(term.shape, {}).values()))
        return [other for other in (draw.sample(listed, most) if len(listed) > most else listed) if other.text != term.text]
