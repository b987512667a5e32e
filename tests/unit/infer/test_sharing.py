"""What prompts share is computed once: counted in tokens that pass through the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.infer.choices import row_logps, score_choices
from tunesmith.infer.generate import Wanted, answers, generate
from tunesmith.infer.sampling import Sampling
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base
from tunesmith.tree.plan import answer_only

CPU = torch.device("cpu")
STEM = list(range(10, 110))


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    return load_base(BaseConfig(path=str(tiny_base))).model


@contextmanager
def counted(model: Any) -> Iterator[list[int]]:
    """Tokens of each pass through the model."""
    found: list[int] = []
    handle = model.get_input_embeddings().register_forward_hook(lambda module, args, out: found.append(args[0].numel()))
    try:
        yield found
    finally:
        handle.remove()


def test_a_shared_beginning_is_run_once_and_each_prompt_adds_its_own(model: Any) -> None:
    prompts = [[*STEM, 200 + number, 7, 8] for number in range(10)]
    with counted(model) as passes:
        generate(model, prompts, end_ids=[2], max_new_tokens=1, device=CPU)
    assert passes == [100, 10 * 3]


def test_samples_of_a_prompt_cost_no_more_prompt_than_one(model: Any) -> None:
    wanted = Wanted(end_ids=(), max_new_tokens=2, sampling=Sampling(temperature=1.0, samples=6))
    with counted(model) as passes:
        answers(model, [STEM], wanted, device=CPU)
    assert passes == [99, 1, 6]


def test_strangers_do_not_keep_a_family_from_sharing(model: Any) -> None:
    prompts = [[*STEM, 200 + number] for number in range(10)] + [[300 + number, 301] for number in range(4)]
    with counted(model) as passes:
        generate(model, prompts, end_ids=[2], max_new_tokens=1, device=CPU)
    assert passes == [100, 10, 4 * 2]


def test_rows_that_have_ended_are_computed_no_more(model: Any) -> None:
    prompts = [[*STEM, 200 + number] for number in range(8)]
    free = generate(model, prompts, end_ids=[], max_new_tokens=6, device=CPU)
    ends = sorted({ids[0] for ids in free[:-1]} - set(free[-1]))
    with counted(model) as passes:
        found = generate(model, prompts, end_ids=ends, max_new_tokens=6, device=CPU)
    live = sum(ids[0] not in ends for ids in free)
    assert live <= 4
    assert passes[2] == live
    assert [len(ids) for ids in found].count(1) == 8 - live


def test_examples_shown_before_every_question_are_computed_once_a_pass_and_passes_are_mostly_questions(model: Any) -> None:
    """k worked examples before each of 40 questions, five labels: little more than the examples once and each question once."""
    examples = [200 + place % 90 for place in range(300)]
    prompts = [[*examples, 300 + number, 301, 302] for number in range(40)]
    choices = [[400 + label, 401, 2] for label in range(5)]
    with counted(model) as passes:
        found = score_choices(model, prompts, choices, device=CPU)
    own = 40 * (3 + 5 * 2)  # a question, and of each label what something is predicted from
    assert len(passes) == 1
    assert sum(passes) - own - 300 < 32  # what a pass is rounded by
    assert found.shape == (40, 5)


def test_many_questions_under_the_same_examples_spend_an_eighth_of_their_passes_on_them_at_most(model: Any) -> None:
    examples = [200 + place % 90 for place in range(300)]
    prompts = [[*examples, *(300 + number // 10**digit % 10 for digit in range(3)), 301] for number in range(500)]
    with counted(model) as passes:
        score_choices(model, prompts, [[400 + label, 401, 2] for label in range(5)], device=CPU)
    assert len(passes) == 3
    assert all(full / 8 >= 300 for full in passes[:-1])


def test_perplexity_of_answers_under_the_same_examples_computes_these_once(model: Any) -> None:
    examples = [200 + place % 90 for place in range(300)]
    rows = [answer_only((*examples, 300 + number, 301, 302), 301) for number in range(40)]
    with counted(model) as passes:
        sums, counts = row_logps(model, rows, device=CPU)
    assert len(passes) == 1
    assert sum(passes) - 300 - 40 * 3 < 32
    for row, total in zip(rows[:3], sums[:3], strict=True):
        logps = torch.log_softmax(model(torch.tensor([row.ids])).logits[0].detach(), dim=-1)
        assert total == pytest.approx(sum(float(logps[place - 1, row.ids[place]]) for place in (301, 302)), abs=1e-4)
    assert counts.tolist() == [2.0] * 40
