"""Trackers get plain numbers, each step once, and never the run's peace; what leaves of a recipe is no text."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.progress import Event, Said
from tunesmith.pipeline import trackers
from tunesmith.pipeline.trackers import Setting, Trackers, flat_settings, refuse_without_library, tracker
from tunesmith.recipe import Recipe

SETTINGS: dict[str, Setting] = {"seed": 3, "train.learning_rate": 1e-3, "method.name": "lora", "train.accumulate": None}


class Fake:
    """Keeps what it is given, in memory that outlives it."""

    LIBRARY: ClassVar[str] = "json"
    kept: ClassVar[list[tuple[int, dict[str, float]]]] = []
    closed: ClassVar[int] = 0
    fails_at: ClassVar[int | None] = None

    def __init__(self) -> None:
        self.held = {name: step for step, values in self.kept for name in values}

    @classmethod
    def open(cls, folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Self:
        return cls()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("no answer\nsecond line")
        self.kept.append((step, dict(values)))

    def go_back(self, step: int) -> None:
        self.kept[:] = [(kept, values) for kept, values in self.kept if kept <= step]
        self.held = {name: min(last, step) for name, last in self.held.items()}

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Fake]]:
    """A tracker called `fake`, and one called `other`."""
    monkeypatch.setattr(Fake, "kept", [])
    monkeypatch.setattr(Fake, "closed", 0)
    monkeypatch.setattr(trackers, "tracker", lambda name: Fake)
    return Fake


def _open(folder: Path, said: list[Event], *names: str) -> Trackers:
    return Trackers.open(names, folder, "r-1", SETTINGS, listen=said.append)


def test_each_value_once_and_none_that_is_not_finite(fake: type[Fake], tmp_path: Path) -> None:
    said: list[Event] = []
    run = _open(tmp_path, said, "fake")
    run.log(1, {"loss": 2.0, "grad_norm": float("nan"), "memory_mib": None})
    run.log(1, {"loss": 2.0, "validation_loss": 3.0})
    run.log(2, {"loss": 1.0})
    again = _open(tmp_path, said, "fake")
    for step in (1, 2, 3):
        again.log(step, {"loss": 1.0})
    assert fake.kept == [(1, {"loss": 2.0}), (1, {"validation_loss": 3.0}), (2, {"loss": 1.0}), (3, {"loss": 1.0})]
    assert said == []


def test_one_that_fails_is_told_of_once_and_switched_off(fake: type[Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "fails_at", 2)
    said: list[Event] = []
    run = _open(tmp_path, said, "fake")
    for step in (1, 2, 3):
        run.log(step, {"loss": 1.0})
    run.close()
    assert said == [Said("fake shows no more of this run, which goes on: ConnectionError: no answer", warning=True)]
    assert fake.kept == [(1, {"loss": 1.0})]
    assert fake.closed == 0


def test_others_go_on_and_all_are_closed(tmp_path: Path) -> None:
    class Broken(Fake):
        def log(self, step: int, values: Mapping[str, float]) -> None:
            raise ValueError

    class Whole(Fake):
        kept: ClassVar[list[tuple[int, dict[str, float]]]] = []

    said: list[Event] = []
    run = Trackers({"broken": Broken(), "whole": Whole()}, said.append)
    run.log(1, {"loss": 1.0})
    run.log(2, {"loss": 1.0})
    run.close()
    run.close()
    assert [event.text for event in said if isinstance(event, Said)] == ["broken shows no more of this run, which goes on: ValueError"]
    assert [step for step, _ in Whole.kept] == [1, 2]
    assert Whole.closed == 1


def test_one_that_can_not_be_opened_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: type[Fake]) -> None:
    def refuse(folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Fake:
        raise OSError("disk full")

    monkeypatch.setattr(Fake, "open", refuse)
    said: list[Event] = []
    _open(tmp_path, said, "fake", "fake").log(1, {"loss": 1.0})
    assert len(said) == 1


def test_an_interrupt_is_not_swallowed() -> None:
    class Interrupted(Fake):
        def log(self, step: int, values: Mapping[str, float]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trackers({"x": Interrupted()}, lambda event: None).log(1, {"loss": 1.0})


def _back(run: Trackers) -> None:
    """Steps 1 to 4 at a loss of 9, then back to step 2, and 3 to 5 at a loss of 1."""
    for step in range(1, 5):
        run.log(step, {"loss": 9.0})
    run.go_back(2, [(step, {"loss": 9.0}) for step in (1, 2)])
    for step in range(3, 6):
        run.log(step, {"loss": 1.0})


BACK = [(1, 9.0), (2, 9.0), (3, 1.0), (4, 1.0), (5, 1.0)]


def test_abandoned_steps_are_taken_back(fake: type[Fake], tmp_path: Path) -> None:
    said: list[Event] = []
    _back(_open(tmp_path, said, "fake"))
    assert [(step, values["loss"]) for step, values in fake.kept] == BACK
    assert said == []


def test_nothing_is_taken_back_where_nothing_came_after(fake: type[Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Fake, step: int) -> None:
        raise AssertionError

    monkeypatch.setattr(Fake, "go_back", refuse)
    said: list[Event] = []
    run = _open(tmp_path, said, "fake")
    run.log(1, {"loss": 9.0})
    run.go_back(1, [(1, {"loss": 9.0})])
    assert (said, [step for step, _ in fake.kept]) == ([], [1])


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(RecipeError, match=r"train\.track 'tensorbord' is not known\. Did you mean 'tensorboard'\?"):
        tracker("tensorbord")


def test_a_missing_library_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"pip install 'tunesmith\[mlflow\]', or take mlflow out of train\.track\.$"):
        refuse_without_library(["mlflow"])
    refuse_without_library([])


def test_a_bare_folder_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leftover_of_a_tracker").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Fake, "LIBRARY", "leftover_of_a_tracker")
    monkeypatch.setattr(trackers, "tracker", lambda name: Fake)
    with pytest.raises(MachineError, match="not installed"):
        refuse_without_library(["wandb"])


def test_the_table_needs_no_library() -> None:
    code = (
        "import sys, tunesmith.pipeline.trackers as t\n"
        "[t.tracker(name) for name in t._TABLE]\n"
        "assert not {'torch', 'tensorboard', 'mlflow', 'wandb'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_text_of_a_recipe_leaves() -> None:
    secret = "sesame"
    recipe = Recipe.model_validate(
        {
            "seed": 7,
            "data": {"path": f"/home/{secret}/rows.jsonl", "instruction": secret, "task": "classify"},
            "base": {"path": f"/models/{secret}", "new_tokens": [secret]},
            "objective": {"name": "sft"},
            "method": {"name": "lora", "rank": 4, "targets": [secret]},
            "train": {"learning_rate": 0.01, "betas": [0.9, 0.95], "regularise": {"replay": {"path": f"{secret}.jsonl"}}},
        }
    )
    flat = flat_settings(recipe)
    assert secret not in repr(flat)
    expected: dict[str, Any] = {
        "seed": 7,
        "data.task": "classify",
        "objective.name": "sft",
        "method.name": "lora",
        "method.rank": 4,
        "train.learning_rate": 0.01,
        "train.betas": "0.9, 0.95",
        "train.schedule": "cosine",
        "train.share_prefixes": True,
        "train.regularise.ema": None,
    }
    assert {name: flat.get(name, "absent") for name in expected} == expected
    assert all(isinstance(value, float | int | bool | str | None) for value in flat.values())


def _need(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install 'tunesmith[{library}]'")


def _run_twice(name: str, folder: Path) -> list[Event]:
    """Steps 1 to 4, then a continued run that hands in all of its log and goes on to 6; step 4 was validated."""
    said: list[Event] = []
    for last in (4, 6):
        run = _open(folder, said, name)
        for step in range(1, last + 1):
            run.log(step, {"loss": 1 / step, "learning_rate": 0.1})
            if step == 4:
                run.log(step, {"validation_loss": 0.5})
        run.close()
    return said


def test_tensorboard_appends_without_a_step_twice(tmp_path: Path) -> None:
    _need("tensorboard")
    assert _run_twice("tensorboard", tmp_path) == []
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    files = sorted((tmp_path / "tensorboard").iterdir())
    assert len(files) == 2
    steps = [
        (value.tag, event.step)
        for file in files
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    ]
    wanted = [(tag, step) for step in range(1, 7) for tag in ("loss", "learning_rate")] + [("validation_loss", 4)]
    assert sorted(steps) == sorted(wanted)


def test_tensorboard_takes_up_a_torn_file(tmp_path: Path) -> None:
    _need("tensorboard")
    said: list[Event] = []
    run = _open(tmp_path, said, "tensorboard")
    for step in (1, 2, 3):
        run.log(step, {"loss": 1.0})
    run.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    _open(tmp_path, said, "tensorboard").close()
    assert tracker("tensorboard").open(tmp_path, "r-1", {}).held == {"loss": 2}
    assert said == []


def test_tensorboard_shows_no_abandoned_step(tmp_path: Path) -> None:
    _need("tensorboard")
    said: list[Event] = []
    run = _open(tmp_path, said, "tensorboard")
    _back(run)
    run.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert [(event.step, event.value) for event in shown.Scalars("loss")] == BACK
    again = _open(tmp_path, said, "tensorboard")
    assert tracker("tensorboard").open(tmp_path, "r-1", {}).held == {"loss": 5}
    again.go_back(3, [])
    again.close()
    assert tracker("tensorboard").open(tmp_path, "r-1", {}).held == {"loss": 3}
    assert said == []


@pytest.mark.slow
def test_mlflow_tells_of_abandoned_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _need("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[Event] = []
    run = _open(tmp_path, said, "mlflow")
    _back(run)
    run.close()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tunesmith")
    assert experiment is not None
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.data.tags["tunesmith.went_back_to_step"] == "2"
    metrics = sorted(client.get_metric_history(kept.info.run_id, "loss"), key=lambda metric: (metric.step, metric.timestamp))
    assert list({metric.step: metric.value for metric in metrics}.items()) == BACK  # of one step, the later stands
    assert said == []


@pytest.mark.slow
def test_wandb_begins_its_record_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _need("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    said: list[Event] = []
    run = _open(tmp_path, said, "wandb")
    _back(run)
    run.close()
    import wandb

    wandb.teardown()
    (record,) = (tmp_path / "wandb").glob("offline-run-*")
    (file,) = record.glob("*.wandb")
    history = _wandb_history(file)
    assert [(step, loss) for (_, step), (_, loss) in zip(_of(history, "_step"), _of(history, "loss"), strict=True)] == [
        (str(step), f"{loss:g}") for step, loss in BACK
    ]
    assert said == []


def _of(history: list[tuple[str, str]], wanted: str) -> list[tuple[str, str]]:
    return [item for item in history if item[0] == wanted]


@pytest.mark.slow
def test_mlflow_appends_without_a_step_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _need("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, {"MLFLOW_DISABLE_TELEMETRY": "true"}.get(name, "2"))  # so that what `open` sets does not stay
    assert _run_twice("mlflow", tmp_path) == []
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tunesmith")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in SETTINGS.items()}
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5, 6]
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "validation_loss")] == [0.5]


@pytest.mark.slow
def test_wandb_leaves_one_whole_offline_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _need("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert _run_twice("wandb", tmp_path) == []
    import wandb

    wandb.teardown()  # as at the end of a process: what its own process still holds is written
    (record,) = (tmp_path / "wandb").glob("offline-run-*")
    (file,) = record.glob("*.wandb")
    history = _wandb_history(file)
    assert [value for name, value in history if name == "_step"] == ["1", "2", "3", "4", "5", "6"]
    assert [value for name, value in history if name == "validation_loss"] == ["0.5"]
    assert not [file for file in record.rglob("*") if file.name in ("wandb-metadata.json", "requirements.txt", "output.log")]


def _wandb_history(file: Path) -> list[tuple[str, str]]:
    """Names and values of a short record: after 7 bytes, pieces of checksum (4 bytes), length (2), kind (1) and a message."""
    from wandb.proto import wandb_internal_pb2

    data, place, found = file.read_bytes(), 7, []
    assert len(data) < 2**15
    while place + 7 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data[place + 7 : place + 7 + length])
        found += [(item.key or ".".join(item.nested_key), item.value_json) for item in record.history.item]
        place += 7 + length
    return found
