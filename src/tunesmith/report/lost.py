"""What a card says of what fine-tuning broke: general text and questions, base against tuned model."""

from dataclasses import dataclass

from tunesmith.report import figures
from tunesmith.report.shape import Estimate, Forgetting, Report


@dataclass(frozen=True, slots=True)
class Line:
    """One thing measured: the base's figure, the tuned model's, and how far apart they are."""

    name: str
    base: str
    tuned: str
    apart: str
    range: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The section: a sentence, a table, notes."""

    sentence: str
    lines: list[Line]
    notes: list[str]
    alarm: bool


def lost(report: Report) -> Lost | None:
    """What was lost of what the base knew; None where nobody looked."""
    found = report.forgetting
    if found is None or not found.sentence:
        return None
    lines = [line for line in (_perplexity(found), _questions(found)) if line is not None]
    return Lost(found.sentence, lines, list(found.notes), found.outcome == "forgot")


def _perplexity(found: Forgetting) -> Line | None:
    rise = found.rise
    if rise is None or rise.base is None or rise.tuned is None:
        return None
    documents = "" if rise.documents is None else f" ({figures.whole(rise.documents)} documents)"
    name = f"Perplexity on general text{documents}"
    return Line(name, figures.decimal(rise.base), figures.decimal(rise.tuned), _percent(rise.relative.value), _range(rise.relative))


def _questions(found: Forgetting) -> Line | None:
    asked = found.probing
    if asked is None or asked.base.value is None or asked.tuned.value is None:
        return None
    questions = "" if asked.questions is None else f" ({figures.whole(asked.questions)})"
    apart = Estimate(low=asked.against.low, high=asked.against.high)
    return Line(
        f"Questions of common knowledge{questions}",
        f"{100 * asked.base.value:.1f}% right",
        f"{100 * asked.tuned.value:.1f}% right",
        _points(asked.against.difference),
        _range(apart, points=True),
    )


def _percent(share: float | None) -> str:
    return figures.ABSENT if share is None else f"{100 * share:+,.1f}%"


def _points(share: float | None) -> str:
    return figures.ABSENT if share is None else f"{100 * share:+.1f} points"


def _range(estimate: Estimate, *, points: bool = False) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (f"{100 * end:+,.1f}" for end in (estimate.low, estimate.high))
    return f"{low} to {high}" + ("" if points else "%")
