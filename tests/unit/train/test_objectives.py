"""Every objective against arithmetic done by hand, in plain Python floats, and what is required of all of them together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tunesmith.core.errors import RecipeError
from tunesmith.train.config import TAKEN_BY, ObjectiveConfig
from tunesmith.train.objectives import _TABLE, LossSum, Objective, objective
from tunesmith.train.objectives.inputs import (
    JudgedInputs,
    LabelInputs,
    MultiLabelInputs,
    PairInputs,
    TagInputs,
    TokenInputs,
    ValueInputs,
)
from tunesmith.train.objectives.kto import kto_baseline

ROWS = 6


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(seed: int = 9) -> Tensor:
    return numbers(ROWS, seed=seed).abs() + 0.1


def tokens(scale: float = 1.0) -> TokenInputs:
    return TokenInputs(
        logps_S=-numbers(ROWS, seed=1).abs() * scale,
        weight_S=weights(),
        unwanted_S=torch.arange(ROWS) % 2 == 1,
        mean_logps_S=-5 - numbers(ROWS, seed=2).abs() * scale,
        divergence_S=numbers(ROWS, seed=3).abs() * scale,
    )


def pairs(scale: float = 1.0) -> PairInputs:
    return PairInputs(
        chosen_P=-numbers(ROWS, seed=1).abs() * 9 * scale,
        rejected_P=-numbers(ROWS, seed=2).abs() * 9 * scale,
        chosen_tokens_P=torch.tensor([1, 2, 3, 4, 5, 6]),
        rejected_tokens_P=torch.tensor([5, 3, 7, 1, 2, 2]),
        reference_chosen_P=-numbers(ROWS, seed=3).abs() * 9,
        reference_rejected_P=-numbers(ROWS, seed=4).abs() * 9,
        weight_P=weights(),
    )


def judged(scale: float = 1.0) -> JudgedInputs:
    return JudgedInputs(
        logps_R=-numbers(ROWS, seed=1).abs() * 9 * scale,
        reference_R=-numbers(ROWS, seed=2).abs() * 9,
        desirable_R=torch.arange(ROWS) % 3 == 0,
        tokens_R=torch.arange(ROWS) + 1,
        weight_R=weights(),
        baseline=torch.tensor(0.7, dtype=torch.float64),
    )


def labels(scale: float = 1.0) -> LabelInputs:
    return LabelInputs(numbers(ROWS, 3, seed=1) * scale, torch.tensor([0, 1, 2, 2, 1, 0]), weights())


def multilabels(scale: float = 1.0) -> MultiLabelInputs:
    return MultiLabelInputs(numbers(ROWS, 3, seed=1) * scale, (numbers(ROWS, 3, seed=2) > 0).double(), weights())


def values(scale: float = 1.0) -> ValueInputs:
    return ValueInputs(numbers(ROWS, seed=1) * scale, numbers(ROWS, seed=2) * 2, weights())


def tags(scale: float = 1.0) -> TagInputs:
    return TagInputs(numbers(ROWS, 3, seed=1) * scale, torch.tensor([2, 1, 0, 2, 1, 0]), weights())


MADE: dict[str, Callable[..., Any]] = {
    "tokens": tokens,
    "pairs": pairs,
    "judged": judged,
    "labels": labels,
    "multilabels": multilabels,
    "values": values,
    "tags": tags,
}
LEARNT = {
    "tokens": ("logps_S", "mean_logps_S", "divergence_S"),
    "pairs": ("chosen_P", "rejected_P"),
    "judged": ("logps_R",),
    "labels": ("logits_RC",),
    "multilabels": ("logits_RC",),
    "values": ("value_R",),
    "tags": ("logits_SC",),
}
"""The tensors of each kind of input that carry a gradient."""
C3 = (0.5, 2.0, 1.25)


def made(name: str, **settings: Any) -> Objective:
    """The objective of a config with these settings, with three class weights where they ask for any."""
    return objective(ObjectiveConfig(name=name, **settings), name, class_weights=C3 if "class_weights" in settings else None)


CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in _TABLE),
    *((name, {"focal_gamma": gamma}) for name in TAKEN_BY["focal_gamma"] for gamma in (0.5, 2.0)),
    *((name, {"label_smoothing": 0.1}) for name in TAKEN_BY["label_smoothing"]),
    *((name, {"class_weights": "balanced", "focal_gamma": 1.5}) for name in TAKEN_BY["class_weights"]),
    ("class", {"class_weights": "balanced", "focal_gamma": 0.5, "label_smoothing": 0.2}),
    ("sft", {"focal_gamma": 2.0, "label_smoothing": 0.2}),
    ("regression", {"huber_delta": 0.5}),
    ("dpo", {"beta": 0.5, "per_token": True}),
    ("ipo", {"beta": 0.5, "per_token": False}),
    ("kto", {"beta": 0.3, "desirable_weight": 1.5, "undesirable_weight": 0.5}),
    ("simpo", {"beta": 3.0, "margin": 0.0}),
    ("orpo", {"odds_weight": 0.7}),
    ("distill", {"direction": "reverse", "temperature": 2.0, "hard_share": 0.25}),
    ("unlikelihood", {"unwanted_weight": 0.3}),
]
each_case = pytest.mark.parametrize(
    ("name", "settings"), CASES, ids=[" ".join([name, *(f"{key}={value}" for key, value in settings.items())]) for name, settings in CASES]
)


def every_row(x: Any) -> list[list[Any]]:
    """The fields of inputs as Python numbers, one list per row, in the order of the fields; scalars are repeated."""
    columns = [getattr(x, field.name) for field in fields(x)]
    return [list(row) for row in zip(*[[c.item()] * ROWS if c.dim() == 0 else c.tolist() for c in columns], strict=True)]


def weighted(loss: Callable[..., float], x: Any) -> tuple[float, float]:
    """Sum of loss times weight and sum of weights, the loss of a row being given all its fields but the weight."""
    places = [field.name for field in fields(x)]
    at = next(place for place, name in enumerate(places) if name.startswith("weight_"))
    rows = every_row(x)
    return sum(row[at] * loss(*row[:at], *row[at + 1 :]) for row in rows), sum(row[at] for row in rows)


def check(found: LossSum, expected: tuple[float, float]) -> None:
    assert (found.total.item(), found.weight) == pytest.approx(expected, rel=1e-12)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def probabilities(logits: Sequence[float]) -> list[float]:
    whole = sum(math.exp(z) for z in logits)
    return [math.exp(z) / whole for z in logits]


# Each against its equation


@pytest.mark.parametrize("name", ["sft", "text"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("e", [0.0, 0.2])
def test_next_token(name: str, gamma: float, e: float) -> None:
    def loss(logp: float, unwanted: bool, mean: float, divergence: float) -> float:
        return (1 - math.exp(logp)) ** gamma * (-(1 - e) * logp - e * mean)

    check(made(name, focal_gamma=gamma, label_smoothing=e)(tokens()), weighted(loss, tokens()))


@pytest.mark.parametrize("name", ["class", "tags"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("e", [0.0, 0.2])
@pytest.mark.parametrize("by_class", [False, True])
def test_labels(name: str, gamma: float, e: float, by_class: bool) -> None:
    w = C3 if by_class else (1.0, 1.0, 1.0)

    def loss(logits: list[float], y: int) -> float:
        p = probabilities(logits)
        smoothed = -(1 - e) * w[y] * math.log(p[y]) - e / 3 * sum(w[c] * math.log(p[c]) for c in range(3))
        return float((1 - p[y]) ** gamma * smoothed)

    settings: dict[str, Any] = {"class_weights": "balanced"} if by_class else {}
    x = MADE["labels" if name == "class" else "tags"]()
    check(made(name, focal_gamma=gamma, label_smoothing=e, **settings)(x), weighted(loss, x))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("by_class", [False, True])
def test_multilabel(gamma: float, by_class: bool) -> None:
    w = C3 if by_class else (1.0, 1.0, 1.0)

    def loss(logits: list[float], target: list[float]) -> float:
        terms = []
        for c in range(3):
            p = sigmoid(logits[c])
            terms.append(-w[c] * (1 - p) ** gamma * math.log(p) if target[c] else -(p**gamma) * math.log(1 - p))
        return sum(terms) / 3

    settings: dict[str, Any] = {"class_weights": "balanced"} if by_class else {}
    check(made("multilabel", focal_gamma=gamma, **settings)(multilabels()), weighted(loss, multilabels()))


def test_regression() -> None:
    check(made("regression")(values()), weighted(lambda value, target: (value - target) ** 2, values()))


def test_huber_is_square_near_and_straight_far() -> None:
    def loss(value: float, target: float) -> float:
        error = abs(value - target)
        return error**2 / 2 if error <= 0.5 else 0.5 * (error - 0.25)

    errors = [abs(row[0] - row[1]) for row in every_row(values())]
    assert min(errors) < 0.5 < max(errors)
    check(made("regression", huber_delta=0.5)(values()), weighted(loss, values()))


@pytest.mark.parametrize("per_token", [None, False, True])
@pytest.mark.parametrize("name", ["dpo", "ipo"])
def test_preferences_over_a_reference(name: str, per_token: bool | None) -> None:
    beta = 0.25
    by_token = per_token if per_token is not None else name == "ipo"

    def loss(chosen: float, rejected: float, n_c: int, n_r: int, ref_c: float, ref_r: float) -> float:
        n_c, n_r = (n_c, n_r) if by_token else (1, 1)
        margin = (chosen - ref_c) / n_c - (rejected - ref_r) / n_r
        return -math.log(sigmoid(beta * margin)) if name == "dpo" else (margin - 1 / (2 * beta)) ** 2

    check(made(name, beta=beta, per_token=per_token)(pairs()), weighted(loss, pairs()))


def test_simpo() -> None:
    def loss(chosen: float, rejected: float, n_c: int, n_r: int, *_: float) -> float:
        return -math.log(sigmoid(3.0 * (chosen / n_c - rejected / n_r) - 0.4))

    check(made("simpo", beta=3.0, margin=0.4)(pairs()), weighted(loss, pairs()))


def test_orpo() -> None:
    def loss(chosen: float, rejected: float, n_c: int, n_r: int, *_: float) -> float:
        p_c, p_r = math.exp(chosen / n_c), math.exp(rejected / n_r)
        ratio = (p_c / (1 - p_c)) / (p_r / (1 - p_r))
        return -math.log(p_c) - 0.3 * math.log(sigmoid(math.log(ratio)))

    check(made("orpo", odds_weight=0.3)(pairs()), weighted(loss, pairs()))


def test_kto() -> None:
    def loss(logp: float, reference: float, desirable: bool, count: int, baseline: float) -> float:
        reward = logp - reference
        return 1.5 * (1 - sigmoid(0.3 * (reward - baseline))) if desirable else 0.5 * (1 - sigmoid(0.3 * (baseline - reward)))

    check(made("kto", beta=0.3, desirable_weight=1.5, undesirable_weight=0.5)(judged()), weighted(loss, judged()))


def test_distill() -> None:
    def loss(logp: float, unwanted: bool, mean: float, divergence: float) -> float:
        return 0.75 * divergence - 0.25 * logp

    check(made("distill", hard_share=0.25)(tokens()), weighted(loss, tokens()))


def test_unlikelihood() -> None:
    def loss(logp: float, unwanted: bool, mean: float, divergence: float) -> float:
        return -0.3 * math.log(1 - math.exp(logp)) if unwanted else -logp

    check(made("unlikelihood", unwanted_weight=0.3)(tokens()), weighted(loss, tokens()))


def test_the_baseline_of_kto_is_a_mean_and_never_below_zero() -> None:
    logps = torch.tensor([1.0, -2.0, 4.0], requires_grad=True)
    baseline = kto_baseline(logps, torch.zeros(3))
    assert baseline.item() == 1.0
    assert not baseline.requires_grad
    assert kto_baseline(-logps, torch.zeros(3)).item() == 0.0
    assert kto_baseline(torch.zeros(0), torch.zeros(0)).item() == 0.0


# Required of all


@each_case
def test_two_halves_make_the_whole(name: str, settings: dict[str, Any]) -> None:
    """Total and divisor add up over any division of the rows, gradients too, so that a step in 8 passes is the step in one."""
    loss = made(name, **settings)
    whole = MADE[loss.inputs]()
    learnt = [getattr(whole, field).requires_grad_() for field in LEARNT[loss.inputs]]

    def part(*rows: int) -> LossSum:
        chosen = torch.tensor(rows)
        columns = {field.name: getattr(whole, field.name) for field in fields(whole)}
        return loss(replace(whole, **{key: column[chosen] for key, column in columns.items() if column.dim()}))

    found, parts = loss(whole), [part(4, 0), part(1, 2, 3, 5)]
    assert found.weight == pytest.approx(sum(piece.weight for piece in parts), rel=1e-12)
    assert found.total.item() == pytest.approx(sum(piece.total.item() for piece in parts), rel=1e-12)
    gradients = torch.autograd.grad(found.total, learnt, allow_unused=True)
    summed = torch.autograd.grad(parts[0].total + parts[1].total, learnt, allow_unused=True)
    for gradient, other in zip(gradients, summed, strict=True):
        assert (gradient is None) == (other is None)
        assert gradient is None or torch.allclose(gradient, other, rtol=1e-12, atol=0)


@each_case
def test_the_divisor_is_the_sum_of_the_weights_that_came_in(name: str, settings: dict[str, Any]) -> None:
    """So it is known before the forward pass, whatever the objective does with class weights and the like."""
    loss = made(name, **settings)
    assert loss(MADE[loss.inputs]()).weight == pytest.approx(weights().sum().item(), rel=1e-12)


@each_case
def test_gradients_are_those_of_the_loss(name: str, settings: dict[str, Any]) -> None:
    loss = made(name, **settings)
    x = MADE[loss.inputs]()
    learnt = tuple(getattr(x, field).requires_grad_() for field in LEARNT[loss.inputs])

    def total(*tensors: Tensor) -> Tensor:
        return loss(replace(x, **dict(zip(LEARNT[loss.inputs], tensors, strict=True)))).total

    assert torch.autograd.gradcheck(total, learnt)


@each_case
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 1e-6, 50.0, 1e4])
def test_extremes_stay_finite_in_float32(name: str, settings: dict[str, Any], size: float) -> None:
    """Log-probabilities from 0 (p = 1) to -10,000, logits and values up to 10,000: loss and gradient are numbers."""
    loss = made(name, **settings)
    made_here = MADE[loss.inputs](size)
    x = replace(
        made_here,
        **{field.name: column.float() for field in fields(made_here) if (column := getattr(made_here, field.name)).is_floating_point()},
    )
    learnt = [getattr(x, field).requires_grad_() for field in LEARNT[loss.inputs]]
    found = loss(x).total
    assert found.isfinite()
    for gradient in torch.autograd.grad(found, learnt, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


def test_a_probability_rounded_above_one_is_survived() -> None:
    for name, settings in (("sft", {"focal_gamma": 0.5}), ("unlikelihood", {})):
        logps = torch.tensor([1e-7, 6e-8], requires_grad=True)
        found = made(name, **settings)(TokenInputs(logps, torch.ones(2), unwanted_S=torch.tensor([True, True]))).total
        (gradient,) = torch.autograd.grad(found, [logps])
        assert found.isfinite() and gradient.isfinite().all()


def test_a_sure_unwanted_token_is_still_pressed_down() -> None:
    """At p = 1 in float32 the loss keeps a slope, and the logits beside it a gradient that raises them."""
    logits = torch.tensor([[30.0, 0.0, 3.0]], requires_grad=True)
    logps = torch.log_softmax(logits, dim=-1)[:, 0]
    assert logps.item() > -1e-7
    made("unlikelihood")(TokenInputs(logps, torch.ones(1), unwanted_S=torch.tensor([True]))).total.backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert logits.grad[0, 2] < 0


@pytest.mark.parametrize("name", TAKEN_BY["focal_gamma"])
def test_a_gamma_of_nearly_zero_is_nearly_the_plain_loss(name: str) -> None:
    plain, focal = made(name), made(name, focal_gamma=1e-9)
    x = MADE[plain.inputs]()
    assert focal(x).total.item() == pytest.approx(plain(x).total.item(), rel=1e-7)
    assert made(name, focal_gamma=0.0) == plain


@pytest.mark.parametrize("name", TAKEN_BY["label_smoothing"])
def test_a_smoothing_of_nearly_zero_is_nearly_the_plain_loss(name: str) -> None:
    plain, smoothed = made(name), made(name, label_smoothing=1e-9)
    x = MADE[plain.inputs]()
    assert smoothed(x).total.item() == pytest.approx(plain(x).total.item(), rel=1e-7)


def test_smoothing_is_the_same_for_tokens_as_for_labels() -> None:
    """A token is a label of the vocabulary: both ways of writing it agree."""
    x = labels()
    logps_RC = torch.log_softmax(x.logits_RC, dim=-1)
    by_token = TokenInputs(logps_RC[torch.arange(ROWS), x.label_R], x.weight_R, mean_logps_S=logps_RC.mean(dim=-1))
    settings = {"label_smoothing": 0.3, "focal_gamma": 1.5}
    assert made("sft", **settings)(by_token).total.item() == pytest.approx(made("class", **settings)(x).total.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["class", "multilabel", "tags"])
def test_half_precision_logits_are_widened(name: str) -> None:
    loss = made(name, class_weights="balanced", focal_gamma=2.0)
    x = MADE[loss.inputs]()
    field = LEARNT[loss.inputs][0]
    half = getattr(x, field).bfloat16()
    assert loss(replace(x, **{field: half})).total.item() == pytest.approx(loss(replace(x, **{field: half.float()})).total.item(), rel=1e-6)


# What each asks for, and how it is made


def test_what_each_asks_for() -> None:
    assert {name: (made(name).inputs, *sorted(made(name).needs)) for name in _TABLE} == {
        "sft": ("tokens",),
        "text": ("tokens",),
        "class": ("labels",),
        "multilabel": ("multilabels",),
        "regression": ("values",),
        "tags": ("tags",),
        "dpo": ("pairs", "reference"),
        "ipo": ("pairs", "reference"),
        "kto": ("judged", "reference"),
        "orpo": ("pairs",),
        "simpo": ("pairs",),
        "distill": ("tokens", "forward_kl"),
        "unlikelihood": ("tokens",),
    }
    assert made("sft", label_smoothing=0.1).needs == {"mean_logps"}
    assert made("distill", direction="reverse").needs == {"reverse_kl"}


def test_nothing_is_missing_is_noticed() -> None:
    bare = TokenInputs(tokens().logps_S, weights())
    for loss, what in ((made("sft", label_smoothing=0.1), "mean_logps_S"), (made("distill"), "divergence")):
        with pytest.raises(AssertionError, match=what):
            loss(bare)
    with pytest.raises(AssertionError, match="reference"):
        made("dpo")(replace(pairs(), reference_chosen_P=None))


def test_the_config_fills_the_parameters() -> None:
    simpo: Any = made("simpo", margin=0.3)
    assert (simpo.beta, simpo.margin) == (2.0, 0.3)
    dpo: Any = made("dpo")
    assert (dpo.beta, dpo.per_token) == (0.1, False)
    distill: Any = made("distill", temperature=2.0, direction="reverse", hard_share=0.0)
    assert (distill.temperature, distill.direction, distill.hard_share) == (2.0, "reverse", 0.0)
    label_class: Any = made("class", class_weights={"a": 2.0})
    assert label_class.class_weights == C3


def test_the_name_may_come_from_the_task() -> None:
    assert objective(ObjectiveConfig(label_smoothing=0.1), "class") == made("class", label_smoothing=0.1)
    with pytest.raises(
        RecipeError, match=r"^objective: class_weights is taken by class, multilabel, tags, not by sft: remove class_weights"
    ):
        objective(ObjectiveConfig(class_weights="balanced"), "sft")


def test_class_weights_are_not_forgotten() -> None:
    with pytest.raises(ValueError, match="resolve_class_weights"):
        objective(ObjectiveConfig(name="class", class_weights="balanced"), "class")
