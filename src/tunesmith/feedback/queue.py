"""What a reviewer sees first: answers that a filter stopped, answers people disagree on, answers the model was unsure of (uncertainty sampling: Lewis and Gale, 1994).

Opinions of one answer stand together. What a flood or copies put into quarantine comes last, and one of each key in turn, so that no key
fills the queue.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.feedback.votes import votes_of
from tunesmith.ledger.feedback import FeedbackRecord

UNSURE = 0.7
"""Answers of less confidence are unsure."""
_DISCOUNTED = ("flood", "near-copies", "unreliable")
"""How reasons begin that speak against all that a key says."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An opinion to be reviewed."""

    record: FeedbackRecord
    why: str
    """Why it stands where it does."""


def queue(records: Iterable[FeedbackRecord]) -> list[Waiting]:
    """Opinions that wait for a reviewer, in the order they are best looked at; equal ones by age."""
    records = list(records)
    disputed = _disputed(records)
    waiting = [record for record in records if record.state in ("new", "quarantined")]
    by_answer: dict[tuple[str, int], list[FeedbackRecord]] = defaultdict(list)
    suspect = []
    for record in waiting:
        if record.state == "quarantined" and record.id not in disputed:
            suspect.append(record)
        else:
            by_answer[record.completion_id, record.choice].append(record)
    groups = sorted(by_answer.values(), key=lambda held: _place(held, disputed))
    return [Waiting(record, _why(record, disputed)) for held in [*groups, in_turn(suspect)] for record in held]


def in_turn(records: Sequence[FeedbackRecord]) -> list[FeedbackRecord]:
    """The first of every key, then the second of every key, and so on."""
    turns: Counter[tuple[str, str]] = Counter()
    placed = []
    for record in records:
        placed.append((turns[record.tenant, record.key_id], record))
        turns[record.tenant, record.key_id] += 1
    return [record for _, record in sorted(placed, key=lambda pair: pair[0])]


def _disputed(records: Sequence[FeedbackRecord]) -> set[str]:
    """Ids of opinions that others contradict; what a flood, copies or an unreliable key say disputes nothing."""
    said: dict[str, set[str]] = defaultdict(set)
    counted = [record for record in records if record.state != "rejected" and not (record.reason or "").startswith(_DISCOUNTED)]
    votes = [vote for record in counted for vote in votes_of(record)]
    for vote in votes:
        said[vote.question].add(vote.says)
    return {vote.opinion for vote in votes if len(said[vote.question]) > 1}


def _place(held: Sequence[FeedbackRecord], disputed: set[str]) -> tuple[int, float]:
    """Flagged, disputed, unsure, then the rest; within each the least sure first."""
    sure = min((record.confidence for record in held if record.confidence is not None), default=1.0)
    if any(record.flagged for record in held):
        return 0, sure
    if any(record.id in disputed for record in held):
        return 1, sure
    return (2 if sure < UNSURE else 3), sure


def _why(record: FeedbackRecord, disputed: set[str]) -> str:
    if record.flagged:
        return "stopped by a filter"
    if record.id in disputed:
        return "opinions differ"
    if record.state == "quarantined":
        return record.reason or "set aside"
    if record.confidence is not None and record.confidence < UNSURE:
        return f"unsure ({record.confidence:.2f})"
    return "in order of confidence" if record.confidence is not None else "in order of arrival"
