"""What the data page says of what stages found: personal data, repeats, labels, sides, made rows, tokens.

The template only sets what these functions give; each gives None where the report holds nothing for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from tunesmith.report import charts, figures
from tunesmith.report.data_diff import Shown, alone, side_by_side
from tunesmith.report.data_look import rows
from tunesmith.report.data_shape import SIDES, SURE, DataReport, Split, Tokens
from tunesmith.report.data_spread import ruler
from tunesmith.report.text import label, one_line, passage

LINES = 40
"""So many lines of a table of counts, the largest first."""
TEXT, NEAR_TEXT = 300, 200
"""So many characters of a text in a list, and of one of a cluster."""
CLUSTERS, MEMBERS, SUSPECTS, TEXTS = 10, 6, 20, 12

Line = tuple[str, str, Markup]
"""Name, count, its bar."""
Text = tuple[str, int]
"""A text, and how many characters of it are left out."""


def counted(counts: Mapping[str, int], longest: int = 80) -> list[Line]:
    """A table of counts, the largest first."""
    ordered = sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))
    most = ordered[0][1] if ordered else 1
    lines = [(label(name, longest), figures.whole(count), charts.bar(count / most)) for name, count in ordered[:LINES]]
    left = ordered[LINES:]
    if left:
        lines.append((f"and {len(left):,} more", figures.whole(sum(count for _, count in left)), charts.bar(0.0)))
    return lines


@dataclass(frozen=True, slots=True)
class PersonalView:
    said: str
    replaced: bool
    kinds: list[Line]
    samples: list[Text]


def personal(report: DataReport) -> PersonalView | None:
    """Personal data by type."""
    held = report.findings.personal
    if held is None:
        return None
    among = f" among {rows(held.looked)}" if held.looked else ""
    if not held.found:
        return PersonalView(f"None was found{among}.", held.replaced, [], [])
    done = "All of it was replaced." if held.replaced else "It was not replaced: it stands in the rows that train and test."
    said = f"Found in {held.where}{among}. {done}" if held.rows is not None else f"{held.where} found{among}. {done}"
    return PersonalView(said, held.replaced, counted(held.kinds), [passage(text, TEXT) for text in held.samples[:TEXTS]])


@dataclass(frozen=True, slots=True)
class NearView:
    said: str
    clusters: list[tuple[str, list[tuple[str, Shown, str]], int]]
    """Heading; source, text and label of its rows, what differs from the first marked; rows left out."""


def near(report: DataReport) -> NearView | None:
    """Clusters of near-duplicates."""
    held = report.findings.near
    if held is None:
        return None
    said = (
        f"{rows(held.alike)} nearly repeat another one ({figures.whole(held.pairs)} pairs"
        if held.alike
        else "No row nearly repeats another"
    )
    if held.compared is not None:
        said += (", " if held.alike else " (") + f"{figures.whole(held.compared)} pairs compared in full"
    said += ")." if held.alike or held.compared is not None else "."
    if held.capped:
        said += f" {rows(held.capped)} with pieces that many others have: compared with some of those only."
    clusters = []
    for number, members in enumerate(held.clusters[:CLUSTERS], 1):
        texts = [_beside(members[0].text, each.text) for each in members[:MEMBERS]]
        shown = [(one_line(each.source, 60), text, one_line(each.label, 60)) for each, text in zip(members, texts, strict=False)]
        labels = {each.label for each in members}
        apart = f", {len(labels)} different answers" if len(labels) > 1 else ""
        clusters.append((f"Cluster {number}: {len(members)} rows shown{apart}", shown, max(0, len(members) - MEMBERS)))
    return NearView(said, clusters)


def _beside(first: str, other: str) -> Shown:
    """A row of a cluster, with what differs from the cluster's first marked."""
    return alone(other, NEAR_TEXT) if other == first else side_by_side(first, other, NEAR_TEXT)[1]


@dataclass(frozen=True, slots=True)
class SuspectsView:
    said: str
    lines: list[tuple[str, Text, str, str, str]]
    """Source, text, given, suggested, score."""


def suspects(report: DataReport) -> SuspectsView | None:
    """Labels that look wrong."""
    held = report.findings.labels
    if held is None:
        return None
    if not held.suspected:
        return SuspectsView(f"None of {figures.whole(held.judged)} labels judged looks wrong.", [])
    train = f", {figures.whole(held.in_train)} of them in train" if held.in_train is not None else ""
    said = f"{figures.whole(held.suspected)} of {figures.whole(held.judged)} labels judged look wrong{train}."
    if held.accuracy is not None:
        said += f" The model that judged them gives the label that stands there to {held.accuracy:.0%} of rows it was not fitted on"
        said += "." if held.accuracy >= SURE else ": it is often wrong itself, so most of these may be right."
    said += f" All are listed in {one_line(held.review, 60)}, to be decided by a person." if held.review else ""
    lines = [
        (one_line(each.source, 60), passage(each.text, TEXT), _given(each.given), _given(each.suggested), _score(each.score))
        for each in held.first[:SUSPECTS]
    ]
    return SuspectsView(said, lines)


def _given(text: str) -> str:
    return one_line(text, 60) or "(none)"


def _score(score: float | None) -> str:
    return figures.ABSENT if score is None else f"{score:.3f}"


@dataclass(frozen=True, slots=True)
class SplitView:
    sides: list[tuple[str, str, str, Markup]]
    checks: list[tuple[str, str, bool]]
    """What was looked for, what was found, whether it is well."""
    said: str


def split(report: DataReport) -> SplitView | None:
    """How rows were divided, and whether anything crosses."""
    held = report.findings.split or Split()
    total = sum(report.sides.values())
    names = [name for name in (*SIDES, *(name for name in report.sides if name not in SIDES)) if name in report.sides][:LINES]
    sides = [
        (
            one_line(name, 40),
            figures.whole(report.sides[name]),
            figures.share(report.sides[name], total),
            charts.bar(report.sides[name] / max(1, total)),
        )
        for name in names
    ]
    of = f"Groups ({one_line(held.by, 40)})" if held.by else "Groups"
    looked = (
        ("Texts on two sides", held.text_crossings),
        (f"{of} on two sides", held.group_crossings),
        ("Pairs of near-duplicates on two sides", held.near_crossings),
    )
    checks = [(name, "none" if not count else figures.whole(count), not count) for name, count in looked if count is not None]
    stood = next((stage for stage in report.waterfall if stage.stage == "leak"), None)
    if stood is not None:
        checks.append(
            ("Rows that stood in the files to judge by", f"{figures.whole(stood.dropped)} dropped" if stood.dropped else "none", True)
        )
    contamination = report.findings.contamination
    if contamination is not None:
        names_held = ", ".join(
            f"{one_line(name, 40)} ({figures.whole(count)} texts)" for name, count in list(contamination.held.items())[:LINES]
        )
        found = f"{figures.whole(contamination.dropped)} dropped" if contamination.dropped else "none"
        checks.append((f"Rows that give away texts of {names_held or 'held-out files'}", found, True))
    said = ""
    if held.test_rows and held.smallest_gain is not None:
        said = f"{rows(held.test_rows)} to test on show a gain of {100 * held.smallest_gain:.1f} points in right answers and more, four times in five."
    return SplitView(sides, checks, said) if sides or checks or said else None


@dataclass(frozen=True, slots=True)
class MadeView:
    made: list[Line]
    refused: list[Line]


def made(report: DataReport) -> MadeView | None:
    """Rows made of others, and those that were refused."""
    held = report.findings.augment
    if held is None or not (any(held.made.values()) or any(held.refused.values())):
        return None
    return MadeView(counted(held.made), counted(held.refused))


def suspicions(report: DataReport) -> list[Line]:
    """Rules that only count, and what they found."""
    held = report.findings.suspicions
    return [] if held is None else counted(held.rules)


@dataclass(frozen=True, slots=True)
class TokensView:
    ruler: Markup | None
    facts: list[tuple[str, str]]
    totals: list[Line]
    labels: list[Line]
    said: str


def tokens(report: DataReport) -> TokensView | None:
    """Rows in tokens: against the model's context, and what they cost."""
    held = report.cost
    if held is None:
        return None
    facts = [
        ("The model's context", held.context),
        ("At most a row", held.max_tokens),
        ("Median row", held.per_row.median),
        ("95% are within", held.per_row.p95),
        ("Longest row", held.per_row.max),
        ("The instruction", held.instruction),
        ("Trained in an epoch", held.epoch_tokens),
    ]
    written = [(name, f"{figures.whole(value)} tokens") for name, value in facts if value]
    labels = counted(held.labels) if held.labels else []
    return TokensView(ruler(held), written, _by_side(held.total), labels, _cut(held, sum(report.sides.values())))


def _by_side(total: Mapping[str, int]) -> list[Line]:
    """Tokens of each side, the sides in their order."""
    most = max(total.values(), default=0)
    names = [name for name in (*SIDES, *(name for name in total if name not in SIDES)) if total.get(name)][:LINES]
    return [(one_line(name, 40), figures.whole(total[name]), charts.bar(total[name] / most)) for name in names]


def _cut(held: Tokens, total: int) -> str:
    measured = sum(held.measured.values())
    by = f" Counted on {rows(measured)}, spread evenly, and scaled." if measured and measured < total else ""
    if not held.cut:
        return f"Every row fits.{by}"
    limit = f" {figures.whole(held.max_tokens)} tokens" if held.max_tokens else " the model reads"
    return f"{rows(held.cut)} {'is' if held.cut == 1 else 'are'} longer than{limit} and would be cut.{by}"
