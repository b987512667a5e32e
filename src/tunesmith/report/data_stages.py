"""What the data page says of the stages: the waterfall, why rows were changed and dropped, and a few of them side by side.

The template only sets what these functions give. However many rows and stages there are, what is shown is bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.report import figures
from tunesmith.report.data_diff import Shown, alone, side_by_side
from tunesmith.report.data_shape import DataReport, Sample, Stage
from tunesmith.report.text import one_line

STAGES = 24
"""So many stages are drawn; there are thirteen."""
REASONS = 10
"""So many reasons are written out per stage, the commonest first."""
SAMPLES, SAMPLES_OF_STAGE = 40, 8
"""So many rows are shown, in all and of one stage: one of each reason first."""
OPEN = 2
"""So many of a stage's rows are shown at once, the others behind a click."""
PROMPT, ANSWER = 420, 240
"""So many characters of a prompt and of an answer."""

DID = {
    "read": "Lines that could not be read",
    "normalise": "Text written one way",
    "fill": "Missing values",
    "filter": "Rows not worth learning from",
    "anonymise": "Personal data",
    "leak": "Rows of the files to judge by",
    "contamination": "Texts held out",
    "dedup": "Repeats and contradictions",
    "relabel": "Labels that look wrong",
    "split": "Division into sides",
    "sample": "A sample of what is left",
    "augment": "Rows made of others",
    "instruct": "The instruction, put before each row",
}
"""What each stage is about."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage in the picture: parts of the widest stage, in percent."""

    kept: float
    changed: float
    dropped: float
    added: float


@dataclass(frozen=True, slots=True)
class StageRow:
    anchor: str
    name: str
    came: str
    changed: str
    dropped: str
    added: str
    left: str
    bar: Bar


@dataclass(frozen=True, slots=True)
class Reason:
    kind: str
    """changed or dropped."""
    text: str
    rows: str
    share: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Prompt or answer of a row, before and after; `after` None where the row was dropped, or this part left as it was."""

    name: str
    before: Shown
    after: Shown | None


@dataclass(frozen=True, slots=True)
class SampleView:
    reason: str
    source: str
    dropped: bool
    pairs: list[Pair]


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage that did something."""

    anchor: str
    name: str
    about: str
    said: str
    reasons: list[Reason]
    more: int
    shown: list[SampleView]
    folded: list[SampleView]


def waterfall(report: DataReport) -> list[StageRow]:
    """Every stage with what came in and what left it."""
    stages = report.waterfall[:STAGES]
    widest = max((max(stage.came, stage.kept) for stage in stages), default=0)
    return [
        StageRow(
            anchor=_anchor(stage),
            name=one_line(stage.stage, 40),
            came=figures.whole(stage.came),
            changed=figures.whole(stage.changed) if stage.changed else "",
            dropped=figures.whole(stage.dropped) if stage.dropped else "",
            added=figures.whole(stage.added) if stage.added else "",
            left=figures.whole(stage.kept),
            bar=_bar(stage, widest),
        )
        for stage in stages
    ]


def _anchor(stage: Stage) -> str:
    """Where the stage is told about; only stages that did something are."""
    return f"stage-{stage.stage}" if _did(stage) else ""


def _did(stage: Stage) -> bool:
    return bool(stage.changed or stage.dropped or stage.added)


def _bar(stage: Stage, widest: int) -> Bar:
    """What is there is to be seen, be it one row of a million: no part is thinner than a hair."""
    untouched = max(0, stage.kept - stage.changed - stage.added)
    kept, changed, dropped, added = (
        max(100 * count / widest, 0.4) if count and widest else 0.0 for count in (untouched, stage.changed, stage.dropped, stage.added)
    )
    kept -= max(0.0, kept + changed + dropped + added - 100)
    return Bar(round(max(0.0, kept), 2), round(changed, 2), round(dropped, 2), round(added, 2))


def stages(report: DataReport) -> list[StageView]:
    """Every stage that did something, with its reasons and some of its rows."""
    chosen = _chosen(report.samples, [stage.stage for stage in report.waterfall[:STAGES]])
    return [_stage(stage, chosen.get(stage.stage, [])) for stage in report.waterfall[:STAGES] if _did(stage)]


def _stage(stage: Stage, samples: Sequence[Sample]) -> StageView:
    reasons = [("dropped", text, count) for text, count in stage.reasons.items()]
    reasons += [("changed", text, count) for text, count in stage.changes.items()]
    reasons.sort(key=lambda each: -each[2])
    told = [
        Reason(kind, one_line(text, 90), figures.whole(count), figures.share(count, stage.came)) for kind, text, count in reasons[:REASONS]
    ]
    views = [_sample(sample) for sample in samples]
    parts = [
        f"{figures.whole(count)} {what}"
        for count, what in ((stage.dropped, "dropped"), (stage.changed, "changed"), (stage.added, "made"))
        if count
    ]
    return StageView(
        anchor=_anchor(stage),
        name=one_line(stage.stage, 40),
        about=DID.get(stage.stage, ""),
        said=f"{', '.join(parts)}, of {figures.whole(stage.came)} rows" if stage.stage != "read" else ", ".join(parts),
        reasons=told,
        more=len(reasons) - len(told),
        shown=views[:OPEN],
        folded=views[OPEN:],
    )


def _chosen(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, list[Sample]]:
    """Rows to show by stage: one of each reason, then the second of each, until there are enough of the stage and in all."""
    queues: dict[str, list[Sample]] = {}
    for name in names:
        turns: dict[str, int] = {}
        placed: list[tuple[int, int, Sample]] = []
        for sample in samples:
            if sample.stage == name:
                turns[sample.reason] = turns.get(sample.reason, -1) + 1
                placed.append((turns[sample.reason], len(placed), sample))
        queues[name] = [sample for *_, sample in sorted(placed, key=lambda each: each[:2])][:SAMPLES_OF_STAGE]
    room, chosen = SAMPLES, dict.fromkeys(queues, 0)
    for turn in range(SAMPLES_OF_STAGE):
        for name, queue in queues.items():
            if turn < len(queue) and room:
                chosen[name] += 1
                room -= 1
    return {name: queue[: chosen[name]] for name, queue in queues.items()}


def _sample(sample: Sample) -> SampleView:
    before, after = sample.before, sample.after
    parts = [
        ("Prompt", before.prompt, None if after is None else after.prompt, PROMPT),
        ("Answer", before.answer, None if after is None else after.answer, ANSWER),
    ]
    return SampleView(
        reason=one_line(sample.reason, 90),
        source=one_line(sample.source, 80),
        dropped=after is None,
        pairs=[_pair(name, old, new, longest) for name, old, new, longest in parts if old or new],
    )


def _pair(name: str, before: str, after: str | None, longest: int) -> Pair:
    if after is None or before == after:
        return Pair(name if after is None else f"{name}, unchanged", alone(before, longest), None)
    return Pair(name, *side_by_side(before, after, longest))
