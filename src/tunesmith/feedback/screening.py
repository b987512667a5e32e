"""Which opinions look wrong, and why: by what others say, by how many one key gives, by copies.

Looks at everything that was said, reviewed or not, and moves only what nobody has reviewed; what looked wrong and no longer does is let
out again. Pure but for `screen`. All opinions are held in memory; ten thousand thumbs take about 0.7 s of one core.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tunesmith.data.fold import fold
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.copies import copies
from tunesmith.feedback.flood import floods
from tunesmith.feedback.sides import foreseen_sides, place_all
from tunesmith.feedback.votes import Beliefs, Vote, believed, gathered, who
from tunesmith.ledger.feedback import FeedbackRecord, State, Verdict
from tunesmith.ledger.sides import SideRecord

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger


def suspicions(records: Sequence[FeedbackRecord], config: ScreenConfig) -> dict[str, str]:
    """Id -> why it looks wrong, in a sentence; the first reason of flood, copies, unreliable key, contradiction, empty correction.

    Rejected opinions are no evidence, and are looked at by nobody.
    """
    standing = [record for record in records if record.state != "rejected"]
    votes = gathered(standing)
    beliefs = believed(votes)
    flooded = floods(standing, beliefs, config)
    reasons = [
        {record.id: why for record in standing if (why := flooded.get((record.created[:10], who(record))))},
        copies(standing, config),
        _unreliable(standing, beliefs, config),
        _contradictions(votes, beliefs, config),
        _empty(standing),
    ]
    found: dict[str, str] = {}
    for held in reasons:
        found = held | found
    return found


def screen(ledger: "Ledger", config: ScreenConfig) -> int:
    """Move what looks wrong to `quarantined` and what no longer does back to `new`; returns how many moved.

    What came since the last time and is not set aside is then given its side of the next round: nobody has reviewed it yet.
    """
    verdicts = _verdicts(ledger.feedback.list(), config)
    moved = ledger.feedback.screen(verdicts) if verdicts else 0
    place_all(ledger, config.judge)
    return moved


def foreseen(ledger: "Ledger", config: ScreenConfig) -> tuple[list[FeedbackRecord], dict[str, SideRecord]]:
    """All opinions and their sides as `screen` would leave them; writes nothing."""
    records = ledger.feedback.list()
    moved = {one.id: one for one in _verdicts(records, config)}
    told = [replace(one, state=moved[one.id].state, reason=moved[one.id].reason) if one.id in moved else one for one in records]
    return told, foreseen_sides(ledger, told, config.judge)


def _verdicts(records: Sequence[FeedbackRecord], config: ScreenConfig) -> list[Verdict]:
    """What moves."""
    found = suspicions(records, config)
    verdicts = []
    for record in records:
        if record.reviewer is not None or record.state not in ("new", "quarantined"):
            continue
        state: State = "quarantined" if record.id in found else "new"
        if (state, found.get(record.id)) != (record.state, record.reason):
            verdicts.append(Verdict(record.id, state, found.get(record.id)))
    return verdicts


def _unreliable(records: Sequence[FeedbackRecord], beliefs: Beliefs, config: ScreenConfig) -> dict[str, str]:
    """All opinions of keys that are more often wrong than right, where enough can be compared."""
    bad = {
        key: f"unreliable key: it is right in about {share:.0%} of the {beliefs.shared[key]} answers that others judge too"
        for key, share in beliefs.reliability.items()
        if beliefs.shared[key] >= config.shared and share < config.reliable
    }
    return {record.id: bad[who(record)] for record in records if who(record) in bad}


def _contradictions(votes: Sequence[Vote], beliefs: Beliefs, config: ScreenConfig) -> dict[str, str]:
    """Opinions on the side that is likely wrong; where that can't be told, on every side."""
    sides: dict[str, list[Vote]] = {}
    for vote in votes:
        sides.setdefault(vote.question, []).append(vote)
    found: dict[str, str] = {}
    for question, held in sides.items():
        said = {vote.says for vote in held}
        if len(said) < 2:
            continue
        chances = beliefs.chances[question]
        best = max(said, key=lambda one: (chances[one], one))
        told = chances[best] >= config.sure
        for vote in held:
            if not told:
                found.setdefault(vote.opinion, f"contradiction: {len(held)} keys disagree, and neither side is surer")
            elif vote.says != best:
                against = sum(other.says == best for other in held)
                found[vote.opinion] = f"contradiction: {against} of {len(held)} keys, the more reliable ones, say otherwise"
    return found


def _empty(records: Sequence[FeedbackRecord]) -> dict[str, str]:
    """Corrections and preferences that say what the answer said."""
    return {
        record.id: "no change: it repeats the answer"
        for record in records
        if record.kind in ("correction", "preference") and record.answer is not None and fold(record.value) == fold(record.answer)
    }
