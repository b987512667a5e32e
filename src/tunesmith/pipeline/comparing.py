"""Finished rounds against one another, from the answers that lie in their folders. Loads no model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import read_jsonl
from tunesmith.evaluate.between import Answered, Pair, between
from tunesmith.pipeline.workspace import Workspace
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from tunesmith.pipeline.api import Round


def pairs_of(rounds: Sequence["Round"], place: Workspace) -> list[Pair]:
    """Every two of the rounds, paired over the test rows that both answered, by the first one's deciding measure."""
    reports = [one.report or {} for one in rounds]
    answered = [_answered(one, report, place) for one, report in zip(rounds, reports, strict=True)]
    return between(answered, measure(str(reports[0]["verdict"]["metric"])))


def _answered(one: "Round", report: Mapping[str, Any], place: Workspace) -> Answered:
    """A round's answers, with the groups of its rows where the recipe says that rows come in groups."""
    try:
        rows = [Prediction.from_json(value) for value in read_jsonl(one.folder / "predictions" / "tuned.jsonl")]
    except (TunesmithError, OSError, ValueError, TypeError, KeyError):
        return Answered(one.id, (), missing=f"the answers of {one.id} are missing or damaged")
    by = _grouped_by(report)
    if by is None:
        return Answered(one.id, rows)
    groups = _groups(str((report.get("hashes") or {}).get("dataset")), by, place)
    missing = None if groups is not None else f"its rows come in groups, and the dataset of {one.id}, which tells them, is gone"
    return Answered(one.id, rows, groups, missing)


def _grouped_by(report: Mapping[str, Any]) -> str | None:
    """The column that rows are grouped by."""
    from tunesmith.recipe.yaml import parse_recipe

    try:
        return parse_recipe(str(report["recipe"]), "the round's recipe").data.split.by
    except TunesmithError:  # a recipe of another version, whose settings this one can't read
        return None


def _groups(dataset_id: str, by: str, place: Workspace) -> Mapping[str, str] | None:
    from tunesmith.data.dataset import read_dataset
    from tunesmith.pipeline.datasets import groups_of

    try:
        folders = [folder for folder in place.datasets.glob("*") if folder.name.startswith(f"{dataset_id[:16]}-")]
        return groups_of(read_dataset(folders[0]), "test", by) if folders else None
    except TunesmithError:
        return None
