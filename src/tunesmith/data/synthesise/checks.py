"""What every item must keep, one rule each; the first that fails is the reason it is dropped.

The answer stands in the passage word for word, its numbers equal. The question gives it away nowhere. Wrong choices differ from the
answer and from one another; those of a blank don't stand in the passage. No two items ask the same.
Near-repeats are looked for among items of the same answer, so the cost grows with these and not with the square of all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tunesmith.data.settings.synthesise import ItemChecksConfig
from tunesmith.data.synthesise.items import BLANK, Item, holds, numbers_in, plain

EMPTY = "empty question or answer"
SHORT = "question too short"
LONG = "question or answer too long"
NOT_FOUND = "the answer doesn't stand in the passage"
GIVEN = "the question contains the answer"
NO_BLANK = "no blank in the question"
NOT_OFFERED = "the answer is not among the choices"
FEW = "too few choices"
SAME_AS_ANSWER = "a wrong choice equals the answer"
SAME_CHOICES = "two wrong choices are equal"
ALSO_RIGHT = "a wrong choice is right too"
REPEATED = "asks what another item asks"
_ALIKE = 0.9

Rule = Callable[[Item, ItemChecksConfig], bool]
"""True where the item fails."""


def _same(one: str, two: str) -> bool:
    """Equal after folding, or nearly so with the same numbers."""
    from rapidfuzz.distance import Levenshtein

    ours, theirs = plain(one), plain(two)
    if ours == theirs:
        return True
    alike = Levenshtein.normalized_similarity(ours, theirs, score_cutoff=_ALIKE) >= _ALIKE
    return alike and numbers_in(one) == numbers_in(two)


def _given_away(one: Item, config: ItemChecksConfig) -> bool:
    return holds(one.question.replace(BLANK, " "), one.answer)


def _also_right(one: Item, config: ItemChecksConfig) -> bool:
    """A blank's wrong choice stands in the passage; another's holds the answer, or is held by it."""
    if one.kind == "cloze":
        return any(holds(one.passage, wrong) for wrong in one.wrong)
    return any(holds(wrong, one.answer) or holds(one.answer, wrong) for wrong in one.wrong)


def _two_equal(one: Item, config: ItemChecksConfig) -> bool:
    wrong = one.wrong
    return any(_same(first, second) for at, first in enumerate(wrong) for second in wrong[at + 1 :])


RULES: tuple[tuple[str, Rule], ...] = (
    (EMPTY, lambda one, it: not plain(one.question.replace(BLANK, " ")) or not plain(one.answer)),
    (SHORT, lambda one, it: len(one.question) < it.least_question),
    (
        LONG,
        lambda one, it: (
            len(one.question) > it.longest_question or any(len(text) > it.longest_answer for text in (one.answer, *one.choices))
        ),
    ),
    (NO_BLANK, lambda one, it: one.kind == "cloze" and BLANK not in one.question),
    (NOT_FOUND, lambda one, it: not holds(one.passage, one.answer)),
    (GIVEN, _given_away),
    (FEW, lambda one, it: (one.kind == "choices" or bool(one.choices)) and len(one.choices) < 2),
    (NOT_OFFERED, lambda one, it: bool(one.choices) and one.answer not in one.choices),
    (EMPTY, lambda one, it: not all(plain(choice) for choice in one.choices)),
    (SAME_AS_ANSWER, lambda one, it: any(_same(wrong, one.answer) for wrong in one.wrong)),
    (SAME_CHOICES, _two_equal),
    (ALSO_RIGHT, _also_right),
)
"""Reason -> rule, in the order they are tried. To add a check, add a line."""


@dataclass(slots=True)
class Checks:
    """The rules over a stream of items; holds the questions kept so far."""

    config: ItemChecksConfig
    _asked: set[str] = field(default_factory=set)
    _by_answer: dict[str, list[str]] = field(default_factory=dict)

    def refuse(self, one: Item) -> str | None:
        """Why the item is dropped; None where it is kept, and is then one of those that must not be repeated."""
        for reason, fails in RULES:
            if fails(one, self.config):
                return reason
        return self._repeats(one)

    def _repeats(self, one: Item) -> str | None:
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        question, answer = plain(one.question), plain(one.answer)
        near = self._by_answer.setdefault(answer, [])
        if question in self._asked or process.extractOne(
            question, near, scorer=Levenshtein.normalized_similarity, score_cutoff=self.config.alike
        ):
            return REPEATED
        self._asked.add(question)
        near.append(question)
        return None
