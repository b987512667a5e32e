"""A style guide as preference rows, in the form that `data.task: prefer` reads (DPO): the guide's own pairs, and pairs among a model's answers.

Of the answers drawn to one prompt the one that keeps most rules is preferred to the one that keeps fewest, where these differ; and an
answer with words that the guide replaces gives way to itself with the others. Rows carry `source: style` and the rules that the rejected
answer breaks. A style score sees form alone, so what is preferred may be the worse answer in everything else: answers of less than half or
more than twice the words of the other are not paired, and a round trained on these rows should be held against a measure of what is said.
"""

import re
from collections.abc import Sequence
from typing import Any

from tunesmith.core.rows import Message
from tunesmith.data.settings.style import StyleGuide, StylePair
from tunesmith.ledger.requests import told
from tunesmith.score.style import Style, words_of

APART = 2.0
"""How many times the words of the other an answer of a pair may have."""
Made = dict[str, Any]


def guide_rows(guide: StyleGuide) -> list[Made]:
    """A row of each pair that has a prompt."""
    style = guide.style
    return [
        _row((Message("user", pair.prompt),), pair.say, pair.instead_of, "guide", style) for pair in guide.pairs if pair.prompt is not None
    ]


def answer_rows(prompt: Sequence[Message], answers: Sequence[str], guide: StyleGuide) -> list[Made]:
    """Rows of the answers drawn to one prompt: at most one of two of them, and one for the first that the guide rewords.

    Answers are looked at in their order, so equal ones count once and the earlier of two as good is taken.
    """
    style = guide.style
    distinct = [answer for answer in dict.fromkeys(one.strip() for one in answers) if words_of(answer)]
    made = []
    ranked = sorted(distinct, key=lambda answer: -style.score(answer))
    for worst in reversed(ranked):
        best = next((one for one in ranked if _alike_long(one, worst)), worst)
        if style.score(best) > style.score(worst):
            made.append(_row(prompt, best, worst, "ranked", style))
            break
    for answer in distinct:
        other = reworded(answer, guide.pairs)
        if other != answer and words_of(other) and style.score(other) >= style.score(answer):
            made.append(_row(prompt, other, answer, "reworded", style))
            break
    return made


def reworded(answer: str, pairs: Sequence[StylePair]) -> str:
    """An answer with what the pairs without a prompt replace, whole words only; a capital at the beginning stays one, and nothing takes the space before it along."""
    for pair in pairs:
        if pair.prompt is None and (wanted := pair.instead_of.split()):
            before = r"(?<!\w)" if pair.say else r"(?:^|(?<!\s)\s+)(?<!\w)"
            pattern = before + r"\s+".join(map(re.escape, wanted)) + r"(?!\w)"
            answer = re.sub(pattern, lambda found, say=pair.say: _as_begun(found[0], say), answer, flags=re.IGNORECASE)  # type: ignore[misc]
    return answer.strip()


def _as_begun(found: str, say: str) -> str:
    return say[:1].upper() + say[1:] if found[:1].isupper() else say


def _alike_long(one: str, other: str) -> bool:
    few, many = sorted((len(words_of(one)), len(words_of(other))))
    return many <= APART * few


def _row(prompt: Sequence[Message], chosen: str, rejected: str, kind: str, style: Style) -> Made:
    told_rules = ", ".join(style.broken(rejected))
    return {"prompt": told(prompt), "chosen": chosen, "rejected": rejected, "source": "style", "made": kind, "breaks": told_rules}
