"""What the preference objectives measure of a pair. Letters: P pairs."""

from torch import Tensor

from tunesmith.train.objectives.inputs import PairInputs


def mean_logps(x: PairInputs) -> tuple[Tensor, Tensor]:
    """Mean log-probability of a token of the chosen, and of the rejected answer; an empty answer has 0."""
    return x.chosen_P / x.chosen_tokens_P.clamp(min=1), x.rejected_P / x.rejected_tokens_P.clamp(min=1)


def margin_over_reference(x: PairInputs, *, per_token: bool) -> Tensor:
    """How much more the chosen answer has gained over the reference than the rejected one, in nats: [P].

    log(pi(y_w) / ref(y_w)) - log(pi(y_l) / ref(y_l)); per token: each of the two divided by its answer's tokens.
    """
    assert x.reference_chosen_P is not None and x.reference_rejected_P is not None, "needs has reference"
    chosen_P, rejected_P = x.chosen_P - x.reference_chosen_P, x.rejected_P - x.reference_rejected_P
    if per_token:
        chosen_P, rejected_P = chosen_P / x.chosen_tokens_P.clamp(min=1), rejected_P / x.rejected_tokens_P.clamp(min=1)
    return chosen_P - rejected_P
