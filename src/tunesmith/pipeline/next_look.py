"""The look that a next round takes at the champion's own test set: counted, at a level of its own, and with rows that go together drawn
together."""

from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.files import read_json
from tunesmith.core.progress import Listener
from tunesmith.pipeline.next_judging import Duel, duel, of_report
from tunesmith.pipeline.next_plan import dataset_of
from tunesmith.pipeline.next_rows import PREFERENCES
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.score.intervals import TAIL

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.api import Round


def spent(look: int) -> float:
    """The one-sided level of the so-manyth look at a test set, from 1: 2.5% * 6 / (pi^2 look^2), so that all looks there may ever be take
    2.5% together."""
    return TAIL * 6 / (pi * look) ** 2


def looks_at(test_hash: str, round_id: str, ledger: "Ledger") -> int:
    """How many next rounds of any line have looked at a test set, with this one; other rounds promote nothing by it, and spend nothing."""
    ours = {one.round_id for line in ledger.steps.lines() for one in ledger.next_rounds.list(line)}
    return len({one.round_id for one in ledger.test_openings(test_hash) if one.round_id in ours} | {round_id})


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    test: Duel | None
    """Both models on the test set, at the level of this look."""
    metric: str
    """The measure that decides."""
    openings: int
    """Rounds of any kind that have looked at the set, with this one."""


def look(folder: Path, champion: Path, done: "Round", place: Workspace, ledger: "Ledger", listen: Listener) -> Look:
    """Take it, or take it again after a kill; a round on preferences has not looked at that set yet, and does now.

    Args:
        folder: of the next round, with `plan.json` and `recipe.json`.
        champion: the model to be held against.
        done: the round that was trained.
        place: the workspace.
        ledger: counts looks.
        listen: told of progress.
    """
    from tunesmith.pipeline.datasets import groups_of
    from tunesmith.score.resampling import units

    plan, report = read_json(folder / "plan.json"), done.report
    assert report is not None
    origin = ledger.round(plan["origin"])
    former, _ = dataset_of(origin.dataset_hash, origin.id, place)
    test, content = former.sides["test"], former.side_hash("test")
    groups = groups_of(former, "test", Recipe.model_validate(origin.recipe).data.split.by)
    openings = ledger.open_test_set(content, done.id)
    tail = spent(looks_at(content, done.id, ledger))
    if plan["form"] in PREFERENCES:
        metric = str((origin.verdict or {})["metric"])
        return Look(duel(test, champion, done.folder / "model", metric, listen, groups, tail), metric, openings)
    count = None if groups is None else len(set(units([row.id for row in test], groups) or ()))
    resamples = Recipe.model_validate(read_json(folder / "recipe.json")).evaluate.resamples
    return Look(of_report(report, tail, resamples, count), report["verdict"]["metric"], openings)
