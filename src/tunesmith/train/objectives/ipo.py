"""Identity preference optimisation: preferences with a bound on how far they may carry the model."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import PairInputs
from tunesmith.train.objectives.pairs import margin_over_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class IPO:
    """Bring the margin over the reference to 1 / (2 beta), and no further (Azar et al., 2024, eq. 17, tau as beta).

    (h - 1 / (2 beta))^2. The paper writes h with sums; a mean per token, as here unless told otherwise, is what its
    authors' results and other libraries use, so that long answers do not count more. Divided by the sum of pair weights.
    """

    beta: float = 0.1
    per_token: bool = True

    inputs: ClassVar[str] = "pairs"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __call__(self, x: PairInputs) -> LossSum:
        margin_P = margin_over_reference(x, per_token=self.per_token)
        return LossSum.of((margin_P - 1 / (2 * self.beta)).square(), x.weight_P)
