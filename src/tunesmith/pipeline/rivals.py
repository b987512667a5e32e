"""Other tunesmith models that a round must beat (`evaluate.against`): found, checked, and asked on test as they were made to answer.

Each is asked with its own tokenizer, template, label words, instruction, length, decoding and calibration, whatever this round's are. Costs one
pass over the test rows for each, and room for one model beside the base.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, MachineError, RecipeError, TunesmithError
from tunesmith.core.files import home_path
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset, read_dataset
from tunesmith.evaluate.calibration import applied
from tunesmith.evaluate.ready import DAMAGED, load_ready
from tunesmith.evaluate.trial import CHAMPION
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import RoundRecord
from tunesmith.models.config import BaseConfig
from tunesmith.models.package import Bundle, load_bundle, model_digest
from tunesmith.pipeline.evaluation import answerer, saved, score_tuned
from tunesmith.pipeline.sides import Sides
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

BUNDLE = "tunesmith.json"


@dataclass(frozen=True, slots=True)
class Rival:
    """Another model, found in its folder."""

    key: str
    """`champion`, `model-2`, `model-3`."""
    called: str
    """The round it is of, or its folder's name."""
    folder: Path
    bundle: Bundle
    content: str
    """Hash of its files, and of the base it needs beside them."""
    dataset: str | None
    """Id of the dataset it was trained on; None where the ledger can't tell."""

    @property
    def name(self) -> str:
        """In the comparison."""
        return f"Champion ({self.called})" if self.key == CHAMPION else f"Model {self.called}"


def rivals_of(recipe: Recipe, workspace: Workspace) -> list[Rival]:
    """The models that the recipe names, in its order.

    Raises:
        RecipeError: neither a folder nor a round of the workspace, a model named twice, or one that wants code the recipe doesn't trust.
        MachineError: a folder that holds no whole model, or whose base is gone.
    """
    if not recipe.evaluate.against:
        return []
    with workspace.ledger() as ledger:
        found = [_rival(number, name, recipe, workspace, ledger) for number, name in enumerate(recipe.evaluate.against, 1)]
    first: dict[str, str] = {}
    for name, rival in zip(recipe.evaluate.against, found, strict=True):
        if rival.content in first:
            raise RecipeError(f"evaluate.against names one model twice, as {first[rival.content]!r} and {name!r}: keep one.")
        first[rival.content] = name
    return found


def _rival(number: int, name: str, recipe: Recipe, workspace: Workspace, ledger: Ledger) -> Rival:
    folder, record = _looked_up(name, workspace, ledger)
    bundle, content = _opened(name, folder, recipe)
    if record is None:
        made = ledger.artefacts(content_hash=model_digest(folder), kind="model")
        rounds = {one.round_id for one in made if one.round_id is not None}
        record = ledger.round(min(rounds)) if rounds else None
    called = record.id if record is not None else folder.parent.name if folder.name == "model" else folder.name
    return Rival(CHAMPION if number == 1 else f"model-{number}", called, folder, bundle, content, record.dataset_hash if record else None)


def _looked_up(name: str, workspace: Workspace, ledger: Ledger) -> tuple[Path, RoundRecord | None]:
    """The model's folder, and the round where a round was named."""
    path = home_path(name)
    if path.is_dir():
        inner = path / "model"
        return (inner if not (path / BUNDLE).exists() and inner.is_dir() else path), None
    if "/" in name or name.startswith((".", "~")):
        raise RecipeError(f"evaluate.against: there is no folder {name!r}: name a model's folder, or a round by its id.")
    try:
        record = ledger.round(name)
    except RecipeError as error:
        raise RecipeError(f"evaluate.against: {error}") from error
    if record.status != "done":
        raise RecipeError(f"evaluate.against: round {record.id} is {record.status}, so it has no model yet: finish it, or leave it out.")
    return workspace.rounds / record.id / "model", record


def _opened(name: str, folder: Path, recipe: Recipe) -> tuple[Bundle, str]:
    """What stands beside the weights, and the hash of all of it; the weights' headers are read, not the weights."""
    from safetensors import SafetensorError, safe_open

    if not (folder / BUNDLE).is_file():
        raise MachineError(f"evaluate.against: {name!r} holds no model of tunesmith's ({BUNDLE} is not in {folder}): name another.")
    try:
        bundle = _sound(load_bundle(folder))
        base = BaseConfig(**bundle.base)
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="np"):
                pass
        needs = _base_needed(bundle, base)
    except TunesmithError as error:
        raise type(error)(f"evaluate.against: {name!r} can't be used: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(name, error) from error
    foreign = sorted(set(base.remote_code) - set(recipe.base.remote_code))
    if foreign:
        raise RecipeError(
            f"evaluate.against: {name!r} wants to run the code of {foreign[0]!r}: if you trust it, name that in base.remote_code too."
        )
    return bundle, digest([model_digest(folder), needs])


def _sound(bundle: Bundle) -> Bundle:
    """The same; ValueError where a value can't be meant."""
    counts = (bundle.max_tokens, bundle.max_new_tokens)
    texts = (bundle.instruction or "", *(bundle.labels or ()), *bundle.label_texts, *bundle.label_texts.values())
    if not all(isinstance(count, int) and count > 0 for count in counts) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{BUNDLE} holds a length, a label or an instruction that can't be meant")
    return bundle


def _base_needed(bundle: Bundle, base: BaseConfig) -> str | None:
    """Hash of the base, where the folder holds no whole model."""
    from tunesmith.models.load import base_hash
    from tunesmith.models.methods import method

    whole = method(bundle.method).saved_as == "weights" and bundle.method != "features"
    return None if whole else base_hash(base)


def _damaged(name: str, error: Exception) -> MachineError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return MachineError(f"evaluate.against: the model {name!r} is damaged ({first}): copy it again, or leave it out.")


def refuse_others(rivals: Sequence[Rival], task: Task, labels: Sequence[str] | None, metric: str, vocabulary: Callable[[], Any]) -> None:
    """Refuse models that answer something else than these rows ask.

    Args:
        rivals: the models.
        task: what the rows ask for.
        labels: those of the training rows, where the task has labels.
        metric: the measure that decides.
        vocabulary: of this round's tokenizer: perplexities a token of two tokenizers say nothing of one another.

    Raises:
        RecipeError: another task, other labels, or another tokenizer where perplexity decides.
    """
    for one in rivals:
        if one.bundle.task != str(task):
            raise RecipeError(
                f"evaluate.against: {one.called} was made for the task {one.bundle.task}, and these rows are {task}: leave it out."
            )
        odd = sorted(set(labels or ()) ^ set(one.bundle.labels or ()))
        if odd:
            side = "it does not know" if odd[0] in (labels or ()) else "no training row has"
            raise RecipeError(
                f"evaluate.against: {one.called} has other labels than these rows ({len(odd)} differ; {odd[0]!r}, which {side}, is the first): "
                "leave it out, or train both on one label set."
            )
        if metric == "perplexity" and _tokenizer(one).get_vocab() != vocabulary():
            raise RecipeError(
                f"evaluate.against: {one.called} has another tokenizer than the base, and perplexity a token, which decides, can't be "
                "compared across tokenizers: leave it out, or put another measure first."
            )


def _tokenizer(one: Rival) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(one.folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(one.called, error) from error


def what_it_has_seen(rivals: Sequence[Rival], dataset: Dataset, workspace: Workspace) -> tuple[list[str], list[str]]:
    """Warnings of models that were made with rows of this test set; notes on those of which that can't be told.

    A row counts whichever side of theirs it was on but test: what chose the step or the prompt, or calibrated the model, flatters it too.
    """
    warnings, notes = [], []
    for one in rivals:
        if one.dataset == dataset.id:
            continue
        used = _texts_used(one, workspace)
        if used is None:
            notes.append(f"Whether {one.name} was made with rows of this test set can't be told: its dataset is not in this workspace.")
            continue
        test = dataset.sides["test"]
        where = {row.id: used.get(_words(row)) for row in test}
        sides = [f"{count} on its {side} side" for side, count in Counter(side for side in where.values() if side).items()]
        if sides:
            seen = sum(side is not None for side in where.values())
            warnings.append(f"{one.name} was made with {seen} of the {len(test)} test rows ({', '.join(sides)}): its figures flatter it.")
    return warnings, notes


def _texts_used(one: Rival, workspace: Workspace) -> dict[str, str] | None:
    """The words of every row it was made with and the side each was on, train before others; None where its dataset is gone or damaged."""
    folders = sorted(workspace.datasets.glob(f"{one.dataset[:16]}-*")) if one.dataset else []
    for folder in folders:
        try:
            sides = read_dataset(folder).sides
            kept = sorted((side for side in sides if side != "test"), key=lambda side: side == "train")  # later ones overwrite
            return {_words(row): side for side in kept for row in sides[side]}
        except (DataError, MachineError):
            continue
    return None


def _words(row: Row) -> str:
    return " ".join(row.text().casefold().split())


def score_rivals(rivals: Sequence[Rival], sides: Sides, recipe: Recipe, folder: Path, listen: Listener) -> dict[str, str]:
    """Score each on test, into `folder`; returns the names of the systems by key."""
    for one in rivals:
        saved(folder / f"{one.key}.jsonl", lambda one=one: _answers(one, sides, recipe, listen))  # type: ignore[misc]
    return {one.key: one.name for one in rivals}


def _answers(one: Rival, sides: Sides, recipe: Recipe, listen: Listener) -> list[Prediction]:
    """Its answers to the test rows, corrected as they are where it is served."""
    try:
        ready = load_ready(one.folder)
    except TunesmithError as error:
        raise type(error)(f"evaluate.against: {one.called} can't be used: {error}") from error
    except DAMAGED as error:
        raise _damaged(one.called, error) from error
    bundle = ready.bundle
    asked = [instructed(row, recipe.data.instruction, bundle.instruction) for row in sides.test]
    theirs = replace(sides, test=asked, labels=bundle.labels)
    tokens = recipe.evaluate.model_copy(update={"max_new_tokens": bundle.max_new_tokens})
    as_made = recipe.model_copy(update={"evaluate": tokens})
    asked_by = answerer(ready.model, ready.renderer, theirs, as_made, ready.sure, decoding=ready.decoding)
    found = score_tuned(asked_by, theirs, listen, who=one.called)
    return found if ready.calibration is None else applied(found, ready.calibration)


def instructed(row: Row, ours: str | None, theirs: str | None) -> Row:
    """A row under another model's instruction in place of this recipe's; a system message of the row's own stays."""
    if not row.prompt or ours == theirs:
        return row
    turns = row.prompt[1:] if ours is not None and row.prompt[0] == Message("system", ours) else row.prompt
    own = any(turn.role == "system" for turn in turns)
    prompt = (Message("system", theirs), *turns) if theirs is not None and not own else turns
    return row.with_text(prompt, row.answer, row.rejected)
