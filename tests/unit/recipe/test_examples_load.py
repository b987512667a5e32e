"""The recipes in examples/ load, say something, and read rows of the shape they announce."""

import json
from pathlib import Path

import pytest

from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.data.read import read
from tunesmith.recipe import Recipe, dump_recipe, load_recipe, parse_recipe

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def _chat(number: int) -> str:
    turns = [
        {"role": "user", "content": f"Do you sell rake {number}?"},
        {"role": "assistant", "content": f"Yes, rake {number} is in stock."},
    ]
    return json.dumps({"messages": turns}) + "\n"


_ROWS = {
    "banking77.yaml": ("text,category\n" + "".join(f"Where is card {n}?,card_{n % 2}\n" for n in range(8)), "text/label", Task.CLASSIFY),
    "chat.yaml": ("".join(map(_chat, range(8))), "messages", Task.GENERATE),
    "raw_text.yaml": ("A rake.\nIt has teeth.\n\nA spade.\n", "text", Task.TEXT),
    "lora_hub.yaml": (
        "".join(json.dumps({"customer_id": n, "message": f"Where is parcel {n}?", "intent": f"kind {n % 2}"}) + "\n" for n in range(8)),
        "text/label",
        Task.CLASSIFY,
    ),
}


def test_every_example_is_tried_here() -> None:
    assert sorted(_ROWS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_survives_a_round_trip(name: str) -> None:
    recipe = load_recipe(EXAMPLES / name)
    assert parse_recipe(dump_recipe(recipe)) == recipe
    assert recipe != Recipe.model_validate({"data": {"path": recipe.data.path}})


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_rows_of_the_shape_it_announces(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(EXAMPLES / name)
    text, form, task = _ROWS[name]
    file = tmp_path / Path(recipe.data.path).name
    file.write_text(text)
    found = read(str(file), recipe.data.read, recipe.data.task)
    rows = [item for item in found if isinstance(item, Row)]
    assert (found.form.name, found.task, found.bad) == (form, task, 0)
    assert len(rows) == (2 if task is Task.TEXT else 8)
    by = recipe.data.split.by
    assert by is None or all(by in row.fields for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_beside_them_names_it(name: str) -> None:
    assert f"`{name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
