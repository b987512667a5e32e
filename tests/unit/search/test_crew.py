"""Several workers: the same trials as one, deaths are told and made good, and none is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.progress import Event, Said
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.study import Given, SearchOutcome, search_with

Section = Callable[..., SearchConfig]
GRID = {"method.rank": [4, 8, 16], "train.learning_rate": [1e-4, 1e-3]}


def found(scripted: ModuleType, trainer: Any, folder: Path, told: list[Event], **changes: Any) -> SearchOutcome:
    config = SearchConfig.model_validate({"space": GRID, "sampler": "grid", "pruner": "none", "seeds": 1, "workers": 2} | changes)
    return search_with(trainer, config, folder=folder, seed=0, listen=told.append, given=Given(factory=scripted.Making(trainer)))


def workers_left(folder: Path) -> list[int]:
    """Of those that trained anything, who lives."""
    pids = [int(file.name.removeprefix("worker-")) for file in folder.glob("worker-*")]
    assert pids
    return [pid for pid in pids if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_two_workers_train_what_one_trains_and_none_is_left(scripted: ModuleType, tmp_path: Path) -> None:
    told: list[Event] = []
    trainer = scripted.Broken({1: "is killed", 4: "is always killed"}, tmp_path)
    outcome = found(scripted, trainer, tmp_path / "s", told)
    by_number = {trial.number: trial for trial in outcome.trials}
    assert len({tuple(trial.settings.items()) for trial in outcome.trials}) == 6
    for trial in outcome.trials:
        if trial.number != 4:
            assert trial.measured.value == scripted.height(trial.settings)
    assert by_number[1].measured.diverged is None
    assert by_number[4].measured.value is None
    assert "ended from outside 2 times (signal 9)" in (by_number[4].measured.diverged or "")
    warnings = [event.text for event in told if isinstance(event, Said) and event.warning]
    assert sorted(warning.split(" was")[0] for warning in warnings) == ["The worker of trial 1", "The worker of trial 4"]
    assert workers_left(tmp_path) == []


@pytest.mark.parametrize(
    ("how", "kind", "words"), [("raises", DataError, "rows are gone"), ("fails", RuntimeError, "ZeroDivisionError: a bug")]
)
def test_what_a_trainer_raises_in_a_worker_is_raised_here(
    scripted: ModuleType, tmp_path: Path, how: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        found(scripted, scripted.Broken({2: how}, tmp_path), tmp_path / "s", [])
    assert workers_left(tmp_path) == []


_LEADER = """
import sys
sys.path.insert(0, {scripted!r})
import time
from pathlib import Path
from dataclasses import dataclass
import scripted
from tunesmith.core.progress import silent
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search.study import Given, search_with

if __name__ == "__main__":
    folder = Path({folder!r})
    config = SearchConfig.model_validate({{"space": {{"method.rank": [4, 8, 16]}}, "sampler": "grid", "workers": 2}})
    making = scripted.Making(scripted.Waiting(folder))
    search_with(None, config, folder=folder / "s", seed=0, listen=silent, given=Given(factory=making))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_leader_whatever_ends_it(scripted: ModuleType, tmp_path: Path, number: int) -> None:
    script = tmp_path / "leader.py"
    script.write_text(_LEADER.format(scripted=str(Path(__file__).parent), folder=str(tmp_path)))
    leader = subprocess.Popen([sys.executable, str(script)], env=os.environ, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: len(list(tmp_path.glob("worker-*"))) == 2)
        leader.send_signal(number)
        leader.wait(timeout=60)
        _until(lambda: workers_left(tmp_path) == [])
    finally:
        leader.kill()
        leader.wait(timeout=60)


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what must come, two minutes at most."""
    for _ in range(2400):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")
