"""A few rows for people to look at: what stages changed and dropped, near-duplicates side by side, labels that look wrong.

Personal data in them is masked, kinds in brackets, whether or not the recipe has it replaced; what replaced it is shown as it is.
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


def looks(making: Making, clusters: Clusters | None, suspects: Sequence[Suspect], mask: Mask) -> dict[str, Any]:
    """Samples by name, as JSON values: `samples`, `clusters`, `suspects`."""
    return {
        "samples": [sample for each in making.account.shown() if (sample := _sample(each, mask)) is not None],
        "clusters": [] if clusters is None else _clusters(making, clusters, mask),
        "suspects": [_suspect(each, mask) for each in suspects[:_SUSPECTS]],
    }


def _sample(each: Shown, mask: Mask) -> dict[str, Any] | None:
    """One sample; None where mending shows something personal that the text before may hide from the mask in broken letters."""
    before = _shown(each.before, mask)
    after = None if each.after is None else _shown(each.after, str if each.stage == "anonymise" else mask)
    if each.stage == "normalise" and each.after is not None and after != _shown(each.after, str):
        return None
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
