"""What a run does around its loop: a sweep for the rate leaves no trace, the deciding measure chooses what is kept, damage is said."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import MachineError
from tunesmith.core.progress import Said, silent
from tunesmith.core.rows import Message, Row
from tunesmith.models.load import load_base
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.training import TrainingRun, read_steps, training_report
from tunesmith.recipe import Recipe
from tunesmith.train.finder import RateCurve

COLOURS = ("red", "green", "blue")


def run_of(base: Path, folder: Path, *, select: int = 6, **sections: Any) -> TrainingRun:
    rows = [
        Row(id=str(place), prompt=(Message("user", f"{COLOURS[place % 3]} thing {place}"),), answer=COLOURS[place % 3])
        for place in range(18)
    ]
    train = {"epochs": 2, "batch_rows": 4, "threads": 1, "learning_rate": 1e-2} | sections.pop("train", {})
    recipe = Recipe.model_validate({"data": {"path": "unused"}, "base": {"path": str(base)}, "train": train} | sections)
    loaded = load_base(recipe.base)
    folder.mkdir(exist_ok=True)
    material = Material(rows[:12], rows[12 : 12 + select], COLOURS, "classify")
    return TrainingRun(folder, recipe, loaded, Renderer(loaded.tokenizer, max_tokens=64), material, silent)


def test_a_sweep_for_the_rate_unfreezes_nothing(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps of a sweep would have passed every clock of two; the level stays, and so does what learns, during it and after."""
    seen: list[tuple[int, int]] = []

    def sweep(loss_at: Any, *, low: float, high: float) -> RateCurve:
        for _ in range(10):
            loss_at(low)
            state = run.state
            seen.append((state.progress.level, sum(p.requires_grad for p in state.trainable().values())))
        return RateCurve((), (), (), 0.0, 0.0, False)

    run = TrainingRun.__new__(TrainingRun)
    monkeypatch.setattr("tunesmith.pipeline.training.find_rate", sweep)
    settings: dict[str, Any] = {"method": {"name": "full", "unfreeze": {"every_steps": 2}}, "train": {"learning_rate": "find"}}
    original = TrainingRun.__init__

    def begin(self: TrainingRun, *given: Any) -> None:
        nonlocal run
        run = self
        original(self, *given)

    monkeypatch.setattr(TrainingRun, "__init__", begin)
    made = run_of(tiny_base, tmp_path / "run", **settings)
    learning = sum(p.requires_grad for p in made.state.trainable().values())
    assert seen == [(0, learning)] * 10
    assert learning < len(made.state.names)
    assert made.state.progress.level == 0
    assert made.state.extras.unfreezing is not None


@pytest.mark.parametrize(
    ("sections", "chosen_by"),
    [
        ({"method": {"head": "class"}}, "accuracy"),
        ({"method": {"head": "class"}, "evaluate": {"metrics": ["macro_f1"]}}, "macro_f1"),
        ({"method": {"head": "class"}, "train": {"early_stopping": {"by": "loss"}}}, "loss"),
        ({}, "loss"),
    ],
)
def test_what_chooses_the_checkpoint(tiny_base: Path, tmp_path: Path, sections: dict[str, Any], chosen_by: str) -> None:
    torch.manual_seed(0)
    run = run_of(tiny_base, tmp_path / "run", **sections)
    run.run()
    report = training_report(run)
    assert report["chosen_by"] == chosen_by
    values = {item["step"]: (item["value"], -item["loss"]) for item in report["validation"]}
    if chosen_by == "loss":
        assert {value for value, _ in values.values()} == {None}
        assert report["chosen_step"] == max(values, key=lambda step: values[step][1])
    else:
        assert report["chosen_step"] == max(values, key=lambda step: values[step])


# How far from the base


INTERPOLATE: dict[str, Any] = {"regularise": {"interpolate": True}}


@pytest.mark.parametrize("words", [[], ["The run ended."]], ids=["silent", "with words"])
@pytest.mark.parametrize(
    ("amount", "kept"),
    [
        (0.0, "0% of the way from the base to the tuned ones, which is the base itself"),
        (0.25, "25% of the way from the base to the tuned ones"),
        (1.0, "100% of the way from the base to the tuned ones"),
    ],
)
def test_the_report_says_how_far_from_the_base_the_kept_weights_are(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amount: float, kept: str, words: list[str]
) -> None:
    """As a number, and in the one place that the card prints: `words`, or where there are none `stopped`."""
    monkeypatch.setattr("tunesmith.pipeline.training.AMOUNTS", (amount,))
    monkeypatch.setattr("tunesmith.pipeline.training.Watch.ending", lambda *_, **__: list(words))
    run = run_of(tiny_base, tmp_path / "run", train=INTERPOLATE, method={"name": "full"})
    base = {name: p.detach().clone() for name, p in run.state.trainable().items()}
    heard: list[str] = []
    run.listen = lambda event: heard.append(event.text) if isinstance(event, Said) else None
    run.run()
    report = training_report(run)
    sentence = f"Kept weights {kept}: lowest loss on the select rows."
    assert report["interpolated"] == amount
    assert report["words"] == ([*words, sentence] if words else [])
    assert report["stopped"].endswith(f"; kept weights {kept}")
    assert heard.count(sentence) == 1
    same = all(torch.equal(p, base[name]) for name, p in run.state.trainable().items())
    assert same == (amount == 0)


def test_under_a_head_none_of_the_way_is_the_base_below_it(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.pipeline.training.AMOUNTS", (0.0,))
    run = run_of(tiny_base, tmp_path / "run", train=INTERPOLATE, method={"name": "full", "head": "class"})
    run.run()
    assert training_report(run)["stopped"].endswith("to the tuned ones, which is the base itself under the tuned head")


def test_without_interpolation_nothing_is_said_of_it(tiny_base: Path, tmp_path: Path) -> None:
    """Not asked for; or asked for without rows to choose by, which is said."""
    plain, blind = run_of(tiny_base, tmp_path / "plain"), run_of(tiny_base, tmp_path / "blind", select=0, train=INTERPOLATE)
    for run, said in ((plain, ""), (blind, "; kept the tuned weights as they are, as there are no select rows to interpolate by")):
        run.run()
        report = training_report(run)
        assert report["interpolated"] is None
        assert report["stopped"] == f"all {run.feed.steps} steps taken, keeping step {report['chosen_step']}{said}"


# A folder in which something is missing or damaged


@pytest.fixture(scope="module")
def ended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that took all its steps and still has its checkpoints: to go on from there is to load the best."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    run_of(tiny_base, folder).run()
    return folder


@pytest.fixture
def folder(ended: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "run"))


OVER = r"remove \S+/run and run the same command again, .* or make a new round with --again\.$"
"""The only way where what is lost can't be made again."""


def test_a_missing_best_checkpoint_is_never_replaced_by_the_last(tiny_base: Path, folder: Path) -> None:
    shutil.rmtree(folder / "best")
    with pytest.raises(MachineError, match=rf"^\S+/best is missing, which held the weights of step \d+, the best so far: {OVER}"):
        run_of(tiny_base, folder).run()
    shutil.rmtree(folder)
    assert run_of(tiny_base, folder).run() is not None


def test_a_best_checkpoint_that_goes_missing_while_the_run_goes_on_is_missed_too(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tiny_base, tmp_path / "run")
    drive = run._drive

    def driven() -> None:
        drive()
        shutil.rmtree(tmp_path / "run" / "best")

    monkeypatch.setattr(run, "_drive", driven)
    with pytest.raises(MachineError, match=r"/best is missing"):
        run.run()


@pytest.mark.parametrize("content", ["cut", "another model's", "no file"])
def test_a_damaged_best_checkpoint_is_said_with_what_to_do(tiny_base: Path, folder: Path, content: str) -> None:
    file = folder / "best" / "state.safetensors"
    if content == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif content == "no file":
        file.unlink()
    else:
        save_file({"weight/another": torch.zeros(2)}, file)
    with pytest.raises(MachineError, match=rf"^\S+/best can't be read \([^\n]+\): {OVER}"):
        run_of(tiny_base, folder).run()


def test_without_validation_there_is_no_best_to_miss(tiny_base: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run = run_of(tiny_base, tmp_path / "run", select=0)
        run.run()
        assert not (tmp_path / "run" / "best").exists()
        assert training_report(run)["chosen_step"] == run.feed.steps


def test_a_damaged_anchor_may_be_removed_alone(tiny_base: Path, folder: Path, ended: Path) -> None:
    """The round then begins again, with the best of its own and not of the one before; and has an anchor to go back to."""
    (folder / "anchor" / "progress.json").write_text("{")
    with pytest.raises(MachineError, match=r"anchor/progress.json can't be read \(.*\): remove \S+/anchor, and nothing beside it, .*\.$"):
        run_of(tiny_base, folder).run()
    shutil.rmtree(folder / "anchor")
    run = run_of(tiny_base, folder)
    run.run()
    assert (folder / "anchor").is_dir()
    assert (folder / "best" / "state.safetensors").read_bytes() == (ended / "best" / "state.safetensors").read_bytes()


def test_where_only_latest_is_left_it_becomes_the_anchor(tiny_base: Path, folder: Path) -> None:
    (folder / "anchor").rename(folder / "latest")
    run_of(tiny_base, folder).run()
    assert (folder / "anchor").is_dir()


WRONG: dict[str, list[tuple[str, str]]] = {
    "decisions.json": [
        ("", "EOF"),
        ('{"method": "full"', "EOF"),
        ("[]", "object"),
        ("{}", "method"),
        ('{"threads": 0}', "threads"),
        ('{"threads": "1"}', "threads"),
        ('{"learning_rate": -1}', "learning_rate"),
        ('{"learning_rate": NaN}', "learning_rate"),
        ('{"precision": "fp8"}', "precision"),
        ('{"layout": "heap"}', "layout"),
        ('{"method": "magic"}', "magic"),
        ('{"objective": "magic"}', "magic"),
        ('{"reasons": 1}', "reasons"),
        ('{"surprise": 1}', "surprise"),
    ],
    "memory_kills.json": [("", "EOF"), ("[3]", "object"), ('{"/proc/vmstat": "many"}', "integer"), ("null", "object")],
    "steps.jsonl": [("[]\n", "line 1"), ("{}\n", "line 1"), ('{"step": "x"}\n', "line 1"), ("{\n{}\n", "line 1"), ("\xff\n", "line 1")],
}
MOVES = {
    "decisions.json": OVER,
    "memory_kills.json": r"remove that file, and the round goes on\b.*\.$",
    "steps.jsonl": r"remove that file, and the round goes on\b.*\.$",
}


@pytest.mark.parametrize(("name", "content", "why"), [(name, *each) for name, cases in WRONG.items() for each in cases])
def test_a_file_of_wrong_content_is_named_with_what_to_do(tiny_base: Path, folder: Path, name: str, content: str, why: str) -> None:
    file = folder / name
    if name == "decisions.json" and '": ' in content and content.endswith("}"):
        content = json.dumps(json.loads(file.read_text()) | json.loads(content))
    file.write_text(content, encoding="latin-1")
    with pytest.raises(MachineError) as caught:
        run_of(tiny_base, folder).run()
    said = str(caught.value)
    assert re.search(rf"^\S+/{name}\b[^\n]* can't be read \([^\n]+\): {MOVES[name]}", said), said
    assert re.search(why, said), said
    if name != "decisions.json":
        file.unlink()
        run_of(tiny_base, folder).run()


def test_a_torn_last_line_of_the_log_is_left_out(ended: Path, folder: Path) -> None:
    whole = read_steps(ended)
    file = folder / "steps.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert read_steps(folder) == whole[:-1]
