"""Where is the model worse: the test rows by length, file, group, label and any column of few values, each slice against the rest.

Every slice gets its rows, its value with an interval, its difference to the rest and a p-value, corrected for the number of slices
(Holm). One is named worse only where that is shown after the correction, at one-sided 2.5%: of many slices some look bad by chance.
Slices of fewer than 20 rows, or of fewer than 10 groups where rows come in groups, are too small to tell and are not made.
Label slices are made only where rows are right or wrong: an average over classes means nothing within one class.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.score.apart import Apart, Part, against_rest, fewest_units
from tunesmith.score.intervals import TAIL
from tunesmith.score.measures import Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples, units
from tunesmith.score.several import holm

FEWEST_ROWS = 20
"""In a slice, and in its rest."""
FEWEST_UNITS = 10
"""Groups in a slice, and in its rest, where rows come in groups."""
FEW_VALUES = 20
"""A column with more values than this is not sliced by."""
MANY_VALUES = 100
"""Likewise for files, groups and labels, which are few by nature."""
NAMED = 3
"""Worst slices named in the sentence."""
_SHOWN = 40
"""Characters of a value that are shown."""
_NONE = "(none)"
_RESAMPLES_EACH = 80
"""Resamples for each slice, at least: the least p-value they can give, times the slices, is then half of what shows one to be worse."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Rows that have something in common."""

    column: str
    """`length`, `source`, `group`, `label`, or a column's name."""
    value: str
    part: Part
    """Which rows, [R]."""

    @property
    def name(self) -> str:
        """For people: `label = refund`."""
        value = self.value if len(self.value) <= _SHOWN else f"{self.value[: _SHOWN - 3]}..."
        return f"{self.column} = {' '.join(value.split())}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFigures:
    """How a slice stands to the rest."""

    column: str
    value: str
    name: str
    figures: Apart
    p_corrected: float
    """After Holm's correction over all slices."""

    @property
    def is_worse(self) -> bool:
        """Worse than the rest, by interval and by corrected test."""
        return self.figures.difference.high < 0 and self.p_corrected <= TAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """All slices, the worst first."""

    measure: str
    slices: tuple[SliceFigures, ...]
    sentence: str

    @property
    def worse(self) -> list[SliceFigures]:
        """Those shown to be worse than the rest."""
        return [one for one in self.slices if one.is_worse]

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "measure": self.measure,
            "sentence": self.sentence,
            "slices": [asdict(one) | {"worse": one.is_worse} for one in self.slices],
        }


def slices_of(rows: Sequence[Row], *, groups: Mapping[str, str] | None = None, by_label: bool = True) -> list[Slice]:
    """Every slice the rows can be cut into, whatever its size; of slices with the same rows, the first.

    Args:
        groups: row id -> group.
        by_label: whether rows are cut by their label or labels too.
    """
    cuts = [*_lengths(rows), *_by("source", MANY_VALUES, rows, lambda row: row.source.rpartition(":")[0] or row.source)]
    if groups is not None:
        cuts += _by("group", MANY_VALUES, rows, lambda row: groups.get(row.id, _NONE))
    if by_label:
        cuts += _labels(rows)
    for column in dict.fromkeys(name for row in rows for name in row.fields):
        if all(isinstance(row.fields.get(column), str | int | bool | None) for row in rows):
            cuts += _by(column, FEW_VALUES, rows, lambda row, column=column: _shown(row.fields.get(column)))  # type: ignore[misc]
    distinct: dict[bytes, Slice] = {}
    for cut in cuts:
        if cut.part.any() and not cut.part.all():
            distinct.setdefault(cut.part.tobytes(), cut)
    return list(distinct.values())


def _shown(value: object) -> str:
    return _NONE if value is None or value == "" else str(value)


def _by(column: str, most: int, rows: Sequence[Row], key: Callable[[Row], str]) -> Iterator[Slice]:
    """One slice a value; none where values are too many to be a way of sorting rows."""
    keys = np.array([key(row) for row in rows], dtype=object)
    values = sorted(set(keys))
    if len(values) <= most:
        for value in values:
            yield Slice(column, value, np.array(keys == value, dtype=np.bool_))


def _lengths(rows: Sequence[Row]) -> Iterator[Slice]:
    """Three parts of about as many rows, by characters of the text."""
    lengths = np.array([len(row.text()) for row in rows])
    if len(lengths) == 0:
        return
    low, high = (int(cut) for cut in np.quantile(lengths, [1 / 3, 2 / 3], method="inverted_cdf"))
    yield Slice("length", f"up to {low} characters", lengths <= low)
    yield Slice("length", f"{low + 1} to {high} characters", (lengths > low) & (lengths <= high))
    yield Slice("length", f"over {high} characters", lengths > high)


def _labels(rows: Sequence[Row]) -> Iterator[Slice]:
    """By label, or by each label of a set; by nothing where answers are free text."""
    held = [row.labels if row.labels is not None else (row.answer,) for row in rows]
    names = sorted({label for labels in held for label in labels})
    if len(names) <= MANY_VALUES:
        for name in names:
            yield Slice("label", name, np.array([name in labels for labels in held]))


def judge_slices(
    measure: Measure,
    rows: Sequence[Row],
    predictions: Sequence[Prediction],
    *,
    resamples: int = 2000,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Slices | None:
    """Every slice that is large enough against its rest; None where the predictions don't carry what the measure needs.

    Args:
        measure: the one that decides.
        rows: the test rows.
        predictions: one system's answers to them, in any order.
        resamples: where no exact method serves; more are drawn where many slices ask for small p-values.
        groups: row id -> group, where rows of a group aren't independent; a row without one stands alone.

    Raises:
        DataError: rows and predictions are not of the same rows.
    """
    answered = {one.row_id: one for one in predictions}
    if len(answered) < len(predictions) or answered.keys() != {row.id for row in rows} or len(rows) != len(predictions):
        raise DataError(f"Slices were asked of {len(rows)} rows with {len(predictions)} answers to others: give each row one answer.")
    names = units([row.id for row in rows], groups)
    drawn = Resamples(rows=len(rows), count=resamples, seed=seed, groups=names)
    cuts = [one for one in slices_of(rows, groups=groups, by_label=measure.right is not None) if _large(one.part, drawn)]
    if (least := len(cuts) * _RESAMPLES_EACH) > resamples:
        drawn = Resamples(rows=len(rows), count=least, seed=seed, groups=names)
    found = against_rest(measure, [answered[row.id] for row in rows], [one.part for one in cuts], drawn)
    if found is None:
        return None
    made = [
        SliceFigures(column=cut.column, value=cut.value, name=cut.name, figures=figures, p_corrected=corrected)
        for cut, figures, corrected in zip(cuts, found, holm([one.p_worse for one in found], len(found)), strict=True)
    ]
    made.sort(key=lambda one: (not one.is_worse, one.figures.difference.value))
    return Slices(measure=measure.name, slices=tuple(made), sentence=_sentence(measure, made))


def _large(part: Part, drawn: Resamples) -> bool:
    """Whether slice and rest have enough rows to tell."""
    inside = int(part.sum())
    if min(inside, len(part) - inside) < FEWEST_ROWS:
        return False
    return not drawn.grouped or fewest_units(part, drawn) >= FEWEST_UNITS


def _sentence(measure: Measure, made: Sequence[SliceFigures]) -> str:
    """What was found, with the worst few by name."""
    if not made:
        return f"No slice of the test rows is large enough ({FEWEST_ROWS} rows) to be told from the rest."
    worse = [one for one in made if one.is_worse]
    if not worse:
        return f"None of {len(made)} slices is shown to be worse than the rest of the test rows (Holm)."
    told = "; ".join(
        f"{one.name} ({measure.title} {measure.shown(one.figures.value.value)} on {one.figures.rows} rows "
        f"against {measure.shown(one.figures.rest)}, corrected p = {one.p_corrected:.2g})"
        for one in worse[:NAMED]
    )
    more = f"; and {len(worse) - NAMED} more" if len(worse) > NAMED else ""
    return f"{len(worse)} of {len(made)} slices {'is' if len(worse) == 1 else 'are'} worse than the rest, after Holm's correction: {told}{more}."
