"""Keys that give far more of a day's opinions than others do."""

from collections import Counter
from collections.abc import Iterable
from statistics import median

from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.votes import Beliefs, Who, who
from tunesmith.ledger.feedback import FeedbackRecord


def floods(records: Iterable[FeedbackRecord], beliefs: Beliefs, config: ScreenConfig) -> dict[tuple[str, Who], str]:
    """(Day, key) -> why, for each key that floods a day.

    With few other keys that day nobody floods: a gateway behind one application has one key, and it gives everything. Nor does a busy key
    whose opinions others confirm, unless it gives most of what is said. What a reviewer wrote, or
    a file says without naming users, counts for nobody.
    """
    days: dict[str, Counter[Who]] = {}
    for record in records:
        if record.key_id != "import:" and not record.key_id.startswith("review:"):
            days.setdefault(record.created[:10], Counter())[who(record)] += 1
    found = {}
    for day, counts in days.items():
        total = counts.total()
        for key, number in counts.items():
            others = [count for other, count in counts.items() if other != key]
            if number < config.flood_least or len(others) < config.flood_keys:
                continue
            share = config.flood_most if _vouched(key, beliefs, config) else config.flood_share
            if number >= share * total and number >= config.flood_times * median(others):
                found[day, key] = f"flood: its key gave {number} of {total} opinions on {day}"
    return found


def _vouched(key: Who, beliefs: Beliefs, config: ScreenConfig) -> bool:
    return beliefs.shared.get(key, 0) >= config.vouched_shared and beliefs.reliability[key] >= config.vouched
