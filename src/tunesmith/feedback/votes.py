"""What opinions say about the same thing, as votes that can agree and contradict; and how reliable each key is, from its votes.

A thumb, a label and a correction each say whether an answer is right; a label also says which label its prompt has; a preference which of
two answers is the better. A key has one vote a question: its last.

Reliability is the one-coin model of Dawid and Skene (1979), fitted by expectation-maximisation: a key is right with one probability, and
wrong in every other way alike. Keys begin at a Beta(4, 1) prior, so that a few disagreements condemn nobody. Who holds most of the votes
on what is shared decides what is true: many keys of one attacker are not seen through.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tunesmith.core.hashing import digest
from tunesmith.data.fold import fold
from tunesmith.ledger.feedback import FeedbackRecord

ROUNDS = 30
_RIGHT, _WRONG = 4.0, 1.0
"""The prior: as if a key had been right so often, and wrong so often."""

Who = tuple[str, str]
"""Tenant and key."""


class Vote(NamedTuple):
    """One key's word on one question."""

    question: str
    says: str
    who: Who
    opinion: str
    """Id of the opinion it follows from."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What votes come to."""

    reliability: Mapping[Who, float]
    """Probability that a key is right, of those that share questions with others."""
    shared: Mapping[Who, int]
    """How many questions each shares."""
    chances: Mapping[str, Mapping[str, float]]
    """Question that several keys voted on -> what was said -> probability that it is right."""


def who(record: FeedbackRecord) -> Who:
    """Whose opinion it is."""
    return record.tenant, record.key_id


def prompt_key(record: FeedbackRecord) -> str | None:
    """Equal where two opinions are about the same prompt, letter case and white space aside; None where the prompt is not known."""
    if record.prompt is None:
        return None
    return digest([[turn.role, fold(turn.content)] for turn in record.prompt])[:32]


def votes_of(record: FeedbackRecord) -> list[Vote]:
    """The votes that follow from an opinion; none from a comment, or where the texts are not known (of its own answer, then)."""
    prompt = prompt_key(record)
    about = f"{record.completion_id} {record.choice}" if prompt is None else digest([prompt, fold(record.answer or "")])[:32]
    answer, value = fold(record.answer or ""), fold(record.value)

    def vote(question: str, says: str) -> Vote:
        return Vote(question, says, who(record), record.id)

    if record.kind == "thumbs":
        return [vote(f"right {about}", record.value)]
    if record.kind == "label" and prompt is not None:
        return [vote(f"label {prompt}", value), vote(f"right {about}", "up" if value == answer else "down")]
    if record.kind == "correction" and prompt is not None:
        return [vote(f"right {about}", "up" if value == answer else "down")]
    if record.kind == "preference" and prompt is not None:
        pair = sorted((answer, value))
        return [vote(f"better {digest([prompt, pair])[:32]}", digest(value)[:16])]
    return []


def gathered(records: Iterable[FeedbackRecord]) -> list[Vote]:
    """The votes of opinions, one for each key and question: that of its last opinion."""
    last = {(vote.question, vote.who): vote for record in records for vote in votes_of(record)}
    return list(last.values())


def believed(votes: Sequence[Vote]) -> Beliefs:
    """Who is how reliable, and what is likely true. Costs about 2.5 microseconds a vote and round on one core."""
    by_question: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_question[vote.question].append(vote)
    shared = {question: held for question, held in by_question.items() if len(held) > 1}
    counts: dict[Who, int] = defaultdict(int)
    for held in shared.values():
        for vote in held:
            counts[vote.who] += 1
    reliability = dict.fromkeys(counts, _RIGHT / (_RIGHT + _WRONG))
    chances: dict[str, dict[str, float]] = {}
    for _ in range(ROUNDS):
        chances = {question: _chances(held, reliability) for question, held in shared.items()}
        right: dict[Who, float] = defaultdict(float)
        for question, held in shared.items():
            for vote in held:
                right[vote.who] += chances[question][vote.says]
        reliability = {key: (_RIGHT + right[key]) / (_RIGHT + _WRONG + number) for key, number in counts.items()}
    return Beliefs(reliability, dict(counts), chances)


def _chances(held: Sequence[Vote], reliability: Mapping[Who, float]) -> dict[str, float]:
    """How likely each thing that was said is right; a question has two possible answers at least, said or not."""
    said = sorted({vote.says for vote in held})
    others = max(1, len(said) - 1)
    weights = {}
    for one in said:
        weight = 1.0
        for vote in held:
            sure = reliability[vote.who]
            weight *= sure if vote.says == one else (1 - sure) / others
        weights[one] = weight
    if len(said) == 1:  # everyone said the same; all of them may still be wrong
        wrong = 1.0
        for vote in held:
            wrong *= 1 - reliability[vote.who]
        return {said[0]: weights[said[0]] / (weights[said[0]] + wrong)}
    total = sum(weights.values()) or 1.0
    return {one: weight / total for one, weight in weights.items()}
