"""Group terms and columns of groups: how many rows each group has, and how often each label is given in it (label bias)."""

from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import MOST_TOLD, Compared, compare, judged, quoted
from tunesmith.data.audit.support import share_of
from tunesmith.data.audit.tally import Tally
from tunesmith.data.augment.counterfactual import BUILTIN as SWAPPED


def term_groups(tally: Tally) -> Figure:
    """Rows whose shown text names a group, against those that don't; by category of terms."""
    told: dict[str, Any] = {}
    claims: list[Claim] = []
    tested = 0
    for category in dict.fromkeys(name for name, _ in tally.terms.names):
        found = _figure(tally, "terms", category)
        told[category] = found.told
        claims += found.claims
        tested += found.tested
    return Figure(told, claims, tested)


def column_groups(tally: Tally) -> Figure:
    """Rows by the values of each column of `data.audit.groups`, each value against the others; rows without one are left out."""
    told: dict[str, Any] = {}
    claims: list[Claim] = []
    tested = 0
    for column in tally.config.groups:
        found = _figure(tally, "column", column)
        told[column] = found.told | {"capped": column in tally.capped}
        claims += found.claims
        tested += found.tested
    return Figure(told, claims, tested)


def _figure(tally: Tally, kind: str, name: str) -> Figure:
    """One list of terms or column."""
    groups, labels = tally.of(kind, name), tally.told_labels()
    pairs = list(compare(tally, groups, labels, stated=kind == "column"))
    of_group: dict[int, list[Compared]] = {group: [] for group in groups}
    for pair in pairs:
        of_group[pair.group].append(pair)
    tested = [pair for pair in pairs if judged(pair, tally.config)]
    claims = [_claim(tally, pair) for pair in tested if pair.matters(tally.config)]
    return Figure({"groups": {tally.keys[group].group: _told(tally, group, of_group[group]) for group in groups}}, claims, len(tested))


def _told(tally: Tally, group: int, pairs: list[Compared]) -> dict[str, Any]:
    pairs = sorted(pairs, key=lambda pair: -abs(pair.rate - pair.other_rate))[:MOST_TOLD]
    whole = tally.kept_rows
    if tally.keys[group].kind == "column":
        whole = sum(tally.kept[place] for place, key in enumerate(tally.keys) if key[:2] == tally.keys[group][:2])
    told = share_of(tally.kept[group], whole) | {"train": tally.train[group]}
    if group in tally.answers:
        told["answers"] = tally.answers[group]
    return told | {"labels": {tally.keys[pair.label].group: pair.told() for pair in pairs}}


def _claim(tally: Tally, pair: Compared) -> Claim:
    key, label = tally.keys[pair.group], tally.keys[pair.label].group
    gap, low, high = pair.gap
    who = f"name the group {quoted(key.group)} ({key.name})" if key.kind == "terms" else f"have {quoted(key.group)} in {quoted(key.name)}"
    sentence = (
        f"Of the {pair.rows:,} train rows that {who}, {pair.rate:.1%} are {quoted(label)}, against {pair.other_rate:.1%} of the others "
        f"(difference {100 * gap:+.1f} points, 95% interval {100 * low:+.1f} to {100 * high:+.1f}): a model may take the group for the label."
    )
    swap = ("augment.counterfactual",) if key.kind == "terms" and key.name in SWAPPED else ()
    return Claim(
        what=f"label.{'group_terms' if key.kind == 'terms' else 'group_column'}",
        about=(key.name, key.group),
        sentence=sentence,
        rows=pair.rows,
        mitigation=(*swap, "balance.reweigh", "balance.downsample", "balance.upsample"),
        figure=gap,
        interval=(low, high),
        p=pair.p(),
        label=label,
        weighted=pair.weighted,
        threshold=tally.config.difference,
    )
