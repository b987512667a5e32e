"""A round that goes on with another training, or after a change of what is only looked at, tells of one model and asks nothing twice."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tunesmith
from tunesmith.core.files import read_jsonl, write_jsonl
from tunesmith.core.hashing import digest_folder
from tunesmith.core.progress import Event, Started
from tunesmith.pipeline import one_training, rounds

QUICKER: dict[str, Any] = {"train": {"max_steps": 2}, "evaluate": {"few_shot": [0]}}


class Killed(BaseException):
    """A kill, as seen from inside."""


@pytest.fixture
def recipe(tmp_path: Path, colour_file: Path, tiny_base: Path, write_recipe: Any) -> Path:
    """A quick recipe beside its rows."""
    shutil.copyfile(colour_file, tmp_path / "rows.jsonl")
    found: Path = write_recipe(tmp_path, "rows.jsonl", tiny_base, **QUICKER)
    return found


def _killed_in_its_report(recipe: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "write_card", kill)
        with pytest.raises(Killed):
            tunesmith.run(tunesmith.load_recipe(recipe), workspace=work)
    (folder,) = (work / "rounds").iterdir()
    return folder


def _gone_on(recipe: Path, work: Path) -> tuple[dict[str, Any], set[str]]:
    started: set[str] = set()

    def listen(event: Event) -> None:
        if isinstance(event, Started):
            started.add(event.work)

    done = tunesmith.run(tunesmith.load_recipe(recipe), workspace=work, listen=listen)
    assert done.report is not None
    return done.report, started


def _spoil(file: Path) -> None:
    """Make answers that no model of this round gave."""
    write_jsonl(file, [one | {"answer": "of an earlier model"} for one in read_jsonl(file)])


def test_another_training_takes_all_that_hung_on_the_earlier_model_with_it(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its report, then the program is another version: the earlier weights, answers and figures are gone."""
    work = tmp_path / "work"
    folder = _killed_in_its_report(recipe, work, monkeypatch)
    earlier = set((work / "cache").glob("train-*"))
    (folder / "model" / "earlier.txt").write_text("weights of another training")
    for file in (folder / "predictions" / "tuned.jsonl", folder / "baselines" / "zero-shot.jsonl"):
        _spoil(file)
    monkeypatch.setattr(rounds, "TRAIN_VERSION", 99)
    monkeypatch.setattr(rounds, "BASELINES_VERSION", 99)
    report, started = _gone_on(recipe, work)
    assert {"train", "score fine-tuned on test"} <= started
    (made,) = set((work / "cache").glob("train-*")) - earlier - set((work / "cache").glob("*.lock"))
    weights = ("*.safetensors",)
    assert digest_folder(folder / "model", weights) == digest_folder(made / "model", weights)
    assert not (folder / "model" / "earlier.txt").exists()
    for file in (folder / "predictions" / "tuned.jsonl", folder / "baselines" / "zero-shot.jsonl"):
        assert "of an earlier model" not in file.read_text()
    assert report["data"]["test_openings"] == 1 and report["round"]["continued"] == 1


def test_the_same_training_keeps_its_answers(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    _killed_in_its_report(recipe, work, monkeypatch)
    report, started = _gone_on(recipe, work)
    assert not started & {"train", "score fine-tuned on test", "score zero-shot on test", "calibrate"}
    assert report["data"]["test_openings"] == 1


def test_what_is_only_looked_at_trains_and_scores_nothing_anew(
    recipe: Path, tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain = {"enabled": True, "rows": 1, "steps": 8, "tolerance": 0.5, "train_rows": 8}

    def run(*settings: str) -> str:
        more = [part for setting in settings for part in ("--set", setting)]
        said = command("run", recipe, "--workspace", tmp_path / "work", "--json", *more)
        assert said.code == 0, said.err
        return str(said.err)

    run(*(f"evaluate.explain.{name}={json.dumps(value)}" for name, value in explain.items()))
    (snapshots,) = (tmp_path / "work" / "cache").glob("train-*/snapshots")
    assert list(snapshots.iterdir())
    said = run("evaluate.metrics=[accuracy, macro_f1, mcc]")  # no longer explained, and measured by more
    assert "train: taken from an earlier round" in said and "baselines: taken from an earlier round" in said
    monkeypatch.setattr(rounds, "cpu_name", lambda: "another processor")
    said = run("evaluate.resamples=201")
    assert "train: taken from an earlier round" in said and "baselines: taken" not in said  # what answers cost is of this machine
    monkeypatch.setattr(one_training, "device_here", lambda: SimpleNamespace(type="another"))
    assert "train: taken" not in run("evaluate.resamples=202")
