"""The peak learning rate where a recipe names none."""

_OVER_ADAMW = {"adamw": 1.0, "muon": 1.0, "lion": 0.3, "adafactor": 3.0, "sgd": 50.0}
"""Each optimiser's rate over AdamW's, as their losses begin to rise (docs/log.md). Lion's updates are signs, larger than
AdamW's; Adafactor's rate is a share of a tensor's own size; SGD's updates are as small as the gradient, which is clipped."""
_ENOUGH_STEPS = 144
_MOST_HURRY = 3.0
_HURRIES = ("full", "layers")
_HURRIES_BELOW = 100_000_000
"""Parameters; larger models were not measured."""


def default_learning_rate(method: str, parameters: int, head: str, optimizer: str = "adamw", steps: int | None = None) -> float:
    """Peak rate for a method and a size of model: 5e-4 in full at 7 million parameters, falling with the square root of
    size; each method's own share of that. Measured for small models (docs/log.md), within folklore for large ones.

    A short run needs larger steps to get as far: where a small model is trained in full, or its top layers are, the rate of fewer than 144
    steps rises with the square root of how many they fall short, to three times at most (docs/decisions/0029).

    Args:
        method: its name.
        parameters: how many the model has.
        head: `tokens` where answers are text.
        optimizer: its name.
        steps: of the run; None: as many as it takes.
    """
    from tunesmith.models.methods import method as named

    full = 5e-4 * (7e6 / max(parameters, 1_000_000)) ** 0.5
    twice = 2 if head == "class" and method != "features" else 1
    hurry = _hurry(steps) if method in _HURRIES and parameters < _HURRIES_BELOW else 1.0
    return float(f"{named(method).default_rate(full) * twice * hurry * _OVER_ADAMW[optimizer]:.2g}")


def _hurry(steps: int | None) -> float:
    return 1.0 if steps is None else min(max((_ENOUGH_STEPS / max(steps, 1)) ** 0.5, 1.0), _MOST_HURRY)
