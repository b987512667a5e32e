"""Which parameter belongs to which layer: for freezing, for rates that fall with depth, for what can be computed once.

Depth 0 is the embeddings, 1 to L the layers from the bottom up, L + 1 the final norm, the output layer and a head. It is
read from the modules (the list of layers, and what stands before and after it), so names don't matter: it holds for
`model.layers`, `transformer.h` and `gpt_neox.layers` alike, and under the wrappers of PEFT.
"""

from typing import Any

from torch import nn

from tunesmith.core.errors import MachineError


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The layers of a language model's decoder, from the bottom up.

    Raises:
        MachineError: the architecture keeps its layers otherwise.
    """
    config = _language_model(model).config
    for module in _decoder(model).children():
        if isinstance(module, nn.ModuleList) and len(module) == config.get_text_config().num_hidden_layers:
            return module
    raise MachineError(
        f"The layers of {config.model_type} models are not kept as one list, so they can't be told apart: "
        "set method.name to full or lora, and leave layer_decay and unfreeze out."
    )


def layer_count(model: nn.Module) -> int:
    """How many layers the decoder has."""
    return len(decoder_layers(model))


def depth_of(model: nn.Module) -> dict[str, int]:
    """Depth of every parameter, by the name `model.named_parameters()` gives it. A tied tensor has its lowest place's depth."""
    found = _depths(model)
    return {name: found[id(parameter)] for name, parameter in model.named_parameters()}


def _depths(model: nn.Module) -> dict[int, int]:
    """Depth by identity of the parameter."""
    layers = decoder_layers(model)
    top = len(layers) + 1
    found: dict[int, int] = {}

    def put(module: nn.Module, depth: int) -> None:
        for parameter in module.parameters():
            found[id(parameter)] = min(depth, found.get(id(parameter), depth))

    below = True
    for module in _decoder(model).children():
        if module is layers:
            below = False
            for index, layer in enumerate(layers):
                put(layer, index + 1)
        else:
            put(module, 0 if below else top)
    for module in model.modules():
        if isinstance(module, nn.Embedding):  # those of positions and of virtual tokens too
            put(module, 0)
    for parameter in model.parameters():
        found.setdefault(id(parameter), top)
    return found


def lowest_frozen(model: nn.Module) -> int:
    """How many of the lowest depths, embeddings included, hold nothing trainable.

    n of them: the states that enter layer n - 1 (counted from 0) are the same in every step. 0 where the embeddings
    learn, L + 1 where no layer does, L + 2 where nothing does.
    """
    depths = depth_of(model)
    learning = [depths[name] for name, parameter in model.named_parameters() if parameter.requires_grad]
    return min(learning, default=layer_count(model) + 2)


def first_layer_to_run(model: nn.Module) -> int:
    """The first layer, counted from 0, that has to be run in every step; what enters it never changes.

    0: nothing is gained by keeping states. L: not even the final norm learns, and the last hidden states can be kept.
    """
    frozen, layers = lowest_frozen(model), layer_count(model)
    if frozen <= layers:
        return max(0, frozen - 1)
    return layers - 1 if any(parameter.requires_grad for parameter in _decoder(model).parameters()) else layers


def rates_by_depth(model: nn.Module, decay: float) -> dict[str, float]:
    """Factor of every parameter's learning rate: decay^(L + 1 - depth) (Howard & Ruder, 2018, section 3.2)."""
    top = layer_count(model) + 1
    return {name: decay ** (top - depth) for name, depth in depth_of(model).items()}


def unfreeze_levels(model: nn.Module, layers_at_a_time: int = 1) -> list[list[str]]:
    """Names of the trainable parameters, grouped in the order they may begin to learn (Howard & Ruder, 2018, section 3.3).

    The first group is the top `layers_at_a_time` layers with the final norm, output layer and head; the embeddings are the
    last. Groups in which nothing is trainable are left out.
    """
    top = layer_count(model)
    depths = depth_of(model)
    last = -(-top // layers_at_a_time)
    levels: list[list[str]] = [[] for _ in range(last + 1)]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            depth = depths[name]
            levels[last if depth == 0 else max(0, top - depth) // layers_at_a_time].append(name)
    return [level for level in levels if level]


def _language_model(model: nn.Module) -> Any:
    """The transformers model, out of a head's and PEFT's wrappings."""
    wrapped: Any = getattr(model, "trunk", model)
    return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped


def _decoder(model: nn.Module) -> nn.Module:
    decoder: nn.Module = _language_model(model).get_decoder()
    return decoder
