"""Rows on one prefix tree give the loss and the gradient of the same rows one by one through the plain forward pass.

In float32 the two agree to rounding, in float64 to 1e-9. transformers computes norms and rotary angles in float32
whatever the weights are, which alone is worth 1e-8: for the proof in float64 these too are done in float64.
"""

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tunesmith.infer.choices import row_logps, score_choices
from tunesmith.models import forward, products
from tunesmith.models.forward import hidden_states, layout_of_rows, takes_tree, to_tensors, token_logps
from tunesmith.models.products import WideLinear, rounded
from tunesmith.tree.plan import Sequence_, plan

CPU = torch.device("cpu")
EXACT = (
    "llama",
    "llama, tied",
    "qwen2",
    "qwen3",
    "qwen3, mixed",
    "qwen3_moe",
    "qwen3_moe, sliding",
    "mixtral",
    "mistral",
    "mistral, global",
    "gemma",
    "gemma3_text",
    "phi",
    "phi3",
    "phi3, sliding",
    "gpt2",
    "gpt_neox",
    "olmo",
    "olmo2",
    "olmo3",
    "smollm3",
    "starcoder2",
    "stablelm",
    "granite",
    "cohere",
    "cohere2",
)
EXPERTS = frozenset({"qwen3_moe", "qwen3_moe, sliding", "mixtral"})
"""Their grouped matrix product has no float64."""
APART = ("gemma2", "bloom", "falcon", "falcon, rotary")
"""Not shown exact under a mask of our own: their rows stay apart."""

Found = tuple[float, dict[str, Tensor]]

FEW = settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@lru_cache(maxsize=2)
def built(architectures: ModuleType, name: str, dtype: torch.dtype) -> Any:
    return architectures.build(name, dtype=dtype)


def _row(ids: tuple[int, ...], start: int, weight: float) -> Sequence_:
    start = max(1, min(start, len(ids)))
    return Sequence_(ids, (0.0,) * start + (weight,) * (len(ids) - start))


tokens = st.integers(3, 8)
"""A small alphabet, so that rows share prefixes by themselves too."""
stems = st.lists(st.lists(tokens, min_size=1, max_size=14).map(tuple), min_size=1, max_size=3)


@st.composite
def row_sets(draw: st.DrawFn) -> list[Sequence_]:
    """Rows that hang off a few stems: duplicates, prefixes of one another, single tokens, any weights."""
    stem = draw(stems)
    made = [_row((*stem[0], 4, 5), 1, 1.0)]
    for _ in range(draw(st.integers(1, 6))):
        ids = (*draw(st.sampled_from(stem)), *draw(st.lists(tokens, max_size=8)))
        cut = draw(st.integers(1, len(ids)))
        made.append(_row(ids[:cut], draw(st.integers(1, 6)), draw(st.sampled_from([1.0, 0.25]))))
    made.append(draw(st.sampled_from(made)))
    made.append(_row((draw(tokens),), 1, 1.0))
    return made


def _gradients(model: Any) -> dict[str, Tensor]:
    found = {name: p.grad.detach().clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def one_by_one(model: Any, rows: list[Sequence_]) -> Found:
    """Each row alone through the plain Hugging Face forward pass: weighted mean loss, and its gradient."""
    weight = sum(sum(row.weights) for row in rows)
    total = 0.0
    for row in rows:
        ids = torch.tensor([row.ids])
        logps = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0], dim=-1)
        supervised = [place for place in range(1, len(row.ids)) if row.weights[place]]
        if supervised:
            loss = -sum(row.weights[place] * logps[place - 1, row.ids[place]] for place in supervised) / weight
            loss.backward()
            total += loss.item()
    return total, _gradients(model)


def planned(model: Any, rows: list[Sequence_], budget: int, **how: Any) -> Found:
    """The same through passes of the planner."""
    weight = sum(sum(row.weights) for row in rows)
    total = 0.0
    for one in plan(rows, token_budget=budget, **how):
        if len(one.target_S):
            tensors = to_tensors(one, CPU)
            logps = token_logps(model, tensors)
            loss = -(logps * tensors.weight_S.to(logps.dtype)).sum() / weight
            loss.backward()
            total += loss.item()
    return total, _gradients(model)


def agree(ours: Found, plain: Found, *, loss: float, gradient: float) -> None:
    """Relative bounds, of the loss, of the whole gradient, and of each tensor's where it is more than rounding."""
    assert ours[0] == pytest.approx(plain[0], rel=loss)
    assert ours[1].keys() == plain[1].keys()
    norm = torch.sqrt(sum(g.double().square().sum() for g in plain[1].values()))
    difference = torch.sqrt(sum((ours[1][name].double() - g.double()).square().sum() for name, g in plain[1].items()))
    assert difference / norm <= gradient
    for name, g in plain[1].items():
        floor = max(g.double().norm(), 0.02 * norm)
        assert (ours[1][name].double() - g.double()).norm() / floor <= 3 * gradient, name


@pytest.mark.parametrize("name", EXACT)
def test_loss_and_gradient_in_float32(architectures: ModuleType, name: str) -> None:
    model = built(architectures, name, torch.float32)
    assert takes_tree(model)

    @FEW
    @given(rows=row_sets(), budget=st.sampled_from([1, 24, 10_000]))
    def equal(rows: list[Sequence_], budget: int) -> None:
        agree(planned(model, rows, budget), one_by_one(model, rows), loss=1e-6, gradient=1e-5)

    equal()


class _Double:
    """torch, but for its float32, which is float64."""

    float32, float = torch.float64, torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@pytest.fixture
def all_in_double(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What transformers' models do in float32 by name is done in float64."""

    def patch(model: Any) -> None:
        for module in {sys.modules[type(part).__module__] for part in model.modules()}:
            if module.__name__.startswith("transformers.") and hasattr(module, "torch"):
                monkeypatch.setattr(module, "torch", _Double())
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)

    return patch


@pytest.mark.parametrize("name", [name for name in EXACT if name not in EXPERTS])
def test_loss_and_gradient_in_float64(architectures: ModuleType, name: str, all_in_double: Any) -> None:
    model = architectures.build(name, dtype=torch.float64)
    all_in_double(model)

    @FEW
    @given(rows=row_sets(), budget=st.sampled_from([24, 10_000]))
    def equal(rows: list[Sequence_], budget: int) -> None:
        for layout in ("tree", "apart"):
            agree(planned(model, rows, budget, layout=layout), one_by_one(model, rows), loss=1e-9, gradient=1e-9)

    equal()


@pytest.mark.parametrize("name", APART)
def test_other_architectures_keep_rows_apart_and_are_exact(architectures: ModuleType, name: str) -> None:
    model = built(architectures, name, torch.float32)
    assert not takes_tree(model)
    stem = tuple(range(3, 12))
    rows = [_row((*stem, 20, 21), 9, 1.0), _row((*stem, 22), 9, 1.0), _row(stem, 2, 1.0), _row((*stem, 20, 21), 9, 1.0)]
    agree(planned(model, rows, 10_000, layout=layout_of_rows(model)), one_by_one(model, rows), loss=1e-6, gradient=1e-5)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3_text", "gpt2"])
def test_plain_passes_are_exact_too(architectures: ModuleType, name: str) -> None:
    model = built(architectures, name, torch.float32)
    rows = [_row(tuple(range(3, 3 + length)), 1, 1.0) for length in (12, 11, 9, 2)]
    agree(planned(model, rows, 10_000, layout="padded"), one_by_one(model, rows), loss=1e-6, gradient=1e-5)


def test_a_window_that_is_left_out_would_show(architectures: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds above can fail: without the window's own mask the gradient is wrong by far more than rounding."""
    model = built(architectures, "mistral", torch.float32)
    rows = [_row((*range(3, 15), 20), 1, 1.0), _row((*range(3, 15), 21), 1, 1.0)]
    plain = one_by_one(model, rows)
    monkeypatch.setattr(forward, "_layer_windows", lambda config: {"only": None})
    ours = planned(model, rows, 10_000)
    assert abs(ours[0] - plain[0]) > 1e-3 * plain[0]


@pytest.mark.skipif(products._linear is None, reason="this torch was built without oneDNN")
@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "gemma3_text"])
def test_a_pass_is_the_same_however_it_is_rounded(architectures: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Tokens put after a pass are seen by none of it: log-probabilities, gradients and every row's states are as without."""
    rows = [_row((*range(3, 12), *tail), 9, 1.0) for tail in ((4, 5, 6, 7), (4, 9), (8,) * 9)]
    (one,) = plan(rows, token_budget=1000)
    tensors = to_tensors(one, CPU)
    found = []
    for idle in (True, False):
        monkeypatch.setattr(products, "wide_vectors_idle", lambda idle=idle: idle)
        monkeypatch.setattr(forward, "wide_vectors_idle", lambda idle=idle: idle)
        model = architectures.build(name, dtype=torch.float32)
        logps = token_logps(model, tensors)
        logps.sum().backward()
        states = hidden_states(model, tensors)
        assert len(states) == one.tokens
        assert any(isinstance(module, WideLinear) for module in model.modules()) == idle
        found.append([logps, states, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert forward.tokens_added(model, tensors) == 0
    monkeypatch.setattr(forward, "wide_vectors_idle", lambda: True)
    assert forward.tokens_added(model, tensors) == rounded(one.tokens) - one.tokens > 0
    for mine, other in zip(*found, strict=True):
        assert (mine - other).norm() <= 1e-4 * max(1.0, other.norm().item())


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gemma3_text", "gpt2", "qwen3_moe", "bloom", "falcon"])
def test_every_choice_is_scored_as_if_alone(architectures: ModuleType, name: str) -> None:
    model = built(architectures, name, torch.float32)
    prompts = [(3, 4, 5, 6, 7, 8, 9), (3, 4, 5, 6), (3, 4, 5, 6), (9,), (3, 4, 5, 6, 7, 10)]
    choices = [(11, 12, 1), (11, 1), (11, 12, 13, 1), (14, 1), (14, 1)]
    found = score_choices(model, prompts, choices, device=CPU)
    for n, prompt in enumerate(prompts):
        for c, choice in enumerate(choices):
            with torch.no_grad():
                logps = torch.log_softmax(model(torch.tensor([[*prompt, *choice]])).logits[0], dim=-1)
            alone = sum(logps[len(prompt) + place - 1, token].item() for place, token in enumerate(choice))
            assert found[n, c] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_row_likelihoods_are_those_of_the_rows_alone(architectures: ModuleType, name: str) -> None:
    model = built(architectures, name, torch.float32)
    rows = [_row((3, 4, 5, 6, 7), 2, 1.0), _row((3, 4, 5, 9), 1, 1.0), _row((3,), 1, 1.0), _row((3, 4, 5, 6, 7), 2, 1.0)]
    sums, counts = row_logps(model, rows, device=CPU, rows_at_once=3)
    assert counts.tolist() == [3, 3, 0, 3]
    expected = []
    for row in rows:
        with torch.no_grad():
            logps = torch.log_softmax(model(torch.tensor([row.ids])).logits[0], dim=-1)
        expected.append(sum(logps[place - 1, row.ids[place]].item() for place in range(1, len(row.ids)) if row.weights[place]))
    assert np.allclose(sums, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gemma3_text"])
def test_logits_in_chunks_are_the_same_and_never_more_than_a_chunk(
    architectures: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with vocabulary x length: not with the places predicted from, not with the tokens of the prompt."""
    model = built(architectures, name, torch.float32)
    rows = [_row((*range(3, 3 + 12), 20 + number, *range(30, 36)), 10, 1.0) for number in range(6)]
    whole = planned(model, rows, 10_000)
    made: list[int] = []
    project = forward.project

    def counted(model: Any, hidden_PD: Tensor) -> Tensor:
        logits = project(model, hidden_PD)
        made.append(logits.numel())
        return logits

    monkeypatch.setattr(forward, "project", counted)
    planned(model, rows, 10_000)
    places = len({row.ids[:place] for row in rows for place in range(10, len(row.ids))})
    assert made == [places * 61], "one row of logits for each place predicted from, none for the prompt"
    monkeypatch.setattr(forward, "LOGITS_AT_ONCE", 61 * 5)
    made.clear()
    agree(planned(model, rows, 10_000), whole, loss=1e-6, gradient=1e-5)
    assert max(made) <= 61 * 5
