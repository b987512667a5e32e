"""What base and tuned model answer that nobody wants, and what they refuse that anybody may ask.

Costs at most `most` answers of each model to each of two sets of prompts, and a pass of the classifier over them where one is named.
The base's answers are kept like any stage's output, so rounds on the same base ask it once.
"""

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import home_path
from tunesmith.core.progress import Advanced, Ended, Started
from tunesmith.data.config import Task
from tunesmith.data.lexicon import read_lexicon
from tunesmith.embedded import lexicon_path
from tunesmith.evaluate.classifier import Classifier
from tunesmith.evaluate.harm_config import BUILTIN
from tunesmith.evaluate.safety import (
    Fault,
    Judged,
    Safety,
    by_lexicon,
    by_probability,
    by_refusal,
    either,
    safety,
    unmeasured,
    unwanted_gate,
)
from tunesmith.evaluate.safety_config import ROUND, SafetyConfig
from tunesmith.evaluate.safety_prompts import Asked, AskedSet, read_asked
from tunesmith.evaluate.writing import kept_writing, key_of, prompt_ids, read_private, write_private, writing
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.pipeline.workspace import Workspace, link_folder
from tunesmith.recipe import Recipe
from tunesmith.score.lexicon import Lexicon

WRITING_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Material:
    """What the section names, read."""

    prompts: AskedSet | None
    harmless: AskedSet | None
    lexicon: Lexicon | None
    classifier: Classifier | None


def refuse_unreadable(recipe: Recipe, workspace: Workspace) -> None:
    """Raise before any training what `look_at_safety` would raise after it: a file or a model that can't serve."""
    config = recipe.evaluate.safety
    if config is not None:
        _material(config, recipe, workspace)


def look_at_safety(given: Looking) -> Found | None:
    """Base against tuned model on prompts that provoke and on harmless ones; nothing where the recipe doesn't ask."""
    config = given.recipe.evaluate.safety
    if config is None:
        return None
    found = _found(given, config)
    bound = given.recipe.gates.unwanted
    gate = None if bound is None else unwanted_gate(found, bound)
    return Found(
        piece=found.to_json(),
        gates=() if gate is None else (gate,),
        alarm=found.sentence if found.alarm else None,
        public=found.sentence,
    )


def _found(given: Looking, config: SafetyConfig) -> Safety:
    begun = given.sides.task == Task.TEXT
    if isinstance(given.tuned.model, Headed) or given.sides.task not in (Task.GENERATE, Task.TEXT, Task.PREFER):
        return unmeasured(f"The model was made to {given.sides.task} and writes no text of its own: there are no answers to look at.")
    held = _material(config, given.recipe, given.stages.workspace)
    judged: list[Judged] = []
    notes: list[str] = []
    if held.prompts is not None:
        notes += _repeated(held.prompts)
        judged += _unwanted(given, held, held.prompts.prompts, begun=begun)
    if held.harmless is not None and begun:
        notes.append("The model goes on with raw text, so no harmless prompt was asked: only who is asked can refuse.")
    elif held.harmless is not None:
        asked = held.harmless.prompts
        base, tuned = _answers(given, asked, begun=False)
        judged.append(Judged(rule="refused", prompts=asked, base=by_refusal(asked, base), tuned=by_refusal(asked, tuned)))
    return safety(judged, notes) if judged else unmeasured(notes[0])


def _unwanted(given: Looking, held: _Material, asked: Sequence[Asked], *, begun: bool) -> list[Judged]:
    """What lexicon and classifier find, and both together."""
    config = given.recipe.evaluate.safety
    assert config is not None
    base, tuned = _answers(given, asked, begun=begun)
    found: list[Judged] = []
    if held.lexicon is not None:
        judge = by_lexicon(held.lexicon)
        found.append(Judged(rule="lexicon", prompts=asked, base=judge(asked, base), tuned=judge(asked, tuned)))
    if held.classifier is not None:
        chances = held.classifier.chances([*base, *tuned], given.device, given.precision)
        faults: list[Fault | None] = by_probability(chances, config.threshold)
        found.append(Judged(rule="classifier", prompts=asked, base=faults[: len(base)], tuned=faults[len(base) :]))
    together = Judged(rule="unwanted", prompts=asked, base=either([one.base for one in found]), tuned=either([one.tuned for one in found]))
    return [*found, together]


def _answers(given: Looking, asked: Sequence[Asked], *, begun: bool) -> tuple[list[str], list[str]]:
    """Of base and tuned model, kept."""
    config = given.recipe.evaluate.safety
    assert config is not None
    most, renderer, device = config.max_new_tokens, given.tuned.renderer, given.device
    prompts = prompt_ids(asked, renderer, max_new_tokens=most, begun=begun)
    key = key_of(prompts, renderer, most)
    kept = given.folder / "looks" / "safety"

    def written(model: nn.Module, who: str, folder: Path) -> list[str]:
        work, started = f"{who} answers {len(prompts)} prompts", time.monotonic()
        given.listen(Started(work, len(prompts)))
        write = writing(model, renderer, device, given.precision, most)
        found = kept_writing(prompts, write, folder, lambda done: given.listen(Advanced(work, done)))
        given.listen(Ended(work, time.monotonic() - started))
        return found

    unfinished = kept / f"base-{key[:16]}-unfinished"  # outlives a kill, which the stage's own folder doesn't

    def make(out: Path) -> None:
        write_private(out / "answers.jsonl", written(given.base.model, "base", unfinished))

    inputs = {"base": given.base_hash, "prompts": key, "device": device.type, "precision": given.precision}
    stage = given.stages.folder("safety", WRITING_VERSION, inputs, make)
    shutil.rmtree(unfinished, ignore_errors=True)
    link_folder(stage, kept / f"base-{key[:16]}")
    return read_private(stage / "answers.jsonl"), written(given.tuned.model, "fine-tuned", kept / f"tuned-{key[:16]}")


def _repeated(asked: AskedSet) -> list[str]:
    return [f"{asked.repeated} prompts stand in the file more than once: each was asked once."] if asked.repeated else []


def _material(config: SafetyConfig, recipe: Recipe, workspace: Workspace) -> _Material:
    """Everything the section names."""
    seed, instruction = recipe.seed, recipe.data.instruction
    asked: dict[str, AskedSet | None] = {}
    for name, path, columns in (("prompts", config.prompts, config.columns), ("harmless", config.harmless, {})):
        asked[name] = None if path is None else read_asked(path, columns=columns, most=config.most, seed=seed, instruction=instruction)
    terms = str(lexicon_path()) if config.lexicon == BUILTIN else config.lexicon
    lexicon = None if terms is None or config.prompts is None else read_lexicon(terms, config.severities)
    classifier = None
    if config.classifier is not None:
        classifier = Classifier.at(_folder(config.classifier, workspace), config.toxic_labels, config.classifier)
    return _Material(asked["prompts"], asked["harmless"], lexicon, classifier)


def _folder(named: str, workspace: Workspace) -> Path:
    """Where a classifier lies. RecipeError where `round:` names no one finished round of the workspace."""
    if not named.startswith(ROUND):
        return home_path(named)
    begins = named.removeprefix(ROUND)
    fits = [place for place in sorted(workspace.rounds.glob("*")) if re.fullmatch(r"[\w-]+", begins) and place.name.startswith(begins)]
    exact = [place for place in fits if place.name == begins] or fits
    if len(exact) != 1:
        raise RecipeError(
            f"evaluate.safety.classifier is {named}, and {len(exact) or 'no'} rounds of this workspace begin so: "
            "give the whole id of one, as `tunesmith list` shows it."
        )
    if not (exact[0] / "report.json").is_file():
        raise RecipeError(f"evaluate.safety.classifier is {named}, and that round is not done: finish it with `tunesmith run` first.")
    return exact[0]
