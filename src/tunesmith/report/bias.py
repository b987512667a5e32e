"""What a card says of bias: sets and groups, base against tuned model."""

from dataclasses import dataclass

from tunesmith.report import figures
from tunesmith.report.shape import Count, Estimate, Number, Part, Report, part_of
from tunesmith.report.text import label, one_line

LINES = 40
"""Figures in the table; the rest is in report.json."""
GROUPS = 12
"""Groups named under a rate."""
_WORDS = {"few": "too few", "none": "nothing", "up": "rose", "down": "fell"}


class FigurePart(Part):
    """One thing measured of both models."""

    set: str = ""
    part: str = ""
    kind: str = ""
    what: str = ""
    rows: Count = None
    units: Count = None
    judged: bool = False
    by_chance: Number = None
    base: Estimate = Estimate()
    tuned: Estimate = Estimate()
    change: Estimate = Estimate()
    p_change: Number = None
    moved: str = ""
    leans: bool = False
    worse: bool = False


class GroupPart(Part):
    name: str = ""
    rows: Count = None
    base: Number = None
    tuned: Number = None
    judged: bool = False


class GroupsPart(Part):
    column: str = ""
    rate: str = ""
    groups: tuple[GroupPart, ...] = ()


class BiasPart(Part):
    """The report's `bias`."""

    alarm: bool = False
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: tuple[FigurePart, ...] = ()
    groups: tuple[GroupsPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    name: str
    what: str
    rows: str
    base: str
    base_range: str
    tuned: str
    tuned_range: str
    change: str
    range: str
    p: str
    verdict: str
    worse: bool


@dataclass(frozen=True, slots=True)
class Bias:
    """The section: sentences, one table, groups, notes."""

    sentences: list[str]
    alarm: bool
    lines: list[Line]
    left: int
    groups: list[str]
    notes: list[str]


def bias(report: Report) -> Bias | None:
    """Whether fine-tuning changed how the model speaks of and treats groups; None where nobody looked."""
    found = part_of(report, "bias", BiasPart)
    if found is None:
        return None
    lines = [_line(one) for one in found.figures[:LINES]]
    groups = [_groups(one) for one in found.groups]
    return Bias(list(found.sentences), found.alarm, lines, len(found.figures) - len(lines), groups, list(found.notes))


def _line(one: FigurePart) -> Line:
    name = one.set if one.part in ("", "all") else f"{one.set}, {label(one.part)}"
    chance = "" if one.by_chance is None else f" ({_number(one, one.by_chance)} by chance)"
    return Line(
        name=one_line(name, 80),
        what=one_line(one.what, 80) + chance,
        rows=figures.whole(one.rows),
        base=_number(one, one.base.value),
        base_range=_range(one, one.base),
        tuned=_number(one, one.tuned.value),
        tuned_range=_range(one, one.tuned),
        change=_signed(one, one.change.value),
        range="" if one.change.low is None else f"{_signed(one, one.change.low)} to {_signed(one, one.change.high)}",
        p=figures.p_value(one.p_change) if one.judged else "",
        verdict=_WORDS.get(one.moved, ""),
        worse=one.worse,
    )


def _groups(one: GroupsPart) -> str:
    """`accuracy by city: Bern 80.0% to 90.0% (40 rows), ...`."""
    told = [
        f"{label(group.name)} {_share(group.base)} to {_share(group.tuned)} ({figures.whole(group.rows)} rows)"
        for group in one.groups[:GROUPS]
    ]
    more = f", and {len(one.groups) - GROUPS} more" if len(one.groups) > GROUPS else ""
    return f"{one_line(one.rate, 40)} by {label(one.column)}, base to fine-tuned: {', '.join(told)}{more}."


def _share(value: float | None) -> str:
    return figures.ABSENT if value is None else f"{figures.decimal(100 * value, 1)}%"


def _number(one: FigurePart, value: float | None) -> str:
    if value is None:
        return figures.ABSENT
    return figures.decimal(value, 2) if one.kind == "score" else f"{figures.decimal(100 * value, 1)}%"


def _range(one: FigurePart, around: Estimate) -> str:
    return "" if around.low is None or around.high is None else f"{_number(one, around.low)} to {_number(one, around.high)}"


def _signed(one: FigurePart, value: float | None) -> str:
    if value is None:
        return figures.ABSENT
    written = figures.decimal(value, 2) if one.kind == "score" else figures.decimal(100 * value, 1)
    return f"+{written}" if value > 0 and float(written.replace(",", "")) else written
