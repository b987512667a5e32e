"""Charts of a search, as SVG: its trials in order, and as lines across their settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from markupsafe import Markup

from tunesmith.report import figures
from tunesmith.report.charts import ACCENT, FONT, INK, TICK, WARM, WIDTH, drawn, values
from tunesmith.report.figures import Metric
from tunesmith.report.search_part import SearchPart
from tunesmith.report.text import one_line

LISTED = 8
"""An axis of at most so many different values shows each of them."""
LEAST_POINTS, LEAST_SHARE = 5.0, 0.02
"""What an axis of values spans at least, in points of a hundred, else as a share of the largest: a row more or less should look like one."""
AS_IT_WAS = "the recipe as it was"
ENDED_EARLY, TO_THE_END = "ended early", "to the end"


def shown(value: Any) -> str:
    """A setting's value in a cell or on an axis."""
    if value is None:
        return figures.ABSENT
    return f"{value:.3g}" if isinstance(value, float) else one_line(str(value), 24)


def history_chart(found: SearchPart) -> Markup | None:
    """Each trial's value, with the best so far as a line and the recipe as it was as a dashed one."""
    told, metric = found.told, found.metric
    if len(told) < 2:
        return None
    import altair as alt

    fates = [TO_THE_END, ENDED_EARLY]
    dots = [
        {"trial": trial.number, "value": metric.scaled(trial.value or 0.0), "fate": ENDED_EARLY if trial.pruned else TO_THE_END}
        for trial in told
    ]
    line = _best_so_far(found, metric)
    x = alt.X("trial:Q", title="Trial", axis=alt.Axis(tickMinStep=1, format="d", grid=False), scale=alt.Scale(nice=False, padding=12))
    scale = alt.Scale(domain=list(_span(found, metric)), zero=False, nice=True, padding=8)
    y = alt.Y("value:Q", title=f"{metric.head}, on select", scale=scale)
    fill = alt.Fill("fate:N", scale=alt.Scale(domain=fates, range=[ACCENT, "white"]), legend=None)
    stroke = alt.Color("fate:N", scale=alt.Scale(domain=fates, range=[ACCENT, TICK]), title=None)
    points = alt.Chart(values(dots), width=WIDTH - 90, height=220).mark_point(size=55, strokeWidth=1.5, opacity=1)
    layers = [
        alt.Chart(values(line)).mark_line(interpolate="step-after", color=ACCENT, strokeWidth=1.5).encode(x=x, y=y),
        points.encode(x=x, y=y, color=stroke, fill=fill),
    ]
    winner = found.winner
    better, worse = (16, -9) if found.compared.less_is_better else (-9, 16)  # the line of the best rises or falls away from where it began
    if winner is not None and winner.value is not None:
        chosen = [{"trial": winner.number, "value": metric.scaled(winner.value), "label": "chosen"}]
        ring = alt.Chart(values(chosen)).encode(x=x, y=y)
        layers += [ring.mark_point(size=170, color=WARM, strokeWidth=2, opacity=1), *_word(ring, "label:N", WARM, dy=better)]
    if found.as_it_was.value is not None:
        before = [{"trial": min(trial.number for trial in told), "value": metric.scaled(found.as_it_was.value), "label": AS_IT_WAS}]
        rule = alt.Chart(values(before)).encode(y=y)
        layers += [rule.mark_rule(color=INK, strokeDash=[4, 4]), *_word(rule.encode(x=x), "label:N", INK, dy=worse)]
    best = f" The best so far goes from {line[0]['value']:.4g} to {line[-1]['value']:.4g}." if line else ""
    return drawn(alt.layer(*layers), f"{metric.name} on select of {len(told)} trials.{best}")


def _span(found: SearchPart, metric: Metric) -> tuple[float, float]:
    """The ends of an axis of values; wider than the values where these are all but alike, so that chance is not drawn as a cliff."""
    held = [metric.scaled(value) for value in (*(trial.value for trial in found.told), found.as_it_was.value) if value is not None]
    low, high = min(held), max(held)
    wider = max(0.0, (LEAST_POINTS if metric.scale == 100.0 else LEAST_SHARE * max(abs(low), abs(high))) - (high - low)) / 2
    return low - wider, high + wider


def _word(chart: Any, text: str, colour: str, **place: Any) -> list[Any]:
    """A text over lines: a white edge keeps it readable."""
    placed: dict[str, Any] = {"align": "left", "dx": 10, "dy": -9, "fontSize": 12, "font": FONT} | place
    edge = chart.mark_text(**placed, stroke="white", strokeWidth=4, strokeJoin="round", color="white")
    return [edge.encode(text=text), chart.mark_text(**placed, color=colour).encode(text=text)]


def _best_so_far(found: SearchPart, metric: Metric) -> list[dict[str, float]]:
    """Of the trials that went to their end."""
    line: list[dict[str, float]] = []
    best: float | None = None
    for trial in found.told:
        value = trial.value or 0.0
        if not trial.pruned and (best is None or found.better(value, best)):
            best = value
        if best is not None:
            line.append({"trial": trial.number, "value": metric.scaled(best)})
    return line


@dataclass(frozen=True, slots=True)
class _Axis:
    """One upright axis of the parallel coordinates."""

    name: str
    places: dict[int, float]
    """Trial -> height, 0 to 1."""
    ticks: list[tuple[float, str]]


def parallel_coordinates(found: SearchPart) -> Markup | None:
    """A line a trial across the settings to its value; the better the darker, the chosen one thick."""
    told, metric = found.told, found.metric
    if len(told) < 3:
        return None
    import altair as alt

    axes = [_axis(one_line(name, 28), [(trial.number, trial.settings.get(name)) for trial in told]) for name in found.names]
    sign = -1 if found.compared.less_is_better else 1
    on_select = [(trial.number, metric.scaled(trial.value or 0.0)) for trial in told]
    axes.append(_axis(f"{metric.head}, select", on_select, span=_span(found, metric)))
    rank = {trial.number: place for place, trial in enumerate(sorted(told, key=lambda trial: sign * (trial.value or 0.0)))}
    lines = [
        {"trial": trial.number, "at": at, "place": axis.places[trial.number], "rank": rank[trial.number], "pruned": trial.pruned}
        for trial in told
        for at, axis in enumerate(axes)
        if trial.number in axis.places
    ]
    ticks = [{"at": at, "place": place, "text": text} for at, axis in enumerate(axes) for place, text in axis.ticks]
    x = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[-0.15, len(axes) - 0.55], nice=False))
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.08, 1.16], nice=False))
    shade = alt.Color("rank:Q", scale=alt.Scale(domain=[0, len(told) - 1], range=["#d3dae0", ACCENT]), legend=None)
    dash = alt.StrokeDash("pruned:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [3, 3]]), legend=None)
    drawing = alt.Chart(values(lines), width=WIDTH - 30, height=300)
    heads = [{"at": at, "place": 1.12, "text": axis.name} for at, axis in enumerate(axes)]
    posts = [{"at": at, "place": 0.0, "top": 1.0} for at in range(len(axes))]
    layers = [
        alt.Chart(values(posts)).mark_rule(color=TICK).encode(x=x, y=y, y2="top:Q"),
        drawing.mark_line(strokeWidth=1.3).encode(x=x, y=y, detail="trial:N", color=shade, strokeDash=dash, order="at:Q"),
        alt.Chart(values([line for line in lines if line["trial"] == found.best]))
        .mark_line(strokeWidth=3, color=WARM, point={"filled": True, "fill": WARM, "size": 40})
        .encode(x=x, y=y, order="at:Q"),
        *_word(alt.Chart(values(ticks)).encode(x=x, y=y), "text:N", INK, dx=7, dy=0),
        *_word(alt.Chart(values(heads)).encode(x=x, y=y), "text:N", INK, dx=-4, dy=0),
    ]
    named = ", ".join(axis.name for axis in axes[:-1])
    return drawn(alt.layer(*layers), f"{len(told)} trials as lines across {named} and the value on select; trial {found.best} was chosen.")


def _axis(name: str, told: Sequence[tuple[int, Any]], *, span: tuple[float, float] | None = None) -> _Axis:
    """Heights for values: few different ones evenly, each named; many numbers, or those with a span, by size, over their logarithm where they span it."""
    known = [(number, value) for number, value in told if value is not None]
    numbers = {number: float(value) for number, value in known if isinstance(value, int | float) and not isinstance(value, bool)}
    if len(numbers) < len(known):
        texts = [(number, shown(value)) for number, value in known]
        return _named(name, texts, list(dict.fromkeys(text for _, text in texts)))
    different = sorted(set(numbers.values()))
    if span is None and len(different) <= LISTED:
        kept = {float(value): shown(value) for _, value in known}
        return _named(name, [(number, kept[value]) for number, value in numbers.items()], [kept[value] for value in different])
    low, high = span or (different[0], different[-1])
    ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")] if high > low else [(0.5, f"{low:.3g}")]
    return _Axis(name, {number: _height(value, low, high) for number, value in numbers.items()}, ticks)


def _named(name: str, texts: Sequence[tuple[int, str]], order: Sequence[str]) -> _Axis:
    """Words in an order, evenly; of many, some are written."""
    heights = {text: place / (len(order) - 1) if len(order) > 1 else 0.5 for place, text in enumerate(order)}
    ticks = [(height, text) for text, height in heights.items()]
    return _Axis(name, {number: heights[text] for number, text in texts}, ticks[:: max(1, -(-len(ticks) // LISTED))])


def _height(value: float, low: float, high: float) -> float:
    if high <= low:
        return 0.5
    if low > 0 and high / low >= 20:
        return log(value / low) / log(high / low)
    return (value - low) / (high - low)
