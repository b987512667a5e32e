"""A language model in a dozen numbers: what its config says, how many weights that makes, how many of them a method changes.

Pure arithmetic over a config file; no tensor is made, no torch loaded. Exact for decoders built like Llama, Mistral, Qwen 2 and 3, GPT-2
and GPT-NeoX, their mixtures of experts included; of others it is near, and whoever holds the model counts its tensors instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOW_RANK = ("lora", "rslora", "dora", "pissa")
_TIED = ("gpt2", "gemma", "gemma2", "gemma3_text", "cohere", "cohere2", "starcoder2", "smollm3")
"""Kinds of model whose output layer is their embedding where the config says nothing."""
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model", "model_dim")
_HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
MOST_LAYERS, MOST_EXPERTS, MOST_WEIGHTS = 1000, 10_000, 10**13
"""Several times those of the largest models known: beyond, a config is damaged or hostile."""
_NO_NUMBER = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A decoder's measures."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_width: int
    intermediate: int
    """Width of the feed-forward part's middle; of an expert's, in a mixture."""
    vocabulary: int
    tied: bool
    """Whether the output layer is the embedding."""
    gated: bool = True
    """Whether the feed-forward part has a third matrix, whose result multiplies the middle."""
    biases: tuple[bool, bool, bool] = (False, False, False)
    """Of queries, keys and values; of the attention's output; of the feed-forward part."""
    norm_numbers: int = 1
    """Numbers a norm has for each of its width: 2 with a bias."""
    normed_heads: bool = False
    """Whether queries and keys are normed head by head."""
    positions: int = 0
    """Learnt embeddings of positions."""
    experts: int = 0
    experts_a_token: int = 1

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.kv_heads * self.head_width

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each matrix of a layer, those of all experts included."""
        feed = [(self.hidden, self.intermediate)] * (2 if self.gated else 1) + [(self.intermediate, self.hidden)]
        router = [(self.hidden, self.experts)] if self.experts else []
        attention = [(self.hidden, self.queries), (self.hidden, self.keys), (self.hidden, self.keys), (self.queries, self.hidden)]
        return (*attention, *router, *(feed * max(1, self.experts)))

    @property
    def layer_numbers(self) -> int:
        """Weights of one layer."""
        qkv, out, feed = self.biases
        biases = qkv * (self.queries + 2 * self.keys) + out * self.hidden
        biases += feed * ((2 if self.gated else 1) * self.intermediate + self.hidden)
        norms = 2 * self.hidden * self.norm_numbers + (2 * self.head_width if self.normed_heads else 0)
        return sum(inputs * outputs for inputs, outputs in self.matrices) + biases + norms

    @property
    def parameters(self) -> int:
        """All weights; what is tied counts once."""
        edges = (self.vocabulary * (1 if self.tied else 2) + self.positions) * self.hidden
        return edges + self.layers * self.layer_numbers + self.hidden * self.norm_numbers

    def learning(self, method: str, *, rank: int = 16, virtual_tokens: int = 20, top_layers: int | None = None, outputs: int = 0) -> int:
        """Numbers that learn: all in full fine-tuning, r (inputs + outputs) a matrix in the low-rank methods, and so on.

        Args:
            method: its name.
            rank: of low-rank updates.
            virtual_tokens: of prompt and prefix tuning.
            top_layers: of `layers`; all where absent.
            outputs: of a task head, beside what the method changes; 0: there is none.
        """
        head = outputs * (self.hidden + 1)
        adapted = sum(rank * (inputs + made) for inputs, made in self.matrices) * self.layers
        layers = min(self.layers, top_layers or self.layers) * self.layer_numbers + self.hidden * self.norm_numbers
        biases = self.layers * (self.layer_numbers - sum(a * b for a, b in self.matrices))
        found = {
            "full": self.parameters,
            "layers": layers + (0 if self.tied or outputs else self.vocabulary * self.hidden),
            "bitfit": biases if any(self.biases) else 0,
            "ia3": self.layers * (2 * self.keys + self.intermediate),
            "prompt": virtual_tokens * self.hidden,
            "prefix": virtual_tokens * 2 * self.keys * self.layers,
            "dora": adapted + self.layers * sum(made for _, made in self.matrices),
        }
        return head + found.get(method, adapted if method in LOW_RANK else 0)


def architecture_of(config: Mapping[str, Any], named: Mapping[str, str] | None = None) -> Architecture:
    """The measures that a model's config.json tells, by the names that families give them.

    Args:
        config: the config as a plain dict.
        named: usual name -> the family's own, as transformers' `attribute_map` has them.

    Raises:
        ValueError: it lacks one that can't be done without, or holds no number there.
    """
    told = {**config, **(config.get("text_config") or {})}
    told |= {usual: told[own] for usual, own in (named or {}).items() if own in told and told.get(usual) is None}
    kind = str(told.get("model_type") or "")
    hidden, heads = _first(told, *_HIDDEN), _first(told, *_HEADS)
    old = kind in ("gpt2", "gpt_neox")
    experts = _or(told, 0, *_EXPERTS)
    middle = _first(told, "moe_intermediate_size", "intermediate_size") if experts else None
    attends = bool(told.get("attention_bias", False)) or kind == "qwen2" or old
    return Architecture(
        layers=_first(told, *_LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=_or(told, heads, "num_key_value_heads"),
        head_width=_or(told, hidden // max(1, heads), "head_dim"),
        intermediate=middle or _or(told, 4 * hidden, "intermediate_size", "n_inner", "ffn_dim"),
        vocabulary=_first(told, "vocab_size"),
        tied=bool(told.get("tie_word_embeddings", kind in _TIED)),
        gated=not old and kind not in ("phi", "starcoder2"),
        biases=(attends, old or (bool(told.get("attention_bias")) and kind != "qwen2"), old or bool(told.get("mlp_bias", False))),
        norm_numbers=2 if old else 1,
        normed_heads=kind in ("qwen3", "qwen3_moe"),
        positions=_or(told, 0, "n_positions") if kind == "gpt2" else 0,
        experts=experts,
        experts_a_token=min(max(1, experts), _or(told, 1, "num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k_experts")),
    )


def absurd(config: Mapping[str, Any]) -> str | None:
    """What in a config no model has, so that building it would take without end; None where there is nothing such.

    Args:
        config: as the file has it; parts within are looked at too.
    """
    for names, most in ((_LAYERS, MOST_LAYERS), (_EXPERTS, MOST_EXPERTS)):
        for name in names:
            value = config.get(name)
            if isinstance(value, int | float) and value > most:
                return f"{name} is {value:,}, and {most:,} is the most"
    for part in config.values():
        if isinstance(part, Mapping) and (found := absurd(part)) is not None:
            return found
    try:
        weights = architecture_of(config).parameters
    except ValueError:
        return None
    return f"it comes to {weights:.1e} weights, and {MOST_WEIGHTS:.0e} is the most" if weights > MOST_WEIGHTS else None


def _first(told: Mapping[str, Any], *names: str) -> int:
    found = _or(told, 0, *names)
    if found < 1:
        raise ValueError(f"a model's config has none of {', '.join(names)}")
    return found


def _or(told: Mapping[str, Any], default: int, *names: str) -> int:
    """The first of these that is told and not 0."""
    for name in names:
        value = told.get(name)
        if not value:
            continue
        if not isinstance(value, int | float) or not abs(value) < _NO_NUMBER:
            raise ValueError(f"a model's config has no single number as {name}")
        return int(value)
    return default
