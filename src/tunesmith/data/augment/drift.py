"""How far a made text went from the one it came from; what went too far is refused, with a reason.

Letters are compared by edit similarity (rapidfuzz), words by the share that stands unchanged, meaning by features that are handed
in, or by words in common and length where there are none. Numbers must survive everything but an exchange of listed values.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunesmith.data.augment.edits import NUMBER, WORD
from tunesmith.data.settings.augment import DriftConfig

if TYPE_CHECKING:
    import numpy as np

Similarity = Callable[[Sequence[str], Sequence[str]], "np.ndarray"]
"""Cosine of the features of each pair: two lists of n texts -> [n] float32."""

LETTERS = "too many letters changed"
WORDS = "too many words changed"
NUMBERS = "a number was lost or added"
MEANING = "too far in meaning"
LENGTH = "too long or too short"


def words_kept(before: str, after: str) -> float:
    """The share of the words of `before` that stand in `after`, letter case aside; 1 where there are none."""
    ours, theirs = _words(before), _words(after)
    return (ours & theirs).total() / ours.total() if ours else 1.0


def edit_similarity(before: str, after: str, at_least: float = 0.0) -> float:
    """1 - Levenshtein distance / longer length, letter case aside; 0 where that is under `at_least`, which is found out sooner."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(before.casefold(), after.casefold(), score_cutoff=at_least))


def drifted(before: str, after: str, bound: str, config: DriftConfig) -> str | None:
    """Why a text made without an engine is refused; None where it may stay. `bound` is the way's: letters, words or lists."""
    if bound == "lists":
        return None
    if _numbers(before) != _numbers(after):
        return NUMBERS
    if words_kept(before, after) < config.words_kept:
        return WORDS
    return LETTERS if bound == "letters" and edit_similarity(before, after, config.similarity) < config.similarity else None


def rewritten_too_far(before: str, after: str, cosine: float | None, config: DriftConfig) -> str | None:
    """Why a text written by an engine is refused; None where it may stay. `cosine` is None where no features are at hand."""
    if _numbers(before) != _numbers(after):
        return NUMBERS
    ours, theirs = _words(before).total(), _words(after).total()
    ratio = max(len(after), 1) / max(len(before), 1) if not ours or not theirs else theirs / ours
    if not 1 / config.length_ratio <= ratio <= config.length_ratio:
        return LENGTH
    if cosine is not None:
        return None if cosine >= config.meaning else MEANING  # nan is no cosine, and is refused
    overlap = (_words(before) & _words(after)).total() / max(ours, theirs, 1)
    return MEANING if overlap < config.overlap else None


def _words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.casefold()))


def _numbers(text: str) -> Counter[str]:
    return Counter(number.replace(",", "") for number in NUMBER.findall(text))
