"""What attributions and influence are made of is exact on every architecture: embeddings stand for ids, factors for gradients."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.evaluate.influence import influences
from tunesmith.models.config import MethodConfig
from tunesmith.models.embedded import embed, states_of_embedded, takes_embeddings
from tunesmith.models.forward import hidden_states, inner, project, to_tensors
from tunesmith.models.heads import Headed
from tunesmith.models.methods import adapt
from tunesmith.train.batches import Example
from tunesmith.tree.plan import Sequence_, answer_only, plan

KINDS = [
    "llama", "llama, tied", "qwen2", "qwen3", "qwen3, mixed", "qwen3_moe", "qwen3_moe, sliding", "mixtral", "mistral", "mistral, global",
    "gemma", "gemma2", "gemma3_text", "phi", "phi3", "phi3, sliding", "gpt2", "gpt_neox", "olmo", "olmo2", "olmo3", "smollm3", "starcoder2",
    "stablelm", "granite", "cohere", "cohere2", "bloom", "falcon", "falcon, rotary",
]  # fmt: skip
CPU = torch.device("cpu")
ROWS = [(5, 9, 11, 3, 40, 7, 1), (5, 9, 12, 8, 7, 1), (6, 30, 7, 8, 1), (5, 9, 11, 3, 41, 22, 1)]


def test_every_promised_architecture_is_tried(architectures: ModuleType) -> None:
    assert set(KINDS) == set(architectures.CONFIGS)


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_give_the_states_of_their_ids(kind: str, architectures: ModuleType) -> None:
    experts = "moe" in kind or kind == "mixtral"  # torch multiplies by experts in float32 at most
    model = architectures.build(kind, dtype=torch.float32 if experts else torch.float64)
    assert takes_embeddings(model)
    same_states(model, 2e-4 if experts else 1e-6)


@pytest.mark.parametrize("name", ["lora", "prompt", "prefix"])
def test_so_they_do_under_adapters_and_virtual_tokens(name: str, architectures: ModuleType) -> None:
    config = MethodConfig.model_validate({"name": name} | ({} if name == "lora" else {"virtual_tokens": 3}))
    model = adapt(architectures.build("llama"), config, parameters=1, labels=None, seed=3).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    same_states(model)


def same_states(model: nn.Module, within: float = 1e-6) -> None:
    ids = ROWS[0]
    planned = plan([Sequence_(ids, (0.0,) * len(ids))], token_budget=99, layout="padded")[0]
    with torch.no_grad():
        own = hidden_states(model, to_tensors(planned, CPU))
        fed = states_of_embedded(model, embed(model, torch.tensor([ids, ids])))
    torch.testing.assert_close(fed[0], own, rtol=within, atol=within)
    torch.testing.assert_close(fed[1], own, rtol=within, atol=within)


@pytest.mark.parametrize("kind", ["llama", "llama, tied", "phi", "gemma2", "granite", "cohere", "gpt2"])
def test_factored_products_are_those_of_autograds_gradients(kind: str, architectures: ModuleType) -> None:
    """To 1e-6 in float64: with a bias (phi), a cap (gemma2), scales (granite, cohere); a tied layer as output layer alone."""
    model = architectures.build(kind, dtype=torch.float64)
    examples = [Example(str(n), (answer_only(ids, len(ids) - 3, 0.5 + n),)) for n, ids in enumerate(ROWS)]
    found, own = influences(model, examples[:3], examples[2:], CPU)
    gradients = [token_gradient(model, one) for one in examples]
    same_products(found, own, gradients)


def token_gradient(model: Any, one: Example) -> torch.Tensor:
    """Gradient of a row's weighted loss with respect to the output layer, flat, with its bias."""
    layer = inner(model).get_output_embeddings()
    own = nn.Linear(*reversed(layer.weight.shape), bias=getattr(layer, "bias", None) is not None).double()
    own.load_state_dict({name: held.detach().clone() for name, held in layer.state_dict().items()})
    tensors = to_tensors(plan([one.sequence], token_budget=99, layout="padded")[0], CPU)
    with torch.no_grad():
        states = hidden_states(model, tensors, read=tensors.from_P)
    inner(model).set_output_embeddings(own)
    loss = nn.functional.cross_entropy(project(model, states), tensors.target_S, reduction="none")
    (loss * tensors.weight_S).sum().backward()
    inner(model).set_output_embeddings(layer)
    return torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    ("kind", "targets"), [("class", [0, 2, 1, 1]), ("multilabel", [(1.0, 0.0, 1.0)] * 4), ("regression", [1.0, -2.0, 0.3, 4.0])]
)
@pytest.mark.parametrize("pool", ["mean", "last", "attention"])
def test_so_are_those_of_heads(kind: str, targets: list[Any], pool: str, architectures: ModuleType) -> None:
    config = MethodConfig.model_validate({"name": "full", "head": kind, "pool": pool})
    model: Any = adapt(architectures.build("qwen2"), config, parameters=1, labels=3, seed=3).double().eval()
    assert isinstance(model, Headed)
    if kind == "regression":
        model.head.measure([1.0, 3.0, 8.0])
    examples = [
        Example(str(n), (Sequence_(ids, (0.0,) * len(ids)),), target, 1.0 + n)
        for n, (ids, target) in enumerate(zip(ROWS, targets, strict=True))
    ]
    found, own = influences(model, examples[:3], examples[2:], CPU)
    same_products(found, own, [head_gradient(model, one) for one in examples])


def head_gradient(model: Any, one: Example) -> torch.Tensor:
    tensors = to_tensors(plan([one.sequence], token_budget=99, layout="padded")[0], CPU)
    states = hidden_states(model.trunk, tensors).detach()[None]
    said = model.head(states, tensors.lengths_R)[0]
    target = torch.tensor(one.target)
    losses = {
        "class": lambda: nn.functional.cross_entropy(said, target),
        "multilabel": lambda: nn.functional.binary_cross_entropy_with_logits(said, target.double()),
        "regression": lambda: (said - target) ** 2,
    }
    made = torch.autograd.grad(one.weight * losses[model.kind](), list(model.head.linear.parameters()))
    return torch.cat([part.flatten() for part in made])


def same_products(found: torch.Tensor, own: torch.Tensor, gradients: list[torch.Tensor]) -> None:
    stacked = torch.stack(gradients)
    torch.testing.assert_close(found, stacked[:3] @ stacked[2:].T, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(own, (stacked[:3] ** 2).sum(1), rtol=1e-6, atol=1e-9)
