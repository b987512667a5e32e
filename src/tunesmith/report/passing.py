"""What a card says of code that was run: pass@k of the fine-tuned model and of the base."""

from dataclasses import dataclass

from pydantic import Field

from tunesmith.report import figures
from tunesmith.report.shape import Count, Number, Part, Report, part_of
from tunesmith.report.text import one_line


class AtK(Part):
    k: int
    value: Number = None
    low: Number = None
    high: Number = None


class Ran(Part):
    """One system's samples, run."""

    key: str = ""
    name: str = ""
    pass_at_k: list[AtK] = Field(default=[])
    right: Count = None
    wrong: Count = None
    late: Count = None


class Code(Part):
    """The report's `code`."""

    command: list[str] = Field(default=[])
    problems: Count = None
    samples: Count = None
    systems: list[Ran] = Field(default=[])
    against: list[AtK] = Field(default=[])
    sentence: str = ""
    notes: list[str] = Field(default=[])


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and its interval beneath it."""

    value: str
    range: str


@dataclass(frozen=True, slots=True)
class Passes:
    """The section: a table of systems by k, a sentence, the command, notes."""

    ks: list[str]
    lines: list[tuple[str, list[Cell]]]
    sentence: str
    command: str
    notes: list[str]


def passing(report: Report) -> Passes | None:
    """How much code passes its tests; None where nothing was run."""
    found = part_of(report, "code", Code)
    if found is None or not found.systems:
        return None
    lines = [(one.name or one.key, [_cell(at) for at in one.pass_at_k]) for one in found.systems]
    if found.against:
        lines.append(("Tuned less base, points", [_cell(at, points=True) for at in found.against]))
    ks = [f"pass@{at.k}" for at in found.systems[0].pass_at_k]
    notes = [one_line(note, 400) for note in found.notes]
    return Passes(ks, lines, one_line(found.sentence, 600), one_line(" ".join(found.command), 200), notes)


def _cell(at: AtK, *, points: bool = False) -> Cell:
    if at.value is None:
        return Cell(figures.ABSENT, "")
    sign = "+" if points else ""
    ends = "" if at.low is None or at.high is None else f"{100 * at.low:{sign}.1f} to {100 * at.high:{sign}.1f}"
    return Cell(f"{100 * at.value:{sign}.1f}" + ("" if points else "%"), ends)
