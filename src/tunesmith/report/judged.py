"""What a card says of the judgement: the comparison, the gates, the warnings, how few-shot was chosen.

The template only sets what these functions give; each gives None, or nothing, where the report holds nothing for it.
"""

from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from tunesmith.report import charts, figures
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.shape import Estimate, FewShot, Report, System
from tunesmith.report.text import one_line
from tunesmith.score.costs import money

FIRST_METRICS, NEXT_METRICS = 4, 7
"""How many metrics stand in the first table, beside the costs, and in each further one."""
OPENINGS_TO_WARN = 10
"""From so many openings on, a test set's figures are no longer believed without a word."""


def evidence(report: Report) -> str:
    """What the verdict rests on, for the line beneath it: the test against the best baseline, and the rows."""
    best = next((s for s in report.systems if report.verdict.best_baseline in (s.key, s.name)), None)
    found, rows = report.verdict.gain, best.rows if best else None
    parts = [
        f"one-sided {figures.p_value(found.p_value)}" if found and found.p_value is not None else "",
        best.against.test if best and best.against else "",
        f"{figures.whole(rows)} test rows" if rows is not None else "",
    ]
    said = ", ".join(part for part in parts if part)
    return said[:1].upper() + said[1:]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure with its interval beneath."""

    value: str
    range: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One system's line in the comparison."""

    name: str
    kind: str
    cells: list[Cell]
    costs: list[str]
    against: Cell | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison: tables of metrics, the first with costs and differences; and the plot."""

    first: Metric
    tables: list[tuple[list[Metric], list[SystemRow]]]
    plot: Markup | None
    rows: int | None
    tests: list[str]
    costs: list[str]
    """Heads of the columns of costs, on two lines each."""


def comparison(report: Report) -> Comparison | None:
    """Systems by metrics. The best value of a metric among the language models and floors is marked."""
    metrics = [metric_of(name, [system.metrics.get(name) for system in report.systems]) for name in report.metrics]
    if not metrics:
        return None
    bounds = [0, FIRST_METRICS, *range(FIRST_METRICS + NEXT_METRICS, len(metrics) + NEXT_METRICS, NEXT_METRICS)]
    groups = [metrics[start:end] for start, end in pairwise(bounds) if metrics[start:end]]
    first = metrics[0]
    whiskers = [charts.Whisker(s.title, s.metrics.get(first.key, Estimate()), s.kind) for s in report.systems]
    plot = charts.interval_plot(whiskers, first, _plot_title(report, first))
    tests = dict.fromkeys(system.against.test for system in report.systems if system.against and system.against.test)
    counts = [system.rows for system in report.systems if system.rows is not None]
    return Comparison(
        first=first,
        tables=[(group, [_system_row(report, system, group, first) for system in report.systems]) for group in groups],
        plot=plot,
        rows=max(counts, default=None),
        tests=list(tests),
        costs=cost_heads(report),
    )


def cost_heads(report: Report) -> list[str]:
    """What stands over the columns of costs; a line break where it belongs."""
    return ["Prompt\ntokens", "Answer\ntokens", "ms per\nanswer", *([f"{currency(report)} per\n1,000 answers"] if priced(report) else [])]


def priced(report: Report) -> bool:
    """Whether the cost of any system's answers is known."""
    return any(system.cost_per_1000 is not None for system in report.systems)


def currency(report: Report) -> str:
    """The currency of all amounts."""
    return one_line(report.verdict.costs.currency if report.verdict.costs else "", 8) or "Cost"


def amount(value: float | None) -> str:
    """An amount of money with three digits that mean something."""
    return figures.ABSENT if value is None else money(value)


def _plot_title(report: Report, metric: Metric) -> str:
    values = [(s.title, s.metrics[metric.key]) for s in report.systems if metric.key in s.metrics]
    parts = [f"{one_line(name, 40)} {metric.write(estimate.value)}{metric.unit}" for name, estimate in values]
    return f"{metric.name} of each system with its 95% interval: {', '.join(parts)}."


def _system_row(report: Report, system: System, metrics: list[Metric], first: Metric) -> SystemRow:
    against = None
    if system.against is not None:
        written, unit = first.write_difference(system.against.difference), first.points
        spread = first.write_difference_range(system.against)
        against = Cell(written + (unit if written != figures.ABSENT else ""), spread)
    return SystemRow(
        name=one_line(system.title, 60),
        kind=system.kind,
        cells=[_metric_cell(report, system, metric) for metric in metrics],
        costs=[
            figures.ABSENT if system.prompt_tokens is None else figures.decimal(system.prompt_tokens, 1),
            figures.ABSENT if system.answer_tokens is None else figures.decimal(system.answer_tokens, 1),
            figures.milliseconds(system.seconds_per_answer),
            *([amount(system.cost_per_1000)] if priced(report) else []),
        ],
        against=against,
    )


def _metric_cell(report: Report, system: System, metric: Metric) -> Cell:
    estimate = system.metrics.get(metric.key)
    if estimate is None or estimate.value is None:
        return Cell(figures.ABSENT)
    values = [s.metrics[metric.key].value for s in report.systems if metric.key in s.metrics]
    known = [value for value in values if value is not None]
    best = estimate.value == (min(known) if metric.less_is_better else max(known)) and len(known) > 1
    return Cell(metric.write(estimate.value), metric.write_range(estimate), best)


@dataclass(frozen=True, slots=True)
class GateRow:
    name: str
    bound: str
    value: str
    holds: bool | None


def gates(report: Report) -> list[GateRow]:
    """The gates with their bounds; a gain is written in the unit of the deciding metric."""
    metric = metric_of(report.verdict.metric)
    rows = []
    for gate in report.verdict.gates:
        gain = gate.name == "gain"
        unit = metric.points if gain else ""
        bound, value = (
            absent if number is None else metric.write_difference(number) + unit if gain else figures.decimal(number)
            for number, absent in ((gate.bound, figures.ABSENT), (gate.value, figures.NOT_MEASURED))
        )
        rows.append(GateRow(one_line(gate.name.replace("_", " "), 60), bound, value, gate.holds))
    return rows


def warnings(report: Report) -> list[str]:
    """What the round warned of, and what the card itself must: a worn test set, rows that were cut."""
    said = list(report.warnings)
    openings = report.data.test_openings if report.data else None
    if openings is not None and openings >= OPENINGS_TO_WARN and not any("opened" in warning for warning in said):
        said.append(f"This test set has been opened {openings} times: its figures flatter more with each. Gather fresh rows.")
    if report.data and report.data.truncated and not any("truncated" in warning for warning in said):
        said.append(f"{figures.whole(report.data.truncated)} rows were cut to fit the model's context.")
    return said


@dataclass(frozen=True, slots=True)
class TrialRow:
    k: str
    form: str
    value: str
    chosen: bool
    bar: Markup


def few_shot(report: Report) -> tuple[Metric, FewShot, list[TrialRow]] | None:
    """How many examples the base was given, and what else was tried."""
    choice = report.few_shot
    if choice is None or not choice.tried:
        return None
    metric = metric_of(report.verdict.metric)
    highest = max((metric.scaled(trial.value) for trial in choice.tried if trial.value is not None), default=0.0)
    rows = [
        TrialRow(
            k=str(trial.k),
            form=one_line(trial.form, 60),
            value=metric.write(trial.value),
            chosen=(trial.k, trial.form) == (choice.k, choice.form),
            bar=charts.bar(metric.scaled(trial.value) / highest if trial.value is not None and highest > 0 else 0.0),
        )
        for trial in choice.tried
    ]
    return metric, choice, rows
