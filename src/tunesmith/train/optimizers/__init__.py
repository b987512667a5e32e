"""Optimisers over a model's tensors: decay kept off norms, biases and embeddings, rates multiplied by name. One file each,
named in the table.

Each file has `build(members, config, rate)`, which returns the optimisers that share the work. They live for a whole
run, so a tensor that is frozen now and unfrozen later is a member from the start: without a gradient it is left alone.
The schedule sets the rates anew at each step, as a share of those given here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module

from torch import nn
from torch.optim import Optimizer

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.train.config import TrainConfig
from tunesmith.train.optimizers.groups import Member, members_of
from tunesmith.train.optimizers.rates import default_learning_rate

__all__ = ["Member", "build_optimizers", "default_learning_rate"]

Build = Callable[[Sequence[Member], TrainConfig, float], list[Optimizer]]

_TABLE = {
    "adamw": "tunesmith.train.optimizers.adamw:build",
    "adafactor": "tunesmith.train.optimizers.adafactor:build",
    "sgd": "tunesmith.train.optimizers.sgd:build",
    "lion": "tunesmith.train.optimizers.lion:build",
    "muon": "tunesmith.train.optimizers.muon:build",
}


def build_optimizers(
    model: nn.Module,
    config: TrainConfig,
    learning_rate: float,
    *,
    names: Collection[str] | None = None,
    factors: Mapping[str, float] | None = None,
) -> list[Optimizer]:
    """The optimisers of a run, over one model.

    Args:
        model: where the tensors are looked up, and which of them are embeddings.
        config: which optimiser, and its settings.
        learning_rate: the peak.
        names: tensors that may change, now or later in the run; those that ask for a gradient now where absent.
        factors: what the rate of a tensor is multiplied by, by name; 1 where a name is absent.

    Raises:
        RecipeError: an optimiser that is not known, or no tensor that may change.
    """
    members = members_of(model, names, factors or {})
    if not members:
        raise RecipeError("No tensor of the model may change: unfreeze some of it in the method section.")
    build = _named(config.optimizer)
    if not (config.master_weights and any(member.narrow for member in members)):
        return build(members, config, learning_rate)
    from tunesmith.train.optimizers.master import with_master_weights

    return with_master_weights(members, lambda copies: build(copies, config, learning_rate))


def _named(name: str) -> Build:
    if name not in _TABLE:
        raise RecipeError(f"train.optimizer {name!r} is not known.{did_you_mean(name, _TABLE)}")
    module, attribute = _TABLE[name].split(":")
    build: Build = getattr(import_module(module), attribute)
    return build
