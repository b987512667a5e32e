"""A search that is killed, however often and wherever, ends as one that was not: the same trials, none trained twice.

Killed as a round is in `test_resumed_equals_uninterrupted`: within a forked child, before every single operation that makes something
durable, by `os._exit`, so that no `finally` tidies up.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna  # noqa: F401 - once here, not again in every child
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
import torch  # noqa: F401 - what the Gaussian process loads

from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import silent
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.study import search_with

DONE, KILLED, BROKEN = 0, 9, 1
FEW: dict[str, Any] = {"trials": 6, "pruner": "asha", "finalists": 2, "seeds": 2, "stop_early": False, "sampler": "random"}


@pytest.fixture(scope="module")
def scripted() -> Iterator[ModuleType]:
    """The scripted trainers of the unit tests."""
    here = str(Path(__file__).parents[1] / "unit" / "search")
    sys.path.insert(0, here)
    yield import_module("scripted")
    sys.path.remove(here)


def search(scripted: ModuleType, folder: Path, *, kill_at: int | None = None, **changes: Any) -> int:
    """Search in a child; killed before its `kill_at`-th durable operation. Returns how it ended."""
    trained = folder / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _count_operations(folder, kill_at)
            config = SearchConfig.model_validate({"space": scripted.SPACE} | FEW | changes)
            hill = scripted.Hill(0.02, evaluations=3, folder=trained)
            outcome = search_with(hill, config, folder=folder / "study", seed=5, listen=silent)
            write_json(folder / "end.json", _comparable(outcome.to_json()))
            os._exit(DONE)
        except BaseException:
            traceback.print_exc()
            os._exit(BROKEN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _comparable(told: dict[str, Any]) -> dict[str, Any]:
    """Without the times."""
    kept = json.loads(json.dumps(told))
    del kept["seconds"]
    for trial in [*kept["trials"], kept["best"], *(trial for one in kept["finalists"] for trial in one["trials"])]:
        del trial["measured"]["seconds"]
    return dict(kept)


def _count_operations(folder: Path, kill_at: int | None) -> None:
    done, sync = 0, os.fsync

    def counted(original: Any) -> Any:
        def operation(*args: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == kill_at:
                os._exit(KILLED)
            if kill_at is None:
                (folder / "operations").write_text(str(done))
            return original(*args, **named) if original is not sync else None  # a killed process loses nothing that was written

        return operation

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


def steps_made(folder: Path) -> list[str]:
    return (folder / "trained" / "steps").read_text().split()


@pytest.fixture(scope="module")
def whole(scripted: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that ran to its end without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    assert search(scripted, folder) == DONE
    assert any(trial["measured"]["pruned"] for trial in read_json(folder / "end.json")["trials"])
    return folder


def test_a_search_killed_before_any_durable_operation_ends_as_if_it_had_not_been(scripted: ModuleType, whole: Path, tmp_path: Path) -> None:
    operations = int((whole / "operations").read_text())
    assert operations > 100
    for kill_at in range(1, operations, 5):  # a file takes three operations, so each kind comes in turn
        folder = tmp_path / str(kill_at)
        assert search(scripted, folder, kill_at=kill_at) == KILLED
        assert search(scripted, folder) == DONE
        assert read_json(folder / "end.json") == read_json(whole / "end.json"), kill_at
        made = steps_made(folder)
        assert len(made) - len(set(made)) <= 1, kill_at  # the steps before a checkpoint that was not yet whole


def test_a_search_killed_again_and_again_ends_too(scripted: ModuleType, whole: Path, tmp_path: Path) -> None:
    kills = 0
    while (ended := search(scripted, tmp_path, kill_at=29)) == KILLED:
        kills += 1
        assert kills < 200
    assert ended == DONE
    assert kills > 5
    assert read_json(tmp_path / "end.json") == read_json(whole / "end.json")


@pytest.mark.parametrize("sampler", ["tpe", "grid", "gp"])
def test_other_samplers_ask_the_same_after_a_kill(scripted: ModuleType, tmp_path: Path, sampler: str) -> None:
    changes: dict[str, Any] = {"sampler": sampler, "trials": 6 if sampler == "gp" else 12, "seeds": 1}
    if sampler == "grid":
        changes["space"] = {"train.learning_rate": [1e-4, 1e-3, 1e-2], "method.rank": [4, 8, 16, 32]}
    assert search(scripted, tmp_path / "whole", **changes) == DONE
    operations = int((tmp_path / "whole" / "operations").read_text())
    _killed_at_ends_alike(scripted, tmp_path, (operations * 3 // 4, operations - 9), changes)


def test_a_search_that_ends_itself_ends_at_the_same_trial_after_a_kill(scripted: ModuleType, tmp_path: Path) -> None:
    space = {"train.learning_rate": {"log": [1e-5, 1e-1]}}
    changes: dict[str, Any] = {"space": space, "pruner": "hyperband", "trials": 60, "seeds": 1, "stop_early": True}
    assert search(scripted, tmp_path / "whole", **changes) == DONE
    told = read_json(tmp_path / "whole" / "end.json")
    assert "not expected to help" in told["stopped"]
    assert 25 <= len(told["trials"]) < 60
    assert any(trial["measured"]["pruned"] for trial in told["trials"])
    operations = int((tmp_path / "whole" / "operations").read_text())
    _killed_at_ends_alike(scripted, tmp_path, (operations - 20, operations - 9), changes)


def _killed_at_ends_alike(scripted: ModuleType, home: Path, kills: tuple[int, ...], changes: dict[str, Any]) -> None:
    for kill_at in kills:
        folder = home / str(kill_at)
        assert search(scripted, folder, kill_at=kill_at, **changes) == KILLED
        assert search(scripted, folder, **changes) == DONE
        assert read_json(folder / "end.json") == read_json(home / "whole" / "end.json")
