"""What a card says of a round's twins: the curve over training rows with what more would bring, and what other seeds gave."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.report import figures
from tunesmith.report.charts import ACCENT, FONT, GREY, WIDTH, drawn, values
from tunesmith.report.figures import Metric, in_text, metric_of
from tunesmith.report.shape import Count, Estimate, Number, Part, Report, part_of
from tunesmith.report.text import one_line


class PointPart(Part):
    rows: int
    value: Estimate = Estimate()
    twin: bool = True


class AheadPart(Part):
    rows: int
    value: Estimate = Estimate()
    gain: Estimate = Estimate()


class CurvePart(Part):
    """`learning_curve` of report.json."""

    measure: str = ""
    outcome: str = ""
    sentence: str = ""
    points: tuple[PointPart, ...] = ()
    ahead: tuple[AheadPart, ...] = ()
    fitted: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


class RunPart(Part):
    name: str = ""
    value: Number = None
    gain: Estimate = Estimate()
    outcome: str = ""


class SeedsPart(Part):
    """`over_seeds` of report.json."""

    measure: str = ""
    sentence: str = ""
    gains: Count = None
    runs: tuple[RunPart, ...] = ()


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A number of training rows, and what it gave or would give."""

    rows: str
    kind: str
    value: str
    range: str
    gain: str
    gain_range: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The section: a sentence, a picture, a table, notes."""

    sentence: str
    head: str
    picture: Markup | None
    rows: list[CurveRow]
    notes: list[str]


def curve(report: Report) -> Curve | None:
    """What fewer rows gave and more would; None where nobody asked."""
    found = part_of(report, "learning_curve", CurvePart)
    if found is None or not found.points:
        return None
    metric = metric_of(found.measure, [*(one.value for one in found.points), *(one.value for one in found.ahead)])
    made = [
        CurveRow(f"{one.rows:,}", "twin" if one.twin else "this round's model", *_cell(metric, one.value), "", "") for one in found.points
    ]
    foretold = [
        CurveRow(
            f"{one.rows:,}",
            "foretold",
            *_cell(metric, one.value),
            _difference(metric, one.gain),
            metric.write_difference_range(one.gain),
        )
        for one in found.ahead
    ]
    notes = [one_line(note, 300) for note in found.notes]
    return Curve(one_line(found.sentence, 600), metric.head, _picture(found, metric), made + foretold, notes)


def _cell(metric: Metric, estimate: Estimate) -> tuple[str, str]:
    return metric.write(estimate.value), metric.write_range(estimate)


def _difference(metric: Metric, estimate: Estimate) -> str:
    return metric.write_difference(estimate.value) + ("" if estimate.value is None else metric.points)


def _picture(found: CurvePart, metric: Metric) -> Markup | None:
    """Values over rows, both with their intervals; the fitted curve goes on dashed beyond the rows there are."""
    import altair as alt

    points = [row for one in found.points if (row := _place(one.rows, one.value, metric, "measured"))]
    ahead = [row for one in found.ahead if (row := _place(one.rows, one.value, metric, "foretold"))]
    if not points:
        return None
    most = max(row["rows"] for row in points)
    line = [{"rows": rows, "value": metric.scaled(value), "beyond": rows > most} for rows, value in found.fitted if rows > 0]
    ticks = sorted({row["rows"] for row in (*points, *ahead)})
    axis = alt.Axis(values=ticks, format=",d", grid=False, labelOverlap=True)
    x = alt.X("rows:Q", title="Training rows", scale=alt.Scale(type="log", nice=False, padding=24), axis=axis)
    y = alt.Y("value:Q", title=metric.head, scale=alt.Scale(zero=False, nice=True))
    kinds = alt.Scale(domain=["measured", "foretold"], range=[ACCENT, GREY])
    dots = alt.Chart(values([*points, *ahead]), width=WIDTH - 90, height=240)
    colour = alt.Color("kind:N", scale=kinds, title=None)
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=["measured", "foretold"], range=[ACCENT, "white"]), title=None, legend=None)
    dashed = alt.StrokeDash("beyond:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [5, 4]]), legend=None)
    chart = alt.layer(
        alt.Chart(values(line)).mark_line(color=GREY, strokeWidth=1.5).encode(x=x, y=y, strokeDash=dashed),
        dots.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        dots.mark_point(size=80, strokeWidth=2, opacity=1).encode(x=x, y=y, color=colour, fill=fill),
        dots.mark_text(align="left", dx=8, dy=13, fontSize=12, font=FONT).encode(x=x, y=y, text="label:N", color=colour),
    )
    said = ", ".join(f"{row['rows']:,} rows {row['label']}" for row in points)
    then = ", ".join(f"{row['rows']:,} rows {row['label']}" for row in ahead)
    return drawn(chart, f"{metric.name} on test over training rows: {said}{f'; foretold: {then}' if then else ''}.")


def _place(rows: int, estimate: Estimate, metric: Metric, kind: str) -> dict[str, Any] | None:
    if estimate.value is None:
        return None
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    at = {name: metric.scaled(value) for name, value in (("value", estimate.value), ("low", low), ("high", high))}
    return {"rows": rows, "kind": kind, "label": metric.write(estimate.value) + metric.unit, **at}


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One seed's model against the baseline that is hardest to beat."""

    name: str
    value: str
    gain: str
    range: str
    p: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Seeds:
    """The section: a sentence and a table."""

    sentence: str
    head: str
    rows: list[SeedRow]
    measure: str
    split: bool
    """Whether some seeds gain and others don't."""


def over_seeds(report: Report) -> Seeds | None:
    """What other seeds gave; None where nobody asked."""
    found = part_of(report, "over_seeds", SeedsPart)
    if found is None or not found.runs:
        return None
    metric = metric_of(found.measure, [Estimate(value=one.value) for one in found.runs])
    rows = [
        SeedRow(
            name=one_line(one.name, 40),
            value=metric.write(one.value),
            gain=_difference(metric, one.gain),
            range=metric.write_difference_range(one.gain),
            p=figures.ABSENT if one.gain.p_value is None else figures.p_value(one.gain.p_value),
            holds=one.outcome == "gain",
        )
        for one in found.runs
    ]
    split = 0 < sum(row.holds for row in rows) < len(rows)
    return Seeds(one_line(found.sentence, 400), metric.head, rows, in_text(found.measure), split)
