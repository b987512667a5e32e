"""What a card tells of the search that chose a round's settings: what it gained, what mattered, and how it went."""

from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report import figures
from tunesmith.report.charts import bar
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.search_charts import AS_IT_WAS, history_chart, parallel_coordinates, shown
from tunesmith.report.search_part import FinalistPart, SearchPart
from tunesmith.report.shape import Estimate, Report, part_of
from tunesmith.report.text import one_line

BEST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Mattered:
    """A setting and what hangs on it."""

    name: str
    share: str
    bar: Markup
    found: str
    """Its value in the trial that was chosen."""


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One of the best trials."""

    number: str
    settings: list[str]
    value: str
    seeds: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Searched:
    """The section."""

    sentence: str
    gained: bool
    facts: list[tuple[str, str]]
    stopped: str
    compared: str
    mattered: list[Mattered]
    note: str
    history: Markup | None
    coordinates: Markup | None
    names: list[str]
    head: str
    rows: list[TrialRow]
    unknown: int
    """Trials without a value."""


def searched(report: Report) -> Searched | None:
    """The search that chose the round's settings; None where none did."""
    found = part_of(report, "search", SearchPart)
    if found is None or not found.trials:
        return None
    metric = found.metric
    winner = found.winner
    mattered = [
        Mattered(one_line(name, 60), f"{100 * share:.0f}%", bar(share), shown(winner.settings.get(name) if winner else None))
        for name in found.names
        if (share := found.importance.get(name)) is not None
    ]
    return Searched(
        sentence=one_line(found.sentence, 500),
        gained=found.gain is None or found.gain.outcome == "gain",
        facts=_facts(found, metric),
        stopped=one_line(found.stopped[:1].upper() + found.stopped[1:], 300),
        compared=one_line(found.compared.sentence, 300),
        mattered=mattered,
        note=one_line(found.importance_note, 300),
        history=history_chart(found),
        coordinates=parallel_coordinates(found),
        names=[one_line(name, 40) for name in found.names],
        head=metric.head,
        rows=_rows(found, metric),
        unknown=len(found.trials) - len(found.told),
    )


def _facts(found: SearchPart, metric: Metric) -> list[tuple[str, str]]:
    early = sum(trial.pruned for trial in found.trials)
    facts = [
        ("Trials", f"{len(found.trials)}, {early} of them ended early" if early else str(len(found.trials))),
        ("Steps taken", figures.whole(found.steps)),
        ("Time", figures.duration(found.seconds)),
    ]
    if found.gain is not None:
        on_test = metric_of(found.measure, [Estimate(value=found.gain.ours), Estimate(value=found.gain.value)])
        facts += [
            (f"{on_test.name} on test", f"{on_test.write(found.gain.ours)}{on_test.unit}"),
            (f"{on_test.name} on test, of {AS_IT_WAS}", f"{on_test.write(found.gain.value)}{on_test.unit}"),
        ]
    if found.as_it_was.value is not None:
        facts.append((f"{metric.name} on select, of {AS_IT_WAS}", f"{metric.write(found.as_it_was.value)}{metric.unit}"))
    return facts


def _rows(found: SearchPart, metric: Metric) -> list[TrialRow]:
    """The best trials, the chosen one first, whether or not its own value is the best."""
    over = {finalist.number: finalist for finalist in found.finalists}
    sign = 1 if found.compared.less_is_better else -1
    order = sorted(found.told, key=lambda trial: (trial.number != found.best, trial.pruned, sign * (trial.value or 0.0), trial.number))
    return [
        TrialRow(
            number=str(trial.number),
            settings=[shown(trial.settings.get(name)) for name in found.names],
            value=metric.write(trial.value),
            seeds=_over_seeds(over.get(trial.number), metric),
            chosen=trial.number == found.best,
        )
        for trial in order[:BEST_SHOWN]
    ]


def _over_seeds(finalist: FinalistPart | None, metric: Metric) -> str:
    if finalist is None or finalist.mean is None or len(finalist.values) < 2:
        return figures.ABSENT
    spread = "" if finalist.spread is None else f" \u00b1 {metric.write(finalist.spread)}"
    return f"{metric.write(finalist.mean)}{spread}"
