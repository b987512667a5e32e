"""The `base` and `method` sections of a recipe: which model a round starts from, and what of it may change."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tunesmith.section import Section

MethodName = Literal["full", "lora", "rslora", "dora", "pissa", "ia3", "bitfit", "prompt", "prefix", "layers", "features"]
HeadName = Literal["tokens", "class", "multilabel", "regression", "tags"]
PoolName = Literal["mean", "attention", "last"]

_LORAS = ("lora", "rslora", "dora", "pissa")
_USED_BY: dict[str, tuple[str, ...]] = {
    "rank": _LORAS,
    "alpha": _LORAS,
    "dropout": _LORAS,
    "targets": _LORAS,
    "virtual_tokens": ("prompt", "prefix"),
    "top_layers": ("layers",),
    "train_only": ("layers",),
    "freeze": ("layers",),
    "layer_decay": ("full", "layers", "bitfit", *_LORAS, "ia3"),
    "unfreeze": ("full", "layers"),
}
"""Setting -> the methods that look at it."""
_POOLED = ("class", "multilabel", "regression")


class BaseConfig(Section):
    """The pretrained model a round starts from."""

    path: str = "embedded"
    """`embedded`, a local folder in the Hugging Face format, or a hub id such as `Qwen/Qwen3-0.6B`."""
    revision: str | None = None
    """A hub revision: branch, tag or commit."""
    remote_code: list[str] = Field(default=[])
    """Names of bases whose own Python code may run. Empty: none may."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type the weights are held in."""
    random_weights: bool = False
    """Start from random weights of the same architecture: shows what pretraining is worth."""
    new_tokens: list[str] = Field(default=[])
    """Words to give a token of their own; each starts from the mean of the base's embedding rows. They are matched anywhere in a text."""

    @field_validator("new_tokens")
    @classmethod
    def _tokens_can_be_added(cls, tokens: list[str]) -> list[str]:
        for token in tokens:
            if token != token.strip() or not token:
                raise ValueError(f"new_tokens holds {token!r}: a token can't be empty, nor begin or end with white space")
            if tokens.count(token) > 1:
                raise ValueError(f"new_tokens names {token!r} twice: name it once")
        return tokens


class UnfreezeConfig(Section):
    """Gradual unfreezing (Howard & Ruder, 2018): the top layer and the head learn first, and lower layers join them from the top down."""

    every_steps: int | None = Field(default=None, gt=0, le=10**9)
    """The next layers join after so many steps."""
    every_epochs: float | None = Field(default=None, gt=0, le=10_000)
    """The next layers join after so many passes over the training rows."""
    when_stalled: bool = False
    """The next layers join when an evaluation finds no lower validation loss."""
    layers_at_a_time: int = Field(default=1, ge=1, le=10_000)
    """Layers that join at once; the embeddings come last, by themselves."""

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if (self.every_steps is not None) + (self.every_epochs is not None) + self.when_stalled != 1:
            raise ValueError("unfreeze goes by one clock: give one of every_steps, every_epochs and when_stalled: true")
        return self


class MethodConfig(Section):
    """What of the model may change, and how."""

    name: MethodName | None = None
    """Low-rank adapters: lora, rslora, dora, pissa; others: ia3, bitfit (biases), prompt, prefix, layers (a part), features (the head). Default: full, lora from 10^8 weights."""
    rank: int = Field(default=16, gt=0, le=10**6)
    """Rank of the low-rank update (lora, rslora, dora, pissa)."""
    alpha: float | None = Field(default=None, gt=0, le=10**6)
    """Scale of the low-rank update: alpha / rank, or alpha / sqrt(rank) for rslora. Where absent: twice the rank for lora and dora, the rank for pissa, 8 for rslora."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the low-rank adapters; above 0 rows are padded instead of sharing their prompts."""
    targets: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get a low-rank adapter."""
    virtual_tokens: int = Field(default=20, gt=0, le=100_000)
    """Learnt tokens before every row (prompt, prefix); they count toward the context."""
    top_layers: int | None = Field(default=None, gt=0, le=10_000)
    """Train this many layers from the top, with the final norm and an output layer that is not tied (layers)."""
    train_only: list[str] = Field(default=[])
    """Train only parameters whose name matches one of these patterns, such as `*.mlp.*` or `model.layers.7.*` (layers)."""
    freeze: list[str] = Field(default=[])
    """Leave parameters alone whose name matches one of these patterns; stronger than top_layers and train_only (layers)."""
    layer_decay: float = Field(default=1.0, ge=0.01, le=1)
    """Learning rate of a layer as a share of the layer's above (Howard & Ruder, 2018, use 1 / 2.6); 1: the same for all."""
    unfreeze: UnfreezeConfig | None = None
    """Gradual unfreezing (full, layers); null: everything that may change does from the first step."""
    head: HeadName | None = None
    """`tokens`: answers are text; `class`, `multilabel`, `regression`: a linear head on a row's pooled states; `tags`: one on every token's state; null: as task and base need."""
    pool: PoolName = "mean"
    """What a head for whole rows looks at: the `mean` of the last layer's states, their mean by learnt `attention`, or the `last` one."""
    head_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the head; rows may still share their prompts."""

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        methods = (self.name,) if self.name else ("full", "lora")
        for setting, users in _USED_BY.items():
            if self._given(setting) and not set(methods) & set(users):
                asked = f"method.name: {self.name} ignores" if self.name else "the default methods (full, lora) ignore"
                raise ValueError(f"{asked} {setting}: remove it, or set method.name to {_listed(users)}")
        return self

    @model_validator(mode="after")
    def _head_settings_have_a_head(self) -> Self:
        if self._given("pool") and self.head not in (None, *_POOLED):
            raise ValueError(f"method.head: {self.head} ignores pool: remove it, or set method.head to {_listed(_POOLED)}")
        if self._given("head_dropout") and self.head == "tokens":
            raise ValueError("method.head: tokens ignores head_dropout: remove it, or set method.head to another kind")
        return self

    @model_validator(mode="after")
    def _something_learns(self) -> Self:
        if self.name == "features" and self.head == "tokens":
            raise ValueError(f"method.name: features trains nothing but a head: set method.head to {_listed((*_POOLED, 'tags'))}")
        if self.name == "layers" and not (self.top_layers or self.train_only or self.freeze):
            raise ValueError("method.name: layers needs to know which: set top_layers, train_only or freeze")
        return self

    def _given(self, setting: str) -> bool:
        """Whether a setting differs from its default."""
        return bool(getattr(self, setting) != type(self).model_fields[setting].default)

    def scale(self, method: str) -> float:
        """The alpha of a low-rank method, resolved. rsLoRA's 8 gives LoRA's scale of 2 at the default rank of 16."""
        if self.alpha is not None:
            return self.alpha
        return {"rslora": 8.0, "pissa": float(self.rank)}.get(method, 2.0 * self.rank)


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
