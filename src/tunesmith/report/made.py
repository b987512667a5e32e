"""What a card says of how the model came to be: the training, the data, what was run.

The template only sets what these functions give; each gives None, or nothing, where the report holds nothing for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith.report import charts, curves, figures
from tunesmith.report.shape import Data, Report, Training
from tunesmith.report.text import label, one_line

REASONS = 6
"""So many reasons are written out per stage, the commonest first."""


@dataclass(frozen=True, slots=True)
class TrainingView:
    chart: Markup | None
    facts: list[tuple[str, str]]
    decided: str
    """What chose the step that is kept, and how rows were laid out."""
    saved: str
    stopped: str
    words: list[str]
    """How the losses went; where there are any, they say why it stopped too."""


def training(report: Report) -> TrainingView | None:
    """How it was trained."""
    done = report.training
    if done is None:
        return None
    base = one_line(done.base, 60)
    facts = [("Base", base), ("Method", one_line(done.method, 40)), ("Objective", one_line(done.objective, 40))]
    if done.parameters is not None:
        facts.append(("Parameters", figures.parameters(done.parameters)))
    if done.trainable is not None:
        part = f", {figures.share(done.trainable, done.parameters)}" if done.parameters and done.trainable != done.parameters else ""
        facts.append(("Trained", figures.parameters(done.trainable) + part))
    facts += _settings(done)
    if done.steps:
        facts.append(("Steps taken", figures.whole(max(step.step for step in done.steps))))
    if done.chosen_step is not None:
        facts.append(("Step chosen", figures.whole(done.chosen_step)))
    if done.restarts:
        facts.append(("Restarts", "1, at a lower rate" if done.restarts == 1 else f"{done.restarts}, each at a lower rate"))
    facts += _speed(done)
    return TrainingView(
        curves.loss_chart(done), [fact for fact in facts if fact[1]], _decided(done), _saved(done), done.stopped, done.words
    )


def _settings(done: Training) -> list[tuple[str, str]]:
    """What it was held to from its first step on."""
    facts = []
    if done.learning_rate is not None:
        facts.append(("Learning rate, at its peak", f"{done.learning_rate:.3g}"))
    threads = f", {figures.whole(done.threads)} {'thread' if done.threads == 1 else 'threads'}" if done.threads is not None else ""
    facts.append(("Arithmetic", one_line(done.precision, 20) + threads if done.precision else ""))
    return facts


def _decided(done: Training) -> str:
    """What chose the step that is kept, and how rows were laid out."""
    parts = []
    if done.chosen_by and done.chosen_step is not None and done.validation:
        by = "validation loss" if done.chosen_by == "loss" else f"{figures.in_text(done.chosen_by)} on the rows set aside to select by"
        parts.append(f"Step {figures.whole(done.chosen_step)} was chosen by {by}.")
    if done.share_prefixes is not None:
        parts.append("Prompts that rows share were computed once." if done.share_prefixes else "Each row was computed by itself.")
    return " ".join(parts)


def _speed(done: Training) -> list[tuple[str, str]]:
    """How fast it went, and what it took."""
    facts = []
    pace = done.throughput
    if pace is not None and pace.rows_per_second is not None:
        tokens = f", {figures.whole(pace.computed_tokens_per_second)} tokens/s computed" if pace.computed_tokens_per_second else ""
        facts.append(("Speed", f"{figures.decimal(pace.rows_per_second)} rows/s{tokens}"))
    if pace is not None and pace.saved is not None and pace.saved > 0:
        facts.append(("Tokens saved", figures.share(pace.saved, 1.0)))
    if done.mfu is not None:
        facts.append(("Of the machine's peak (MFU)", figures.share(done.mfu, 1.0)))
    if done.peak_mib is not None:
        facts.append(("Peak memory, training", figures.memory(done.peak_mib)))
    return facts


def _saved(done: Training) -> str:
    """Tokens in rows against tokens computed, as one sentence."""
    held, computed = done.tokens_in_rows, done.tokens_computed
    if not held or not computed:
        return ""
    if computed == held:
        return f"The rows of all steps held {figures.whole(held)} tokens, and each was computed."
    told = f"The rows of all steps held {figures.whole(held)} tokens; {figures.whole(computed)} were computed"
    if computed > held:
        return f"{told}."
    saved = f"{figures.share(held - computed, held)} of the work saved, {held / computed:.1f} times fewer"
    return f"{told}, since what rows share was computed once: {saved}."


@dataclass(frozen=True, slots=True)
class StageRow:
    name: str
    read: str
    kept: str
    changed: str
    dropped: str
    reasons: list[tuple[str, str]]
    more: int
    bar: Markup


@dataclass(frozen=True, slots=True)
class DataView:
    facts: list[tuple[str, str]]
    stages: list[StageRow]
    sides: list[tuple[str, str, str]]
    labels: Markup | None
    labels_said: str


def data(report: Report) -> DataView | None:
    """Where the rows came from, what became of them, and how they were divided."""
    held = report.data
    if held is None:
        return None
    mapping = ", ".join(f"{key} from {_said(value)}" for key, value in held.mapping.items())
    facts = [
        ("File", one_line(held.path.replace("\\", "/").rsplit("/", 1)[-1], 80)),
        ("Format", one_line(held.format, 40)),
        ("Task", one_line(held.task, 40)),
        ("Columns", one_line(mapping, 160)),
    ]
    if held.test_openings is not None:
        facts.append(("Test set opened", "once" if held.test_openings == 1 else f"{held.test_openings} times"))
    total = sum(held.sides.values())
    chart, said = _labels(held)
    return DataView(
        facts=[fact for fact in facts if fact[1]],
        stages=_stages(held),
        sides=[(one_line(name, 40), figures.whole(count), figures.share(count, total)) for name, count in held.sides.items()],
        labels=chart,
        labels_said=said,
    )


def _said(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def _stages(held: Data) -> list[StageRow]:
    most = max((stage.kept + stage.dropped for stage in held.waterfall), default=0)
    rows = []
    for stage in held.waterfall:
        reasons = sorted(stage.reasons.items(), key=lambda item: -item[1])
        rows.append(
            StageRow(
                name=one_line(stage.stage, 40),
                read=figures.whole(stage.kept + stage.dropped),
                kept=figures.whole(stage.kept),
                changed=figures.whole(stage.changed),
                dropped=figures.whole(stage.dropped),
                reasons=[(one_line(reason, 90), figures.whole(count)) for reason, count in reasons[:REASONS]],
                more=max(0, len(reasons) - REASONS),
                bar=charts.bar(stage.kept / most if most else 0.0),
            )
        )
    return rows


def _labels(held: Data) -> tuple[Markup | None, str]:
    ordered = sorted(held.labels.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) < 2:
        return None, ""
    (most, top), (least, bottom) = ordered[0], ordered[-1]
    middle = figures.decimal(figures.median([count for _, count in ordered]), 0)
    said = (
        f"{len(ordered):,} labels, a median of {middle} rows each; "
        f"most {label(most, 48)} ({figures.whole(top)}), fewest {label(least, 48)} ({figures.whole(bottom)})."
    )
    return charts.label_bars(ordered, f"Rows per label: {said}"), said


def run_facts(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was run: groups of a name and a value."""
    held = report.round
    begun = [
        ("Started", figures.moment(held.created)),
        ("Finished", figures.moment(held.finished)),
        ("Time", figures.duration(held.seconds) if held.seconds is not None else ""),
        ("Peak memory", figures.memory(held.peak_mib) if held.peak_mib is not None else ""),
        ("Continued", f"{held.continued} times after a stop" if held.continued > 1 else "once after a stop" if held.continued else ""),
        ("Status", held.status),
    ]
    groups = [
        ("Round", begun),
        ("Versions and machine", _pairs_of(report.environment)),
        ("Seeds", _pairs_of(report.seeds)),
        ("Content hashes", [("round", held.identity), *_pairs_of(report.hashes)]),
    ]
    kept = [(name, [(key, one_line(value, 160)) for key, value in facts if value]) for name, facts in groups]
    return [(name, facts) for name, facts in kept if facts]


def _pairs_of(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one_line(key, 40), str(value)) for key, value in values.items() if value is not None]
