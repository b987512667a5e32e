"""Rules on one text by itself: empty, too short, too long, repeating itself. Cost: one walk over its words at most."""

import unicodedata

from tunesmith.data.filter.seen import Seen
from tunesmith.data.settings.filter import LongRule, RepeatsRule, ShortRule

_RUN = 4
_MOST_WORDS = 20_000


def is_empty(seen: Seen, written: bool) -> bool:
    """Whether nothing of what is shown, or of an answer that is to be written, prints."""
    return not prints(seen.shown) or (written and not prints(seen.answer))


def prints(text: str) -> bool:
    """Whether a text holds a character that is neither a blank nor a mark or sign without ink of its own."""
    if text[:1].isalnum():
        return True
    return any(unicodedata.category(character)[0] not in "ZCM" for character in text)


def is_short(seen: Seen, rule: ShortRule) -> bool:
    """Whether the text, or an answer that is to be written, has too few characters."""
    raw = not seen.text
    if len(seen.shown.strip()) < rule.text:
        return True
    return not raw and bool(seen.answer) and len(seen.answer.strip()) < rule.answer


def is_long(seen: Seen, rule: LongRule) -> bool:
    """Whether what is shown, or an answer to it, has too many characters."""
    raw = not seen.text
    return len(seen.shown) > rule.text or (not raw and len(seen.answer) > rule.answer)


def repeats(text: str, rule: RepeatsRule) -> bool:
    """Whether too many runs of four words stood there before: duplicates / runs (Rae et al., 2021, section A.1.1, by words).

    The first 20,000 words are looked at.
    """
    if len(text) < 2 * rule.min_words:
        return False
    words = text.split(maxsplit=_MOST_WORDS)[:_MOST_WORDS]
    if len(words) < rule.min_words:
        return False
    runs = len(words) - _RUN + 1
    distinct = len(set(zip(words, words[1:], words[2:], words[3:], strict=False)))
    return (runs - distinct) / runs > rule.share
