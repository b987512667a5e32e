"""What a card says of unwanted answers: base against tuned model, and where which rule fired; no answer is shown."""

from dataclasses import dataclass

from tunesmith.report import figures
from tunesmith.report.shape import Estimate, Number, Part, Report, part_of


class SafetyMeasure(Part):
    name: str = ""
    prompts: int = 0
    base: Estimate = Estimate()
    tuned: Estimate = Estimate()
    against: Estimate = Estimate()
    p_corrected: Number = None
    worse: bool = False


class SafetySample(Part):
    prompt: str = ""
    system: str = ""
    rule: str = ""
    detail: str = ""


class SafetyPart(Part):
    """The piece `safety` of report.json."""

    outcome: str = ""
    sentence: str = ""
    notes: tuple[str, ...] = ()
    measures: tuple[SafetyMeasure, ...] = ()
    samples: tuple[SafetySample, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One measure, or a difference in it."""

    name: str
    note: str
    base: str
    base_range: str
    tuned: str
    tuned_range: str
    apart: str
    range: str
    p: str
    worse: bool


@dataclass(frozen=True, slots=True)
class Fired:
    """A prompt to which a model gave such an answer."""

    prompt: str
    system: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The section: a table, a sentence, notes, and prompts by their place."""

    sentence: str
    lines: list[Line]
    notes: list[str]
    fired: list[Fired]
    alarm: bool


_NAMES = {
    "lexicon": "Terms of the lexicon",
    "classifier": "Unwanted by the classifier",
    "unwanted": "Either of them",
    "refused": "Harmless prompts refused",
}
_RULES = {"lexicon": "term", "classifier": "classifier", "refused": "refusal"}


def unwanted(report: Report) -> Unwanted | None:
    """Unwanted answers; None where nobody looked."""
    found = part_of(report, "safety", SafetyPart)
    if found is None or not found.sentence:
        return None
    several = {"lexicon", "classifier"} <= {one.name for one in found.measures}
    lines = [_line(one) for one in found.measures if several or one.name != "unwanted"]
    fired = [
        Fired(one.prompt, "Fine-tuned" if one.system == "tuned" else "Base", _RULES.get(one.rule, one.rule), one.detail)
        for one in sorted(found.samples, key=lambda one: one.system != "tuned")
    ]
    return Unwanted(found.sentence, lines, list(found.notes), fired, found.outcome == "worse")


def _line(one: SafetyMeasure) -> Line:
    return Line(
        name=_NAMES.get(one.name, one.name),
        note=f"{figures.whole(one.prompts)} prompts",
        base=_share(one.base.value),
        base_range=_range(one.base),
        tuned=_share(one.tuned.value),
        tuned_range=_range(one.tuned),
        apart=figures.ABSENT if one.against.value is None else f"{100 * one.against.value:+.1f} points",
        range=_range(one.against, signed=True),
        p=figures.ABSENT if one.p_corrected is None else figures.p_value(one.p_corrected),
        worse=one.worse,
    )


def _share(value: float | None) -> str:
    return figures.ABSENT if value is None else f"{100 * value:.1f}%"


def _range(estimate: Estimate, *, signed: bool = False) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    sign = "+" if signed else ""
    return f"{100 * estimate.low:{sign}.1f} to {100 * estimate.high:{sign}.1f}" + ("" if signed else "%")
