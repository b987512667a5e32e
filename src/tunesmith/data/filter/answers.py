"""Rules on answers that are to be written: repeats the prompt, breaks off, refuses."""

import re
import unicodedata
from dataclasses import dataclass

from tunesmith.data.filter.seen import Seen
from tunesmith.data.fold import fold
from tunesmith.data.settings.filter import EchoRule, TruncatedRule

_COMPARED = 4000
_CLOSING = re.compile(r"[\])}\"'”’»*_`]+\Z")
_ENDS = frozenset(".!?…。！？؟।:;>|~") | {"．", "｡"}
_PAIRS = {")": "(", "]": "[", "}": "{"}
_SHORT_WORDS = 8
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_REFUSAL = re.compile(
    r"(?:(?:unfortunately|i(?:'|’)?m (?:really |so |very )?sorry|i am (?:really |so |very )?sorry|sorry|i apologi[sz]e|my apologies)\b[,.;:]?\s*"
    r"(?:(?:but|however)\b,?\s*)?(?:as an? (?:\w+ )?(?:ai|language model|assistant)\b[^.]{0,60}?,\s*)?)?"
    r"(?:i (?:can(?:'|’)?t|cannot|can not|won(?:'|’)?t|will not|am unable to|am not able to|must decline|do not feel comfortable|don(?:'|’)?t feel comfortable)"
    r"|i(?:'|’)m (?:unable|not able|not comfortable)|as an? (?:\w+ )?(?:ai|language model)\b)",
    re.IGNORECASE,
)
_NOT = re.compile(r"\b(?:not|cannot|unable|decline|no)\b|n(?:'|’)t\b|\b(?:won|can)(?:'|’)t\b", re.IGNORECASE)
_OF_MEANS = re.compile(
    r"(?:help|assist|answer|provide|comply|do that|fulfil|complete|support|engage|discuss|generate|create|write|give|offer|share|access"
    r"|participate|recommend|advise|encourage|condone|have (?:personal|feelings|opinions)|language model|\bai\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Endings:
    """How the answers of a set end."""

    ended_share: float = 0.0
    """Share of answers of more than eight words that end with a mark."""
    cut_at: int | None = None
    """The greatest length, where so many answers have it that they were cut to it."""


def echoes(seen: Seen, rule: EchoRule) -> bool:
    """Whether the answer says what was shown again, and little else; the first 4,000 characters of both are compared."""
    low, high = sorted((len(seen.answer), len(seen.text)))
    if not seen.text or len(seen.answer) < rule.min_chars or low < rule.similarity * high / (2 - rule.similarity) * 0.8:
        return False
    from rapidfuzz.distance import Indel

    answer, text = fold(seen.answer[:_COMPARED]), fold(seen.text[:_COMPARED])
    return bool(Indel.normalized_similarity(answer, text, score_cutoff=rule.similarity) >= rule.similarity)


def ends_with_mark(answer: str) -> bool:
    """Whether a text ends as sentences and quotations do, with a sign such as an emoji, or with a hashtag."""
    text = answer.rstrip()
    if text.endswith("```"):
        return True
    bare = _CLOSING.sub("", text)
    if len(bare) < len(text) or bare[-1:] in _ENDS:
        return True
    return unicodedata.category(bare[-1:] or " ")[0] == "S" or bare.rsplit(maxsplit=1)[-1:][0][:1] in "#@"


def is_sentence(answer: str) -> bool:
    """Whether the last line of an answer is long enough for its last mark to tell something: items of a list often have none."""
    return len(answer.rstrip().rsplit("\n", 1)[-1].split(maxsplit=_SHORT_WORDS)) > _SHORT_WORDS


def breaks_off(answer: str, rule: TruncatedRule, endings: Endings) -> bool:
    """Whether an answer was cut: at a common greatest length, inside a code block or bracket, or in a sentence where others end."""
    if endings.cut_at is not None and len(answer) >= endings.cut_at:
        return True
    if "```" in answer and len(_FENCE.findall(answer)) % 2:
        return True
    if not is_sentence(answer) or ends_with_mark(answer):
        return False
    return endings.ended_share >= rule.ended_share or _is_open(answer)


def _is_open(answer: str) -> bool:
    """Whether a bracket of the last line is never closed."""
    line = answer.rstrip().rsplit("\n", 1)[-1]
    open_marks: list[str] = []
    for mark in line:
        if mark in "([{":
            open_marks.append(mark)
        elif mark in _PAIRS and open_marks and open_marks[-1] == _PAIRS[mark]:
            open_marks.pop()
    return bool(open_marks)


def refuses(answer: str) -> bool:
    """Whether an answer begins as assistants decline: says that it can't or won't, and that what it can't is to help."""
    start = answer.lstrip()[:200]
    match = _REFUSAL.match(start)
    return match is not None and _NOT.search(start) is not None and _OF_MEANS.search(start, max(0, match.end() - 20)) is not None
