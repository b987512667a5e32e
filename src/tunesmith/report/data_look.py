"""What a person should look at first, out of what the stages measured: one sentence each, the costliest first.

Kinds stand in a fixed order (`_KINDS`), from what makes a test figure false to what may be nothing; among those of one kind
the larger share is first. Nothing is told where nothing was found.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report import figures
from tunesmith.report.data_shape import SIDES, SURE, Audited, DataReport, read_data_report
from tunesmith.report.text import label, one_line

DROPPED = 0.05
"""A stage that drops this share of the rows that reach it is told."""
ONE_LABEL = 0.8
"""A label that so many of the training rows carry is told."""
FEW_ROWS = 10
"""A label of fewer training rows is told."""
PLAUSIBLE_GAIN = 0.05
"""A test set that can't show a gain of so much is told: fine-tuning seldom gains more over a good prompt."""
_NAMED = 4
"""So many labels or kinds are named in a sentence."""
_OF_A_KIND = 5
"""So many findings of an audit are told; the others are counted."""
_TOLD_ELSEWHERE = {"sample", "leak", "contamination", "read"}
"""Stages whose drops are asked for, or have a sentence of their own."""
_SAID_BY_CLASSES = "label.too_few_to_learn"


@dataclass(frozen=True, slots=True)
class Pointer:
    """One thing to look at."""

    sentence: str
    anchor: str
    """The id of the section of the page that shows it."""
    weight: float
    """Larger is costlier: hundreds are the kind, the rest its share of the rows."""


Told = tuple[str, str, float]
"""Sentence, anchor and a share from 0 to 1."""


def first_to_look(report: Mapping[str, Any] | DataReport) -> list[Pointer]:
    """What to look at, the costliest first; empty where nothing stands out.

    Raises:
        MachineError: a field has another form than `tunesmith.report.data_card` says.
    """
    held = report if isinstance(report, DataReport) else read_data_report(report)
    found = [
        Pointer(sentence, anchor, 100.0 * (len(_KINDS) - place) + 99.0 * min(1.0, max(0.0, share)))
        for place, kind in enumerate(_KINDS)
        for sentence, anchor, share in kind(held)
    ]
    return sorted(found, key=lambda pointer: -pointer.weight)


def rows(count: float) -> str:
    """`1 row`, `1,234 rows`."""
    return "1 row" if count == 1 else f"{figures.whole(count)} rows"


def named(counts: Mapping[str, int], most: int = _NAMED) -> str:
    """`email 12, phone 3 and 2 more`, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return _some([f"{label(name, 40)} {figures.whole(count)}" for name, count in ordered[:most]], len(ordered))


def _some(shown: list[str], of: int) -> str:
    """A few in words, and how many there are besides."""
    return ", ".join(shown) + (f" and {of - len(shown):,} more" if of > len(shown) else "")


def _ratio(part: float, of: float | None) -> float:
    return part / of if of else 0.0


def _crossings(report: DataReport) -> Iterator[Told]:
    split = report.findings.split
    if split is not None:
        flatter = "test figures will flatter the model"
        if split.text_crossings:
            are = "text stands" if split.text_crossings == 1 else "texts stand"
            yield f"{figures.whole(split.text_crossings)} {are} on more than one side: {flatter}.", "split", 1.0
        if split.group_crossings:
            of = f" of {one_line(split.by, 40)}" if split.by else ""
            noun, stand = ("group", "stands") if split.group_crossings == 1 else ("groups", "stand")
            yield f"{figures.whole(split.group_crossings)} {noun}{of} {stand} on more than one side: {flatter}.", "split", 0.9
        if split.near_crossings:
            pairs = "pair of near-duplicates stands" if split.near_crossings == 1 else "pairs of near-duplicates stand"
            yield f"{figures.whole(split.near_crossings)} {pairs} on two sides: {flatter}.", "split", 0.8
    for stage in report.waterfall:
        if stage.stage == "leak" and stage.dropped:
            told = f"{rows(stage.dropped)} also stood in the files to judge by and were dropped: the files were not made apart."
            yield told, "stage-leak", 0.7 * _ratio(stage.dropped, stage.came)


def _contamination(report: DataReport) -> Iterator[Told]:
    held = report.findings.contamination
    if held is not None and held.dropped:
        names = _some([one_line(name, 40) for name in list(held.held)[:_NAMED]], len(held.held)) or "held-out texts"
        yield f"{rows(held.dropped)} gave away texts of {names} and were dropped from training.", "split", 0.5


def _personal(report: DataReport) -> Iterator[Told]:
    held = report.findings.personal
    if held is None or not held.found or held.replaced:
        return
    of = f" among {rows(held.looked)}" if held.looked else ""
    told = f"{held.where} of personal data{of}" if held.rows is None else f"Personal data in {held.where}{of}"
    kinds = f" ({named(held.kinds)})" if held.kinds else ""
    yield f"{told}{kinds}, not replaced: a model can learn it by heart.", "personal", _ratio(held.found, held.looked)


def _classes(report: DataReport) -> Iterator[Told]:
    train, test = report.labels.get("train", {}), report.labels.get("test", {})
    total = sum(train.values())
    if not total:
        return
    top, most = max(train.items(), key=lambda item: item[1])
    alone = total == report.sides.get("train", total)
    if len(train) == 1 and alone:
        yield f"Every training row carries one label, {label(top)}: there is nothing to tell apart.", "classes", 1.0
    elif alone and most >= ONE_LABEL * total:
        share = figures.share(most, total)
        yield f"{share} of the training rows carry {label(top)}: always answering it would be right as often.", "classes", most / total
    unseen = {name: count for name, count in test.items() if count and not train.get(name)}
    if unseen:
        are = "label of the test rows has" if len(unseen) == 1 else "labels of the test rows have"
        yield f"{len(unseen):,} {are} no training row ({named(unseen)}): these can't be learnt.", "classes", 0.7
    few = {name: count for name, count in train.items() if 0 < count < FEW_ROWS}
    if few:
        rarest = sorted(few.items(), key=lambda item: (item[1], item[0]))[:_NAMED]
        least = _some([f"{label(name)} {count}" for name, count in rarest], len(few))
        have = "label has" if len(few) == 1 else "labels have"
        yield f"{len(few):,} {have} fewer than {FEW_ROWS} training rows ({least}).", "classes", 0.6 * len(few) / len(train)
    untested = [name for name in train if test and not test.get(name)]
    if untested:
        have = "label has" if len(untested) == 1 else "labels have"
        names = _some([label(name) for name in sorted(untested)[:_NAMED]], len(untested))
        told = f"{len(untested):,} {have} no test row ({names}): no figure speaks of them."
        yield told, "classes", 0.5 * len(untested) / len(train)


def _label_errors(report: DataReport) -> Iterator[Told]:
    held = report.findings.labels
    if held is not None and held.suspected:
        where = f"; decide in {one_line(held.review, 60)}" if held.review else ""
        look = "label looks" if held.suspected == 1 else "labels look"
        told = f"{figures.whole(held.suspected)} {look} wrong, of {figures.whole(held.judged)} judged{where}."
        weight = _ratio(held.suspected, held.judged)
        if held.accuracy is not None and held.accuracy < SURE:
            told = told.removesuffix(".") + f"; what judged them is right on {held.accuracy:.0%} alone, so most of these may be right."
            weight *= max(0.0, 2 * held.accuracy - 1)
        yield told, "suspects", weight


def _near(report: DataReport) -> Iterator[Told]:
    held = report.findings.near
    if held is not None and held.alike:
        told = f"{rows(held.alike)} nearly repeat another: a set of templates counts for less than its rows."
        yield told, "near", _ratio(held.alike, report.waterfall[0].kept if report.waterfall else None)


def _cut(report: DataReport) -> Iterator[Told]:
    held = report.cost
    if held is not None and held.cut:
        limit = f" {figures.whole(held.max_tokens)} tokens" if held.max_tokens else " the model's context"
        are = "is" if held.cut == 1 else "are"
        yield f"{rows(held.cut)} {are} longer than{limit} and would be cut.", "tokens", _ratio(held.cut, sum(report.sides.values()))


def _drops(report: DataReport) -> Iterator[Told]:
    for stage in report.waterfall:
        name, share = one_line(stage.stage, 40), _ratio(stage.dropped, stage.came)
        if stage.stage == "read" and stage.dropped:
            lines = "1 line" if stage.dropped == 1 else f"{figures.whole(stage.dropped)} lines"
            why = (
                f" ({named(stage.reasons) if len(stage.reasons) > 1 else one_line(next(iter(stage.reasons)), 60)})" if stage.reasons else ""
            )
            yield f"{lines} could not be read{why}: see quarantine.jsonl.", "stage-read", share
        elif stage.stage not in _TOLD_ELSEWHERE and share >= DROPPED:
            why = f", mostly “{one_line(max(stage.reasons, key=lambda text: stage.reasons[text]), 80)}”" if stage.reasons else ""
            yield (
                f"The stage {name} dropped {figures.share(stage.dropped, stage.came)} of the rows that reached it{why}.",
                f"stage-{stage.stage}",
                share,
            )


def _audited(held: Audited | None, anchor: str) -> Iterator[Told]:
    standing = (
        [] if held is None else [each for each in held.findings if not each.mitigated and each.what != _SAID_BY_CLASSES and each.sentence]
    )
    for place, finding in enumerate(standing[:_OF_A_KIND]):
        yield one_line(finding.sentence, 300), anchor, 1.0 - place / 10
    if len(standing) > _OF_A_KIND:
        more = len(standing) - _OF_A_KIND
        yield f"{more:,} more {'finding' if more == 1 else 'findings'} of the {anchor} audit.", anchor, 0.0


def _bias(report: DataReport) -> Iterator[Told]:
    return _audited(report.findings.audit, "bias")


def _coverage(report: DataReport) -> Iterator[Told]:
    return _audited(report.findings.coverage, "coverage")


def _test_size(report: DataReport) -> Iterator[Told]:
    held = report.findings.split
    if any(report.sides.values()) and not report.sides.get("test"):
        yield "There is no test row: nothing can be said of the model.", "split", 1.0
    elif held is not None and held.test_rows and held.smallest_gain is not None and held.smallest_gain > PLAUSIBLE_GAIN:
        points = figures.decimal(100 * held.smallest_gain, 1)
        told = f"{figures.whole(held.test_rows)} test rows show a gain of {points} points and more, four times in five; a smaller one would be missed."
        yield told, "split", held.smallest_gain


def _suspicions(report: DataReport) -> Iterator[Told]:
    held = report.findings.suspicions
    rules = {} if held is None else {name: count for name, count in held.rules.items() if count}
    if rules:
        yield (
            f"Rules that only count found rows worth a look: {named(rules)}.",
            "suspicions",
            _ratio(max(rules.values()), sum(report.sides.values())),
        )


_KINDS: tuple[Callable[[DataReport], Iterator[Told]], ...] = (
    _crossings,
    _contamination,
    _personal,
    _classes,
    _label_errors,
    _near,
    _cut,
    _drops,
    _bias,
    _coverage,
    _test_size,
    _suspicions,
)


def headline(report: DataReport) -> str:
    """What went in and what came out, as one sentence; nothing where neither is known."""
    sides = {side: report.sides[side] for side in (*SIDES, *report.sides) if report.sides.get(side)}
    parts = ", ".join(f"{figures.whole(count)} {_PURPOSE.get(side, one_line(side, 20))}" for side, count in sides.items())
    kept = figures.whole(sum(sides.values()))
    if not report.waterfall:
        return f"{kept} rows: {parts}." if sides else ""
    first, made = report.waterfall[0], sum(stage.added for stage in report.waterfall)
    read = f"{rows(first.came)} read"
    if not sides:
        return f"{read}."
    return f"{read}, {kept} kept{f' ({figures.whole(made)} of them made)' if made else ''}: {parts}."


_PURPOSE = {"train": "to train on", "select": "to select by", "calibrate": "to calibrate by", "test": "to test on"}
