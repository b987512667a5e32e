"""What is decided by looking at recipe, model and machine: once, before step 1, recorded, and replayed when a round goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import torch
from pydantic import AfterValidator, Field, PositiveInt

from tunesmith.core.errors import MachineError
from tunesmith.core.progress import Listener, Said
from tunesmith.data.config import Task
from tunesmith.models.config import MethodName
from tunesmith.models.forward import takes_tree
from tunesmith.models.load import Base, count_parameters
from tunesmith.models.methods import Method, method, method_name
from tunesmith.recipe import Recipe
from tunesmith.recipe.agreement import head_of, objective_of
from tunesmith.recipe.machine import cores_here
from tunesmith.train.batches import steps_of
from tunesmith.train.config import ObjectiveName, Precision
from tunesmith.train.optimizers import default_learning_rate
from tunesmith.tree.plan import Layout


def _one_of(names: Any) -> AfterValidator:
    """Only what a Literal lists."""

    def known(name: str) -> str:
        if name not in get_args(names):
            raise ValueError(f"{name!r} is not known")
        return name

    return AfterValidator(known)


@dataclass(frozen=True, slots=True)
class Decisions:
    """The settings a run is held to from its first step on. Bounds and names are held where they are read back."""

    method: Annotated[str, _one_of(MethodName)]
    objective: Annotated[str, _one_of(ObjectiveName)]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    precision: Annotated[str, _one_of(Precision)]
    threads: PositiveInt
    layout: Layout
    device: str
    compiled: bool = False
    peak_flops: float | None = None
    """Most operations a second of this device, that MFU is measured by."""
    reasons: tuple[str, ...] = ()
    """Why, where something is not as it would usually be."""


def device_here() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settled(recipe: Recipe, task: str) -> Recipe:
    """The recipe with its head resolved by the task."""
    method = recipe.method.model_copy(update={"head": head_of(recipe, Task(task))})
    return recipe.model_copy(update={"method": method})


def decide(recipe: Recipe, base: Base, task: str, listen: Listener, *, judged: bool = False, rows: int | None = None) -> Decisions:
    """Settle what the recipe leaves open, and say what is not as asked.

    Args:
        recipe: the recipe.
        base: its base.
        task: what its rows ask for.
        listen: told what is not as asked.
        judged: preferences are of single answers.
        rows: how many there are to train on, by which the usual rate of a short run is higher; None: so many that it isn't short.
    """
    recipe = settled(recipe, task)
    parameters, _ = count_parameters(base.model)
    chosen = method(method_name(recipe.method, parameters))
    device = device_here()
    layout, why = layout_for(recipe, base, chosen, device)
    if why:
        listen(Said(why))
    asked = recipe.train.learning_rate
    rate = (
        asked
        if isinstance(asked, float | int)
        else default_learning_rate(
            chosen.name,
            parameters,
            recipe.method.head or "tokens",
            recipe.train.optimizer,
            None if rows is None else steps_of(recipe.train, rows),
        )
    )
    precision = recipe.train.precision or ("bf16" if device.type == "cuda" else "fp32")
    return Decisions(
        chosen.name,
        objective_of(recipe, Task(task), judged=judged),
        float(rate),
        precision,
        recipe.train.threads or cores_here(),
        layout,
        device.type,
        reasons=(why,) if why else (),
    )


def layout_for(recipe: Recipe, base: Base, chosen: Method, device: torch.device) -> tuple[Layout, str]:
    """How rows are laid out, and in one line why not as a tree where it isn't asked to be another way."""
    why = next(_against_sharing(recipe, base.model, chosen, device), None)
    if why is None:
        return ("tree" if recipe.train.share_prefixes else "apart"), ""
    said = f"Prompts are not shared between rows: {why}; rows are padded instead."
    return "padded", said if recipe.train.share_prefixes else ""


def _against_sharing(recipe: Recipe, model: Any, chosen: Method, device: torch.device) -> Iterator[str]:
    if recipe.train.dropout > 0 or recipe.method.dropout > 0:
        yield "dropout is above 0, and each row has its own"
    if recipe.train.regularise.neftune > 0:
        yield "neftune's noise is each row's own"
    if not chosen.shares_prefixes:
        yield f"method.name: {chosen.name} hands the model a past of its own"
    if getattr(model.config, "output_router_logits", False):
        yield "the router's auxiliary loss counts every token of every row"
    if device.type not in ("cpu", "cuda"):
        yield f"there is no attention over a tree for {device.type}"
    if not takes_tree(model):
        yield f"{model.config.model_type} models don't take a tree mask"


def not_reproducible(decisions: Decisions, device: torch.device) -> None:
    """MachineError where a round was begun on another kind of device than it would go on with."""
    if decisions.device != device.type:
        raise MachineError(
            f"This round was begun on {decisions.device} and would go on on {device.type}, which gives other weights: "
            f"continue it where it was begun, or start it over with --again."
        )
