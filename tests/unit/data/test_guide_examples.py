"""The rows shown in the guide are read as the guide says."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.data import forms
from tunesmith.data.config import ReadConfig, Task
from tunesmith.data.formats import SUFFIXES

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "data.md"
BLOCKS = re.findall(r"^```(\w+) form=(\S+) task=(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_form_is_shown() -> None:
    assert {form for _, form, _, _ in BLOCKS} == {form.name for form in forms.FORMS}


def test_every_suffix_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{suffix}`" in page for suffix in SUFFIXES)


@pytest.mark.parametrize(("suffix", "form", "task", "text"), BLOCKS)
def test_it_is_read_as_the_guide_says(files: ModuleType, suffix: str, form: str, task: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{suffix}"
    file.write_text(text)
    guessed = form in {known.name for known in forms.GUESSED} and not (suffix == "csv" and task == "multilabel")
    found = files.collected(str(file), ReadConfig(), None if guessed else Task(task))
    assert (found.format, found.task.value, found.bad) == (form, task, [])
    assert all(row.answer for row in found.rows)
