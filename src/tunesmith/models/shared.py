"""One base under several LoRA adapters: its weights are held once, and the rows of a pass may each have an adapter of their own.

Each adapted layer is the base's own, with the thin matrices of all adapters beside it: y = x W^T + b for all rows at once, and for the
rows of adapter k besides s_k (x A_k^T) B_k^T. So a pass costs one pass of the base and the thin products of its own rows, and a row's
values are those of its adapter alone, up to the order of sums (1e-5 of a logit in float32, measured in tests).

Plain LoRA only, rank and scale as each has them: adapters with lengths (DoRA), biases, trained embedding rows or whole modules change
what others share, and mixtures of experts move tokens between rows; such rounds are loaded one by one.

Letters: R rows, I inputs, O outputs, r rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.core.files import read_json
from tunesmith.models.heads import Headed
from tunesmith.models.methods import method
from tunesmith.models.package import Bundle

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(slots=True)
class _Chosen:
    """The adapter of each row of the pass under way; one alone stands for all rows."""

    adapters_R: tuple[int, ...] = (0,)
    places: dict[int, Tensor] = field(default_factory=dict)
    """Adapter -> its rows, where they are of several."""


class SharedLinear(nn.Module):
    """A layer of the base with the adapters that change it. Not for training."""

    def __init__(self, base: nn.Module, chosen: _Chosen) -> None:
        super().__init__()
        self.base_layer = base
        self.chosen = chosen
        self.down = nn.ParameterDict()
        self.up = nn.ParameterDict()
        self.scale: dict[int, float] = {}

    def put(self, adapter: int, down_rI: Tensor, up_Or: Tensor, scale: float) -> None:
        """Put an adapter beside the layer."""
        self.down[str(adapter)] = nn.Parameter(down_rI.detach().clone(), requires_grad=False)
        self.up[str(adapter)] = nn.Parameter(up_Or.detach().clone(), requires_grad=False)
        self.scale[adapter] = scale

    def forward(self, x: Tensor) -> Tensor:
        """[R, ..., I] -> [R, ..., O]; where the adapters of several rows differ, x has a line for each row."""
        made: Tensor = self.base_layer(x)
        chosen = self.chosen.adapters_R
        if len(chosen) == 1:
            return made.add_(self._change(chosen[0], x)) if chosen[0] in self.scale else made
        for adapter, rows in self.chosen.places.items():
            if adapter in self.scale:
                made.index_add_(0, rows, self._change(adapter, x[rows]))
        return made

    def _change(self, adapter: int, x: Tensor) -> Tensor:
        narrow = (x @ self.down[str(adapter)].t()) * self.scale[adapter]
        change: Tensor = narrow @ self.up[str(adapter)].t()
        return change


class Shared(nn.Module):
    """A base under several adapters. One thread at a time."""

    def __init__(self, base: PreTrainedModel) -> None:
        super().__init__()
        self.base = base
        self.adapters = 0
        self.chosen = _Chosen()

    def get_base_model(self) -> PreTrainedModel:
        """The transformers model, which every adapter is put into."""
        return self.base

    def choose(self, adapters_R: Sequence[int]) -> None:
        """Say whose the rows of the next passes are: one for each row, or one for all."""
        one = tuple(adapters_R[:1]) if len(set(adapters_R)) == 1 else tuple(adapters_R)
        if one == self.chosen.adapters_R:
            return
        self.chosen.adapters_R = one
        self.chosen.places = {}
        if len(one) > 1:
            every = torch.tensor(one, device=self.base.device)
            self.chosen.places = {adapter: (every == adapter).nonzero()[:, 0] for adapter in sorted(set(one))}

    def take(self, folder: Path) -> int:
        """Put a saved adapter beside the others; its number. It is read by PEFT, so it is what PEFT makes of it."""
        from peft import PeftModel
        from peft.tuners.lora import LoraLayer

        plain: Any = _Bare(self.base)
        with plain:
            wrapped: Any = PeftModel.from_pretrained(self.base, str(folder))
            layers: list[tuple[str, Any]] = list(wrapped.get_base_model().named_modules())
            found: list[tuple[str, Any]] = [(name, part) for name, part in layers if isinstance(part, LoraLayer)]
            wrapped.unload()
        number, self.adapters = self.adapters, self.adapters + 1
        for name, part in found:
            down, up = part.lora_A["default"], part.lora_B["default"]
            self._layer(name).put(number, down.weight, up.weight, float(part.scaling["default"]))
        return number

    def _layer(self, name: str) -> SharedLinear:
        above, _, last = name.rpartition(".")
        parent = self.base.get_submodule(above)
        layer = getattr(parent, last)
        if not isinstance(layer, SharedLinear):
            layer = SharedLinear(layer, self.chosen)
            setattr(parent, last, layer)
        return layer


class _Bare:
    """Within, the base stands as it was loaded, so that PEFT finds the layers it knows."""

    def __init__(self, base: nn.Module) -> None:
        self.base = base
        self.taken: list[tuple[nn.Module, str, SharedLinear]] = []

    def __enter__(self) -> None:
        for parent in list(self.base.modules()):
            if not isinstance(parent, SharedLinear):
                self.taken += [(parent, name, child) for name, child in parent.named_children() if isinstance(child, SharedLinear)]
        for parent, name, layer in self.taken:
            setattr(parent, name, layer.base_layer)

    def __exit__(self, *_: object) -> None:
        for parent, name, layer in self.taken:
            setattr(parent, name, layer)


class OneOf(nn.Module):
    """One adapter of a shared base, in the place of a model of its own. Whoever runs it says so first (`choose`)."""

    def __init__(self, shared: Shared, number: int) -> None:
        super().__init__()
        self.shared = shared
        self.number = number

    def get_base_model(self) -> PreTrainedModel:
        """The transformers model beneath."""
        return self.shared.base


def adapter_of(model: nn.Module) -> int:
    """The number of a model among the adapters of its base; 0 of one that shares nothing."""
    trunk = model.trunk if isinstance(model, Headed) else model
    return trunk.number if isinstance(trunk, OneOf) else 0


def choose(model: nn.Module, adapters_R: Sequence[int]) -> None:
    """Tell a shared base whose the rows of the next passes are; nothing to tell any other model."""
    trunk = model.trunk if isinstance(model, Headed) else model
    shared = trunk.shared if isinstance(trunk, OneOf) else trunk
    if isinstance(shared, Shared):
        shared.choose(adapters_R)


def can_share(folder: Path, bundle: Bundle) -> bool:
    """Whether a saved model is a plain LoRA adapter, whose base others may share."""
    if method(bundle.method).saved_as != "adapter" or bundle.base.get("new_tokens"):
        return False
    if not (folder / "adapter_config.json").is_file():  # a head over the base as it is
        return False
    config = read_json(folder / "adapter_config.json")
    if not isinstance(config, dict) or config.get("peft_type") != "LORA" or config.get("use_dora") or config.get("bias") != "none":
        return False
    odd = ("modules_to_save", "trainable_token_indices", "target_parameters", "lora_bias", "alora_invocation_tokens")
    return not any(config.get(name) for name in odd) and not _on_embedding(folder)


def _on_embedding(folder: Path) -> bool:
    """Whether a saved adapter changes an embedding, whose rows are looked up and not multiplied; where its weights are missing, too, so
    that loading it alone tells what is wrong."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
            return any("lora_embedding_" in name for name in weights.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return True


def takes_adapters(base: PreTrainedModel) -> bool:
    """Whether every layer sees a line for each row: not where tokens are moved between rows, as to experts."""
    return not any(getattr(base.config.get_text_config(), name, None) for name in _EXPERTS) and not base._is_stateful
