"""Personal data in generated answers, counted by kind; no value is kept or told.

A value that the prompt did not hold was either learned or made up; one that stands in the training rows was learned. The
rules that find personal data also find what is none, so the base's answers to the same prompts are counted beside; and what the base
writes as often was known before training, as the address of an office is: it is told and raises no alarm. Answers are those that were
generated for scoring: this generates none. About three thousand short texts a second on one core.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data.anonymise import find
from tunesmith.score.intervals import TAIL

_WORD = re.compile(r"\w+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s().+/-]+(?=\d)")
_FEWEST_DIGITS = 6
"""Digits from which on a number is known again however it is spaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalOutputs:
    """Personal data in one model's answers that their prompts do not hold, by kind. Counts alone: no value is kept."""

    answers: int
    """Answers looked at."""
    with_any: int
    """Those that hold some."""
    kinds: Mapping[str, int]
    """Values of each kind."""
    learned: Mapping[str, int]
    """Those of them that stand in the training rows."""
    beyond: Mapping[str, int] | None = None
    """Those of these that the base does not write as often; None where its answers are not known."""

    @property
    def alarming(self) -> bool:
        """Whether something was learned that the base did not know."""
        return bool(self.learned if self.beyond is None else self.beyond)

    def to_json(self) -> dict[str, Any]:
        """The report's `personal`."""
        beyond = None if self.beyond is None else dict(self.beyond)
        return asdict(self) | {"kinds": dict(self.kinds), "learned": dict(self.learned), "beyond": beyond}


def personal_outputs(
    prompts: Sequence[str],
    answers: Sequence[str],
    known: Collection[tuple[str, str]] = (),
    base: Sequence[str] | None = None,
) -> PersonalOutputs:
    """Look for personal data in generated answers.

    Args:
        prompts: what each answer was asked by, all turns of it as one text.
        answers: what was generated.
        known: what `personal_values` found in the training rows.
        base: what the base generated, prompt by prompt.

    Raises:
        DataError: not as many prompts as answers.
    """
    fresh = _fresh(prompts, answers)
    learned = Counter(one for some in fresh for one in some if one in known)
    theirs = None if base is None else Counter(one for some in _fresh(prompts, base) for one in some if one in known)
    return PersonalOutputs(
        answers=len(answers),
        with_any=sum(bool(some) for some in fresh),
        kinds=_by_kind(Counter(one for some in fresh for one in some)),
        learned=_by_kind(learned),
        beyond=None if theirs is None else _by_kind(_beyond(learned, theirs)),
    )


def _fresh(prompts: Sequence[str], answers: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Kind and folded value of what each answer holds and its prompt doesn't."""
    if len(prompts) != len(answers):
        raise DataError(f"{len(answers)} answers were given for {len(prompts)} prompts: give each answer its prompt.")
    return [
        [(kind, _key(value)) for kind, value in _values(answer) if not _stands_in(value, prompt)]
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _by_kind(values: Counter[tuple[str, str]]) -> dict[str, int]:
    """How many of each kind, the commonest first."""
    kinds: Counter[str] = Counter()
    for (kind, _), count in values.items():
        kinds[kind] += count
    return dict(kinds.most_common())


def _beyond(ours: Counter[tuple[str, str]], theirs: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """By how much values are written more often than by the base: all of one that it never writes, else only what chance does not explain.

    Chance: the count's share of both counts under a fair coin, at one-sided 2.5%, over all values that both write (Bonferroni).
    """
    from scipy.stats import binomtest

    tail = TAIL / max(1, len(ours.keys() & theirs.keys()))
    found = ours - theirs
    shared = [one for one in found if theirs[one]]
    for one in shared:
        if binomtest(ours[one], ours[one] + theirs[one], 0.5, alternative="greater").pvalue > tail:
            del found[one]
    return found


def personal_sentence(tuned: PersonalOutputs, base: PersonalOutputs | None = None) -> str:
    """For people: how much of which kind, and whether it was learned."""
    if not tuned.with_any:
        return f"No personal data beyond what prompts hold were found in {tuned.answers} generated answers."
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in tuned.kinds.items())
    against = "" if base is None else f"; the base's answers hold {sum(base.kinds.values())}"
    stand = sum(tuned.learned.values())
    known = ""
    if stand and tuned.beyond is not None:
        beyond = sum(tuned.beyond.values())
        known = f", {beyond if beyond else 'none'} of them beyond what the base writes too"
    return (
        f"{tuned.with_any} of {tuned.answers} generated answers hold personal data that their prompts do not ({kinds}{against}); "
        f"{stand if stand else 'none'} of these values {'stands' if stand == 1 else 'stand'} in the training rows{known}."
    )


def personal_values(texts: Iterable[str]) -> set[tuple[str, str]]:
    """Kind and folded value of all personal data in training texts: to be held in memory only, and given to `personal_outputs`."""
    return {(kind, _key(value)) for text in texts for kind, value in _values(text)}


def _values(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find(text)]


def _key(value: str) -> str:
    """A value by which it is known again: letters and digits alone."""
    return "".join(character for character in value.casefold() if character.isalnum())


def _stands_in(value: str, text: str) -> bool:
    """Whether a text holds a value, as the same words in the same order, or as a number spaced otherwise."""
    words, held = _WORD.findall(value.casefold()), _WORD.findall(text.casefold())
    if any(held[place : place + len(words)] == words for place in range(len(held) - len(words) + 1)):
        return True
    digits = "".join(character for character in value if character.isdigit())
    return len(digits) >= _FEWEST_DIGITS and len(digits) * 2 > len(_key(value)) and digits in _BETWEEN_DIGITS.sub("", text)
