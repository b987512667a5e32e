"""What would keep a run from training is refused by `check`, in the run's own words."""

from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.core.errors import MachineError, RecipeError, TunesmithError
from tunesmith.pipeline import trackers

CASES: list[tuple[dict[str, Any], type[TunesmithError], str]] = [
    ({"method": {"name": "bitfit"}}, RecipeError, "trains biases"),
    ({"method": {"name": "lora", "rank": 100_000}}, RecipeError, "no matrix that lora adapts"),
    ({"method": {"name": "lora", "targets": ["nonsense"]}}, RecipeError, "name no layer"),
    ({"method": {"name": "layers", "top_layers": 99}}, RecipeError, "more than the 2 layers"),
    ({"method": {"head": "class"}, "objective": {"class_weights": {"nolabel": 3}}}, RecipeError, "names the label 'nolabel'"),
    ({"train": {"track": ["mlflow"]}}, MachineError, "needs a library that is not installed"),
    ({"evaluate": {"forgetting": {"general": "nowhere.jsonl"}}}, RecipeError, "nowhere.jsonl"),
]


@pytest.mark.parametrize(("sections", "kind", "said"), CASES)
def test_check_refuses_what_the_run_would(
    tiny_base: Path,
    colour_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sections: dict[str, Any],
    kind: type[TunesmithError],
    said: str,
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    recipe = tunesmith.Recipe.model_validate({"data": {"path": str(colour_file)}, "base": {"path": str(tiny_base)}} | sections)
    with pytest.raises(kind, match=said) as checked:
        tunesmith.check(recipe, workspace=tmp_path)
    with pytest.raises(kind) as ran:
        tunesmith.run(recipe, workspace=tmp_path)
    assert str(checked.value) == str(ran.value)
