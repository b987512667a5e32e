"""Operations counted from shapes are those that torch counts while the model runs; yardsticks are sane."""

from typing import Any

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from tunesmith.models.config import MethodConfig
from tunesmith.models.forward import row_states, to_tensors, token_logps
from tunesmith.models.heads import Headed
from tunesmith.models.methods import adapt
from tunesmith.train.flops import Work, flops_of_step, flops_of_work, shape_of, work_of
from tunesmith.train.machine import memory_now_mib, memory_peak_mib, peak_flops, peak_of_gpu
from tunesmith.tree.plan import Layout, Pass, answer_only, plan

SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
PROMPT = tuple(range(1, 9))
ROWS = [answer_only((*PROMPT, 20, 21, 22, 23), 8), answer_only((*PROMPT, 30, 31, 32, 33), 8)]


@pytest.fixture(autouse=True)
def _products_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counter knows no products of oneDNN."""
    monkeypatch.setattr("tunesmith.models.forward.widen", lambda model: None, raising=False)


def made(kind: str = "Llama", **changed: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    config = getattr(transformers, "Gemma3TextConfig" if kind == "Gemma3" else f"{kind}Config")(
        **SHAPE | {"bos_token_id": 0, "eos_token_id": 0} | changed
    )
    model: PreTrainedModel = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    return model


def planned(layout: Layout = "padded") -> Pass:
    (one,) = plan(ROWS, token_budget=512, layout=layout)
    return one


def counted_by_torch(model: torch.nn.Module, one: Pass, *, backward: bool = True) -> int:
    with FlopCounterMode(display=False) as counter:
        tensors = to_tensors(one, torch.device("cpu"))
        headed = isinstance(model, Headed)
        result = model.head(row_states(model.trunk, tensors), tensors.lengths_R) if headed else token_logps(model, tensors)
        if backward:
            result.sum().backward()
    return int(counter.get_total_flops())


def with_full_squares(one: Pass) -> Work:
    """The work as plain attention does it: every token looks at every place of its row."""
    rows, length = one.ids_BT.shape
    work = work_of(one, [None])
    return Work(work.tokens, work.places, work.rows, {None: rows * length**2}, work.pairs_of_places, work.flat)


@pytest.mark.parametrize(
    "method",
    [
        MethodConfig(name="full"),
        MethodConfig(name="lora", rank=4),
        MethodConfig(name="layers", top_layers=2),
        MethodConfig(name="layers", train_only=["*.3.mlp.*", "*.2.input_layernorm.*"]),
        MethodConfig(name="features", head="class"),
        MethodConfig(name="full", head="class"),
        MethodConfig(name="features", head="tags"),
    ],
    ids=lambda config: f"{config.name}-{config.head}-{config.top_layers}-{len(config.train_only)}",
)
def test_as_torch_counts(method: MethodConfig) -> None:
    model = adapt(made(), method, parameters=1000, labels=5, seed=0)
    assert flops_of_work(shape_of(model), with_full_squares(planned())) == counted_by_torch(model, planned())


def test_bitfit_passes_back_without_gradients_of_matrices() -> None:
    model = adapt(made("Qwen2"), MethodConfig(name="bitfit"), parameters=1000, labels=None, seed=0)
    assert flops_of_work(shape_of(model), with_full_squares(planned())) == counted_by_torch(model, planned())


@pytest.mark.parametrize("kind", ["GPT2", "GPTNeoX", "Phi3", "Qwen3", "Olmo2", "Gemma3"])
def test_other_architectures(kind: str) -> None:
    changed = {"n_embd": 32, "n_layer": 4, "n_head": 4} if kind == "GPT2" else {"head_dim": 16} if kind in ("Qwen3", "Gemma3") else {}
    changed |= {"sliding_window": 512} if kind == "Gemma3" else {}
    model = made(kind, pad_token_id=0, **changed)
    work = with_full_squares(planned())
    shape = shape_of(model)
    pairs = {layer.window: work.pairs[None] for layer in shape.layers}
    assert flops_of_work(shape, Work(work.tokens, work.places, work.rows, pairs, {}, False)) == counted_by_torch(model, planned())


def test_a_reference_costs_its_forward_pass() -> None:
    model = made()
    assert flops_of_work(shape_of(model), with_full_squares(planned()), learning=False) == counted_by_torch(
        model, planned(), backward=False
    )


def test_of_a_mixture_only_the_experts_asked() -> None:
    dense = shape_of(made("Mixtral", num_local_experts=1, num_experts_per_tok=1)).layers[0]
    mixed = shape_of(made("Mixtral", num_local_experts=8, num_experts_per_tok=2)).layers[0]
    expert, router = 3 * 32 * 80, 32
    numbers = [sum(count for _, count in layer.numbers) for layer in (dense, mixed)]
    assert numbers[1] - numbers[0] == expert + 7 * router


def test_what_prompts_share_counts_once_and_the_last_layer_where_it_is_read() -> None:
    shape, tree, apart = shape_of(made()), planned("tree"), planned("apart")
    assert work_of(tree, [None]).tokens == 16
    assert work_of(apart, [None]).tokens == 24
    assert work_of(planned(), [None]).pairs == work_of(apart, [None]).pairs == {None: 2 * 78}
    assert work_of(tree, [None, 3]).pairs == {None: 36 + 2 * 42, 3: 21 + 2 * 12}
    whole, trimmed = (flops_of_step(shape, [tree], trimmed=asked) for asked in (False, True))
    alone = 32 * 32 * 2 + 3 * 32 * 80  # q, o and the feed-forward part
    unread, unread_pairs = 16 - 7, 36 + 2 * 42 - (8 + 2 * (9 + 10 + 11))
    assert whole - trimmed == 6 * alone * unread + 12 * 32 * unread_pairs
    assert flops_of_step(shape, [tree, apart]) == flops_of_step(shape, [tree]) + flops_of_step(shape, [apart])


def test_padding_is_no_work() -> None:
    longer = [*ROWS, answer_only((*PROMPT, *range(40, 60)), 8)]
    (padded,) = plan(longer, token_budget=512, layout="padded")
    (apart,) = plan(longer, token_budget=512, layout="apart")
    assert padded.tokens > apart.tokens
    assert work_of(padded, [None]).pairs == work_of(apart, [None]).pairs
    assert work_of(padded, [None]).tokens == apart.tokens


def test_cached_layers_cost_nothing() -> None:
    model = adapt(made(), MethodConfig(name="layers", top_layers=1), parameters=1000, labels=None, seed=0)
    shape = shape_of(model)
    whole, cached = (flops_of_step(shape, [planned()], first_layer=first) for first in (0, 3))
    layer = 2 * 24 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 80) + 4 * 32 * 2 * 78
    assert whole - cached == 3 * layer


def test_peaks_by_name() -> None:
    assert peak_of_gpu("NVIDIA H200") == 989e12
    assert peak_of_gpu("NVIDIA H100 PCIe") == 756e12
    assert peak_of_gpu("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_of_gpu("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_of_gpu("NVIDIA A10") == 125e12
    assert peak_of_gpu("NVIDIA L4") == 121e12
    assert peak_of_gpu("Some Other Card") is None


def test_yardsticks_of_a_cpu() -> None:
    here = torch.device("cpu")
    found = peak_flops(here)
    assert found is not None
    assert 1e8 < found < 1e15
    assert peak_flops(torch.device("meta")) is None
    assert 10 < memory_now_mib(here) <= memory_peak_mib(here) * 1.01
