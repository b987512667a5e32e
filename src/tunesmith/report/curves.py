"""Curves over steps, as SVG: the losses of one round with its learning rate, the validation losses of several."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from tunesmith.report.charts import ACCENT, FONT, GREY, INK, WIDTH, drawn, values
from tunesmith.report.shape import Step, Training
from tunesmith.report.text import one_line

SERIES = ("#00598c", "#a84300", "#00704f", "#8a4a78", "#6b5d00", "#1c2733")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 2), (1, 3))
POINTS = 400
"""At most so many points are drawn of a curve; more would not be seen at this width."""


def thinned(steps: Sequence[Step], points: int = POINTS) -> tuple[list[dict[str, float]], int]:
    """Training steps as at most `points` points, each the mean of as many neighbours; and how many that is.

    A point stands at its last step. Steps without a known loss are left out.
    """
    known = [step for step in steps if step.loss is not None]
    width = max(1, -(-len(known) // points))
    groups = [known[start : start + width] for start in range(0, len(known), width)]
    drawn = [{"step": group[-1].step, "loss": sum(step.loss or 0.0 for step in group) / len(group)} for group in groups]
    return drawn, width


def loss_chart(training: Training) -> Markup | None:
    """Training and validation loss over steps, the chosen step marked, the learning rate small below; None without losses."""
    points, width = thinned(training.steps)
    name = "Training" if width == 1 else f"Training, mean of {width} steps"
    taken = [{**point, "series": name} for point in points]
    watched = [{"step": v.step, "loss": v.loss, "series": "Validation"} for v in training.validation if v.loss is not None]
    if not taken and not watched:
        return None
    import altair as alt

    last = max([step.step for step in training.steps] + [v.step for v in training.validation])
    title = _loss_title(training, last)
    rates = [{"step": step.step, "rate": step.learning_rate} for step in training.steps if step.learning_rate is not None]
    upper = _losses(training, taken, watched, _step_axis(last, None if rates else "Step"), last)
    if not rates:
        return drawn(upper, title)
    thin = rates[:: max(1, len(rates) // POINTS)]
    label = "datum.value ? format(datum.value, '.2~e') : '0'"
    peak = max(row["rate"] for row in thin)
    rate = alt.Y("rate:Q", title="Learning rate", axis=_above(values=[0, peak], labelExpr=label, offset=-8))
    lower = alt.Chart(values(thin), width=WIDTH - 70, height=54).mark_line(strokeWidth=1.4, color=GREY)
    lower = lower.encode(x=_step_axis(last, "Step"), y=rate)
    return drawn(alt.vconcat(upper, lower, spacing=18), title)


def _above(offset: int = -10, **axis: Any) -> Any:
    """A y axis whose title lies flat above it, where it can be read without turning one's head."""
    import altair as alt

    return alt.Axis(titleAngle=0, titleAlign="left", titleBaseline="bottom", titleX=0, titleY=offset, **axis)


def _step_axis(last: int, title: str | None) -> Any:
    import altair as alt

    axis = alt.Axis(grid=False, tickMinStep=1, format=",d", tickCount=8)
    return alt.X("step:Q", title=title, scale=alt.Scale(domain=[0, max(1, last)], nice=False), axis=axis)


def _losses(training: Training, taken: list[dict[str, Any]], watched: list[dict[str, Any]], x: Any, last: int) -> Any:
    """The two losses: a thin grey line, and a blue one with a ring at each evaluation."""
    import altair as alt

    series = [(rows[0]["series"], colour) for rows, colour in ((taken, "#7c8894"), (watched, ACCENT)) if rows]
    scale = alt.Scale(domain=[name for name, _ in series], range=[colour for _, colour in series])
    # Beside the axis title, above the plot: no curve, and no line of the chosen step, ever runs through it.
    legend = alt.Legend(
        title=None, orient="none", legendX=170, legendY=-37, direction="horizontal", symbolType="stroke", labelLimit=300, columnPadding=24
    )
    colour = alt.Color("series:N", scale=scale, legend=legend)
    y = alt.Y("loss:Q", title="Loss, nats a token", scale=alt.Scale(zero=True, nice=True), axis=_above(tickCount=5, offset=-24))
    return alt.layer(
        alt.Chart(values(taken)).mark_line(strokeWidth=1.4).encode(x=x, y=y, color=colour),
        alt.Chart(values(watched)).mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour),
        alt.Chart(values(watched)).mark_point(size=42, strokeWidth=2, fill="white", opacity=1).encode(x=x, y=y, color=colour),
        *_chosen(training, x, y, last),
    ).properties(width=WIDTH - 70, height=230)


def _chosen(training: Training, x: Any, y: Any, last: int) -> list[Any]:
    """The chosen step: a dashed rule, its number, and its validation point filled."""
    import altair as alt

    step = training.chosen_step
    if step is None or not 0 <= step <= last:
        return []
    late = step > 0.8 * last
    here = alt.Chart(values([{"step": step, "label": f"chosen: step {step:,}"}])).encode(x=x)
    found = [{"step": v.step, "loss": v.loss} for v in training.validation if v.step == step and v.loss is not None]
    return [
        here.mark_rule(strokeDash=[4, 3], color=INK, strokeWidth=1),
        here.mark_text(align="right" if late else "left", dx=-6 if late else 6, fontSize=12, color=INK, font=FONT).encode(
            y=alt.value(-8), text="label:N"
        ),
        alt.Chart(values(found)).mark_point(size=80, filled=True, color=ACCENT, opacity=1).encode(x=x, y=y),
    ]


def _loss_title(training: Training, last: int) -> str:
    losses = [validation.loss for validation in training.validation if validation.loss is not None]
    fell = f" Validation loss goes from {losses[0]:.3g} to {min(losses):.3g} at its lowest." if losses else ""
    chosen = f" Step {training.chosen_step} was chosen." if training.chosen_step is not None else ""
    return f"Training and validation loss over {last:,} steps.{fell}{chosen}"


def validation_curves(rounds: Sequence[tuple[str, Training | None]], title: str) -> Markup | None:
    """Validation loss of several named rounds over steps, the first six; None where fewer than two have any."""
    curves = [
        (f"{number}. {one_line(name, 24)}", [(v.step, v.loss) for v in training.validation if v.loss is not None])
        for number, (name, training) in enumerate(rounds[: len(SERIES)], 1)
        if training is not None
    ]
    curves = [(name, points) for name, points in curves if points]
    if len(curves) < 2:
        return None
    import altair as alt

    names = [name for name, _ in curves]
    rows = [{"step": step, "loss": loss, "series": name} for name, points in curves for step, loss in points]
    last = max(step for _, points in curves for step, _ in points)
    legend = alt.Legend(
        title=None, orient="bottom", columns=3, columnPadding=60, symbolType="stroke", symbolSize=420, labelLimit=330, offset=12
    )
    colours = alt.Scale(domain=names, range=list(SERIES[: len(names)]))
    dashes = alt.Scale(domain=names, range=[list(dash) for dash in DASHES[: len(names)]])
    chart = (
        alt.Chart(values(rows), width=WIDTH - 70, height=230)
        .mark_line(strokeWidth=2, point={"size": 26, "filled": True})
        .encode(
            x=_step_axis(last, "Step"),
            y=alt.Y("loss:Q", title="Validation loss, nats a token", scale=alt.Scale(zero=True), axis=_above(tickCount=5)),
            color=alt.Color("series:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=legend),
        )
    )
    return drawn(chart, title)
