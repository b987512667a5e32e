"""Source skew: rows by file or column, label rates by source, and labels that come from one source alone (selection bias).

Where labels differ by source, what tells sources apart (layout, names, boilerplate) may be learnt for the label.
"""

from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import MOST_TOLD, Compared, compare, judged, quoted
from tunesmith.data.audit.support import share_of
from tunesmith.data.audit.tally import Tally

_ALONE = 0.95
"""A source with more of all rows than this has every label to itself by right."""


def source_skew(tally: Tally) -> Figure:
    """Rows and labels by source; empty where there is one source or none."""
    sources = tally.of("source")
    if len(sources) < 2:
        return Figure({})
    pairs = list(compare(tally, sources, tally.told_labels(), stated=True))
    tested = [pair for pair in pairs if judged(pair, tally.config)]
    whole = sum(tally.kept[place] for place in sources)
    of_source: dict[int, list[Compared]] = {place: [] for place in sources}
    for pair in pairs:
        of_source[pair.group].append(pair)
    told: dict[str, Any] = {
        "by": tally.config.source or "file",
        "capped": bool({"source", tally.config.source} & tally.capped),
        "sources": {tally.keys[place].group: _told(tally, place, whole, of_source[place]) for place in sources},
        "told_by_source": _told_by_source(tally, sources),
    }
    only = {pair.label: pair for pair in tested if _alone(pair, tally)}
    told["labels_of_one_source"] = {tally.keys[label].group: tally.keys[pair.group].group for label, pair in only.items()}
    return Figure(told, [_claim(tally, pair) for pair in tested if pair.matters(tally.config)], len(tested))


def _alone(pair: Compared, tally: Tally) -> bool:
    """Whether a label with rows enough comes from one source, which is not nearly all there is."""
    return pair.hits >= tally.config.group_rows and pair.other_hits == 0 and pair.rows < _ALONE * (pair.rows + pair.other_rows)


def _told(tally: Tally, place: int, whole: int, pairs: list[Compared]) -> dict[str, Any]:
    mine = sorted(pairs, key=lambda pair: -abs(pair.rate - pair.other_rate))[:MOST_TOLD]
    labels = {tally.keys[pair.label].group: pair.told() for pair in mine}
    return share_of(tally.kept[place], whole) | {"train": tally.train[place], "labels": labels}


def _told_by_source(tally: Tally, sources: list[int]) -> dict[str, float] | None:
    """How many train rows' labels are right when guessed from the source alone, against one guess for all: None without labels."""
    labels = tally.of("label")
    rows = sum(tally.train[place] for place in sources)
    if not labels or not rows:
        return None
    right = sum(max(tally.joint[place, label] for label in labels) for place in sources)
    same = max(sum(tally.joint[place, label] for place in sources) for label in labels)
    return {"right_by_source": right / rows, "right_without": same / rows}


def _claim(tally: Tally, pair: Compared) -> Claim:
    source, label = tally.keys[pair.group].group, tally.keys[pair.label].group
    gap, low, high = pair.gap
    alone = _alone(pair, tally)
    if alone:
        sentence = (
            f"All {pair.hits:,} train rows that are {quoted(label)} come from {quoted(source)}, which has "
            f"{pair.rows / (pair.rows + pair.other_rows):.1%} of the rows: a model may learn the source for the label."
        )
    else:
        sentence = (
            f"Of the {pair.rows:,} train rows from {quoted(source)}, {pair.rate:.1%} are {quoted(label)}, against {pair.other_rate:.1%} of the others "
            f"(difference {100 * gap:+.1f} points, 95% interval {100 * low:+.1f} to {100 * high:+.1f}): what tells sources apart may be learnt for the label."
        )
    return Claim(
        what="selection.label_of_one_source" if alone else "selection.source",
        about=(label,) if alone else (source,),
        sentence=sentence,
        rows=pair.rows,
        mitigation=("collect", "split", "balance.downsample"),
        figure=gap,
        interval=(low, high),
        p=pair.p(),
        label=label,
        weighted=pair.weighted,
        threshold=tally.config.difference,
    )
