"""Labels that look wrong: which rows are judged, by what, and what the recipe or a reviewed list does about them.

Legend: N rows, M rows judged.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.data.dataset import SIDES
from tunesmith.data.decision import Decision, mixed
from tunesmith.data.making import Making
from tunesmith.data.near import Clusters
from tunesmith.data.review import Decisions, Suspect, decide, read_review
from tunesmith.data.table import Columns

if TYPE_CHECKING:
    from tunesmith.data.making import Mask, Sides

_FEW_ROWS, _FEW_A_LABEL = 300, 5
"""Fewer rows than these, or fewer a label, are not judged unless that is asked for."""
_REASONS = ("its label looks wrong",)


@dataclass(frozen=True, slots=True)
class Suspected:
    """Suspected labels, and what is done about them."""

    decision: Decision
    """Which rows go."""
    fixes: Decisions = field(default_factory=dict)
    """Row id -> labels to write."""
    ranked: tuple[Suspect, ...] = ()
    """The likeliest error first."""
    active: bool = False
    """Whether labels were judged, or a reviewed list was followed."""


def suspected(making: Making, alive_N: "Mask", sides_N: "Sides", clusters: Clusters | None) -> Suspected:
    """Judge the labels of living rows, all sides together; drop or fix only what the recipe, or a person, says.

    What a rule drops or fixes is among the rows that train: a test set thinned by a model would flatter models. A reviewed
    list is followed everywhere.

    Raises:
        DataError: the recipe asks for it and there are too few rows of each label, or the reviewed list can't be read.
    """
    config, nothing = making.config.relabel, Decision(np.zeros(len(alive_N), np.uint8), _REASONS)
    if making.task not in (Task.CLASSIFY, Task.MULTILABEL) or (config.action == "off" and config.review is None):
        return Suspected(nothing)
    ids, read = making.account.ids(), making.columns.read
    if config.review is not None:
        return _followed(making, read_review(Path(config.review), _labels(making, alive_N)), alive_N)
    judged = _judged(making.columns, alive_N, config.rows, making.seed)
    asked = "action" in config.model_fields_set
    if not asked and (making.task is not Task.CLASSIFY or _too_few(making.columns, judged)):
        return Suspected(nothing)
    with making.work("relabel", len(judged)):
        rows = [_named(row, ids[int(read[at])]) for row, at in zip(making.spool.rows(judged), judged, strict=True)]
        groups = judged if clusters is None else clusters.component[judged]
        try:
            ranked, accuracy = _ranked(making, rows, groups)
        except DataError:
            if asked:
                raise
            return Suspected(nothing)
    train = {row.id for row, at in zip(rows, judged, strict=True) if sides_N[at] == SIDES.index("train")}
    decisions = decide([suspect for suspect in ranked if suspect.id in train], config, len(train))
    of = {suspect.id for suspect in ranked}
    making.found("labels", {"judged": len(judged), "suspected": len(of), "in_train": len(of & train), "accuracy": accuracy})
    return _followed(making, decisions, alive_N, ranked)


def _judged(columns: Columns, alive_N: "Mask", most: int, seed: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The rows to judge: all, or a seeded sample."""
    rows = np.flatnonzero(alive_N)
    if len(rows) <= most:
        return rows
    order = np.argsort(mixed(columns.key[rows], derive_seed(seed, "relabel")), kind="stable")
    return np.sort(rows[order[:most]])


def _too_few(columns: Columns, judged: "np.ndarray[Any, np.dtype[np.int64]]") -> bool:
    labels = len(np.unique(columns.answer[judged]))
    return len(judged) < max(_FEW_ROWS, _FEW_A_LABEL * labels)


def _labels(making: Making, alive_N: "Mask") -> set[str]:
    """Every label of the living rows."""
    if making.task is Task.CLASSIFY:
        return {label for label, _ in making.table.strata()}
    return {label for row in making.spool.rows(np.flatnonzero(alive_N)) for label in row.labels or ()}


def _named(row: Row, row_id: str) -> Row:
    from dataclasses import replace

    return replace(row, id=row_id)


def _ranked(making: Making, rows: list[Row], groups: "np.ndarray[Any, np.dtype[np.int64]]") -> tuple[tuple[Suspect, ...], float | None]:
    """Suspected rows, the likeliest error first, one entry a row and label; and the share of rows given the label that they have."""
    from tunesmith.data.relabel import linear_features, suspected_sets, suspects

    config, texts = making.config.relabel, [row.text() for row in rows]
    if config.features == "base" and making.handed.features is None:
        raise RecipeError("data.relabel.features: base needs the base model, and none is at hand here: set it to linear.")
    features: Any = (
        linear_features(texts) if config.features == "linear" or making.handed.features is None else making.handed.features(texts)
    )
    seed = derive_seed(making.seed, "relabel")
    if making.task is Task.CLASSIFY:
        names, labels = np.unique([row.answer for row in rows], return_inverse=True)
        found = suspects(labels, features, groups_N=groups, folds=config.folds, seed=seed)
        told = zip(found.ordinals_E, found.given_E, found.suggested_E, found.scores_E, strict=True)
        return tuple(_suspect(rows[at], str(names[given]), str(names[other]), score) for at, given, other, score in told), found.accuracy
    known = sorted({label for row in rows for label in row.labels or ()})
    holds = np.array([[label in (row.labels or ()) for label in known] for row in rows])
    entries = [
        _suspect(rows[at], known[label] if holds[at, label] else "", "" if holds[at, label] else known[label], score)
        for label, errors in suspected_sets(holds, features, groups_N=groups, folds=config.folds, seed=seed).items()
        for at, score in zip(errors.ordinals_E, errors.scores_E, strict=True)
    ]
    return tuple(sorted(entries, key=lambda entry: entry.score)), None


def _suspect(row: Row, given: str, suggested: str, score: float) -> Suspect:
    return Suspect(row.id, given, suggested, float(score), row.text(), row.source)


def _followed(making: Making, decisions: Decisions, alive_N: "Mask", ranked: tuple[Suspect, ...] = ()) -> Suspected:
    """Decisions by id as decisions by row."""
    codes_N = np.zeros(len(alive_N), np.uint8)
    fixes = {row_id: fixed for row_id, fixed in decisions.items() if all(fix.label is not None for fix in fixed)}
    gone = set(decisions) - set(fixes)
    if gone:
        ids, read = making.account.ids(), making.columns.read
        rows = np.flatnonzero(alive_N)
        codes_N[[at for at in rows.tolist() if ids[int(read[at])] in gone]] = 1
    return Suspected(Decision(codes_N, _REASONS), fixes, ranked, active=True)
