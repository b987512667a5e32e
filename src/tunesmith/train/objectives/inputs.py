"""What objectives are given, one dataclass for each kind of supervision. Plain tensors; whoever drives the loop makes them.

Letters: S supervised tokens, P pairs, R rows, C labels, M mismatched rows. Weights are what a mean is divided by and
are never zero altogether.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenInputs:
    """Supervised tokens of a pass."""

    logps_S: Tensor
    """Log-probability of each supervised token."""
    weight_S: Tensor
    unwanted_S: Tensor | None = None
    """True where the token belongs to an answer that is not wanted; None where all are wanted."""
    mean_logps_S: Tensor | None = None
    """Mean over the vocabulary of the log-probabilities at the token's place; given where `needs` has mean_logps."""
    divergence_S: Tensor | None = None
    """KL at the token's place between student and teacher, at the objective's temperature and scaled by its square;
    given where `needs` has forward_kl or reverse_kl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairInputs:
    """A better and a worse answer to one prompt."""

    chosen_P: Tensor
    """Summed log-probability of the better answer's tokens."""
    rejected_P: Tensor
    chosen_tokens_P: Tensor
    """How many tokens that sum is over."""
    rejected_tokens_P: Tensor
    reference_chosen_P: Tensor | None = None
    """The same sum under the frozen reference; given where `needs` has reference."""
    reference_rejected_P: Tensor | None = None
    weight_P: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedInputs:
    """Answers judged one by one."""

    logps_R: Tensor
    """Summed log-probability of the answer's tokens."""
    reference_R: Tensor
    """The same sum under the frozen reference."""
    desirable_R: Tensor
    """True where the answer is a good one."""
    tokens_R: Tensor
    """How many tokens the sums are over."""
    weight_R: Tensor
    baseline: Tensor
    """Scalar, without gradient: `kto_baseline` of the whole step, the same in all its passes."""


@dataclass(frozen=True, slots=True)
class LabelInputs:
    """One label for each row."""

    logits_RC: Tensor
    label_R: Tensor
    weight_R: Tensor


@dataclass(frozen=True, slots=True)
class MultiLabelInputs:
    """Any number of labels for each row."""

    logits_RC: Tensor
    target_RC: Tensor
    """1.0 where the row has the label, 0.0 where not."""
    weight_R: Tensor


@dataclass(frozen=True, slots=True)
class ValueInputs:
    """One number for each row."""

    value_R: Tensor
    """What the head says."""
    target_R: Tensor
    weight_R: Tensor


@dataclass(frozen=True, slots=True)
class TagInputs:
    """One label for each supervised token."""

    logits_SC: Tensor
    tag_S: Tensor
    weight_S: Tensor
