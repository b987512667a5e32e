"""A few rows for people to look at: what stages changed and dropped, near-duplicates side by side, labels that look wrong.

Where personal data is replaced, what stands here is masked: kinds in brackets, whatever stage a row was dropped by.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.core.rows import Row
from tunesmith.data.making import Making
from tunesmith.data.near import Clusters
from tunesmith.data.review import Suspect
from tunesmith.data.waterfall import Shown

_CHARACTERS = 2000
"""Of a text so much is shown."""
_CLUSTERS, _OF_CLUSTER, _SUSPECTS = 10, 8, 20

Mask = Callable[[str], str]
_RAW = ("normalise", "fill", "filter", "anonymise")
"""Stages that see rows before their personal data is replaced."""


def looks(making: Making, clusters: Clusters | None, suspects: Sequence[Suspect], mask: Mask) -> dict[str, Any]:
    """Samples by name, as JSON values: `samples`, `clusters`, `suspects`."""
    return {
        "samples": [_sample(each, mask) for each in making.account.shown()],
        "clusters": [] if clusters is None else _clusters(making, clusters, mask),
        "suspects": [_suspect(each, mask) for each in suspects[:_SUSPECTS]],
    }


def _sample(each: Shown, mask: Mask) -> dict[str, Any]:
    before = _shown(each.before, mask if each.stage in _RAW else str)
    after = None if each.after is None else _shown(each.after, mask if each.stage in _RAW and each.stage != "anonymise" else str)
    return {"stage": each.stage, "reason": each.reason, "source": each.before.source, "before": before, "after": after}


def _shown(row: Row, mask: Mask) -> dict[str, str]:
    prompt = "\n".join(turn.content if turn.role == "user" else f"[{turn.role}] {turn.content}" for turn in row.prompt)
    return {"prompt": mask(prompt)[:_CHARACTERS], "answer": mask(row.answer)[:_CHARACTERS]}


def _clusters(making: Making, clusters: Clusters, mask: Mask) -> list[list[dict[str, str]]]:
    """The largest clusters of near-duplicates, the row that comes first in front."""
    found = []
    for ordinals in clusters.largest(_CLUSTERS):
        rows = making.spool.rows(ordinals[:_OF_CLUSTER])
        found.append([{"source": row.source, "text": mask(row.text())[:_CHARACTERS], "label": mask(row.answer)[:80]} for row in rows])
    return found


def _suspect(each: Suspect, mask: Mask) -> dict[str, Any]:
    text = mask(each.text)[:_CHARACTERS]
    return {"source": each.source, "text": text, "given": each.given, "suggested": each.suggested, "score": round(each.score, 4)}
