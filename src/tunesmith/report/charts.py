"""Charts as inline SVG: static, without script, readable in print and to who can't tell red from green.

Drawn by altair and vl-convert, both imported when first needed (about 0.3 s). Colours are of Okabe and Ito's palette
("Color Universal Design", 2008), darkened until text in them keeps 4.5:1 on white; no meaning hangs on colour alone.
Every text that came from a row passes `tunesmith.report.text` first.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.report.figures import Metric
from tunesmith.report.shape import Bin, Confusion, Estimate
from tunesmith.report.text import label, one_line, visible

ACCENT, WARM, INK, GREY, TICK, RULE = "#00598c", "#a84300", "#1c2733", "#5b6672", "#9aa4ae", "#dde2e7"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
WIDTH = 880
"""Of every chart, in pixels: the text column of the page."""
LETTER = 7.4
"""Room for a letter of an axis label, in pixels: wide, since the reader's font is not the one that vl-convert measures."""
_HEAD = re.compile(r"<svg\b[^>]*?viewBox=\"([\d. ]+)\"[^>]*>")
_BETWEEN_TAGS = re.compile(r">[^<]*<")
_ACTIVE = re.compile(r"<(script|foreignObject|image|a|iframe|style|use)\b|\s(xlink:)?href=|\son\w+=", re.IGNORECASE)


def drawn(chart: Any, title: str) -> Markup:
    """A chart's SVG, safe to stand in a page: one named picture to a screen reader, its size left to the page.

    `altair` writes the specification, `vl_convert` draws it without network and without running a browser.
    """
    import altair
    import vl_convert

    words = {"labelFont": FONT, "titleFont": FONT, "labelFontSize": 12, "titleFontSize": 12, "labelColor": INK, "titleColor": GREY}
    lines = {"domainColor": TICK, "tickColor": TICK, "gridColor": RULE, "tickSize": 4}
    styled = (
        chart.configure(font=FONT, background="white", aria=False, padding={"left": 2, "right": 12, "top": 4, "bottom": 2})
        .configure_axis(**words, **lines, titleFontWeight="normal")
        .configure_legend(**words, titleFontWeight="normal", symbolStrokeWidth=2, symbolSize=60)
        .configure_view(stroke=None)
    )
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return _named(vl_convert.vegalite_to_svg(styled.to_dict(), vl_version=version, allowed_base_urls=[]), visible(title))


def _named(picture: str, title: str) -> Markup:
    """Give the outermost <svg> a name and a role. Anything that could act or fetch in it is a bug, and refused."""
    head = _HEAD.match(picture)
    if head is None or _ACTIVE.search(_BETWEEN_TAGS.sub("><", picture)):
        raise RuntimeError("A chart came back as something other than a plain picture.")
    box = head.group(1)
    width, height = box.split()[2:]
    attributes = 'xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{0}" viewBox="{1}" width="{2}" height="{3}"'
    return Markup(f"<svg {attributes}><title>{{0}}</title>").format(title, box, width, height) + Markup(picture[head.end() :])


def values(rows: Sequence[dict[str, Any]]) -> Any:
    import altair

    return altair.InlineData(values=list(rows))


@dataclass(frozen=True, slots=True)
class Whisker:
    """One line of an interval plot."""

    name: str
    estimate: Estimate
    kind: str
    """tuned, baseline or floor: its colour and its mark."""


def interval_plot(whiskers: Sequence[Whisker], metric: Metric, title: str) -> Markup | None:
    """A dot with its 95% interval a line, in the order given; None where no value is known."""
    rows = [row for index, whisker in enumerate(whiskers) if (row := _whisker_row(index, whisker, metric))]
    if not rows:
        return None
    import altair as alt

    kinds = ["tuned", "baseline", "floor"]
    scale = alt.Scale(zero=False, nice=True, padding=12)
    heading = metric.head
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[ACCENT, GREY, GREY]), legend=None)
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=kinds, range=[ACCENT, GREY, "white"]), legend=None)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["circle", "circle", "diamond"]), legend=None)
    axis, room = _named_axis([one_line(whisker.name, 40) for whisker in whiskers])
    y = alt.Y("at:O", title=None, axis=axis)
    at = {place: alt.X(f"{place}:Q", title=heading, scale=scale, axis=alt.Axis(tickCount=6)) for place in ("value", "low", "high")}
    base = alt.Chart(values(rows), width=WIDTH - 40 - room, height=alt.Step(36)).encode(y=y, color=colour)
    line = base.mark_rule(strokeWidth=2).encode(x=at["low"], x2="high:Q")
    ends = [base.mark_tick(thickness=2, size=10).encode(x=at[end]) for end in ("low", "high")]
    dot = base.mark_point(size=90, strokeWidth=2, opacity=1).encode(x=at["value"], shape=shape, fill=fill)
    figure = base.mark_text(dy=-13, fontSize=12, font=FONT).encode(x=at["value"], text="label:N")
    return drawn(alt.layer(line, *ends, dot, figure), title)


def _whisker_row(index: int, whisker: Whisker, metric: Metric) -> dict[str, Any] | None:
    held = whisker.estimate
    if held.value is None:
        return None
    low, high = (held.value if end is None else end for end in (held.low, held.high))
    return {
        "at": index,
        "kind": whisker.kind,
        "value": metric.scaled(held.value),
        "low": metric.scaled(low),
        "high": metric.scaled(high),
        "label": metric.write(held.value) + metric.unit,
    }


def _named_axis(names: Sequence[str]) -> tuple[Any, float]:
    """An axis over 0, 1, 2... that prints these names, and its width in pixels.

    Equal names stay apart, and no name is ever a field or an expression.
    """
    import altair as alt

    room = 10 + LETTER * max(map(len, names), default=0)
    place = f"{_strings(names)}[datum.value]"
    return alt.Axis(labelExpr=place, labelLimit=room, minExtent=room, domain=False, ticks=False, labelPadding=10), room


def _strings(texts: Sequence[str]) -> str:
    """A Vega expression for a list of strings. JSON's string syntax is Vega's, so no text can end its own quotes."""
    return json.dumps(list(texts), ensure_ascii=True)


def label_bars(labels: Sequence[tuple[str, int]], title: str) -> Markup:
    """Rows per label, most first: lying bars with their names up to 30, one standing silhouette without names beyond."""
    import altair as alt

    if len(labels) <= 30:
        rows = [{"at": index, "rows": count} for index, (_, count) in enumerate(labels)]
        axis, room = _named_axis([label(name, 32) for name, _ in labels])
        base = alt.Chart(values(rows), width=WIDTH - 90 - room, height=alt.Step(19)).encode(y=alt.Y("at:O", title=None, axis=axis))
        x = alt.X("rows:Q", axis=None)
        bars = base.mark_bar(color=ACCENT, opacity=0.8, height=11).encode(x=x)
        words = base.mark_text(align="left", dx=5, color=GREY, fontSize=12, font=FONT).encode(x=x, text=alt.Text("rows:Q", format=",d"))
        return drawn(alt.layer(bars, words), title)
    rows = [{"from": index, "to": index + 1, "rows": count} for index, (_, count) in enumerate(labels)]
    chart = (
        alt.Chart(values(rows), width=WIDTH - 60, height=110)
        .mark_rect(color=ACCENT, opacity=0.8, stroke="white", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "from:Q",
                title=f"{len(labels):,} labels, most rows first",
                scale=alt.Scale(domain=[0, len(labels)], nice=False),
                axis=alt.Axis(labels=False, ticks=False, grid=False),
            ),
            x2="to:Q",
            y=alt.Y("rows:Q", title="Rows", axis=alt.Axis(tickCount=4)),
            y2=alt.datum(0),
        )
    )
    return drawn(chart, title)


def confusion_picture(confusion: Confusion, title: str) -> Markup:
    """The whole matrix without texts, a square for each pair that occurs.

    Blue where right, orange where not, darker for a larger share of its row.
    """
    import altair as alt

    size = len(confusion.labels)
    rows = [
        {"i": i, "i2": i + 1, "j": j, "j2": j + 1, "right": i == j, "share": round(count / sum(counts), 3)}
        for i, counts in enumerate(confusion.counts)
        for j, count in enumerate(counts)
        if count > 0
    ]
    side = 440
    frame = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    scale = alt.Scale(domain=[0, size], nice=False)
    squares = (
        alt.Chart(values(rows), width=side, height=side)
        .mark_rect()
        .encode(
            x=alt.X("j:Q", title="answered", axis=frame, scale=scale),
            x2="j2:Q",
            y=alt.Y("i:Q", title="reference", axis=frame, scale=alt.Scale(domain=[size, 0], nice=False)),
            y2="i2:Q",
            color=alt.Color("right:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, WARM]), legend=None),
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.35, 1]), legend=None),
        )
    )
    edge = alt.Chart(values([{"a": 0, "b": size}])).mark_rect(fillOpacity=0, stroke=TICK).encode(x="a:Q", x2="b:Q", y="a:Q", y2="b:Q")
    return drawn(alt.layer(squares, edge), title)


def reliability(points: Mapping[str, Sequence[Bin]], title: str) -> Markup:
    """Share right over confidence: open grey squares before a correction, blue dots with their 95% intervals after, and the line of perfect belief."""
    import altair as alt

    kinds = [kind for kind in ("before", "after") if kind in points]
    rows = [
        {"kind": kind, "sure": 100 * bin_.confidence, "right": 100 * bin_.accuracy}
        | {
            "low": 100 * (bin_.accuracy if bin_.low is None else bin_.low),
            "high": 100 * (bin_.accuracy if bin_.high is None else bin_.high),
        }
        for kind in kinds
        for bin_ in points[kind]
        if bin_.confidence is not None and bin_.accuracy is not None
    ]
    scale = alt.Scale(domain=[0, 100], nice=False)
    x, y = alt.X("sure:Q", title="Confidence, %", scale=scale), alt.Y("right:Q", title="Answered right, %", scale=scale)
    colours, shapes = (
        alt.Scale(domain=["before", "after"], range=[GREY, ACCENT]),
        alt.Scale(domain=["before", "after"], range=["square", "circle"]),
    )
    fills = alt.Scale(domain=["before", "after"], range=["white", ACCENT])
    perfect = (
        alt.Chart(values([{"sure": 0, "right": 0}, {"sure": 100, "right": 100}])).mark_line(color=TICK, strokeDash=[4, 4]).encode(x=x, y=y)
    )
    shown = alt.Chart(values(rows), width=380, height=380)
    whisker = (
        shown.transform_filter("datum.kind == 'after'")
        .mark_rule(color=ACCENT, strokeWidth=1.5)
        .encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q")
    )
    marks = shown.mark_point(size=60, opacity=1, strokeWidth=1.5).encode(
        x=x,
        y=y,
        color=alt.Color("kind:N", scale=colours, title=None),
        shape=alt.Shape("kind:N", scale=shapes, title=None),
        fill=alt.Fill("kind:N", scale=fills, legend=None),
    )
    return drawn(alt.layer(perfect, whisker, marks), title)


def bar(share: float) -> Markup:
    """A thin bar, `share` of its cell's width (0 to 1): for a table's cell."""
    percent = round(100 * min(1.0, max(0.0, share)), 1)
    return Markup('<span class="bar" aria-hidden="true"><span style="width:{}%"></span></span>').format(percent)
