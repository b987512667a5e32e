"""One text, hardly changed, said of many prompts by one key."""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tunesmith.data.fold import fold
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.votes import Who, prompt_key, who
from tunesmith.ledger.feedback import FeedbackRecord

_WRITTEN = ("correction", "preference", "comment")


def copies(records: Sequence[FeedbackRecord], config: ScreenConfig) -> dict[str, str]:
    """Id -> why, of opinions whose text its key has put, nearly alike, to `config.copies` prompts or more.

    Two keys that correct one prompt alike agree; that is no copying. Scratch files lie in the system's temporary folder meanwhile.
    """
    written: dict[Who, list[FeedbackRecord]] = defaultdict(list)
    for record in records:
        if record.kind in _WRITTEN and len(record.value) >= config.copy_characters and not record.key_id.startswith("review:"):
            written[who(record)].append(record)
    found: dict[str, str] = {}
    for held in written.values():
        if len(held) < config.copies:
            continue
        for cluster in _clusters([fold(record.value) for record in held]):
            alike = [held[place] for place in cluster]
            prompts = {prompt_key(record) or record.completion_id for record in alike}
            if len(prompts) >= config.copies:
                found |= {record.id: f"near-copies: its key said nearly the same of {len(prompts)} prompts" for record in alike}
    return found


def _clusters(texts: Sequence[str]) -> list[list[int]]:
    """Places of texts that a chain of near pairs joins."""
    from tunesmith.data.near import NearDuplicates
    from tunesmith.data.settings.dedup import NearConfig

    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        finder = NearDuplicates(NearConfig(), Path(folder), seed=0)
        finder.add(texts)
        components = finder.clusters().component.tolist()
    by_first: dict[int, list[int]] = defaultdict(list)
    for place, first in enumerate(components):
        by_first[first].append(place)
    return [places for places in by_first.values() if len(places) > 1]
