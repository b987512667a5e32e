"""Time skew and historical bias: rows and labels by month, and whether differences between groups persist.

For tests the months are joined to at most 12 periods of about equally many rows. A label's drift is tested in each period against
the others, the smallest p-value times the number of periods. For history the months are cut in two halves of about
equally many rows: a difference between groups that the newer half still shows would be learnt as it is.
"""

import math
from collections import Counter
from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import quoted
from tunesmith.data.audit.seen import name_of_period
from tunesmith.data.audit.support import Z, difference, exact_p, share_of
from tunesmith.data.audit.tally import Tally

_PERIODS = 12


def _joined(tally: Tally, count: int) -> dict[int, int]:
    """Month -> period: at most `count` of about equally many rows, none of fewer than can be judged but where there is only one."""
    rows = tally.times.rows
    whole, least = sum(rows.values()), tally.config.group_rows
    count = max(1, min(count, whole // least)) if whole else 1
    period_of, period, held, before = {}, 0, 0, 0
    for month in sorted(rows):
        if held >= least and before >= (period + 1) * whole / count:
            period, held = period + 1, 0
        period_of[month] = period
        held += rows[month]
        before += rows[month]
    if held < least and period > 0:
        period_of = {month: min(each, period - 1) for month, each in period_of.items()}
    return period_of


def time_skew(tally: Tally) -> Figure:
    """Rows and label shares by month, and the drift of each label."""
    clock = tally.times
    if not clock.rows:
        return Figure({})
    period_of = _joined(tally, _PERIODS)
    last = max(period_of.values())
    rows = [0] * (last + 1)
    for month, count in clock.rows.items():
        rows[period_of[month]] += count
    spans = [[month for month, period in period_of.items() if period == each] for each in range(last + 1)]
    names = [_named(tally, span) for span in spans]
    months = {_named(tally, [month]): {"rows": clock.rows[month]} for month in sorted(clock.rows)}
    told: dict[str, Any] = {"column": tally.timed, "undated": tally.train_rows - sum(rows), "months": months, "periods": {}, "labels": {}}
    told["periods"] = dict(zip(names, rows, strict=True))
    claims: list[Claim] = []
    labels = tally.told_labels()
    hits: dict[int, list[int]] = {label: [0] * (last + 1) for label in labels}
    for (month, label), count in clock.labels.items():
        if label in hits:
            hits[label][period_of[month]] += count
    for label in labels:
        drift = _drift(hits[label], rows, names)
        told["labels"][tally.keys[label].group] = drift
        if last and drift["change"]["value"] >= tally.config.difference:
            claims.append(_drifted(tally.keys[label].group, drift, hits[label], rows))
    return Figure(told, claims, len(labels) if last else 0)


def _named(tally: Tally, span: list[int]) -> str:
    shift = tally.times.shift
    first, last = name_of_period(min(span) << shift), name_of_period(((max(span) + 1) << shift) - 1)
    return first if first == last else f"{first} to {last}"


def _drift(hits: list[int], rows: list[int], names: list[str]) -> dict[str, Any]:
    """A label's share in each period, and the largest change between two."""
    shares = [hit / count for hit, count in zip(hits, rows, strict=True)]
    low, high = min(range(len(shares)), key=shares.__getitem__), max(range(len(shares)), key=shares.__getitem__)
    change, least, most = difference(hits[high], rows[high], hits[low], rows[low])
    told = {name: share_of(hit, count) for name, hit, count in zip(names, hits, rows, strict=True)}
    return {"shares": told, "change": {"value": change, "interval": [least, most], "low": names[low], "high": names[high]}}


def _drifted(label: str, drift: dict[str, Any], hits: list[int], rows: list[int]) -> Claim:
    good, whole, change = sum(hits), sum(rows), drift["change"]
    p = min(exact_p(hit, count, good - hit, whole - count) for hit, count in zip(hits, rows, strict=True))
    shares = drift["shares"]
    return Claim(
        what="sampling.time",
        about=(label,),
        sentence=(
            f"The share of {quoted(label)} goes from {shares[change['low']]['rate']:.1%} ({change['low']}) to "
            f"{shares[change['high']]['rate']:.1%} ({change['high']}): what was learnt from old rows may not hold for new ones."
        ),
        rows=whole,
        mitigation=("split.time", "collect"),
        figure=change["value"],
        interval=(change["interval"][0], change["interval"][1]),
        p=min(1.0, p * len(rows)),
        label=label,
    )


class _Halves:
    """Rows and labels of both halves, and of each group in them: the months summed once."""

    def __init__(self, tally: Tally, newer: dict[int, bool]) -> None:
        clock, self._tally = tally.times, tally
        self.rows: Counter[bool] = Counter()
        self.labels: Counter[tuple[bool, int]] = Counter()
        self.groups: Counter[tuple[bool, int]] = Counter()
        self.joint: Counter[tuple[bool, int, int]] = Counter()
        for month, count in clock.rows.items():
            self.rows[newer[month]] += count
        for (month, label), count in clock.labels.items():
            self.labels[newer[month], label] += count
        for (month, group), count in clock.groups.items():
            self.groups[newer[month], group] += count
        columns: Counter[tuple[bool, str]] = Counter()
        of_column: Counter[tuple[bool, str, int]] = Counter()
        for (month, group, label), count in clock.joint.items():
            self.joint[newer[month], group, label] += count
            if tally.keys[group].kind == "column":
                of_column[newer[month], tally.keys[group].name, label] += count
        for (half, group), count in self.groups.items():
            if tally.keys[group].kind == "column":
                columns[half, tally.keys[group].name] += count
        self._columns, self._of_column = columns, of_column

    def rates(self, group: int, label: int) -> list[tuple[int, int, int, int]]:
        """For the older and the newer half: hits and rows of the group, hits and rows of those it is compared with."""
        key, found = self._tally.keys[group], []
        for half in (False, True):
            hits, rows = self.joint[half, group, label], self.groups[half, group]
            if key.kind == "column":
                good, whole = self._of_column[half, key.name, label], self._columns[half, key.name]
            else:
                good, whole = self.labels[half, label], self.rows[half]
            found.append((hits, rows, good - hits, whole - rows))
        return found


def history(tally: Tally) -> Figure:
    """Differences between groups in the older and the newer half, where all rows together show one; and what became of them."""
    clock = tally.times
    period_of = _joined(tally, 2) if clock.rows else {}
    if not period_of or max(period_of.values()) == 0 or clock.full:
        return Figure({"capped": True} if clock.full else {})
    halves = _Halves(tally, {month: period == 1 for month, period in period_of.items()})
    told: dict[str, Any] = {
        "older": _named(tally, [month for month, period in period_of.items() if period == 0]),
        "newer": _named(tally, [month for month, period in period_of.items() if period == 1]),
        "groups": [],
    }
    claims, tested = [], 0
    for group in (*tally.of("terms"), *tally.of("column")):
        if tally.train[group] < 2 * tally.config.group_rows:
            continue
        for label in tally.told_labels():
            older, newer = halves.rates(group, label)
            if min(older[1], older[3], newer[1], newer[3]) < tally.config.group_rows:
                continue
            tested += 1
            gaps = [difference(*older), difference(*newer)]
            if max(abs(gaps[0][0]), abs(gaps[1][0])) < tally.config.difference:
                continue
            entry = _entry(tally, (group, label), gaps)
            told["groups"].append(entry)
            if abs(gaps[1][0]) >= tally.config.difference and gaps[0][0] * gaps[1][0] > 0:
                claims.append(_persists(tally, (group, label), entry, max(exact_p(*older), exact_p(*newer))))
    told["groups"] = sorted(told["groups"], key=lambda entry: -abs(entry["newer"]["value"]))[:200]
    return Figure(told, claims, tested)


def _entry(tally: Tally, pair: tuple[int, int], gaps: list[tuple[float, float, float]]) -> dict[str, Any]:
    key, label = tally.keys[pair[0]], tally.keys[pair[1]].group
    (old, old_low, old_high), (new, new_low, new_high) = gaps
    half = Z * math.hypot((old_high - old_low) / (2 * Z), (new_high - new_low) / (2 * Z))
    change = new - old
    turn = "not shown to change" if change - half <= 0 <= change + half else "shrinks" if abs(new) < abs(old) else "grows"
    return {
        "kind": key.kind,
        "name": key.name,
        "group": key.group,
        "label": label,
        "older": {"value": old, "interval": [old_low, old_high]},
        "newer": {"value": new, "interval": [new_low, new_high]},
        "change": {"value": change, "interval": [change - half, change + half]},
        "turn": turn,
    }


def _persists(tally: Tally, pair: tuple[int, int], entry: dict[str, Any], p: float) -> Claim:
    old, new = entry["older"]["value"], entry["newer"]["value"]
    turn = "the difference is not shown to change" if entry["turn"] == "not shown to change" else f"the difference {entry['turn']}"
    low, high = entry["newer"]["interval"]
    return Claim(
        what="historical.persists",
        about=(entry["name"], entry["group"]),
        sentence=(
            f"Rows of {quoted(entry['group'])} ({entry['name']}) are {quoted(entry['label'])} {100 * old:+.1f} points more often than the others in the older "
            f"half of the rows, {100 * new:+.1f} in the newer (95% interval {100 * low:+.1f} to {100 * high:+.1f}): {turn}, and a model learns it from both."
        ),
        rows=tally.train[pair[0]],
        mitigation=("balance.reweigh", "split.time", "review"),
        figure=new,
        interval=(low, high),
        p=p,
        label=entry["label"],
    )
