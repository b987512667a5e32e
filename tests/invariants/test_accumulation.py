"""How a step is divided into passes changes nothing: 1 x 8 rows and 8 x 1 follow the same path over several steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.chat.render import Rendered
from tunesmith.models.adapt import adapt
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.train.batches import Example, Feed, example
from tunesmith.train.config import TrainConfig
from tunesmith.train.loop import StepReport, train
from tunesmith.train.objectives import objective
from tunesmith.train.optimizers import build_optimizers
from tunesmith.train.schedule import schedule_of
from tunesmith.train.state import TrainState

STEPS = 5


def rows(weight_by: str) -> list[Example]:
    """Twenty rows under three prompts, with answers of 1 to 6 tokens, so that a mean of means would be another loss."""
    made = []
    for number in range(20):
        prompt = tuple(range(10, 30)) if number % 3 else tuple(range(50, 56))
        answer = tuple(100 + (number * 7 + place) % 40 for place in range(1 + number % 6))
        made.append(example(Rendered(f"{number}", (*prompt, number + 60, *answer, 2), len(prompt) + 1), weight_by=weight_by))
    return made


def trajectory(
    base: Path, examples: list[Example], seed: int = 0, head: bool = False, **settings: Any
) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of the steps, and the weights after the last."""
    config = TrainConfig(**({"batch_rows": 8, "max_steps": STEPS, "epochs": 9, "learning_rate": 5e-3, "warmup": 0.2} | settings))
    loaded = load_base(BaseConfig(path=str(base)))
    method = MethodConfig(name="full", head="class" if head else "tokens")
    model = adapt(loaded.model, method, parameters=1, labels=3, seed=0)
    feed = Feed(examples, config, seed, share=config.share_prefixes)
    rate = 5e-3
    state = TrainState(
        model, build_optimizers(model, config, rate), schedule_of(config, feed.steps), config, rate, torch.device("cpu"), "fp32"
    )
    reports = list(train(state, feed, [], objective("class" if head else "sft")))
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


def test_a_head_accumulates_exactly_too(tiny_base: Path) -> None:
    examples = [Example(item.row_id, item.sequence, place % 3) for place, item in enumerate(rows("token"))]
    whole = trajectory(tiny_base, examples, head=True, accumulate=1, token_budget=10_000)
    same(trajectory(tiny_base, examples, head=True, accumulate=8), whole)


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
