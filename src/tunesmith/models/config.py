"""The `base` and `method` sections of a recipe: which model a round starts from, and what of it may change."""

from typing import Literal

from pydantic import Field, model_validator

from tunesmith.section import Section


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


class MethodConfig(Section):
    """What of the model may change, and how."""

    name: Literal["lora", "full"] | None = None
    """`lora`: low-rank adapters (Hu et al., 2021); `full`: every weight. Default: full below 100 million parameters, else lora."""
    rank: int = Field(default=16, gt=0)
    """Rank of the LoRA update."""
    alpha: float | None = Field(default=None, gt=0)
    """LoRA's scale is alpha / rank; twice the rank where absent."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the adapters; above 0 rows are padded instead of sharing their prompts."""
    targets: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get an adapter."""
    head: Literal["tokens", "class"] = "tokens"
    """`tokens`: labels are written as text by the language model; `class`: a linear classification head on the mean of the last layer."""

    @model_validator(mode="after")
    def _alpha_follows_rank(self) -> "MethodConfig":
        if self.alpha is not None and self.name == "full":
            raise ValueError("alpha belongs to method.name: lora; remove it, or set method.name: lora")
        return self

    @property
    def scale(self) -> float:
        """LoRA's alpha, resolved."""
        return self.alpha if self.alpha is not None else 2.0 * self.rank
