"""In bf16 autocast a flat tree of rows is what the rows are one by one, as nearly as eight bits of mantissa say."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tunesmith.models.forward import row_states, to_tensors
from tunesmith.tree.plan import Layout, Sequence_, plan


@pytest.mark.parametrize("count", [3, 40])
def test_a_tree_in_bf16_is_its_rows(tiny_base: Path, count: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    draw = torch.Generator().manual_seed(0)
    trunk = torch.randint(5, 4000, (30,), generator=draw).tolist()
    rows = [trunk + torch.randint(5, 4000, (3 + number % 9,), generator=draw).tolist() for number in range(count)]

    def answer(layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        (planned,) = plan([Sequence_(tuple(row), ()) for row in rows], token_budget=10_000, layout=layout)
        tensors = to_tensors(planned, torch.device("cpu"))
        with torch.autocast("cpu", torch.bfloat16):
            states = row_states(model, tensors)
            found = model.lm_head(states[torch.arange(len(rows)), tensors.lengths_R - 1]).float()[
                torch.from_numpy(planned.rows_R).argsort()
            ]
        found.square().sum().backward()
        return found.detach(), torch.cat([tensor.grad.flatten() for tensor in model.parameters() if tensor.grad is not None])

    (packed, gradient), (padded, plain) = answer("tree"), answer("padded")
    assert torch.linalg.norm(packed - padded) / torch.linalg.norm(padded) < 0.02
    assert torch.linalg.norm(gradient - plain) / torch.linalg.norm(plain) < 0.04
