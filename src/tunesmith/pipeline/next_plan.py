"""Where a next round begins: whose champion, on which test set, by which recipe, and whether it is time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import make_folder, read_json, write_json
from tunesmith.core.hashing import digest
from tunesmith.feedback.next_config import NextConfig, WhenConfig
from tunesmith.ledger.steps import InService, Standing
from tunesmith.pipeline.naming import Named, known_model
from tunesmith.pipeline.next_rows import PREFERENCES, Fresh
from tunesmith.pipeline.promotion import round_of
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.data.dataset import Dataset
    from tunesmith.ledger.ledger import Ledger

WHO = "tunesmith next"
"""Who takes the steps of next rounds."""
_LOOK = 86_400
"""Seconds that a look for drift is believed: each is a test, and one every five minutes finds what chance makes."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a champion comes from."""

    champion: InService
    number: int
    """Of the last step of its line."""
    named: Named
    origin: str
    """The round whose test set and recipe are the champion's: its own, or, of rounds on preferences, the last one before them."""
    dataset_hash: str | None
    verdict: Mapping[str, Any] | None
    """Of the origin."""
    recipe: Recipe

    def dataset(self, place: Workspace) -> "tuple[Dataset, Path]":
        """The origin's dataset and its folder. DataError where it is gone or damaged."""
        return dataset_of(self.dataset_hash, self.origin, place)


def lineage_of(line: str, place: Workspace, ledger: "Ledger", recipe: Recipe | None = None) -> Lineage:
    """Of a line's champion; its recipe is the one given, if one is.

    Raises:
        RecipeError: no champion, or one that no round of this workspace made.
        MachineError: its folder is gone.
    """
    standing = ledger.steps.standing(line)
    if standing.champion is None:
        raise RecipeError(f"'{line}' has no champion to go on from: promote a model first, with `tunesmith promote MODEL`.")
    named = known_model(standing.champion.model, place, ledger)
    origin = _origin(_round_id(named, ledger), line, place, ledger)
    record = ledger.round(origin)
    return Lineage(
        standing.champion,
        standing.number,
        named,
        origin,
        record.dataset_hash,
        record.verdict,
        recipe or Recipe.model_validate(record.recipe),
    )


def dataset_of(dataset_hash: str | None, origin: str, place: Workspace) -> "tuple[Dataset, Path]":
    """A round's dataset and its folder. DataError where it is gone or damaged."""
    from tunesmith.data.dataset import read_dataset

    for folder in sorted(place.datasets.glob(f"{dataset_hash[:16]}-*")) if dataset_hash else []:
        found = read_dataset(folder)
        if found.id == dataset_hash:
            return found, folder
    raise DataError(f"The dataset of round {origin} is not in {place.datasets} any longer: run its recipe again.")


def _round_id(champion: Named, ledger: "Ledger") -> str:
    from tunesmith.models.package import model_digest

    record = round_of(champion, "" if champion.round_id else model_digest(champion.folder), ledger)
    if record is None:
        raise RecipeError(
            f"The champion {champion.name} was made by no round of this workspace, so its test set is not known: "
            "run its recipe here, and promote that round."
        )
    return record.id


def _origin(round_id: str, line: str, place: Workspace, ledger: "Ledger") -> str:
    made = {one.round_id: one for one in ledger.next_rounds.list(line)}
    if round_id not in made:
        return round_id
    plan = place.root / "next" / made[round_id].id / "plan.json"
    held = read_json(plan) if plan.is_file() else {}
    return str(held["origin"]) if held.get("form") in PREFERENCES else round_id


def undone(line: str, ledger: "Ledger") -> str | None:
    """Why none begins after a person rolled back what a next round promoted: it would learn the same again. None where nobody did, or a
    model was promoted since."""
    standing, promoted, told = Standing(line), dict[str, str](), None
    for step in ledger.steps.history(line):
        before, standing = standing.champion, standing.after(step)
        if step.action == "promote":
            promoted[str(step.model)], told = step.who, None
        elif step.action == "rollback" and before is not None and promoted.get(before.model) == WHO:
            told = (
                f"no round is due: {before.model}, which a next round promoted, was rolled back by {step.who} ({step.why}); begin one all "
                "the same with --after-rollback, or promote a model"
            )
    return told


def due(new: int, config: NextConfig, line: str, place: Workspace, ledger: "Ledger", *, check: bool = False) -> str | None:
    """Why a next round is due; None where none is.

    Args:
        new: opinions that make rows and that no round has used.
        config: what is waited for.
        line: of service.
        place: where drift is looked for.
        ledger: knows when the last round was.
        check: write nothing, not even that drift was looked for: such a look begins no round.
    """
    when = config.when
    if new < config.least:
        return None
    if when is None or (when.reviewed is None and when.days is None and not when.drift):
        return f"{new:,} new opinions"
    if when.reviewed is not None and new >= when.reviewed:
        return f"{new:,} new opinions, {when.reviewed:,} were waited for"
    if when.days is not None and _days_since(line, ledger) >= when.days:
        return f"{when.days:g} days have passed, with {new:,} new opinions"
    return _drift(place, line, not check) if when.drift else None


def _days_since(line: str, ledger: "Ledger") -> float:
    """Since the last next round of a line, or since its champion was promoted."""
    champion = ledger.steps.standing(line).champion
    times = [*([champion.since] if champion else []), *(one.created for one in ledger.next_rounds.list(line))]
    return (datetime.now(UTC) - datetime.strptime(max(times), _TIME).replace(tzinfo=UTC)).total_seconds() / 86_400


def _drift(place: Workspace, line: str, keep: bool = True) -> str | None:
    """What `tunesmith monitor` finds, where it finds drift; looked for once a day at most, as long as what is found is kept."""
    from tunesmith.pipeline.monitoring import drift_of

    with place.ledger() as ledger:
        number = ledger.steps.standing(line).number
    path = place.root / "next" / f"drift-{digest(line)[:16]}.json"
    held = read_json(path) if path.is_file() else {}
    if held.get("after_step") != number or not 0 <= time() - held["looked"] < _LOOK:
        drifted, reasons = drift_of(place, line)
        held = {"after_step": number, "looked": time(), "reasons": list(reasons) if drifted else []}
        if keep and drifted is not None:
            make_folder(path.parent)
            write_json(path, held)
    return f"drift: {'; '.join(held['reasons'])}" if held["reasons"] else None


def missing(recipe: Recipe, place: Workspace) -> str | None:
    """The first file or folder that a next round's recipe needs and that is gone; None where all are there."""
    data = recipe.data
    needed = [Path(data.path), *map(Path, data.contamination.paths)]
    needed += [] if data.held_out is None else [Path(data.held_out) / "dataset.json"]
    needed += [Path(name) if Path(name).is_absolute() else place.rounds / name / "model" for name in recipe.evaluate.against]
    needed += [Path(recipe.base.path)] if Path(recipe.base.path).is_absolute() else []
    return next((str(one) for one in needed if not one.exists()), None)


def not_due(found: Fresh, new: int, config: NextConfig) -> str:
    """What is waited for, and what there is."""
    when = config.when or WhenConfig()
    wanted = max(config.least, when.reviewed or 1)
    told = [f"{new:,} new opinions that may train, and {wanted:,} are waited for"]
    if found.waiting:
        told.append(f"{found.waiting:,} wait for review (tunesmith review)")
    if found.judging:
        told.append(f"{found.judging:,} are kept to judge")
    if found.elsewhere:
        told.append(f"{found.elsewhere:,} are about models that are none of this line")
    if found.torn:
        told.append(f"{found.torn:,} would tie the two together and do neither")
    return f"no round is due: {'; '.join(told)}"
