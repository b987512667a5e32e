"""How a step is divided into passes changes nothing: 1 x 8 rows and 8 x 1 follow the same path over several steps.

For every objective, regularisers included. The one thing that would not hold is a router's auxiliary loss, which counts
the tokens of a pass; ours is never added.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.chat.render import Rendered
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.train.batches import Example, Feed, contrasted, example
from tunesmith.train.config import ObjectiveConfig, TrainConfig
from tunesmith.train.loop import StepReport, train
from tunesmith.train.objectives import objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.reference import Reference
from tunesmith.train.schedules import schedule_of
from tunesmith.train.state import Extras, TrainState

STEPS = 5


def rows(weight_by: str) -> list[Example]:
    """Twenty rows under three prompts, with answers of 1 to 6 tokens, so that a mean of means would be another loss."""
    made = []
    for number in range(20):
        prompt = tuple(range(10, 30)) if number % 3 else tuple(range(50, 56))
        answer = tuple(100 + (number * 7 + place) % 40 for place in range(1 + number % 6))
        made.append(example(Rendered(f"{number}", (*prompt, number + 60, *answer, 2), len(prompt) + 1), weight_by=weight_by))
    return made


def likely(*sequences: Any) -> tuple[float, ...]:
    """About what an untrained model gives each answer."""
    return tuple(-5.5 * sum(weight > 0 for weight in sequence.weights) for sequence in sequences)


def judged_by(name: str) -> list[Example]:
    """The twenty rows with what an objective wants of them."""
    made = rows("token")
    if name in ("dpo", "ipo", "orpo", "simpo"):
        worse = [replace(one.sequence, ids=(*one.sequence.ids[:-1], 77, 2), weights=(*one.sequence.weights, 1.0)) for one in made]
        return [
            replace(one, sequences=(one.sequence, worse[place]), reference=likely(one.sequence, worse[place]), weight=1.0 + place % 2)
            for place, one in enumerate(made)
        ]
    if name == "kto":
        paired = contrasted(made, 3)
        return [
            replace(one, wanted=place % 3 > 0, reference=likely(one.sequence), contrast_reference=likely(one.contrast)[0])
            for place, one in enumerate(paired)
        ]
    if name == "unlikelihood":
        return [replace(one, wanted=place % 3 > 0) for place, one in enumerate(made)]
    targets: dict[str, Any] = {
        "class": lambda place: place % 3,
        "multilabel": lambda place: (1.0, float(place % 2), 0.0),
        "regression": lambda place: place / 7,
        "tags": lambda place: ((2, 1), (3 + place % 3, 2)),
    }
    return [replace(one, target=targets[name](place)) for place, one in enumerate(made)] if name in targets else made


HEADS: dict[str, Any] = {"class": "class", "multilabel": "multilabel", "regression": "regression", "tags": "tags"}


@pytest.fixture(autouse=True)
def _one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products by torch's default library: how a step is divided is compared here, not how kernels round for other shapes."""
    monkeypatch.setattr("tunesmith.models.forward.widen", lambda model: None)


def trajectory(
    base: Path, examples: list[Example], name: str = "sft", seed: int = 0, ask: dict[str, Any] | None = None, **settings: Any
) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of the steps, and the weights after the last."""
    config = TrainConfig(**({"batch_rows": 8, "max_steps": STEPS, "epochs": 9, "learning_rate": 5e-3, "warmup": 0.2} | settings))
    loaded = load_base(BaseConfig(path=str(base)))
    reference = Reference(copy.deepcopy(loaded.model).requires_grad_(False))
    method = MethodConfig(name="full", head=HEADS.get(name, "tokens"))
    model = adapt(loaded.model, method, parameters=1, labels=3, seed=0)
    feed = Feed(examples, config, seed, layout="tree" if config.share_prefixes else "padded")
    state = TrainState(
        model,
        build_optimizers(model, config, 5e-3),
        schedule_of(config, feed.steps),
        config,
        5e-3,
        torch.device("cpu"),
        "fp32",
        extras=Extras(reference=reference),
    )
    reports = list(train(state, feed, [], objective(ObjectiveConfig(**(ask or {})), name)))
    return [report.loss for report in reports if isinstance(report, StepReport)], {
        name: p.detach().clone() for name, p in model.named_parameters()
    }


def same(left: tuple[list[float], dict[str, Tensor]], right: tuple[list[float], dict[str, Tensor]]) -> None:
    """Losses to 1e-5; weights to 1e-6 of their norm. Adam divides by a tiny root, which makes much of rounding in single values."""
    assert left[0] == pytest.approx(right[0], rel=1e-5)
    norm = sum(tensor.double().square().sum().item() for tensor in right[1].values()) ** 0.5
    difference = sum((left[1][name] - tensor).double().square().sum().item() for name, tensor in right[1].items()) ** 0.5
    assert difference / norm < 5e-6


@pytest.mark.parametrize("weight_by", ["token", "row"])
@pytest.mark.parametrize(
    "divided",
    [
        {"accumulate": 8},
        {"accumulate": 3},
        {"token_budget": 40},
        {"token_budget": 1},
        {"share_prefixes": False},
        {"gradient_checkpointing": True},
    ],
    ids=lambda settings: ", ".join(f"{name} {value}" for name, value in settings.items()),
)
def test_one_pass_of_eight_is_eight_of_one(tiny_base: Path, weight_by: str, divided: dict[str, Any]) -> None:
    examples = rows(weight_by)
    whole = trajectory(tiny_base, examples, weight_by=weight_by, accumulate=1, token_budget=10_000)
    assert len(whole[0]) == STEPS
    same(trajectory(tiny_base, examples, weight_by=weight_by, **divided), whole)


@pytest.mark.parametrize("divided", [{"accumulate": 8}, {"token_budget": 60}, {"share_prefixes": False}], ids=["8 x 1", "budget", "padded"])
@pytest.mark.parametrize(
    ("name", "ask", "settings"),
    [
        ("sft", {"label_smoothing": 0.1, "focal_gamma": 2.0}, {}),
        ("sft", {}, {"regularise": {"kl": 0.5}}),
        *((name, {}, {}) for name in ("class", "multilabel", "regression", "tags")),
        ("class", {"label_smoothing": 0.1, "focal_gamma": 1.0}, {}),
        *((name, {}, {}) for name in ("dpo", "ipo", "orpo", "simpo", "kto", "unlikelihood")),
        ("dpo", {}, {"regularise": {"kl": 0.5}}),
        ("distill", {"temperature": 2.0}, {}),
        ("distill", {"name": "distill", "direction": "reverse"}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value)) or None,
)
def test_for_every_objective(tiny_base: Path, name: str, ask: dict[str, Any], settings: dict[str, Any], divided: dict[str, Any]) -> None:
    examples, asked = judged_by(name), ask | ({"name": name} if ask else {})
    whole = trajectory(tiny_base, examples, name, ask=asked, token_budget=10_000, **settings)
    assert abs(whole[0][-1] - whole[0][0]) > 1e-3
    same(trajectory(tiny_base, examples, name, ask=asked, **settings, **divided), whole)


def test_weighting_by_row_is_another_loss(tiny_base: Path) -> None:
    """The parametrised test above would pass if `weight_by` did nothing; it does something."""
    by_token, by_row = (trajectory(tiny_base, rows(weight_by), weight_by=weight_by)[0] for weight_by in ("token", "row"))
    assert abs(by_token[0] - by_row[0]) > 1e-3


def test_rows_that_occur_twice_count_twice(tiny_base: Path) -> None:
    """A step over [a, a, b] has the loss (2a + b) / 3, on the tree as in plain passes."""
    a, b = rows("row")[1:3]
    assert a.sequence.ids[:20] == b.sequence.ids[:20]

    def first_loss(*members: Example, share: bool = True) -> float:
        found = trajectory(tiny_base, list(members), batch_rows=len(members), max_steps=1, weight_by="row", share_prefixes=share)[0]
        return found[0]

    alone_a, alone_b = first_loss(a), first_loss(b)
    assert first_loss(a, a, b) == pytest.approx((2 * alone_a + alone_b) / 3, rel=1e-5)
    assert first_loss(a, a, b, share=False) == pytest.approx((2 * alone_a + alone_b) / 3, rel=1e-5)
    assert abs(alone_a - alone_b) > 1e-3
