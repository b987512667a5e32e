"""BitFit (Ben Zaken et al., 2022): the biases alone. Costs hardly any gradient or moment; keeps a whole model."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import inner
from tunesmith.models.methods import Method


@dataclass(frozen=True)
class BitFit(Method):
    """Biases. Rate: 1e-4 to 1e-3 for 110 to 340 million parameters in the paper."""

    name: str = "bitfit"
    summary: str = "biases alone"
    rate_factor: float = 8.0
    most_rate: float = 2e-3

    def apply(self, model: nn.Module, config: MethodConfig, seed: int, new_ids: Sequence[int] = ()) -> nn.Module:
        """See Method.apply."""
        names = [name for name, _ in model.named_parameters() if name.endswith("bias")]
        if not names:
            raise RecipeError(
                f"method.name: bitfit trains biases, and this {inner(model).config.model_type} model has none: set method.name: layers "
                "with train_only: ['*norm*'] for about as few weights, or method.name: ia3 or lora."
            )
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in names)
        return model
