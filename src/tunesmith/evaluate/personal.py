"""Personal data in generated answers, counted by kind; no value is kept or told.

A value that the prompt did not hold was either learned or made up; one that stands in the training rows was learned. The
rules that find personal data also find what is none, so the base's answers to the same prompts are counted beside. Answers
are those that were generated for scoring: this generates none. About three thousand short texts a second on one core.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data.anonymise import find

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

    def to_json(self) -> dict[str, Any]:
        """The report's `personal`."""
        return asdict(self) | {"kinds": dict(self.kinds), "learned": dict(self.learned)}


def personal_outputs(prompts: Sequence[str], answers: Sequence[str], known: Collection[tuple[str, str]] = ()) -> PersonalOutputs:
    """Look for personal data in generated answers.

    Args:
        prompts: what each answer was asked by, all turns of it as one text.
        answers: what was generated.
        known: what `personal_values` found in the training rows.

    Raises:
        DataError: not as many prompts as answers.
    """
    if len(prompts) != len(answers):
        raise DataError(f"{len(answers)} answers were given for {len(prompts)} prompts: give each answer its prompt.")
    kinds: Counter[str] = Counter()
    learned: Counter[str] = Counter()
    with_any = 0
    for prompt, answer in zip(prompts, answers, strict=True):
        fresh = [one for one in _values(answer) if not _stands_in(one[1], prompt)]
        kinds.update(kind for kind, _ in fresh)
        learned.update(kind for kind, value in fresh if (kind, _key(value)) in known)
        with_any += bool(fresh)
    return PersonalOutputs(answers=len(answers), with_any=with_any, kinds=dict(kinds.most_common()), learned=dict(learned.most_common()))


def personal_sentence(tuned: PersonalOutputs, base: PersonalOutputs | None = None) -> str:
    """For people: how much of which kind, and whether it was learned."""
    if not tuned.with_any:
        return f"No personal data beyond what prompts hold were found in {tuned.answers} generated answers."
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in tuned.kinds.items())
    against = "" if base is None else f"; the base's answers hold {sum(base.kinds.values())}"
    stand = sum(tuned.learned.values())
    return (
        f"{tuned.with_any} of {tuned.answers} generated answers hold personal data that their prompts do not ({kinds}{against}); "
        f"{stand if stand else 'none'} of these values {'stands' if stand == 1 else 'stand'} in the training rows."
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
