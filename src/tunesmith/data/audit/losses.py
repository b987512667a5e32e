"""Selection by cleaning: which groups and labels lost more of their rows than others before they reached a side.

The make-up of the dropped rows is compared with that of the kept ones, which is fair where only a sample of the kept was looked
at; shares lost are then told as scaled up from the sample.
"""

from collections.abc import Iterator
from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import quoted
from tunesmith.data.audit.support import difference, exact_p, ratio
from tunesmith.data.audit.tally import ALL, Key, Tally


def losses(tally: Tally, scale: float = 1.0) -> Figure:
    """Every group, source and label with rows enough.

    Args:
        tally: with rows told by `drop`; nothing comes of none.
        scale: how many rows each kept row that was counted stands for.
    """
    if not tally.dropped_rows or not tally.kept_rows:
        return Figure({})
    told: dict[str, Any] = {
        "dropped": tally.dropped_rows,
        "kept": round(tally.kept_rows * scale),
        "stages": {stage: count for (place, stage), count in tally.dropped_at.items() if place == ALL},
        "groups": [],
    }
    claims, tested = [], 0
    for place, (lost, all_lost, left, all_left) in _tables(tally):
        if lost + left < tally.config.group_rows or min(all_lost, all_left) < 1:
            continue
        tested += 1
        entry = _entry(tally, place, (lost, left * scale), (all_lost - lost, (all_left - left) * scale))
        told["groups"].append(entry)
        gap = entry["lost"] - entry["others_lost"]
        if abs(gap) >= tally.config.difference or ratio(lost, all_lost, left, all_left)[0] >= tally.config.ratio:
            p = exact_p(lost, all_lost, left, all_left)
            claims.append(_claim(tally.keys[place], entry, difference(lost, all_lost, left, all_left), p))
    told["groups"] = sorted(told["groups"], key=lambda entry: entry["others_lost"] - entry["lost"])
    return Figure(told, claims, tested)


def _tables(tally: Tally) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Each group's dropped and kept rows, and those of everyone it is compared with."""
    for place, key in enumerate(tally.keys):
        if key.kind in ("terms", "label"):
            yield place, (tally.dropped[place], tally.dropped_rows, tally.kept[place], tally.kept_rows)
        else:
            column = tally.of(*key[:2])
            whole = sum(tally.dropped[other] for other in column), sum(tally.kept[other] for other in column)
            yield place, (tally.dropped[place], whole[0], tally.kept[place], whole[1])


def _entry(tally: Tally, place: int, mine: tuple[float, float], others: tuple[float, float]) -> dict[str, Any]:
    key = tally.keys[place]
    stages = {stage: count for (group, stage), count in tally.dropped_at.items() if group == place}
    return {
        "kind": key.kind,
        "name": key.name,
        "group": key.group,
        "dropped": int(mine[0]),
        "kept": round(mine[1]),
        "lost": mine[0] / (mine[0] + mine[1]),
        "others_lost": others[0] / (others[0] + others[1]) if sum(others) else 0.0,
        "stages": stages,
    }


def _claim(key: Key, entry: dict[str, Any], gap: tuple[float, float, float], p: float) -> Claim:
    most = max(entry["stages"], key=lambda stage: entry["stages"][stage], default=None)
    value, low, high = gap
    what = f"{quoted(key.group)} ({key.name or key.kind})"
    mostly = f", most of them by {most}" if most else ""
    return Claim(
        what="selection.cleaning",
        about=(key.kind, key.name, key.group),
        sentence=(
            f"Cleaning dropped {entry['lost']:.1%} of the rows of {what}{mostly}, and {entry['others_lost']:.1%} of the others: "
            f"they are {_points(value, low, high)}."
        ),
        rows=entry["dropped"] + entry["kept"],
        mitigation=("cleaning", "collect"),
        figure=value,
        interval=(low, high),
        p=p,
    )


def _points(value: float, low: float, high: float) -> str:
    """The gap in words and the interval of it, both as many points more or fewer: -9.6 points more is nothing people say."""
    sign, word, ends = (-1, "fewer", (high, low)) if value < 0 else (1, "more", (low, high))
    least, most = (100 * sign * end for end in ends)
    return f"{100 * abs(value):.1f} points {word} of the dropped rows than of the kept (95% interval {least:.1f} to {most:.1f})"
