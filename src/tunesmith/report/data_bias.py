"""What the data page says of the audits: findings in sentences, then the figures behind them as tables.

`tunesmith.data.audit` and `tunesmith.data.coverage` tell more than a page should: tables show the groups with most rows, and of
each the label that differs most. A key that isn't there makes no table; tables that come ready (`tables`) are set as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report import figures
from tunesmith.report.data_shape import Audited, DataReport, Finding, Table
from tunesmith.report.text import label, one_line, passage

LINES, TABLES, FINDINGS, EXAMPLES = 20, 12, 24, 12
"""So many of each are shown."""
GIVEN, COLUMNS, CELL = 6, 8, 60
"""Of tables that come ready: so many, so wide, so many characters a cell."""

Row = list[str]
Maker = Callable[[Mapping[str, Any]], Iterator["TableView"]]


@dataclass(frozen=True, slots=True)
class FindingView:
    sentence: str
    figure: str
    interval: str
    rows: str
    mitigations: list[tuple[str, str]]
    """What it does, and how the recipe asks for it."""
    mitigated: bool


@dataclass(frozen=True, slots=True)
class TableView:
    title: str
    columns: list[tuple[str, bool]]
    """Name, and whether it holds figures."""
    rows: list[Row]
    more: int


@dataclass(frozen=True, slots=True)
class AuditView:
    said: str
    findings: list[FindingView]
    more: int
    tables: list[TableView]
    examples: list[tuple[str, int]]


def bias(report: DataReport) -> AuditView | None:
    """The bias audit."""
    return _view(report, report.findings.audit, (_terms, _columns, _sources, _losses, _reference), "No bias was found beyond chance")


def coverage(report: DataReport) -> AuditView | None:
    """The comparison with production inputs, or how diverse the rows are."""
    return _view(report, report.findings.coverage, (_coverage_figures, _words), "No gap was found beyond chance")


def _view(report: DataReport, held: Audited | None, makers: Iterable[Maker], nothing: str) -> AuditView | None:
    if held is None:
        return None
    # Both audits name what can be done alike; only the one on bias spells it out.
    mitigations = held.mitigations or (report.findings.audit.mitigations if report.findings.audit else {})
    rows = held.rest.get("rows")
    looked = rows.get("looked_at", rows.get("train_looked_at")) if isinstance(rows, Mapping) else None
    of = f" in {figures.whole(looked)} rows" if isinstance(looked, int) else ""
    compared = held.rest.get("kind") != "diversity"
    said = "" if held.findings or not compared else f"{nothing}{of}."
    tables = [_given(table) for table in held.tables[:GIVEN]]
    tables += [table for make in makers for table in make(held.rest) if table.rows]
    examples = [
        passage(str(each.get("text", "")), 300) for each in _list(held.rest.get("examples"))[:EXAMPLES] if isinstance(each, Mapping)
    ]
    findings = [_finding(each, mitigations) for each in held.findings[:FINDINGS]]
    return AuditView(said, findings, max(0, len(held.findings) - FINDINGS), tables[:TABLES], examples)


def _given(table: Table) -> TableView:
    columns = [
        (one_line(name, CELL), any(isinstance(row[at], int | float) for row in table.rows if at < len(row)))
        for at, name in enumerate(table.columns[:COLUMNS])
    ]
    rows = [[_written(cell) for cell in row[: len(columns)]] for row in table.rows[:LINES]]
    return TableView(one_line(table.title, 90), columns, rows, max(0, len(table.rows) - LINES))


def _written(cell: Any) -> str:
    if isinstance(cell, bool) or cell is None:
        return "" if cell is None else "yes" if cell else "no"
    if isinstance(cell, int | float):
        return figures.whole(cell) if isinstance(cell, int) else figures.decimal(cell)
    return one_line(str(cell), CELL)


def _finding(held: Finding, mitigations: Mapping[str, Mapping[str, Any]]) -> FindingView:
    known = [(name, mitigations.get(name, {})) for name in held.mitigation[:4]]
    return FindingView(
        sentence=one_line(held.sentence or held.what, 400),
        figure="" if held.figure is None else figures.whole(held.figure) if held.figure.is_integer() else figures.decimal(held.figure),
        interval=" to ".join(map(figures.decimal, held.interval)) if len(held.interval) == 2 else "",
        rows="" if held.rows is None else figures.whole(held.rows),
        mitigations=[
            (one_line(str(told.get("sentence") or f"What can be done: {name}"), 200), one_line(str(told.get("recipe") or ""), 160))
            for name, told in known
        ],
        mitigated=held.mitigated,
    )


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _rate(share: Any) -> str:
    """`12% (9.1 to 15)` of {rate, interval}."""
    held = _map(share)
    if not isinstance(held.get("rate"), int | float):
        return figures.ABSENT
    ends = [100 * _number(end) for end in _list(held.get("interval"))]
    return figures.share(held["rate"], 1.0) + (f" ({ends[0]:.1f} to {ends[1]:.1f})" if len(ends) == 2 else "")


_GROUP_HEADS = [
    ("Group", False),
    ("Rows", True),
    ("Share, % (95%)", True),
    ("Label that differs most", False),
    ("In the group", True),
    ("In the others", True),
]


def _groups(title: str, groups: Mapping[str, Any]) -> TableView:
    """Groups with most rows, and of each the label whose rate differs most."""
    order = sorted(groups.items(), key=lambda item: -_number(_map(item[1]).get("hits", _map(item[1]).get("rows"))))
    order = [(name, held) for name, held in order if _number(_map(held).get("hits", 1))]
    rows = []
    for name, held in order[:LINES]:
        line = [label(name, 40), _written(_map(held).get("hits", _map(held).get("rows"))), _rate(held)]
        compared = _map(_map(held).get("labels"))
        far = max(compared.items(), key=lambda item: abs(_number(_map(_map(item[1]).get("difference")).get("value"))), default=None)
        rows.append(
            line
            + (["", "", ""] if far is None else [label(far[0], 40), _rate(_map(far[1]).get("with")), _rate(_map(far[1]).get("without"))])
        )
    return TableView(title, _GROUP_HEADS, rows, max(0, len(order) - LINES))


def _terms(rest: Mapping[str, Any]) -> Iterator[TableView]:
    for name, held in _map(rest.get("terms")).items():
        yield _groups(f"Rows whose text names a group: {one_line(name, 40)}", _map(_map(held).get("groups")))


def _columns(rest: Mapping[str, Any]) -> Iterator[TableView]:
    for name, held in _map(rest.get("columns")).items():
        yield _groups(f"By the column {one_line(name, 40)}", _map(_map(held).get("groups")))


def _sources(rest: Mapping[str, Any]) -> Iterator[TableView]:
    held = _map(rest.get("sources"))
    by = held.get("by")
    yield _groups(f"By where rows come from{f' ({one_line(str(by), 40)})' if by else ''}", _map(held.get("sources")))


def _losses(rest: Mapping[str, Any]) -> Iterator[TableView]:
    groups = [_map(each) for each in _list(_map(rest.get("losses")).get("groups"))]
    groups.sort(key=lambda each: -_number(each.get("dropped")))
    rows = [
        [
            label(str(each.get("group", "")), 40),
            _written(each.get("dropped")),
            _written(each.get("kept")),
            _rate(each.get("lost")),
            _rate(each.get("others_lost")),
        ]
        for each in groups[:LINES]
    ]
    heads = [("Group", False), ("Dropped", True), ("Kept", True), ("Lost, % (95%)", True), ("Others lost, % (95%)", True)]
    yield TableView("Whom the stages dropped", heads, rows, max(0, len(groups) - LINES))


def _reference(rest: Mapping[str, Any]) -> Iterator[TableView]:
    for name, held in _map(rest.get("reference")).items():
        groups = _map(_map(held).get("groups"))
        rows = [
            [label(group, 40), _rate(share), figures.share(_number(_map(share).get("reference")), 1.0)]
            for group, share in list(groups.items())[:LINES]
        ]
        heads = [("Group", False), ("In the rows, % (95%)", True), ("Should be", True)]
        yield TableView(f"Against the reference for {one_line(name, 40)}", heads, rows, max(0, len(groups) - LINES))


def _coverage_figures(rest: Mapping[str, Any]) -> Iterator[TableView]:
    """The figures of a comparison, or of the diversity within."""
    domain, clusters, nearest, words = (_map(rest.get(key)) for key in ("domain", "clusters", "nearest", "vocabulary"))
    rows = []
    if domain.get("value") is not None:
        ends = [_number(end) for end in _list(domain.get("interval"))]
        rows.append(
            [
                "Telling the two apart (AUC; 0.5: alike)",
                f"{_number(domain['value']):.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if len(ends) == 2 else ""),
            ]
        )
    for name, share in (
        ("Clusters of inputs without a train row", clusters.get("uncovered")),
        ("Inputs in such clusters", clusters.get("uncovered_rows")),
        ("Inputs farther than train rows are from one another", nearest.get("far")),
        ("Words no train row has", words.get("unseen")),
        ("The same among train rows set aside", words.get("expected")),
    ):
        if share is not None:
            rows.append([name, _rate(share)])
    diversity = _map(rest.get("diversity"))
    regions, close = _map(diversity.get("regions")), _map(diversity.get("nearest"))
    for name, value in (
        ("Directions that texts differ in, effective", regions.get("effective_directions")),
        ("Clusters, effective", regions.get("effective_clusters")),
        ("Distance to the nearest other row, mean", close.get("mean")),
        ("Texts that repeat", close.get("repeated_texts")),
    ):
        if value is not None and not isinstance(value, Mapping):
            rows.append([name, _written(value)])
    yield TableView(
        "What was compared" if not diversity else "How diverse the rows are", [("Figure", False), ("Value (95%)", True)], rows, 0
    )


def _words(rest: Mapping[str, Any]) -> Iterator[TableView]:
    held = _map(rest.get("vocabulary"))
    for title, key in (("Words more frequent in production", "more_in_production"), ("Words more frequent in train", "more_in_train")):
        found = [_map(each) for each in _list(held.get(key))[: LINES // 2]]
        rows = [[label(str(each.get("word", "")), 40), _written(each.get("count")), _written(each.get("other"))] for each in found]
        yield TableView(title, [("Word", False), ("Here", True), ("There", True)], rows, 0)
