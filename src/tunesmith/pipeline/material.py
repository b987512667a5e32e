"""Rows of a task as the examples the loop takes, by objective."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from tunesmith.chat.places import place
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.progress import Listener, Said
from tunesmith.core.rows import Row
from tunesmith.infer.choices import row_logps
from tunesmith.recipe import Recipe
from tunesmith.score.spans import IGNORED, bio_classes, token_classes
from tunesmith.train.batches import Example, contrasted, example, sequence_of, text_examples
from tunesmith.train.config import ObjectiveConfig
from tunesmith.train.objectives.class_weights import resolve_class_weights, resolve_positive_weights
from tunesmith.tree.plan import Sequence_


@dataclass(frozen=True, slots=True)
class Material:
    """What a run is trained on and checked against."""

    train: Sequence[Row]
    select: Sequence[Row]
    labels: tuple[str, ...] | None
    """The label set: classes, labels that may go together, or labels of spans."""
    task: str
    replay: Sequence[Row] = ()
    """General rows, mixed into the steps."""
    replay_task: str = "text"

    @property
    def judged(self) -> bool:
        """Whether single answers are marked as wanted or not, instead of pairs."""
        return any(row.wanted is not None for row in self.train[:1])

    @property
    def classes(self) -> tuple[str, ...] | None:
        """What a head tells apart: the labels, or the tags of their spans."""
        return bio_classes(self.labels) if self.task == "tag" and self.labels else self.labels

    @property
    def outputs(self) -> int | None:
        """Outputs of a head for labels or tags."""
        return len(self.classes) if self.classes else None

    def label_counts(self) -> tuple[tuple[str, ...], list[int]]:
        """The labels, and how many training rows have each; of tags, about how many tokens."""
        classes = self.classes or ()
        if self.task == "tag":
            return classes, self._tag_counts()
        names = [name for row in self.train for name in (row.labels if row.labels is not None else (row.answer,))]
        counts = Counter(names)
        return classes, [counts[name] for name in classes]

    def _tag_counts(self) -> list[int]:
        """Words stand in for tokens: class weights need no more."""
        counts: Counter[str] = Counter()
        for row in self.train:
            inside = 0
            for start, end, label in row.tags or ():
                words = len(row.text()[start:end].split())
                counts[f"B-{label}"] += 1
                counts[f"I-{label}"] += max(0, words - 1)
                inside += words
            counts["O"] += max(0, len(row.text().split()) - inside)
        return [counts[name] for name in self.classes or ()]


def class_weights(config: ObjectiveConfig, objective: str, material: Material) -> tuple[float, ...] | None:
    """The recipe's class weights as numbers, one for each output of the head. Raises RecipeError for a label that is none."""
    if config.class_weights is None:
        return None
    labels, counts = material.label_counts()
    if objective == "multilabel":
        return resolve_positive_weights(config.class_weights, labels, counts, len(material.train))
    return resolve_class_weights(config.class_weights, labels, counts)


Make = Callable[[Sequence[Row], Renderer, Recipe, Material], list[Example]]


def make_examples(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material, objective: str) -> list[Example]:
    """Rows as the loop takes them."""
    if objective in ("sft", "distill") and material.task == "text":
        objective = "text"
    return _MAKERS[objective](rows, renderer, recipe, material)


def _answers(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    return [
        example(renderer.row(row), weight_by=recipe.train.weight_by, weight=row.weight, wanted=True)
        for row in rows
        if row.wanted is not False
    ]


def _texts(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    rendered = [renderer.row(row, whole=True) for row in rows]
    weights = [row.weight for row in rows]
    return text_examples(rendered, max_tokens=renderer.max_tokens, weight_by=recipe.train.weight_by, weights=weights)


def _pairs(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    made: list[Example] = []
    for row in rows:
        chosen, rejected = (sequence_of(side, weight_by="token") for side in renderer.pair(row))
        made.append(Example(row.id, (chosen, rejected), weight=row.weight))
    return made


def _judged(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    """Answers judged one by one; of a pair, each answer by itself."""
    made: list[Example] = []
    for row in rows:
        sides = renderer.pair(row) if row.rejected is not None else (renderer.row(row),)
        for turn, side in enumerate(sides):
            wanted = turn == 0 if row.rejected is not None else row.wanted is not False
            name = row.id if turn == 0 else f"{row.id}.rejected"
            made.append(Example(name, (sequence_of(side, weight_by="token"),), weight=row.weight, wanted=wanted))
    return made


def _unwanted(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    """Answers to give and answers not to give, each with its token weights."""
    made: list[Example] = []
    for one in _judged(rows, renderer, recipe, material):
        supervised = sum(weight > 0 for weight in one.sequence.weights)
        each = one.weight if recipe.train.weight_by == "token" or not supervised else one.weight / supervised
        weights = tuple(each if weight else 0.0 for weight in one.sequence.weights)
        made.append(replace(one, sequences=(Sequence_(one.sequence.ids, weights),)))
    return made


def _prompt(row: Row, renderer: Renderer) -> Sequence_:
    ids = renderer.prompt(row.prompt).ids
    return Sequence_(ids, (0.0,) * len(ids))


def _labelled(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    number = {label: index for index, label in enumerate(material.labels or ())}
    return [Example(row.id, (_prompt(row, renderer),), number[row.answer], row.weight) for row in rows if row.answer in number]


def _multilabelled(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    made: list[Example] = []
    for row in rows:
        has = tuple(float(label in (row.labels or ())) for label in material.labels or ())
        made.append(Example(row.id, (_prompt(row, renderer),), has, row.weight))
    return made


def _valued(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    return [Example(row.id, (_prompt(row, renderer),), row.value, row.weight) for row in rows if row.value is not None]


def _tagged(rows: Sequence[Row], renderer: Renderer, recipe: Recipe, material: Material) -> list[Example]:
    made: list[Example] = []
    for row in rows:
        placed = place(renderer, row)
        classes = token_classes(row.text(), placed.offsets_T, row.tags or (), material.classes or ())
        target = tuple((token, number) for token, number in enumerate(classes) if number != IGNORED)
        if target:
            made.append(Example(row.id, (Sequence_(placed.ids, (0.0,) * len(placed.ids)),), target, row.weight))
    return made


_MAKERS: dict[str, Make] = {
    "sft": _answers,
    "distill": _answers,
    "text": _texts,
    "dpo": _pairs,
    "ipo": _pairs,
    "orpo": _pairs,
    "simpo": _pairs,
    "kto": _judged,
    "unlikelihood": _unwanted,
    "class": _labelled,
    "multilabel": _multilabelled,
    "regression": _valued,
    "tags": _tagged,
}


def replay_examples(material: Material, renderer: Renderer, recipe: Recipe, listen: Listener) -> list[Example]:
    """General rows as the loop takes them; those that don't fit are left out, and counted."""
    general = replace(material, task=material.replay_task)
    made: list[Example] = []
    left_out = 0
    for row in material.replay:
        try:
            made += make_examples([row], renderer, recipe, general, "sft")
        except DataError:
            left_out += 1
    if left_out:
        listen(
            Said(
                f"{left_out} of {len(material.replay)} rows to replay are longer than {renderer.max_tokens} tokens: left out.", warning=True
            )
        )
    if material.replay and not made:
        raise DataError(
            f"No row of train.regularise.replay.path fits within {renderer.max_tokens} tokens: raise train.max_tokens, or take another file."
        )
    return made


def _summed(base: nn.Module, sequences: Sequence[Sequence_], device: torch.device, precision: str) -> list[float]:
    """Log-probability of each sequence's answer, in the arithmetic that training has; in smaller passes where memory asks."""
    budget = 2048
    while True:
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                found: list[float] = row_logps(base.eval(), sequences, device=device, token_budget=budget)[0].tolist()
            return found
        except torch.OutOfMemoryError as error:
            if budget <= 32:
                raise MachineError(
                    "The base's log-probabilities of the answers don't fit the GPU's memory: set a smaller train.max_tokens."
                ) from error
        budget //= 2
        torch.cuda.empty_cache()


def reference_examples(
    sides: Sequence[list[Example]], base: nn.Module, device: torch.device, inputs: str, seed: int, precision: str = "fp32"
) -> list[list[Example]]:
    """Examples with the log-probabilities of their answers under the base as it is now, before any training.

    For KTO each example also gets a mismatched answer, with its own.

    Raises:
        DataError: KTO on a side with a single row, which has no other row's answer.
    """
    made: list[list[Example]] = []
    for examples in sides:
        if inputs == "judged":
            if len(examples) == 1:
                raise DataError(
                    "kto compares each answer with another row's, and a side of the data holds a single row: give it more rows."
                )
            examples = contrasted(examples, seed)
        flat = [sequence for item in examples for sequence in (*item.sequences, *([item.contrast] if item.contrast else []))]
        sums = iter(_summed(base, flat, device, precision) if flat else ())
        made.append(
            [
                replace(
                    item,
                    reference=tuple(next(sums) for _ in item.sequences),
                    contrast_reference=next(sums) if item.contrast else 0.0,
                )
                for item in examples
            ]
        )
    return made
