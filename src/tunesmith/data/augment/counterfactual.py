"""Terms of one group written as those of another, in every text of the row alike, so that a model learns not to care.

A table has one column a group and one line a meaning. A row is moved by the same number of columns throughout: `he` and `his
brother` become `she` and `her sister`, never a mixture. English `her` is `him` or `his` by what follows it; that is a rule of thumb.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import WORD, Bounds, Edit, like
from tunesmith.data.augment.slots import whole_words

Table = tuple[tuple[str, ...], ...]

GENDER: Table = (
    ("he", "she"),
    ("himself", "herself"),
    ("man", "woman"),
    ("men", "women"),
    ("boy", "girl"),
    ("boys", "girls"),
    ("male", "female"),
    ("gentleman", "lady"),
    ("gentlemen", "ladies"),
    ("father", "mother"),
    ("fathers", "mothers"),
    ("dad", "mum"),
    ("son", "daughter"),
    ("sons", "daughters"),
    ("brother", "sister"),
    ("brothers", "sisters"),
    ("husband", "wife"),
    ("husbands", "wives"),
    ("boyfriend", "girlfriend"),
    ("uncle", "aunt"),
    ("nephew", "niece"),
    ("grandfather", "grandmother"),
    ("grandson", "granddaughter"),
    ("mr", "ms"),
    ("sir", "madam"),
)
RELIGION: Table = (
    ("christian", "muslim", "jewish", "hindu", "buddhist"),
    ("christians", "muslims", "jews", "hindus", "buddhists"),
    ("christianity", "islam", "judaism", "hinduism", "buddhism"),
    ("bible", "quran", "torah", "vedas", "tripitaka"),
)
BUILTIN: Mapping[str, Table] = {"gender": GENDER, "religion": RELIGION}

_HER = {"his", "him", "her", "hers"}
_AFTER_HIM = (
    "a about after again and are as at away back because before but by did does every for from had has have how if in into is it later"
    " not now of off on or out over so soon than that the then they this to today tomorrow too until up was we were what when where"
    " which while who why will with would yesterday you"
)
_NOT_OWNED = frozenset(_AFTER_HIM.split())
"""After these `her` is `him`: what follows is not hers."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Built by `counterfactual_of`."""

    columns: Mapping[str, tuple[str, ...]]
    """Folded term -> its line, the term itself first, the others in the order of the groups after its own."""
    widths: tuple[int, ...]
    pattern: re.Pattern[str]
    gender: bool
    name: str = "counterfactual"
    noise: bool = False
    bound: str = "lists"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """All terms of the row moved by the same number of columns of their table."""
        steps = {width: draw.randrange(1, width) for width in self.widths}
        return [[self._moved(text, match, steps) for match in self.pattern.finditer(text)] for text in texts]

    def _moved(self, text: str, match: re.Match[str], steps: Mapping[int, int]) -> Edit:
        word = match[0].casefold()
        if self.gender and word in _HER:
            new = _her(word, text[match.end() :])
        else:
            line = self.columns[word]
            new = line[steps[len(line)]]
        return (match.start(), match.end(), like(match[0], new) if new.islower() else new)


def _her(word: str, rest: str) -> str:
    """`his`, `him`, `her` and `hers` by what follows: a word that could be owned, or not."""
    following = WORD.match(rest.lstrip(" "))
    owned = following is not None and following[0].casefold() not in _NOT_OWNED
    if word == "him":
        return "her"
    if word == "hers":
        return "his"
    if word == "his":
        return "her" if owned else "hers"
    return "his" if owned else "him"


def counterfactual_of(tables: Mapping[str, Sequence[Sequence[str]]]) -> Counterfactual:
    """The way for these tables. A term in two lines belongs to the first. `gender` brings his, him, her and hers."""
    columns: dict[str, tuple[str, ...]] = {}
    for lines in tables.values():
        for line in lines:
            for at, term in enumerate(line):
                columns.setdefault(term.casefold(), (*line[at:], *line[:at]))
    gender = tables.get("gender") == GENDER
    terms = [*columns, *(_HER if gender else ())]
    return Counterfactual(columns, tuple(sorted({len(line) for line in columns.values()})), whole_words(terms), gender)
