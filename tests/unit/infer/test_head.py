"""What a head says of many prompts at once is what it says of each alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tunesmith.infer.head import label_probabilities, multilabel_probabilities, tag_labels, values
from tunesmith.models.config import BaseConfig
from tunesmith.models.forward import row_states, to_tensors
from tunesmith.models.heads import Head, Headed
from tunesmith.models.load import load_base
from tunesmith.score.spans import bio_classes
from tunesmith.tree.plan import Sequence_, plan

CPU = torch.device("cpu")
PROMPTS = [(5, 6, 7, 8), (5, 6, 7), (5, 6, 9, 10, 11, 12), (20, 21), (5, 6, 7, 8)]


def headed(base: Path, kind: str, outputs: int) -> Headed:
    torch.manual_seed(0)
    head = Head(32, outputs, kind=kind)  # type: ignore[arg-type]
    torch.nn.init.normal_(head.linear.weight)
    torch.nn.init.normal_(head.linear.bias)
    return Headed(load_base(BaseConfig(path=str(base)), seed=0).model, head).eval()


def alone(model: Headed, prompt: tuple[int, ...]) -> torch.Tensor:
    (planned,) = plan([Sequence_(prompt, (0.0,) * len(prompt))], token_budget=64, layout="padded")
    tensors = to_tensors(planned, CPU)
    with torch.no_grad():
        return model.head(row_states(model.trunk, tensors), tensors.lengths_R)[0]


@pytest.mark.parametrize("budget", [8, 4096])
def test_figures_are_those_of_each_prompt_alone(tiny_base: Path, budget: int) -> None:
    told: list[int] = []
    labels = multilabel_probabilities(
        model := headed(tiny_base, "multilabel", 3), PROMPTS, device=CPU, token_budget=budget, advanced=told.append
    )
    assert np.allclose(labels, [torch.sigmoid(alone(model, one)).numpy() for one in PROMPTS], atol=1e-5)
    assert told[-1] == len(PROMPTS)
    classes = label_probabilities(model := headed(tiny_base, "class", 3), PROMPTS, device=CPU, token_budget=budget)
    assert np.allclose(classes, [torch.softmax(alone(model, one), -1).numpy() for one in PROMPTS], atol=1e-5)
    numbers = values(model := headed(tiny_base, "regression", 1), PROMPTS, device=CPU, token_budget=budget)
    assert numbers.shape == (5,)
    assert np.allclose(numbers, [alone(model, one).item() for one in PROMPTS], atol=1e-5)


def test_tags_are_one_a_token(tiny_base: Path) -> None:
    classes = bio_classes(["p"])
    model = headed(tiny_base, "tags", len(classes))
    tags = tag_labels(model, PROMPTS, classes, device=CPU, token_budget=8)
    assert [len(one) for one in tags] == [len(prompt) for prompt in PROMPTS]
    assert tags == [tuple(classes[place] for place in alone(model, one).argmax(-1)) for one in PROMPTS]
    assert len({tag for one in tags for tag in one}) > 1
