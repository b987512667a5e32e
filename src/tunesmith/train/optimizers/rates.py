"""The peak learning rate where a recipe names none."""

_OVER_ADAMW = {"adamw": 1.0, "muon": 1.0, "lion": 0.3, "adafactor": 3.0, "sgd": 50.0}
"""Each optimiser's rate over AdamW's, as their losses begin to rise (docs/log.md). Lion's updates are signs, larger than
AdamW's; Adafactor's rate is a share of a tensor's own size; SGD's updates are as small as the gradient, which is clipped."""


def default_learning_rate(method: str, parameters: int, head: str, optimizer: str = "adamw") -> float:
    """Peak rate for a method and a size of model: 5e-4 in full at 7 million parameters, falling with the square root of
    size; each method's own share of that. Measured for small models (docs/log.md), within folklore for large ones."""
    from tunesmith.models.methods import method as named

    full = 5e-4 * (7e6 / max(parameters, 1_000_000)) ** 0.5
    twice = 2 if head == "class" and method != "features" else 1
    return float(f"{named(method).default_rate(full) * twice * _OVER_ADAMW[optimizer]:.2g}")
