"""Distillation: a teacher's whole distribution at each supervised token, mixed with the token itself."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tunesmith.train.objectives import LossSum
from tunesmith.train.objectives.inputs import TokenInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Distill:
    """(1 - a) T^2 KL + a (-log p), a the hard share (Hinton, Vinyals and Dean, 2015, section 2).

    Forward: KL(teacher || student), the student covers all the teacher says; reverse: KL(student || teacher), it keeps
    to what the teacher says most (Gu et al., 2024). The divergence comes in with T^2 in it, from `distribution`; the
    token's own loss is taken at T = 1. Divided by the sum of token weights.
    """

    direction: Literal["forward", "reverse"] = "forward"
    temperature: float = 1.0
    """At which `divergence_S` is to be made."""
    hard_share: float = 0.5

    inputs: ClassVar[str] = "tokens"

    @property
    def needs(self) -> frozenset[str]:
        """The divergence, in its direction."""
        return frozenset({f"{self.direction}_kl"})

    def __call__(self, x: TokenInputs) -> LossSum:
        assert x.divergence_S is not None, "needs has a divergence"
        return LossSum.of((1 - self.hard_share) * x.divergence_S - self.hard_share * x.logps_S, x.weight_S)
