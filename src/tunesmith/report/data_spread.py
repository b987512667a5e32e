"""Distributions on the data page: rows per label on each side, and how long texts are.

Pictures are drawn here by hand, since altair's know one background only, and these follow the reader's: light or dark.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report import figures
from tunesmith.report.data_shape import SIDES, DataReport, Histogram, Tokens
from tunesmith.report.text import label, one_line

LARGEST, SMALLEST = 28, 12
"""So many labels are shown where there are more than both together: the commonest, and the rarest."""
_BINS = 12
WIDTH, HEIGHT, FOOT = 220, 92, 18
"""Of a histogram: its bars, and the line of figures beneath, in pixels."""


@dataclass(frozen=True, slots=True)
class Cell:
    rows: str
    share: str
    percent: float
    """Of the widest bar."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    name: str
    cells: list[Cell]
    gap: str
    """In place of labels that are left out: how many, and their rows."""


@dataclass(frozen=True, slots=True)
class ClassesView:
    sides: list[tuple[str, str]]
    """Name and labels that occur."""
    rows: list[LabelRow]
    said: str


def classes(report: DataReport) -> ClassesView | None:
    """Rows per label, a column a side; shares can be compared across sides."""
    sides = [side for side in (*SIDES, *(name for name in report.labels if name not in SIDES)) if report.labels.get(side)][:6]
    if not sides:
        return None
    held = {side: report.labels[side] for side in sides}
    whole: dict[str, int] = {}
    for counts in held.values():
        for name, count in counts.items():
            whole[name] = whole.get(name, 0) + count
    order = sorted(whole, key=lambda name: (-held[sides[0]].get(name, 0), -whole[name], name))
    totals = {side: sum(counts.values()) for side, counts in held.items()}
    widest = max((count / max(1, totals[side]) for side, counts in held.items() for count in counts.values()), default=0.0)

    def line(name: str) -> LabelRow:
        return LabelRow(label(name, 48), [_cell(held[side].get(name, 0), totals[side], widest) for side in sides], "")

    if len(order) <= LARGEST + SMALLEST:
        rows = [line(name) for name in order]
    else:
        left = order[LARGEST:-SMALLEST]
        gap = f"and {len(left):,} more labels, {figures.whole(sum(whole[name] for name in left))} rows"
        rows = [*map(line, order[:LARGEST]), LabelRow("", [], gap), *map(line, order[-SMALLEST:])]
    return ClassesView([(one_line(side, 20), f"{len(held[side]):,}") for side in sides], rows, _said(held[sides[0]], sides[0]))


def _cell(count: int, total: int, widest: float) -> Cell:
    share = count / total if total else 0.0
    return Cell(figures.whole(count), figures.share(count, total) if count else "", round(100 * share / widest, 1) if widest else 0.0)


def _said(counts: Mapping[str, int], side: str) -> str:
    """The labels of the first side in a sentence."""
    middle = figures.decimal(figures.median(list(counts.values())), 0)
    top, bottom = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    if len(counts) == 1:
        return f"One label in {one_line(side, 20)}, {label(top, 48)}."
    return (
        f"{len(counts):,} labels in {one_line(side, 20)}, a median of {middle} rows each; most {label(top, 48)} ({figures.whole(counts[top])}), "
        f"fewest {label(bottom, 48)} ({figures.whole(counts[bottom])})."
    )


@dataclass(frozen=True, slots=True)
class Panel:
    side: str
    rows: str
    median: str
    picture: Markup


def lengths(report: DataReport) -> list[tuple[str, list[Panel]]]:
    """Histograms by kind of text, a panel a side, all on one scale of length."""
    held = report.findings.lengths
    sides = [side for side in (*SIDES, *(name for name in held if name not in SIDES)) if side in held][:6]
    found = []
    for heading, of in (("What is shown to the model", "shown"), ("What it should answer", "answer")):
        drawn = {side: histogram for side in sides if (histogram := getattr(held[side], of)) is not None and sum(histogram.counts)}
        # Labels are as long as they are: a histogram of four lengths tells nothing.
        if drawn and any(sum(count > 0 for count in histogram.counts) > 1 for histogram in drawn.values()):
            found.append((heading, _panels(drawn)))
    return found


def _panels(drawn: Mapping[str, Histogram]) -> list[Panel]:
    edges = max((histogram.edges for histogram in drawn.values()), key=len)
    used = [at for histogram in drawn.values() for at, count in enumerate(histogram.counts) if count]
    first, last = _widened(min(used), max(used), len(edges))
    top = max(max(histogram.counts) / sum(histogram.counts) for histogram in drawn.values())
    return [
        Panel(
            one_line(side, 20),
            figures.whole(sum(histogram.counts)),
            "" if histogram.median is None else figures.whole(histogram.median),
            _histogram(side, histogram, edges, (first, last), top),
        )
        for side, histogram in drawn.items()
    ]


def _widened(first: int, last: int, bins: int) -> tuple[int, int]:
    """A range of at least `_BINS` bins around the one that is used: few wide bars would look like many rows."""
    room = max(0, _BINS - (last - first + 1))
    first = max(0, first - room // 2)
    return first, max(last, min(bins - 1, first + _BINS - 1))


def _histogram(side: str, histogram: Histogram, edges: Sequence[float], used: tuple[int, int], top: float) -> Markup:
    first, last = used
    total, step = sum(histogram.counts), WIDTH / (last - first + 1)
    bars = Markup("")
    for at in range(first, min(last + 1, len(histogram.counts))):
        height = HEIGHT * histogram.counts[at] / total / top
        if histogram.counts[at]:
            high = max(height, 0.8)
            end = f" to {figures.whole(edges[at + 1] - 1)}" if at + 1 < len(edges) else " and more"
            told = f"{figures.whole(edges[at])}{end} characters: {figures.whole(histogram.counts[at])} rows"
            bars += Markup('<rect class="bar-k" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>').format(
                (at - first) * step, HEIGHT - high, max(0.8, step - 1), high, told
            )
    ticks = Markup("").join(
        Markup(
            '<line class="tick" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/><text x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
        ).format(x, HEIGHT, HEIGHT + 4, x, HEIGHT + FOOT - 2, anchor, written)
        for x, written, anchor in _ticks(edges, first, last, step)
    )
    title = f"Lengths on the side {side}: {figures.whole(total)} rows from {figures.whole(edges[first])} characters up"
    frame = Markup('<svg class="own" role="img" aria-label="{0}" viewBox="0 0 {1} {2}"><title>{0}</title>').format(
        one_line(title, 160), WIDTH, HEIGHT + FOOT
    )
    axis = Markup('<line class="axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/>').format(WIDTH, HEIGHT)
    return frame + bars + axis + ticks + Markup("</svg>")


def _ticks(edges: Sequence[float], first: int, last: int, step: float) -> list[tuple[float, str, str]]:
    """Up to four figures along a scale of lengths: place, figure, how it is set."""
    count = last - first + 1
    every = max(1, math.ceil(count / 3.0))
    places = [*range(0, count, every)]
    return [(at * step, _short(edges[first + at]), "start" if at == 0 else "middle") for at in places if at == 0 or WIDTH - at * step > 14]


def _short(value: float) -> str:
    """`640`, `1.4k`, `12k`, `1M`."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.2g}{letter}" if value < 10 * size else f"{value / size:.0f}{letter}"
    return f"{value:.0f}"


def ruler(tokens: Tokens) -> Markup | None:
    """Median, 95% and the longest row against what the model reads at most; None where either is unknown."""
    row, limit = tokens.per_row, tokens.max_tokens or tokens.context
    points = [(name, value) for name, value in (("median", row.median), ("95%", row.p95), ("longest", row.max)) if value is not None]
    if not points or not limit:
        return None
    top = max(limit, *(value for _, value in points)) * 1.02

    def x(value: float) -> float:
        return 880 * value / top

    marks = Markup("").join(
        _mark(x(value), place, value > limit, f"{name} {figures.whole(value)}") for place, (name, value) in enumerate(points)
    )
    band = Markup(
        '<rect class="over" x="0" y="88" width="880" height="12"/><rect class="band" x="0" y="88" width="{0:.1f}" height="12"/>'
        '<line class="limit" x1="{0:.1f}" x2="{0:.1f}" y1="8" y2="106"/>'
    ).format(x(limit))
    side, shift = ("end", -6) if x(limit) > 440 else ("start", 6)
    told = Markup('<text x="{:.1f}" y="120" text-anchor="{}">at most {} tokens a row</text>').format(
        x(limit) + shift, side, figures.whole(limit)
    )
    title = "Tokens a row: " + ", ".join(f"{name} {figures.whole(value)}" for name, value in points) + f"; at most {figures.whole(limit)}"
    head = Markup('<svg class="own" role="img" aria-label="{0}" viewBox="0 0 880 126"><title>{0}</title>').format(title)
    return head + band + marks + told + Markup("</svg>")


def _mark(at: float, place: int, over: bool, words: str) -> Markup:
    """One of the rows on the ruler; each is written on a line of its own."""
    y, (anchor, shift) = 20 + 22 * place, ("end", -8) if at > 700 else ("start", 8)
    return Markup(
        '<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="88"/><circle class="{2}" cx="{0:.1f}" cy="{1}" r="4.5"/>'
        '<text class="ink" x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
    ).format(at, y, "dot-w" if over else "dot-k", at + shift, y + 4, anchor, words)
