"""Other models that a round must beat: found by folder or by round, refused in a sentence where they answer something else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset, SideWriter, write_head
from tunesmith.evaluate.calibration import calibrate
from tunesmith.evaluate.config import CalibrateConfig
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base
from tunesmith.models.package import Bundle, save_model
from tunesmith.pipeline.rivals import instructed, refuse_others, rivals_of, score_rivals, what_it_has_seen
from tunesmith.pipeline.sides import Sides
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe, resolved
from tunesmith.score.prediction import Prediction

LABELS = ("blue", "red")
BUNDLE = Bundle(task="classify", method="full", max_tokens=64, labels=LABELS, label_texts={"blue": "blue", "red": "red"}, max_new_tokens=5)


@pytest.fixture(scope="module")
def model(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model in its folder: the tiny base, called tuned."""
    folder: Path = tmp_path_factory.mktemp("rival") / "model"
    folder.mkdir()
    base = load_base(BaseConfig(path=str(tiny_base)), seed=0)
    save_model(folder, base.model, base.tokenizer, replace(BUNDLE, base={"path": str(tiny_base)}))
    return folder


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copied" / "model"))


def recipe_of(*against: object, **data: object) -> Recipe:
    return Recipe.model_validate({"data": {"path": "x", **data}, "evaluate": {"against": [str(one) for one in against]}})


def found(tmp_path: Path, *against: object) -> list[Any]:
    return rivals_of(recipe_of(*against), Workspace(tmp_path / "work"))


def rewritten(folder: Path, **values: object) -> Path:
    told = json.loads((folder / "tunesmith.json").read_text())
    (folder / "tunesmith.json").write_text(json.dumps(told | values))
    return folder


def test_a_folder_is_found_and_the_first_is_the_champion(model: Path, copy: Path, tmp_path: Path) -> None:
    rewritten(copy, instruction="Say the colour.")
    first, second = found(tmp_path, model, copy.parent)
    assert (first.key, second.key) == ("champion", "model-2")
    assert first.name.startswith("Champion (") and second.name == "Model copied"
    assert first.content != second.content and second.bundle.instruction == "Say the colour."


def test_nothing_is_opened_where_nothing_is_named(tmp_path: Path) -> None:
    assert found(tmp_path) == [] and not (tmp_path / "work").exists()


@pytest.mark.parametrize("named", ["./nowhere", "r-unknown"])
def test_what_is_not_there_is_refused(named: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluate.against: .*no (folder|round)"):
        found(tmp_path, named)


def test_one_model_under_two_names_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="names one model twice"):
        found(tmp_path, model, model.parent)


def test_damaged_models_are_refused_in_a_sentence(copy: Path, tmp_path: Path) -> None:
    whole = (copy / "tunesmith.json").read_text()
    for text in (
        "{",
        "[]",
        '{"schema": 1}',
        whole.replace('"schema": 1', '"schema": 9'),
        whole.replace('"path"', '"pth"'),
        whole.replace('"max_tokens": 64', '"max_tokens": "x"'),
    ):
        (copy / "tunesmith.json").write_text(text)
        with pytest.raises(MachineError, match=r"evaluate\.against"):
            found(tmp_path, copy)
    (copy / "tunesmith.json").write_text(whole)
    weights = next(copy.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(MachineError, match=r"is damaged .*copy it again"):
        found(tmp_path, copy)
    (copy / "tunesmith.json").unlink()
    with pytest.raises(MachineError, match=r"holds no model of tunesmith's"):
        found(tmp_path, copy)


def test_an_adapter_whose_base_is_gone_is_refused(copy: Path, tmp_path: Path) -> None:
    rewritten(copy, method="lora", base={"path": "/gone/away"})
    with pytest.raises(RecipeError, match=r"can't be used: .*/gone/away"):
        found(tmp_path, copy)


def test_a_model_that_wants_code_nobody_trusts_is_refused(copy: Path, tmp_path: Path) -> None:
    told = json.loads((copy / "tunesmith.json").read_text())["base"]
    rewritten(copy, base=told | {"remote_code": ["someone/model"]})
    with pytest.raises(RecipeError, match="wants to run the code of 'someone/model'"):
        found(tmp_path, copy)


def test_other_tasks_labels_and_tokenizers_are_refused(model: Path, tmp_path: Path) -> None:
    rivals = found(tmp_path, model)
    refuse_others(rivals, Task.CLASSIFY, LABELS, "accuracy", dict)
    with pytest.raises(RecipeError, match="was made for the task classify, and these rows are generate"):
        refuse_others(rivals, Task.GENERATE, None, "rougeL", dict)
    with pytest.raises(RecipeError, match=r"other labels than these rows \(1 differ; 'green', which it does not know"):
        refuse_others(rivals, Task.CLASSIFY, (*LABELS, "green"), "accuracy", dict)
    with pytest.raises(RecipeError, match=r"2 differ; 'blue', which no training row has"):
        refuse_others(rivals, Task.CLASSIFY, ("red", "yellow"), "accuracy", dict)
    (rival,) = rivals
    text = replace(rival, bundle=replace(rival.bundle, task="text", labels=None))
    refuse_others([text], Task.TEXT, None, "perplexity", lambda: load_base(BaseConfig(**rival.bundle.base)).tokenizer.get_vocab())
    with pytest.raises(RecipeError, match="another tokenizer"):
        refuse_others([text], Task.TEXT, None, "perplexity", dict)


def dataset_of(**sides: str) -> Dataset:
    """Rows by the words of their prompts."""
    rows = {
        side: [Row(id=f"{side}-{word}", prompt=(Message("user", word),), answer="red") for word in words.split()]
        for side, words in sides.items()
    }
    return Dataset(task=Task.CLASSIFY, format="f", mapping={}, labels={"red": 1}, sides=rows, waterfall=[], notes=(), path="x")


def kept(workspace: Workspace, dataset: Dataset) -> Dataset:
    """In the workspace, as a round leaves it."""
    folder = workspace.datasets / f"{dataset.id[:16]}-rows"
    folder.mkdir(parents=True)
    for side, rows in dataset.sides.items():
        writer = SideWriter(folder, side)
        for row in rows:
            writer.add(row)
        writer.close()
    write_head(folder, dataset)
    return dataset


def test_test_rows_that_a_model_was_chosen_or_calibrated_by_are_told_as_those_it_was_trained_on(model: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work")
    theirs = kept(workspace, dataset_of(train="a b", select="c", calibrate="d b", test="e f"))
    ours = dataset_of(train="x", select="y", calibrate="", test="A b c d e g")
    rival = replace(found(tmp_path, model)[0], dataset=theirs.id)
    (warning,), notes = what_it_has_seen([rival], ours, workspace)
    assert (
        f"{rival.name} was made with 4 of the 6 test rows (2 on its train side, 1 on its select side, 1 on its calibrate side)" in warning
    )
    assert notes == []
    fresh = dataset_of(train="x", select="y", calibrate="", test="e f g")  # only rows it was tested on itself
    assert what_it_has_seen([rival], fresh, workspace) == ([], [])
    assert what_it_has_seen([rival], theirs, workspace) == ([], [])
    warnings, (note,) = what_it_has_seen([replace(rival, dataset="0" * 64)], ours, workspace)
    assert warnings == [] and "can't be told: its dataset is not in this workspace" in note


@pytest.mark.parametrize(
    ("ours", "theirs", "own", "expected"),
    [
        (None, None, None, []),
        ("A", "A", None, ["A"]),
        ("A", "B", None, ["B"]),
        ("A", None, None, []),
        (None, "B", None, ["B"]),
        ("A", "B", "own", ["own"]),
        (None, "B", "own", ["own"]),
    ],
)
def test_a_model_hears_its_own_instruction(ours: str | None, theirs: str | None, own: str | None, expected: list[str]) -> None:
    put = own or ours
    asked = (Message("system", put), Message("user", "hi")) if put else (Message("user", "hi"),)
    made = instructed(Row(id="a", prompt=asked, answer="x"), ours, theirs)
    assert [one.content for one in made.prompt] == [*expected, "hi"] and (made.id, made.answer) == ("a", "x")


def test_raw_text_has_no_instruction() -> None:
    row = Row(id="a", prompt=(), answer="text")
    assert instructed(row, None, "B") is row


def test_it_is_asked_in_its_own_words_and_its_confidence_is_corrected(copy: Path, tmp_path: Path) -> None:
    """Planted: its calibration is a temperature; the answers stay, the probabilities are those of the corrected logarithms."""
    rows = [Row(id=f"r{n}", prompt=(Message("system", "Ours."), Message("user", f"thing {n}")), answer=LABELS[n % 2]) for n in range(12)]
    sides = Sides(rows, rows, rows, LABELS, "classify")
    recipe = recipe_of(copy, instruction="Ours.")
    (plain,) = rivals_of(recipe, Workspace(tmp_path / "work"))
    names = score_rivals([plain], sides, recipe, tmp_path / "plain", lambda event: None)
    assert names == {"champion": plain.name}
    before = [Prediction.from_json(json.loads(line)) for line in (tmp_path / "plain" / "champion.jsonl").read_text().splitlines()]
    sure = [replace(one, chances={"blue": 0.9, "red": 0.1}, answer="blue", confidence=0.9) for one in before * 10]
    calibration = calibrate(sure, CalibrateConfig(methods=["temperature"]))
    rewritten(copy, calibration=replace(calibration, measured=None).to_json(), label_texts={"blue": "blue", "red": "scarlet"})
    (own,) = rivals_of(recipe, Workspace(tmp_path / "work"))
    score_rivals([own], sides, recipe, tmp_path / "own", lambda event: None)
    after = [Prediction.from_json(json.loads(line)) for line in (tmp_path / "own" / "champion.jsonl").read_text().splitlines()]
    assert [one.row_id for one in after] == [row.id for row in rows]
    assert all(abs(sum((one.chances or {}).values()) - 1) < 1e-6 for one in after)
    assert [one.chances for one in after] != [one.chances for one in before]  # other words for a label, and a temperature
    assert {one.prompt_tokens for one in after} == {one.prompt_tokens for one in before}  # without "Ours.", which is not its own
    with_ours = plain_tokens(rows[0], copy)
    assert all(one.prompt_tokens < with_ours for one in after)


def plain_tokens(row: Row, folder: Path) -> int:
    """Tokens of a row's prompt as it stands, under the model's own template."""
    from tunesmith.chat.render import Renderer
    from tunesmith.models.package import load_model

    _, tokenizer, bundle = load_model(folder)
    return len(Renderer(tokenizer, max_tokens=bundle.max_tokens).prompt(row.prompt).ids)


def test_where_a_folder_lies_does_not_change_what_the_recipe_is(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "model").mkdir(parents=True)
    one, other = (resolved(recipe_of("model", "r-123"), tmp_path / name) for name in ("a", "b"))
    assert one.evaluate.against == [str(tmp_path / "a" / "model"), "r-123"]
    assert one.identity() == other.identity() != recipe_of("r-123").identity()
