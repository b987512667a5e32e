"""Label skew: how unevenly labels are given, and which have too few rows to be learnt or measured. Counts are facts, not estimates."""

import math
from collections.abc import Mapping
from typing import Any

from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import quoted
from tunesmith.data.audit.support import share_of
from tunesmith.data.settings.audit import AuditConfig

_NAMED = 5


def effective_number(counts: Mapping[str, int]) -> float:
    """The number of equally frequent labels that would be as diverse: e to the entropy of the shares."""
    whole = sum(counts.values())
    return math.exp(-sum(count / whole * math.log(count / whole) for count in counts.values() if count)) if whole else 0.0


def label_skew(of_side: Mapping[str, Mapping[str, int]], config: AuditConfig) -> Figure:
    """Skew among the labels of the train side, with those of the others beside.

    Args:
        of_side: side -> label -> rows that carry it, over all rows and not a sample; empty where the task has no labels.
        config: for its thresholds.
    """
    train, test = of_side.get("train", {}), of_side.get("test", {})
    names = sorted({label for counts in of_side.values() for label in counts})
    if not names:
        return Figure({})
    whole = sum(train.values())
    counts = {label: train.get(label, 0) for label in names}
    present = [count for count in counts.values() if count]
    ratio = max(present) / min(present) if present else None
    unlearnt = [label for label in names if counts[label] < config.label_rows]
    unmeasured = [label for label in names if test and test.get(label, 0) < config.label_rows]
    told: dict[str, Any] = {
        "labels": {label: share_of(counts[label], whole) | {"sides": _sides(of_side, label)} for label in names},
        "imbalance_ratio": ratio,
        "effective_labels": effective_number(counts),
        "too_few_to_learn": unlearnt,
        "too_few_to_measure": unmeasured,
        "least_rows": config.label_rows,
    }
    claims = [_rare(unlearnt, counts, config, "learn")] if unlearnt else []
    claims += [_rare(unmeasured, test, config, "measure")] if unmeasured else []
    if ratio is not None and ratio >= config.imbalance:
        claims.insert(0, _imbalance(counts, ratio, told["effective_labels"]))
    return Figure(told, claims)


def _sides(of_side: Mapping[str, Mapping[str, int]], label: str) -> dict[str, int]:
    return {side: counts.get(label, 0) for side, counts in of_side.items()}


def _imbalance(counts: Mapping[str, int], ratio: float, effective: float) -> Claim:
    common, rare = (
        max(counts, key=lambda label: counts[label]),
        min((label for label in counts if counts[label]), key=lambda at: counts[at]),
    )
    return Claim(
        what="label.skew",
        about=("label",),
        sentence=(
            f"The commonest label, {quoted(common)}, has {ratio:,.1f} times the train rows of the rarest, {quoted(rare)} "
            f"({counts[common]:,} and {counts[rare]:,}); {len(counts)} labels are as diverse as {effective:.1f} equal ones."
        ),
        rows=sum(counts.values()),
        mitigation=("balance.upsample", "balance.downsample", "augment.per_class"),
        figure=ratio,
    )


def _rare(labels: list[str], counts: Mapping[str, int], config: AuditConfig, why: str) -> Claim:
    side = "train" if why == "learn" else "test"
    named = ", ".join(f"{quoted(label)} ({counts.get(label, 0)})" for label in labels[:_NAMED])
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return Claim(
        what=f"label.too_few_to_{why}",
        about=tuple(labels[:_NAMED]),
        sentence=f"{len(labels)} {'label has' if len(labels) == 1 else 'labels have'} under {config.label_rows} {side} rows, too few to {why} them: {named}{more}.",
        rows=sum(counts.get(label, 0) for label in labels),
        mitigation=("collect", "augment.per_class", "balance.upsample") if why == "learn" else ("collect", "split"),
        figure=float(len(labels)),
    )
