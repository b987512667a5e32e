"""What the `train` section refuses: settings that what was chosen would not read, and settings that contradict one another."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tunesmith.train.config import TrainConfig


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"optimizer": "sgd", "betas": (0.9, 0.9)}, "betas belongs to optimizer: adamw or lion or muon, not sgd; remove it"),
        ({"optimizer": "adafactor", "betas": (0.9, 0.9)}, "not adafactor"),
        ({"momentum": 0.9}, "momentum belongs to optimizer: sgd or muon, not adamw"),
        ({"optimizer": "muon", "nesterov": True}, "nesterov belongs to optimizer: sgd, not muon"),
        ({"optimizer": "sgd", "nesterov": True, "momentum": 0}, "nesterov looks ahead along the momentum, which is 0"),
        ({"betas": (0.9, 1.0)}, "betas are 0.9 and 1.0; both must be at least 0 and less than 1"),
        ({"decay_share": 0.2}, "decay_share belongs to schedule: wsd, not cosine"),
        ({"plateau": {"factor": 0.1}}, "plateau belongs to schedule: plateau, not cosine"),
        ({"schedule": "constant", "final_share": 0.1}, "final_share 0.1 has no place in schedule: constant"),
        ({"schedule": "one_cycle", "warmup": 0}, "one_cycle rises over its warmup, which is 0"),
        ({"schedule": "plateau", "early_stopping": {"patience": 1}}, "early_stopping.patience 1 ends the run before plateau.patience 1"),
        ({"schedule": "plateau", "plateau": {"patience": 4}}, "early_stopping.patience 3 ends the run before plateau.patience 4"),
        ({"regularise": {"replay": {"share": 0.2}}}, "share 0.2 needs rows to replay: set path, or remove share"),
    ],
)
def test_what_would_not_be_read_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        TrainConfig.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"learning_rate": "find"},
        {"learning_rate": 1e-4, "optimizer": "lion", "betas": (0.95, 0.98)},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "nesterov": True},
        {"optimizer": "muon", "momentum": 0.9, "betas": (0.9, 0.99)},
        {"schedule": "wsd", "decay_share": 0.1, "final_share": 0.1},
        {"schedule": "plateau", "plateau": {"patience": 2}},
        {"schedule": "plateau", "plateau": {"patience": 5}, "early_stopping": {"patience": None}},
        {"regularise": {"l2_sp": 0.1, "kl": 0.1, "ema": 0.99, "neftune": 5, "interpolate": True}},
        {"regularise": {"replay": {"path": "general.jsonl", "share": 0.2}}},
    ],
)
def test_what_agrees_is_taken_and_comes_back(settings: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(settings)
    assert TrainConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("rate", [0, -1.0, "seek"])
def test_a_rate_is_above_zero_or_to_be_found(rate: object) -> None:
    with pytest.raises(ValidationError):
        TrainConfig.model_validate({"learning_rate": rate})
