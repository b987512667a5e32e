"""LoRA (Hu et al., 2021): W + s B A with W frozen, A [r, in], B [out, r] and s = alpha / r; B starts at zero.

Costs two thin products for each adapted layer, added to the wide one in place (methods/lowrank.py); gradients and moments
of the thin matrices alone. `all-linear` takes in the experts of a mixture and its router, whose tensors are put together
with their adapters in every pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.methods.adapters import AdapterMethod, is_transposed


@dataclass(frozen=True)
class Lora(AdapterMethod):
    """Low-rank adapters; the family's other members change one setting each.

    Rate: eight times full fine-tuning's, at most 2e-3: measured for small models (docs/log.md); it gives 1.3e-4 at 7
    billion parameters, where 1e-4 to 2e-4 is usual.
    """

    name: str = "lora"
    summary: str = "LoRA"
    rate_factor: float = 8.0
    most_rate: float = 2e-3
    trains_new_rows: bool = True

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply. New tokens' rows are trained beside the adapters, and kept with them."""
        return self.wrap(model, config, new_ids)

    def load(self, folder: Path, base: BaseConfig, seed: int) -> nn.Module:
        """See Method.load."""
        from tunesmith.models.methods.lowrank import quicken

        loaded = super().load(folder, base, seed)
        quicken(loaded)
        return loaded

    def wrap(self, model: nn.Module, config: MethodConfig, new_ids: Sequence[int], **settings: Any) -> nn.Module:
        """Put PEFT's adapters on.

        Args:
            model: the base.
            config: rank, alpha, dropout and targets.
            new_ids: ids whose embedding rows learn.
            settings: what the member of the family changes.
        """
        from peft import LoraConfig, get_peft_model

        from tunesmith.models.methods.lowrank import quicken

        targets: str | list[str] = config.targets
        scale: Any = config.scale(self.name)
        lora = LoraConfig(
            r=config.rank,
            lora_alpha=scale,
            lora_dropout=config.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
            bias="none",
            fan_in_fan_out=is_transposed(model),
            trainable_token_indices=_rows(model, new_ids),
            **settings,
        )
        language_model = inner(model)
        linear = sorted({name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
        try:
            wrapped: nn.Module = get_peft_model(language_model, lora)
            quicken(wrapped)
            return wrapped
        except (ValueError, AttributeError) as error:  # PEFT's words for what its adapters of experts can't do
            if "ParamWrapper" in str(error) or "Experts" in str(error):
                asked = "dropout inside adapters" if config.dropout else f"method.name: {self.name}"
                raise RecipeError(
                    f"{asked} can't be had for the experts of {language_model.config.model_type} models, which are kept as one tensor: set "
                    f"method.targets to other layers ({', '.join(linear)}), or use plain lora without dropout."
                ) from error
            raise RecipeError(
                f"method.targets {config.targets!r} name no layer of this model. Its linear layers: {', '.join(linear)}."
            ) from error


def _rows(model: nn.Module, new_ids: Sequence[int]) -> dict[str, list[int]] | None:
    """Where the rows of new tokens are: in the embeddings, and in an output layer of its own where there is one.

    Raises:
        RecipeError: an output layer with biases, which PEFT would lose.
    """
    if not new_ids:
        return None
    language_model: Any = inner(model)
    entry: Any = language_model.get_input_embeddings()
    leave: Any = language_model.get_output_embeddings()
    tied = leave.weight is entry.weight
    if getattr(leave, "bias", None) is not None:
        raise RecipeError(
            f"base.new_tokens can't be trained beside adapters here: the output layer of {language_model.config.model_type} models has "
            "biases. Set method.name: full, or leave the tokens out."
        )
    modules = [entry] if tied else [entry, leave]
    return {name: list(new_ids) for name, module in language_model.named_modules() if any(module is one for one in modules)}
