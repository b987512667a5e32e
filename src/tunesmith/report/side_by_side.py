"""What the page of several rounds says: verdicts and costs in one table, curves, and where their recipes differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.report import charts, choosing, curves, figures
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.shape import Estimate, Report
from tunesmith.report.text import one_line

MISSING = "not set"


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round's line."""

    number: int
    id: str
    when: str
    outcome: str
    gained: bool
    sentence: str
    value: str
    range: str
    baseline: str
    gain: str
    gain_range: str
    costs: list[str]


@dataclass(frozen=True, slots=True)
class View:
    metric: Metric
    rounds: list[RoundRow]
    caution: str
    plot: Markup | None
    curves: Markup | None
    pairs: list[str]
    """What every two of them show over the same rows, in sentences."""
    beside: list[tuple[str, list[str]]]
    """What stands beside the score: its name, and what each round found."""
    heads: list[str]
    differences: list[tuple[str, list[str]]]
    """Where the recipes differ: the setting, and each round's value of it."""


def title(reports: Sequence[Report]) -> str:
    """The page's heading."""
    return f"{len(reports)} rounds compared" if len(reports) > 1 else f"Round {reports[0].round.id}"


def view(reports: Sequence[Report], pairs: Sequence[Mapping[str, Any]] = ()) -> View:
    """Everything the page sets; the metric is the first round's deciding one."""
    key = reports[0].verdict.metric or (reports[0].metrics or [""])[0]
    tuned = [_tuned_estimate(report, key) for report in reports]
    metric = metric_of(key, tuned)
    names = [f"{number}. {report.round.id}" for number, report in enumerate(reports, 1)]
    whiskers = [charts.Whisker(name, estimate, "tuned") for name, estimate in zip(names, tuned, strict=True)]
    plot_title = f"{metric.name} of each round's tuned model with its 95% interval."
    return View(
        metric=metric,
        rounds=[_round_row(number, report, metric) for number, report in enumerate(reports, 1)],
        caution=_caution(reports, same_rows=bool(pairs) and all(pair.get("difference") is not None for pair in pairs)),
        plot=charts.interval_plot(whiskers, metric, plot_title),
        curves=curves.validation_curves([(r.round.id, r.training) for r in reports], "Validation loss of each round over its steps."),
        pairs=choosing.differences(reports, pairs),
        beside=choosing.beside(reports),
        heads=[one_line(name, 24) for name in names],
        differences=_differences([_settings(report.recipe) for report in reports]),
    )


def _tuned_estimate(report: Report, key: str) -> Estimate:
    return report.tuned.metrics.get(key, Estimate()) if report.tuned else Estimate()


def _baseline(report: Report) -> str:
    """The best baseline's name; the report's verdict holds its key."""
    best = report.verdict.best_baseline
    return next((system.title for system in report.systems if system.key == best), best)


def _round_row(number: int, report: Report, metric: Metric) -> RoundRow:
    estimate, own = _tuned_estimate(report, metric.key), metric_of(report.verdict.metric)
    found = report.verdict.gain or Estimate()
    training, tuned = report.training, report.tuned
    return RoundRow(
        number=number,
        id=one_line(report.round.id, 40),
        when=figures.moment(report.round.created),
        outcome={"gain": "Gain shown", "no gain shown": "No gain shown"}.get(report.verdict.outcome, one_line(report.verdict.outcome, 40)),
        gained=report.verdict.outcome == "gain",
        sentence=one_line(report.verdict.sentence, 400),
        value=metric.write(estimate.value),
        range=metric.write_range(estimate),
        baseline=one_line(_baseline(report), 40),
        gain=own.write_difference(found.value),
        gain_range=own.write_difference_range(found),
        costs=[
            figures.whole(report.data.sides.get("train") if report.data else None),
            figures.parameters(training.trainable if training else None),
            figures.whole(training.tokens_computed if training else None),
            figures.milliseconds(tuned.seconds_per_answer if tuned else None),
            figures.duration(report.round.seconds),
            figures.memory(report.round.peak_mib),
        ],
    )


def _caution(reports: Sequence[Report], *, same_rows: bool) -> str:
    """A word of warning where figures of different data or metrics stand side by side."""
    datasets = {str(report.hashes.get("dataset")) for report in reports if report.hashes.get("dataset")}
    metrics = {report.verdict.metric for report in reports if report.verdict.metric}
    said = []
    if len(datasets) > 1 and same_rows:
        said.append("These rounds were trained on different data; the test rows they answered are the same.")
    elif len(datasets) > 1:
        said.append("These rounds are over different data: a difference between their figures is not one between their models.")
    if len(metrics) > 1:
        said.append(f"They were judged by different measures ({', '.join(sorted(metric_of(key).name for key in metrics))}).")
    return " ".join(said)


def _settings(recipe: str) -> dict[str, str] | None:
    """A recipe's settings by dotted name, in its own order; None where it can't be read as one."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        held = YAML(typ="safe", pure=True).load(recipe)
    except (YAMLError, ValueError, RecursionError):
        return None
    return dict(_flat(held, "")) if isinstance(held, Mapping) else None


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [pair for key, part in value.items() for pair in _flat(part, f"{name}.{key}" if name else str(key))]
    return [(name, _written(value))]


def _written(value: Any) -> str:
    """A setting as YAML would have it: `true`, `0.001`, `[0, 4]`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return "none" if value is None else str(value)


def _differences(recipes: Sequence[dict[str, str] | None]) -> list[tuple[str, list[str]]]:
    """The settings that are not the same everywhere, in the order of first mention; nothing where a recipe can't be read."""
    known = [recipe for recipe in recipes if recipe is not None]
    if len(known) < len(recipes) or len(known) < 2:
        return []
    names = dict.fromkeys(name for recipe in known for name in recipe)
    lines = [(name, [recipe.get(name, MISSING) for recipe in known]) for name in names]
    return [(one_line(name, 60), [one_line(value, 60) for value in values]) for name, values in lines if len(set(values)) > 1]
