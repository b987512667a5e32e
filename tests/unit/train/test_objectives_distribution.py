"""log(1 - p), the divergences, and class weights as numbers."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tunesmith.core.errors import RecipeError
from tunesmith.train.objectives.class_weights import resolve_class_weights, resolve_positive_weights
from tunesmith.train.objectives.distribution import forward_kl, log1mexp, reverse_kl
from tunesmith.train.objectives.inputs import LabelInputs
from tunesmith.train.objectives.label_class import LabelClass

BOTH = pytest.mark.parametrize("divergence", [forward_kl, reverse_kl])
Divergence = Callable[..., Tensor]


def logits(seed: int) -> Tensor:
    return torch.randn(5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


@pytest.mark.parametrize("logp", [-1e4, -50.0, -20.0, -1.0, -0.7, -0.69, -0.1, -1e-3, -1e-8, -1e-12])
def test_log1mexp_is_exact_in_double(logp: float) -> None:
    expected = math.log(-math.expm1(logp)) if logp > -0.69 else math.log1p(-math.exp(logp))
    x = torch.tensor(logp, dtype=torch.float64, requires_grad=True)
    found = log1mexp(x)
    (slope,) = torch.autograd.grad(found, [x])
    assert found.item() == pytest.approx(expected, rel=1e-14, abs=1e-300)
    assert slope.item() == pytest.approx(-1 / math.expm1(-logp) if logp > -700 else 0.0, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("logp", [0.0, -1e-30, 1e-7, -1.1e-7, -1e4, float("-inf")])
def test_log1mexp_has_a_finite_slope_everywhere(logp: float) -> None:
    x = torch.tensor(logp, requires_grad=True)
    found = log1mexp(x)
    (slope,) = torch.autograd.grad(found, [x])
    assert found.isfinite() and slope.isfinite()
    assert slope.item() < 0 or logp < -50


def test_log1mexp_has_no_step_where_it_turns_straight() -> None:
    eps = torch.finfo(torch.float32).eps
    near, at, past = log1mexp(torch.tensor([-1.001 * eps, -eps, -0.999 * eps])).tolist()
    assert near > at > past
    assert near - past < 0.01


@BOTH
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_divergence_is_zero_between_equals_and_positive_else(divergence: Divergence, temperature: float) -> None:
    assert divergence(logits(0), logits(0), temperature).tolist() == [0.0] * 5
    assert divergence(logits(0), logits(0) + 4.0, temperature).abs().max() < 1e-12  # a constant changes no distribution
    assert (divergence(logits(0), logits(1), temperature) > 1e-3).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_divergences_are_those_of_torch_times_the_temperature_squared(temperature: float) -> None:
    student, teacher = (F.log_softmax(logits(seed) / temperature, dim=-1) for seed in (0, 1))
    expected = F.kl_div(student, teacher, log_target=True, reduction="none").sum(-1) * temperature**2
    assert torch.allclose(forward_kl(logits(0), logits(1), temperature), expected, rtol=1e-12)
    expected = F.kl_div(teacher, student, log_target=True, reduction="none").sum(-1) * temperature**2
    assert torch.allclose(reverse_kl(logits(0), logits(1), temperature), expected, rtol=1e-12)


def test_one_is_the_other_with_sides_changed() -> None:
    assert torch.equal(forward_kl(logits(0), logits(1), 2.0), reverse_kl(logits(1), logits(0), 2.0))


def test_forward_kl_is_cross_entropy_less_the_teacher_s_entropy() -> None:
    student = logits(0).requires_grad_()
    (found,) = torch.autograd.grad(forward_kl(student, logits(1)).sum(), [student])
    (expected,) = torch.autograd.grad(F.cross_entropy(student, logits(1).softmax(-1), reduction="sum"), [student])
    assert torch.allclose(found, expected, rtol=1e-10)


@BOTH
def test_the_gradient_keeps_its_size_as_temperature_rises(divergence: Divergence) -> None:
    """The limit of Hinton et al.: at high T, T^2 KL tends to half the squared distance of the centred logits, by V."""
    student, teacher = logits(0), logits(1)
    difference = (student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))
    assert torch.allclose(divergence(student, teacher, 1e4), difference.square().mean(-1) / 2, rtol=1e-2)


@BOTH
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_divergences_of_extreme_logits_are_finite(divergence: Divergence, size: float) -> None:
    student = (logits(0).float() * size).requires_grad_()
    found = divergence(student, logits(1).float() * size)
    (gradient,) = torch.autograd.grad(found.sum(), [student])
    assert found.isfinite().all() and gradient.isfinite().all()


@BOTH
def test_half_precision_is_widened(divergence: Divergence) -> None:
    student, teacher = logits(0).bfloat16(), logits(1).bfloat16()
    assert torch.equal(divergence(student, teacher), divergence(student.float(), teacher.float()))


@BOTH
def test_gradients_are_those_of_the_divergence(divergence: Divergence) -> None:
    assert torch.autograd.gradcheck(lambda student: divergence(student, logits(1), 1.7), (logits(0).requires_grad_(),))


# Class weights


def test_balanced_weights_make_every_label_count_the_same() -> None:
    counts = [8, 1, 0, 3]
    found = resolve_class_weights("balanced", list("abcd"), counts)
    assert found == pytest.approx((0.5, 4.0, 1.0, 4 / 3))
    assert [w * n for w, n in zip(found, counts, strict=True)] == pytest.approx([4.0, 4.0, 0.0, 4.0])


def test_named_weights_keep_their_ratio_and_have_a_mean_of_one() -> None:
    found = resolve_class_weights({"b": 4.0}, list("abc"), [6, 2, 2])
    assert found[1] / found[0] == pytest.approx(4.0) and found[0] == found[2]
    assert sum(w * n for w, n in zip(found, [6, 2, 2], strict=True)) == pytest.approx(10.0)
    assert resolve_class_weights({"a": 7.0, "b": 7.0}, list("ab"), [3, 1]) == pytest.approx((1.0, 1.0))
    assert resolve_class_weights("balanced", list("ab"), [0, 0]) == (1.0, 1.0)


def test_over_all_rows_it_is_the_mean_torch_divides_by_the_class_weights() -> None:
    label_R = torch.tensor([0, 0, 0, 1, 2, 2])
    logits_RC = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    found = resolve_class_weights({"a": 3.0, "c": 0.2}, list("abc"), [3, 1, 2])
    loss = LabelClass(class_weights=found)(LabelInputs(logits_RC, label_R, torch.ones(6)))
    assert loss.total.item() / loss.weight == pytest.approx(
        F.cross_entropy(logits_RC, label_R, torch.tensor([3.0, 1.0, 0.2])).item(), rel=1e-5
    )


def test_weights_of_having_a_label() -> None:
    assert resolve_positive_weights("balanced", list("abcd"), [2, 8, 0, 10], 10) == (4.0, 0.25, 1.0, 1.0)
    assert resolve_positive_weights({"b": 3.0}, list("ab"), [2, 8], 10) == (1.0, 3.0)


def test_a_label_that_is_none_is_answered_with_a_near_one() -> None:
    for resolve in (resolve_class_weights, lambda *given: resolve_positive_weights(*given, 3)):
        with pytest.raises(RecipeError, match=r"names the label 'refnd', which the rows don't have. Did you mean 'refund'\?"):
            resolve({"refnd": 2.0}, ["refund", "other"], [1, 2])
