"""Task heads: shapes, what each pool looks at, and that padding counts for nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tunesmith.core.errors import RecipeError
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.forward import row_states, to_tensors
from tunesmith.models.heads import FILE, Head, Headed, load_head, save_head
from tunesmith.models.load import count_parameters, load_base
from tunesmith.models.methods import adapt
from tunesmith.tree.plan import Sequence_, plan

LENGTHS = torch.tensor([2, 5, 1])


def states() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 5, 8)


@pytest.mark.parametrize(
    ("kind", "outputs", "shape"),
    [("class", 4, (3, 4)), ("multilabel", 4, (3, 4)), ("regression", 1, (3,)), ("tags", 4, (3, 5, 4))],
)
def test_shapes(kind: Any, outputs: int, shape: tuple[int, ...]) -> None:
    assert Head(8, outputs, kind=kind)(states(), LENGTHS).shape == shape


@pytest.mark.parametrize("pool", ["mean", "attention", "last"])
def test_padding_counts_for_nothing(pool: Any) -> None:
    head = Head(8, 4, pool=pool)
    if pool == "attention":
        head.query.data.normal_()
    hidden = states()
    found = head(hidden, LENGTHS)
    hidden[0, 2:] = 1e4
    hidden[2, 1:] = -1e4
    assert torch.equal(head(hidden, LENGTHS), found)
    alone = torch.stack([head(hidden[row : row + 1, :length], torch.tensor([length]))[0] for row, length in enumerate(LENGTHS.tolist())])
    assert torch.allclose(alone, found, atol=1e-6)


def test_each_pool_by_definition() -> None:
    hidden = states()
    pooled = {
        "mean": torch.stack([hidden[0, :2].mean(0), hidden[1].mean(0), hidden[2, 0]]),
        "last": torch.stack([hidden[0, 1], hidden[1, 4], hidden[2, 0]]),
    }
    query = torch.randn(8)
    weights = [(hidden[row, :length] @ query / 8**0.5).softmax(0) for row, length in enumerate(LENGTHS.tolist())]
    pooled["attention"] = torch.stack([weight @ hidden[row, : len(weight)] for row, weight in enumerate(weights)])
    for pool, expected in pooled.items():
        head = Head(8, 4, pool=pool)  # type: ignore[arg-type]
        if pool == "attention":
            assert torch.allclose(head(hidden, LENGTHS), head.linear(pooled["mean"]), atol=1e-6)  # it starts as the mean
            head.query.data.copy_(query)
        assert torch.allclose(head(hidden, LENGTHS), head.linear(expected), atol=1e-6)


def test_attention_learns() -> None:
    head = Head(8, 4, pool="attention")
    head(states(), LENGTHS).square().sum().backward()
    assert head.query.grad is not None
    assert head.query.grad.abs().min() > 0


def test_dropout_before_the_head() -> None:
    head, hidden = Head(8, 4, dropout=0.5), states()
    assert not torch.equal(head(hidden, LENGTHS), head(hidden, LENGTHS))
    head.eval()
    assert torch.equal(head(hidden, LENGTHS), head(hidden, LENGTHS))


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    head = Head(8, 4, kind="multilabel", pool="attention", dropout=0.1)
    head.query.data.normal_()
    save_head(head, tmp_path)
    found = load_head(tmp_path)
    assert (found.kind, found.pool, found.dropout.p, found.linear.out_features) == ("multilabel", "attention", 0.1, 4)
    assert torch.equal(found.query, head.query)


def test_a_file_that_spreads_its_description_over_three_keys_is_read(tmp_path: Path) -> None:
    """As files were written before; safetensors puts several keys in another order in each process."""
    head = Head(8, 4, kind="tags", pool="last", dropout=0.25)
    save_file(dict(head.state_dict()), tmp_path / FILE, metadata={"kind": "tags", "pool": "last", "dropout": "0.25"})
    found = load_head(tmp_path)
    assert (found.kind, found.pool, found.dropout.p) == ("tags", "last", 0.25)
    assert torch.equal(found.linear.weight, head.linear.weight)


SAVES = """
import sys
from pathlib import Path
import torch
from tunesmith.models.heads import Head, save_head
torch.manual_seed(0)
head = Head(8, 4, kind="regression", pool="attention", dropout=0.1)
for place in range(4):
    (folder := Path(sys.argv[1]) / str(place)).mkdir(parents=True)
    save_head(head, folder)
"""


def test_a_head_is_the_same_file_from_every_process(tmp_path: Path) -> None:
    """Three keys come in six orders: that eight files agreed by chance would be one case in 279936."""
    for seed in ("1", "2"):
        given = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", SAVES, str(tmp_path / seed)], check=True, env=given)
    files = sorted(tmp_path.glob(f"*/*/{FILE}"))
    assert len(files) == 8
    assert len({file.read_bytes() for file in files}) == 1
    assert load_head(files[0].parent).dropout.p == 0.1


def test_a_file_of_the_first_kind_is_a_classifier_over_the_mean(tmp_path: Path) -> None:
    save_file({"linear.weight": torch.ones(3, 8), "linear.bias": torch.zeros(3)}, tmp_path / FILE)
    found = load_head(tmp_path)
    assert (found.kind, found.pool) == ("class", "mean")
    assert torch.equal(found.linear.weight, torch.ones(3, 8))


def model_of(tiny_base: Path, seed: int = 0, **settings: Any) -> Any:
    base = load_base(BaseConfig(path=str(tiny_base)))
    return adapt(base.model, MethodConfig(**settings), parameters=1, labels=3, seed=seed)


@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_rows_come_out_in_the_order_of_the_pass(tiny_base: Path, layout: Any) -> None:
    model: Headed = model_of(tiny_base, name="full", head="class").eval()
    rows = [Sequence_(ids, (0.0,) * len(ids)) for ids in ((5, 6, 7, 8), (5, 6), (9,))]
    (one,) = plan(rows, token_budget=1000, layout=layout)
    tensors = to_tensors(one, torch.device("cpu"))
    found = torch.empty(3, 3)
    found[torch.from_numpy(one.rows_R)] = model.head(row_states(model.trunk, tensors), tensors.lengths_R).detach()
    for row, expected in zip(rows, found, strict=True):
        hidden = model.trunk.model(input_ids=torch.tensor([row.ids])).last_hidden_state
        assert torch.allclose(model.head(hidden, torch.tensor([len(row.ids)]))[0], expected, atol=1e-6)


def test_a_head_needs_labels(tiny_base: Path) -> None:
    base = load_base(BaseConfig(path=str(tiny_base))).model
    for head, task in (("class", "classify"), ("multilabel", "multilabel"), ("tags", "tag")):
        with pytest.raises(RecipeError, match=f"method.head: {head} needs labels; set data.task: {task}"):
            adapt(base, MethodConfig(name="full", head=head), parameters=1, labels=None, seed=0)  # type: ignore[arg-type]
    value: Any = adapt(base, MethodConfig(name="full", head="regression"), parameters=1, labels=None, seed=0)
    assert value.head.linear.out_features == 1
    total, trainable = count_parameters(value)
    assert total == trainable


def test_first_values_follow_the_seed(tiny_base: Path) -> None:
    first, again, other = (model_of(tiny_base, seed, name="full", head="class").head.linear.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
