"""Operations of a step, counted: what the model's arithmetic needs, whatever the machine makes of it.

The count is that of model FLOPs utilisation (Chowdhery et al., 2022, appendix B), with what this project avoids left
out: shared prompts once, frozen layers forward only, logits where something is supervised. Counting costs a walk over
the parameters once, and about 50 microseconds a pass.

Letters: T tokens of a pass without padding, P places predicted from, N numbers of a weight matrix, R rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from tunesmith.models.forward import inner
from tunesmith.models.heads import Headed
from tunesmith.models.layers import decoder_layers, depth_of
from tunesmith.tree.plan import Pass

_READ_INPUT = frozenset({"q_proj", "k_proj", "v_proj", "qkv_proj", "c_attn", "query_key_value"})
"""Matrices that read what enters their layer."""
_FIRST_NORMS = frozenset({"input_layernorm", "ln_1"})
"""Norms between what enters a layer and the matrices that read it."""
_READ_PLACES = frozenset({"q_proj", "o_proj", "mlp"})
"""Parts that the last layer runs at the places predicted from alone (models/forward.py)."""


@dataclass(frozen=True, slots=True)
class Part:
    """How the weight matrices of a layer take part: those that do so alike, counted together."""

    learns: bool
    """A gradient of the weights is made: 2 N operations a token."""
    passes_back: bool
    """A gradient of what was read is made: 2 N operations a token."""
    at_places: bool
    """Runs at the places predicted from where the layer is the last of a flat pass."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the decoder."""

    numbers: tuple[tuple[Part, float], ...]
    """Numbers that take part in a token's way through it; of a mixture of experts, those of the experts it is sent to."""
    attention_passes_back: bool
    window: int | None


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What has to be known of a model to count. Made anew where what learns has changed."""

    layers: tuple[Layer, ...]
    attention_width: int
    """Heads x width of a head."""
    output: Part
    output_numbers: int
    """Of the output layer, or of the task head."""
    head: str = ""
    """The head's kind; empty where the output layer gives logits."""


def shape_of(model: nn.Module) -> ModelShape:
    """Read the shape off a model as it learns now, its frozen tensors marked so.

    Raises:
        MachineError: the architecture keeps its layers in a way that can't be told apart.
    """
    headed = model if isinstance(model, Headed) else None
    trunk: nn.Module = headed.trunk if headed else model
    config: Any = inner(trunk).config.get_text_config()
    depths = depth_of(trunk)
    below = any(p.requires_grad and depths[name] == 0 for name, p in trunk.named_parameters())
    layers = []
    for index, layer in enumerate(decoder_layers(trunk)):
        layers.append(_layer(layer, below, _experts_share(config), _window(config, index)))
        below = below or any(p.requires_grad for p in layer.parameters())
    below = below or any(p.requires_grad and "lm_head" not in name for name, p in trunk.named_parameters())
    heads = getattr(config, "num_attention_heads", None) or 0
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // max(1, heads))
    if headed is not None:
        return ModelShape(tuple(layers), width, Part(True, below, False), headed.head.linear.weight.numel(), headed.kind)
    weights: list[nn.Parameter] = list(inner(trunk).get_output_embeddings().parameters())  # type: ignore[no-untyped-call]
    largest = max(weights, key=lambda p: p.numel())
    return ModelShape(tuple(layers), width, Part(any(p.requires_grad for p in weights), below, False), largest.numel())


def _layer(layer: nn.Module, below: bool, experts_share: float, window: int | None) -> Layer:
    named = [(frozenset(name.split(".")), p) for name, p in layer.named_parameters()]
    inside = below or any(p.requires_grad and parts & _FIRST_NORMS for parts, p in named)
    after = inside or any(p.requires_grad and parts & _READ_INPUT for parts, p in named)
    found: dict[Part, float] = {}
    for parts, p in named:
        if p.dim() < 2:
            continue
        reads = bool(parts & _READ_INPUT) and "lora_B" not in parts
        part = Part(p.requires_grad, inside if reads else after, bool(parts & _READ_PLACES))
        found[part] = found.get(part, 0.0) + p.numel() * (experts_share if "experts" in parts else 1.0)
    return Layer(tuple(found.items()), after, window)


def _experts_share(config: Any) -> float:
    """Of a mixture's experts, the share that a token is sent to."""
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    return float(getattr(config, "num_experts_per_tok", 1)) / experts if experts else 1.0


def _window(config: Any, index: int) -> int | None:
    window: int | None = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    return window if not kinds or kinds[index] == "sliding_attention" else None


@dataclass(frozen=True, slots=True)
class Work:
    """What one pass asks of a model."""

    tokens: int
    places: int
    rows: int
    pairs: dict[int | None, int]
    """Pairs of a token and one that it attends to, itself included, by the layer's window."""
    pairs_of_places: dict[int | None, int]
    """Of these, those of the places predicted from."""
    flat: bool = True


def work_of(planned: Pass, windows: Iterable[int | None]) -> Work:
    """The work of a planned pass. A token at depth d attends to d + 1 tokens, or to as many as its window holds."""
    positions = planned.positions_BT.reshape(-1)
    places = positions[planned.from_P] + 1
    tokens = positions[np.unique(planned.path_N)] + 1
    sizes = set(windows)
    return Work(
        tokens=len(tokens),
        places=len(places),
        rows=len(planned.rows_R),
        pairs={size: int((tokens if size is None else np.minimum(tokens, size)).sum()) for size in sizes},
        pairs_of_places={size: int((places if size is None else np.minimum(places, size)).sum()) for size in sizes},
        flat=planned.ends_T is not None,
    )


def flops_of_step(shape: ModelShape, passes: Sequence[Pass], *, first_layer: int = 0, trimmed: bool = True, learning: bool = True) -> float:
    """Operations of a step, a multiplication and an addition counted as two.

    What is assumed:

    - a matrix of N numbers takes 2 N a token forward, 2 N more for its own gradient where it learns, and 2 N more for the
      gradient of what it reads where something below it learns;
    - attention takes 4 x width a pair forward and twice that backward; only pairs that are seen count, which is half of
      what a full square would be;
    - logits are made at the places predicted from alone; a head reads every row once, or every token for tags;
    - norms, activations, embeddings, softmax, biases, virtual tokens, the loss and the optimiser are left out;
    - what is computed twice to save memory counts once; padding counts for nothing;
    - in the lowest layer that learns, matrices are told apart only by whether they read what enters the layer.

    Args:
        shape: of the model as it learns now.
        passes: of the step, as planned.
        first_layer: the layers below it come from the trunk's cache.
        trimmed: whether the last layer of a flat pass runs at the places predicted from alone; not with
            `train.gradient_checkpointing`. Where a head reads all states, it never does.
        learning: False for a forward pass alone: a reference, a teacher.
    """
    windows = [layer.window for layer in shape.layers]
    trims = trimmed and not shape.head
    return sum(
        flops_of_work(shape, work_of(planned, windows), first_layer=first_layer, trimmed=trims, learning=learning) for planned in passes
    )


def flops_of_work(shape: ModelShape, work: Work, *, first_layer: int = 0, trimmed: bool = True, learning: bool = True) -> float:
    """As `flops_of_step`, for one pass whose work is known."""
    total = 0.0
    for index, layer in enumerate(shape.layers[first_layer:], first_layer):
        at_places = trimmed and work.flat and index == len(shape.layers) - 1
        for part, numbers in layer.numbers:
            tokens = work.places if at_places and part.at_places else work.tokens
            total += 2 * numbers * tokens * _times(part, learning)
        pairs = (work.pairs_of_places if at_places else work.pairs)[layer.window]
        total += 4 * shape.attention_width * pairs * (3 if learning and layer.attention_passes_back else 1)
    read = work.places if not shape.head else work.tokens if shape.head == "tags" else work.rows
    return total + 2 * shape.output_numbers * read * _times(shape.output, learning)


def _times(part: Part, learning: bool) -> int:
    return 1 + (part.learns + part.passes_back if learning else 0)
