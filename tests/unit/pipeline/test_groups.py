"""Rows that belong together: by a column where one is named, else references of one prompt where answers are written or weighed."""

import pytest

from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.pipeline.datasets import groups_of


def _dataset(task: Task, prompts: list[str]) -> Dataset:
    rows = [
        Row(id=f"r{n}", prompt=(Message("system", "Be brief."), Message("user", text)), answer=f"a{n}", fields={"shop": n % 2})
        for n, text in enumerate(prompts)
    ]
    sides = {"train": [], "select": [], "calibrate": [], "test": rows}
    return Dataset(task=task, format="f", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")


@pytest.mark.parametrize("task", [Task.GENERATE, Task.PREFER])
def test_references_of_one_prompt_are_one_group_and_others_stand_alone(task: Task) -> None:
    found = groups_of(_dataset(task, ["x", "y", "x", "z", "z"]), "test", None)
    assert found is not None
    assert set(found) == {"r0", "r2", "r3", "r4"}
    assert found["r0"] == found["r2"] != found["r3"] == found["r4"]


def test_prompts_of_their_own_make_no_groups() -> None:
    assert groups_of(_dataset(Task.GENERATE, ["x", "y"]), "test", None) is None


def test_two_labels_of_one_text_are_no_group() -> None:
    assert groups_of(_dataset(Task.CLASSIFY, ["x", "x"]), "test", None) is None


def test_a_column_that_is_named_is_what_counts() -> None:
    assert groups_of(_dataset(Task.GENERATE, ["x", "x", "y"]), "test", "shop") == {"r0": "0", "r1": "1", "r2": "0"}
