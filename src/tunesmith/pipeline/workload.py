"""What a training will hold and do, seen before it: from its rows as tokens, its passes as they will be laid out, and a model of shapes.

No weight is read and nothing is computed by a model. Costs the rendering of the train and select rows and the planning of at most
`MOST_STEPS` steps; of longer runs these stand for the rest. Test rows are not looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith.core.errors import MachineError
from tunesmith.core.progress import silent
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.models.forward import inner
from tunesmith.models.heads import Headed
from tunesmith.models.load import count_parameters
from tunesmith.models.methods import method_name
from tunesmith.models.trunk import TrunkPlan
from tunesmith.pipeline.bench import Bench
from tunesmith.pipeline.decisions import Decisions, decide, settled
from tunesmith.pipeline.extras import PROBED_STEPS, Outfit
from tunesmith.pipeline.material import class_weights, make_examples
from tunesmith.pipeline.shapes import adapted_shape, kept_softmax, learning_of
from tunesmith.recipe import Recipe
from tunesmith.recipe.architecture import Architecture, architecture_of
from tunesmith.recipe.cost import Load, Plan
from tunesmith.recipe.machine import Machine
from tunesmith.train.batches import Batch, Example, Feed, lay_out
from tunesmith.train.flops import ModelShape, flops_of_step, shape_of
from tunesmith.train.loop import evaluation_steps
from tunesmith.train.objectives import Objective, objective
from tunesmith.tree.plan import Pass

MOST_STEPS = 128
FIND_STEPS = 80
"""As many steps as `learning_rate: find` takes at most."""
BYTES_A_TOKEN, BYTES_A_ROW = 44, 1800
"""What a token and a row take as Python holds them: an int and its place in two tuples; the row's text, ids and objects."""


class UntoldError(MachineError):
    """A model that can be trained, and whose measures its config doesn't tell."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it is planned."""

    passes: tuple[Batch, ...]
    flops: float
    """Operations, a reference's included."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All the work of a training, in operations as train/flops.py counts them."""

    steps: int
    step_flops: float
    """Of all steps together."""
    evaluations: int
    evaluation_flops: float
    """Of one."""
    before_flops: float
    """Forward, once: frozen layers, a reference's likelihoods."""
    settling_flops: float
    """Before the first step: what is measured to decide on compiling and, where asked for, on a rate."""
    tokens_in_rows: int
    tokens_computed: int


@dataclass(frozen=True)
class Workload:
    """A training, seen before it."""

    recipe: Recipe
    bench: Bench
    machine: Machine
    decisions: Decisions
    objective: Objective
    train: list[Example]
    select: list[Example]
    replay: list[Example]
    origin: dict[int, tuple[str, int]]
    """id of an example -> the side and the number of its row."""

    @cached_property
    def feed(self) -> Feed:
        """The steps, as the training will take them."""
        return Feed(self.train, self.recipe.train, derive_seed(self.recipe.seed, "train"), self.decisions.layout, self.replay)

    @cached_property
    def model(self) -> nn.Module:
        """The model as it will learn, of shapes without values."""
        base, outputs = self.bench.base, self.bench.material.outputs
        parameters, _ = count_parameters(base.model)
        return adapted_shape(base, self.recipe.method, parameters, outputs, self.recipe.seed)

    @cached_property
    def shape(self) -> ModelShape | None:
        """What has to be known to count operations; None where layers can't be told apart."""
        try:
            return shape_of(self.model)
        except MachineError:
            return None

    @cached_property
    def outfit(self) -> Outfit:
        """What the run is given beside weights and optimiser."""
        return Outfit(self.recipe, self.bench.base, self.feed, self.select, Path(), self.decisions, self.objective, silent)

    @cached_property
    def trunk(self) -> tuple[TrunkPlan | None, int]:
        """What will be kept of frozen layers, and the first layer to run; 0 where all are run."""
        planned, layer, _ = self.outfit.planned_trunk(self.model)
        kept = planned is not None and planned.mib <= self.recipe.train.trunk_cache_mib
        return (planned, layer) if kept else (None, 0)

    @cached_property
    def steps(self) -> list[Step]:
        """Those that are looked at: all of a short run, else as many of them spread evenly, and the one with the longest row."""
        total = self.feed.steps
        numbers = list(range(1, total + 1))
        if total > MOST_STEPS:
            numbers = sorted({1 + place * (total - 1) // (MOST_STEPS - 1) for place in range(MOST_STEPS)} | {self._longest_at()})
        return [Step(tuple(group), self.step_flops([one.planned for one in group])) for group in map(self.feed.step, numbers)]

    def _longest_at(self) -> int:
        """The step of the first pass over the rows that has the longest of them."""
        longest = max(range(len(self.train)), key=lambda index: self.train[index].tokens)
        every = range(1, min(self.feed.steps, self.feed.steps_per_epoch) + 1)
        return next((number for number in every if self.train[longest] in self.feed.rows(number)), 1)

    def step_flops(self, passes: Sequence[Pass], *, learning: bool = True) -> float:
        """Operations of some passes; where they can't be counted, 2 for each weight and token, 6 where all learns."""
        if self.shape is None:
            numbers, _ = count_parameters(self.model)
            return float((6 if learning else 2) * numbers * sum(one.tokens for one in passes))
        trimmed = not self.recipe.train.gradient_checkpointing
        own = flops_of_step(self.shape, passes, first_layer=self.trunk[1], trimmed=trimmed, learning=learning)
        others = int(self.recipe.train.regularise.kl > 0 or self.decisions.objective == "distill")
        others += int(self.objective.inputs == "judged")  # KTO reads as many tokens again, of mismatched answers
        return own + others * flops_of_step(self.shape, passes, trimmed=trimmed, learning=False)

    @cached_property
    def evaluation(self) -> list[Batch]:
        """The passes of one validation."""
        return self.evaluated(self.select)

    def evaluated(self, examples: Sequence[Example]) -> list[Batch]:
        """The passes of a validation over some examples, as train/loop.py lays them out."""
        ordered = sorted(examples, key=lambda item: item.sequence.ids)
        rows = max(64, self.recipe.train.batch_rows)
        groups = (ordered[start : start + rows] for start in range(0, len(ordered), rows))
        return [batch for group in groups for batch in lay_out(group, self.recipe.train, layout=self.decisions.layout)]

    @cached_property
    def whole(self) -> Whole:
        """All of its work."""
        share = self.feed.steps / len(self.steps)
        checks = len(evaluation_steps(self.feed)) if self.select else 0
        return Whole(
            steps=self.feed.steps,
            step_flops=share * sum(step.flops for step in self.steps),
            evaluations=checks + (5 if self.recipe.train.regularise.interpolate and self.select else 0),
            evaluation_flops=self.step_flops([one.planned for one in self.evaluation], learning=False),
            before_flops=self._before(),
            settling_flops=self._settling(),
            tokens_in_rows=round(share * sum(one.rows_tokens for step in self.steps for one in step.passes)),
            tokens_computed=round(share * sum(one.planned.tokens for step in self.steps for one in step.passes)),
        )

    def _before(self) -> float:
        planned, layer = self.trunk
        total = 0.0
        if planned is not None and self.shape is not None:
            every = flops_of_step(self.shape, planned.passes, trimmed=False, learning=False)
            total += every - flops_of_step(self.shape, planned.passes, first_layer=layer, trimmed=False, learning=False)
        if "reference" in self.objective.needs and self.shape is not None:
            share = self.feed.steps_per_epoch / len(self.steps)
            passes = [one.planned for step in self.steps for one in step.passes]
            total += share * flops_of_step(self.shape, passes, learning=False) * (2 if self.objective.inputs == "judged" else 1)
        return total

    @property
    def settles(self) -> bool:
        """Whether a few passes are made before the first step, to decide on compiling."""
        return self.recipe.train.compile == "auto" and self.trunk[0] is None and not self.recipe.train.gradient_checkpointing

    def _settling(self) -> float:
        first = sum(step.flops for step in self.steps[: 1 + PROBED_STEPS]) if self.settles else 0.0
        finds = self.recipe.train.learning_rate == "find"
        return first + (FIND_STEPS * sum(step.flops for step in self.steps) / len(self.steps) if finds else 0.0)

    @property
    def plan(self) -> Plan:
        """The run as the arithmetic of its memory takes it, with its heaviest pass."""
        return self.peak[0]

    @cached_property
    def peak(self) -> tuple[Plan, Step, Batch]:
        """The run at its heaviest pass, with the step that this is of."""
        planned = [(replace(self._bare, load=load), step, batch) for step in self.steps for load, batch in self._of(step)]
        plan, step, batch = max(planned, key=lambda one: (one[0].memory().total, one[0].activations() + one[0].logits()))
        return plan, step, batch

    def _of(self, step: Step) -> Iterator[tuple[Load, Batch]]:
        headed = isinstance(self.model, Headed)
        alone = all(len(one.passes) == 1 for one in self.steps)
        for batch in step.passes:
            planned = batch.planned
            places, softmax = len(batch.slot_R) if headed else len(planned.from_P), kept_softmax(planned)
            yield Load(tokens=planned.tokens, places=places, longest=int(planned.lengths_R.max()), softmax=softmax, alone=alone), batch

    @cached_property
    def _bare(self) -> Plan:
        """All but the load."""
        base, train = self.bench.base, self.recipe.train
        parameters, _ = count_parameters(base.model)
        learning = learning_of(self.model)
        planned, _ = self.trunk
        everything = [*self.train, *self.select, *self.replay]
        width = next(base.model.parameters()).element_size()
        kept = 0 if planned is None else round(planned.mib * 2**20)
        return Plan(
            architecture=self._architecture(),
            parameters=count_parameters(self.model)[0],
            learning=learning,
            load=Load(tokens=1, places=1, longest=1),
            method=method_name(self.recipe.method, parameters),
            optimizer=train.optimizer,
            device=self.machine.device,
            weight_bytes=width,
            narrow=self.decisions.precision == "bf16",
            checkpointing=train.gradient_checkpointing,
            master_weights=train.master_weights,
            token_budget=train.token_budget,
            copies=self.outfit.copies(learning.numbers),
            beside=parameters * width if self.recipe.base.random_weights else 0,  # of files, what nobody reads is not resident
            rows=sum(one.tokens for one in everything) * BYTES_A_TOKEN + len(everything) * BYTES_A_ROW + kept,
        )

    def _architecture(self) -> Architecture:
        config: Any = inner(self.bench.base.model).config.get_text_config()
        try:
            return architecture_of(config.to_dict(), getattr(config, "attribute_map", None))
        except ValueError as error:
            raise UntoldError(f"What a {config.model_type} model takes can't be told before it runs ({error}): train to see.") from error


def workload(bench: Bench, machine: Machine) -> Workload:
    """See a training of a bench's recipe on a machine.

    Raises:
        TunesmithError: what keeps it from training, as the training itself would say it.
    """
    material = bench.material
    recipe = settled(bench.recipe, material.task)
    decided = decide(recipe, bench.base, material.task, silent, judged=material.judged, rows=len(material.train))
    precision = recipe.train.precision or ("bf16" if machine.device == "cuda" else "fp32")
    decisions = replace(decided, device=machine.device, precision=precision)
    weights = class_weights(recipe.objective, decisions.objective, material)
    aim = objective(recipe.objective, decisions.objective, class_weights=weights)
    origin: dict[int, tuple[str, int]] = {}
    general = replace(material, task=material.replay_task)

    def made(side: str, rows: Sequence[Row]) -> list[Example]:
        found: list[Example] = []
        for number, row in enumerate(rows):
            of = general if side == "replay" else material
            examples = make_examples([row], bench.renderer, recipe, of, "sft" if side == "replay" else decisions.objective)
            origin.update((id(one), (side, number)) for one in examples)
            found += examples
        return found

    train = made("train", material.train)
    if not train:
        raise MachineError("There is nothing to train on: the train side holds no rows.")
    return Workload(recipe, bench, machine, decisions, aim, train, made("select", material.select), made("replay", material.replay), origin)
