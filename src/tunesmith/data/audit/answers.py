"""Answers by group: the mean number, or the typical length of written answers, by what the prompt names and by column.

Lengths are compared on the logarithmic scale, so that the figure is a ratio of typical (geometric mean) lengths. Rows that name a
group are compared with those that name another of the same kind, as texts that name anyone are longer than those that don't.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import quoted
from tunesmith.data.audit.support import welch
from tunesmith.data.audit.tally import ALL, Key, Tally
from tunesmith.data.config import Task


def answers_by_group(tally: Tally) -> Figure:
    """Every group with rows enough, against the others of its column or list; nothing where answers are labels."""
    if ALL not in tally.sums:
        return Figure({})
    written = tally.task is not Task.REGRESS
    told: dict[str, Any] = {"measure": "length" if written else "value", "overall": _mean(tally.sums[ALL], written), "groups": []}
    claims, tested = [], 0
    for key, one, other in _pairs(tally):
        if min(one[0], other[0]) < tally.config.group_rows:
            continue
        tested += 1
        gap, low, high, p = welch(one, other)
        entry = {"kind": key.kind, "name": key.name, "group": key.group, "rows": int(one[0]), "mean": _mean(one, written)}
        entry["others"] = _mean(other, written)
        figure, interval = (math.exp(gap), (math.exp(low), math.exp(high))) if written else (gap, (low, high))
        entry["ratio" if written else "difference"] = {"value": figure, "interval": list(interval)}
        told["groups"].append(entry)
        if _matters(tally, gap, written):
            claims.append(_claim(tally, key, entry, (figure, interval), p))
    return Figure(told, claims, tested)


def _pairs(tally: Tally) -> Iterator[tuple[Key, Sequence[float], Sequence[float]]]:
    """Each group's sums and those it is compared with."""
    for place, key in enumerate(tally.keys):
        if key.kind not in ("terms", "column") or place not in tally.sums:
            continue
        if key.kind == "terms":
            whole: Sequence[float] = tally.sums[tally.named(key.name)]
        else:
            column = [tally.sums[other] for other in tally.of(*key[:2]) if other in tally.sums]
            whole = [sum(each) for each in zip(*column, strict=True)]
        one = tally.sums[place]
        yield key, one, [all_of - part for all_of, part in zip(whole, one, strict=True)]


def _mean(sums: Sequence[float], written: bool) -> float:
    mean = sums[1] / sums[0]
    return math.expm1(mean) if written else mean


def _matters(tally: Tally, gap: float, written: bool) -> bool:
    """Half the way to the ratio that rates are told from; for numbers, a fifth of the spread of all (a small effect: Cohen, 1988)."""
    if written:
        return abs(gap) >= math.log(1 + (tally.config.ratio - 1) / 2)
    count, total, squares = tally.sums[ALL]
    return abs(gap) >= 0.2 * math.sqrt(max(0.0, squares / count - (total / count) ** 2))


def _claim(tally: Tally, key: Key, entry: dict[str, Any], found: tuple[float, tuple[float, float]], p: float) -> Claim:
    figure, (low, high) = found
    who = f"name the group {quoted(key.group)} ({key.name})" if key.kind == "terms" else f"have {quoted(key.group)} in {quoted(key.name)}"
    if tally.task is Task.REGRESS:
        rest = f"a mean of {entry['mean']:.3g}, against {entry['others']:.3g}: a difference of {figure:+.3g}"
    else:
        rest = f"answers of {entry['mean']:,.0f} characters as a rule, against {entry['others']:,.0f}: {figure:.2f} times"
    other = "rows that name another group of the kind" if key.kind == "terms" else "the other values"
    return Claim(
        what="label.answers",
        about=(key.name, key.group),
        sentence=f"The {entry['rows']:,} train rows that {who} have {rest} those of {other} (95% interval {low:.3g} to {high:.3g}).",
        rows=entry["rows"],
        mitigation=("augment.counterfactual", "review") if key.kind == "terms" else ("review", "balance.downsample"),
        figure=figure,
        interval=(low, high),
        p=p,
    )
