"""The page that lists every setting says what the schema says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.recipe import Recipe
from tunesmith.recipe.fields import described_at, section_of, settings

GUIDE = Path(__file__).parents[3] / "docs" / "guide"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("make_recipe_reference", GUIDE / "make_recipe_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(maker: ModuleType) -> None:
    assert (GUIDE / "recipe.md").read_text(encoding="utf-8") == maker.reference(), "run docs/guide/make_recipe_reference.py"


def test_every_setting_has_a_line_with_its_meaning(maker: ModuleType) -> None:
    page = maker.reference()
    for path, field in settings(Recipe):
        if section_of(field) is not None:
            assert f"\n## `{'.'.join(map(str, path))}`\n" in page
        else:
            assert f"\n| `{path[-1]}` | " in page
            told = described_at(Recipe, path)
            assert told and " ".join(told.split()).replace("|", "\\|") in " ".join(page.split())


def test_check_fails_on_a_page_that_drifted(maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "PAGE", tmp_path / "recipe.md")
    assert maker.main([]) == 0
    assert maker.main(["--check"]) == 0
    (tmp_path / "recipe.md").write_text(maker.reference().replace("seed", "sead"))
    assert maker.main(["--check"]) == 1
