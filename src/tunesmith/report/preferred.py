"""What a card says of a judge's preferences: how often each side won, and how far the judge can be believed."""

from dataclasses import dataclass

from pydantic import Field

from tunesmith.report import figures
from tunesmith.report.shape import Against, Count, Estimate, Part, Report, part_of
from tunesmith.report.text import one_line

_NAMES = {"zero-shot": "the base, zero-shot", "few-shot": "the base, few-shot"}


class Spent(Part):
    requests: Count = None
    remembered: Count = None


class Judge(Part):
    """The report's `judge`."""

    judge: str = ""
    baseline: str = ""
    rows: Count = None
    counts: dict[str, int] = Field(default={})
    wins: Estimate | None = None
    losses: Estimate | None = None
    agreement: Estimate | None = None
    against: Against | None = None
    leans: str = ""
    spent: Spent = Spent()
    sentence: str = ""
    notes: list[str] = Field(default=[])


@dataclass(frozen=True, slots=True)
class Line:
    """One share, with its interval."""

    name: str
    value: str
    range: str
    rows: str


@dataclass(frozen=True, slots=True)
class Preferred:
    """The section: who was compared, a table, a sentence, notes."""

    baseline: str
    lines: list[Line]
    sentence: str
    notes: list[str]
    doubtful: bool


def preferred(report: Report) -> Preferred | None:
    """What a judge made of the answers; None where nobody asked one."""
    found = part_of(report, "judge", Judge)
    if found is None or not found.sentence:
        return None
    lines = [
        _line("Fine-tuned preferred", found.wins, found.counts.get("ours")),
        _line("Base preferred", found.losses, found.counts.get("theirs")),
        Line("Tie in both orders", "", "", _count(found.counts.get("tie"))),
        Line("The orders disagree", "", "", _count(found.counts.get("split"))),
        _line("Both orders agree, of pairs asked about", found.agreement, None),
    ]
    baseline = _NAMES.get(found.baseline, found.baseline)
    notes = [one_line(note, 400) for note in found.notes]
    return Preferred(baseline, lines, one_line(found.sentence, 600), notes, bool(found.leans))


def _line(name: str, share: Estimate | None, rows: int | None) -> Line:
    if share is None or share.value is None:
        return Line(name, figures.ABSENT, "", _count(rows))
    ends = "" if share.low is None or share.high is None else f"{100 * share.low:.1f} to {100 * share.high:.1f}"
    return Line(name, f"{100 * share.value:.1f}%", ends, _count(rows))


def _count(rows: int | None) -> str:
    return "" if rows is None else figures.whole(rows)
