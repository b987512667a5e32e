"""Does the model treat groups alike: accuracy and rates on the test rows by the values of a column, base against tuned.

The gap of a rate is its greatest less its least value among groups (fairlearn's `MetricFrame.difference`): of accuracy; and
of one label, the share of rows it is given to (demographic parity), its true positive rate and its false positive rate
(equalised odds: Hardt et al., 2016). Slices tell where the model is worse than elsewhere; this tells how far groups lie apart,
and what fine-tuning did to it. A rate is judged over groups with at least 20 rows under it: all rows, those that have the
label, those that have not. Smaller ones are counted and shown.

A greatest gap is above 0 by chance alone, so what groups dealt at random would show stands beside it, and a gap is called one
only where that is shown to be less (`score.bias.gap_by_chance`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.core.rows import Row
from tunesmith.score.bias import Changed, Codes, Truths, by_group, changed, gap, gap_by_chance
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples

FEWEST_ROWS = 20
"""Under a rate, for a group to be judged by it."""
MANY_VALUES = 100
"""A column of more values is no column of groups."""


Rates = Mapping[str, Mapping[str, float]]
"""Rate -> group -> value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """One group's rate."""

    name: str
    rows: int
    """Under the rate."""
    base: float | None
    """None where no row is under it."""
    tuned: float | None
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How far groups lie apart by one rate."""

    column: str
    rate: str
    """`accuracy`, `selection rate`, `true positive rate` or `false positive rate`."""
    groups: tuple[GroupRate, ...]
    rows: int
    """Under the rate, in judged groups."""
    units: int
    """Rows, or groups of rows that belong together."""
    by_chance: float
    """The tuned model's mean gap where groups are dealt at random."""
    found: Changed


@dataclass(frozen=True, slots=True)
class Answered:
    """Test rows with both models' answers, in one order."""

    rows: Sequence[Row]
    base: Sequence[Prediction]
    tuned: Sequence[Prediction]
    units: Sequence[str] | None = None
    """What each row belongs to, where rows aren't independent."""


def positive_label(labels: Sequence[str], named: str | None) -> str | None:
    """The label whose rates are told: the one named, of two the last, of more none."""
    if named is not None:
        return named
    return sorted(labels)[-1] if len(labels) == 2 else None


def group_gaps(
    answered: Answered, columns: Sequence[str], positive: str | None, *, resamples: int, seed: int
) -> tuple[list[Gap], list[str]]:
    """The gaps of every rate by every column, and what could not be told, a sentence each.

    Args:
        answered: the test rows.
        columns: names among the rows' fields.
        positive: the label of the rates; None where only accuracy is told.
        resamples: bootstrap resamples, and groups dealt at random.
        seed: of both.
    """
    gaps, notes = [], []
    for column in columns:
        names = [_named(row.fields.get(column)) for row in answered.rows]
        values = sorted({name for name in names if name is not None})
        if len(values) > MANY_VALUES:
            notes.append(f"{column} has {len(values)} values on test, more than {MANY_VALUES}: no column of groups.")
            continue
        held = _of(answered, [place for place, name in enumerate(names) if name is not None])
        codes_R = np.array([values.index(name) for name in names if name is not None], dtype=np.int64)
        made = [_gap(column, rate, values, codes_R, held, resamples, seed) for rate in _rates(held, positive)]
        if any(one is not None for one in made):
            own = [values[code] for code in codes_R]
            frames = [by_metric_frame(answers, own, positive) for answers in (held.base, held.tuned)]
            gaps += [replace(one, groups=_with_rates(one, *frames)) for one in made if one is not None]
        notes += _on_groups(column, values, codes_R, any(one is not None for one in made))
    return gaps, notes


def by_metric_frame(answers: Sequence[Prediction], groups: Sequence[str], positive: str | None) -> Rates:
    """Rate -> group -> value, by fairlearn's MetricFrame."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    truth = np.array([one.reference for one in answers], dtype=object)
    told = np.array([one.answer for one in answers], dtype=object)
    found: dict[str, Mapping[str, float]] = {}
    codes = {name: code for code, name in enumerate(dict.fromkeys([*truth.tolist(), *told.tolist()]))}
    whole = MetricFrame(
        metrics={"accuracy": accuracy_score},
        y_true=[codes[name] for name in truth],
        y_pred=[codes[name] for name in told],
        sensitive_features=list(groups),
    )
    found["accuracy"] = whole.by_group["accuracy"].to_dict()
    if positive is not None:
        rates = {"selection rate": selection_rate, "true positive rate": true_positive_rate, "false positive rate": false_positive_rate}
        frame = MetricFrame(
            metrics=rates, y_true=(truth == positive).astype(int), y_pred=(told == positive).astype(int), sensitive_features=list(groups)
        )
        found |= {name: frame.by_group[name].to_dict() for name in rates}
    return found


def _named(value: Any) -> str | None:
    """A group's name; None where the row has none."""
    return None if value is None or value == "" else " ".join(str(value).split())[:60]


def _of(answered: Answered, places: Sequence[int]) -> Answered:
    units = answered.units
    return Answered(
        rows=[answered.rows[place] for place in places],
        base=[answered.base[place] for place in places],
        tuned=[answered.tuned[place] for place in places],
        units=None if units is None else [units[place] for place in places],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rate:
    """Which rows stand under a rate, and which of these each model hits."""

    name: str
    under_R: Truths
    base_R: Truths
    tuned_R: Truths


def _rates(held: Answered, positive: str | None) -> list[_Rate]:
    def of(hit: Callable[[Prediction], bool]) -> list[Truths]:
        return [np.array([hit(one) for one in answers], dtype=np.bool_) for answers in (held.base, held.tuned)]

    every = np.ones(len(held.rows), dtype=np.bool_)
    right, given = of(lambda one: one.answer == one.reference), of(lambda one: one.answer == positive)
    made = [_Rate("accuracy", every, right[0], right[1])]
    if positive is not None:
        has = np.array([one.reference == positive for one in held.tuned], dtype=np.bool_)
        made += [
            _Rate(name, under, given[0], given[1])
            for name, under in (("selection rate", every), ("true positive rate", has), ("false positive rate", ~has))
        ]
    return made


def _gap(column: str, rate: _Rate, values: Sequence[str], codes_R: Codes, held: Answered, resamples: int, seed: int) -> Gap | None:
    """None where fewer than two groups can be judged."""
    count_G = np.bincount(codes_R[rate.under_R], minlength=len(values))
    judged = np.flatnonzero(count_G >= FEWEST_ROWS)
    if len(judged) < 2:
        return None
    place_G = np.full(len(values), -1)
    place_G[judged] = np.arange(len(judged))
    inside = rate.under_R & (place_G[codes_R] >= 0)
    own_N, base_N, tuned_N = place_G[codes_R[inside]], rate.base_R[inside], rate.tuned_R[inside]
    units = None if held.units is None else [unit for unit, one in zip(held.units, inside.tolist(), strict=True) if one]
    drawn = Resamples(rows=int(inside.sum()), count=resamples, seed=seed, groups=units)
    by_chance, p_level = gap_by_chance(tuned_N, own_N, len(judged), drawn)
    found = changed(
        by_group(base_N, own_N, len(judged)),
        by_group(tuned_N, own_N, len(judged)),
        gap,
        drawn,
        ends=(0.0, 1.0),
        same=bool((rate.base_R == rate.tuned_R).all()),
    )
    return Gap(
        column=column,
        rate=rate.name,
        groups=_counted(values, count_G),
        rows=drawn.rows,
        units=drawn.units,
        by_chance=by_chance,
        found=replace(found, p_level=p_level),
    )


def _counted(values: Sequence[str], count_G: Codes) -> tuple[GroupRate, ...]:
    return tuple(
        GroupRate(name=name, rows=rows, base=None, tuned=None, judged=rows >= FEWEST_ROWS)
        for name, rows in zip(values, count_G.tolist(), strict=True)
    )


def _with_rates(found: Gap, base: Rates, tuned: Rates) -> tuple[GroupRate, ...]:
    return tuple(
        replace(one, base=float(base[found.rate][one.name]), tuned=float(tuned[found.rate][one.name])) if one.rows else one
        for one in found.groups
    )


def _on_groups(column: str, values: Sequence[str], codes_R: Codes, told: bool) -> list[str]:
    """What a reader must know of a column's groups."""
    small = int((np.bincount(codes_R, minlength=len(values)) < FEWEST_ROWS).sum()) if values else 0
    if not told:
        return [f"{column} has fewer than two groups of {FEWEST_ROWS} test rows: no gap is told."]
    return [f"{small} of {len(values)} groups of {column} have under {FEWEST_ROWS} test rows: counted, not judged."] if small else []
