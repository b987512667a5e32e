"""A round's folder holds nothing of a stage whose output is another one by now, whenever it was killed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import Ended, Event
from tunesmith.pipeline.held import hold
from tunesmith.pipeline.workspace import Stages, Workspace

PARTS = ("model", "predictions", "looks")


class Killed(BaseException):
    """A kill, as seen from inside."""


def made(folder: Path, of: str) -> None:
    """What hangs on an output, as a round would make it where it isn't there."""
    for part in PARTS:
        (folder / part).mkdir(exist_ok=True)
        for name in ("a", "b"):
            if not (folder / part / name).exists():
                (folder / part / name).write_text(of)


def told(folder: Path) -> set[str]:
    return {file.read_text() for part in PARTS for file in (folder / part).iterdir()}


def test_the_same_key_keeps_and_another_removes(tmp_path: Path) -> None:
    hold(tmp_path, "model", "one", PARTS)
    made(tmp_path, "one")
    (tmp_path / "clock.json").write_text("{}")
    hold(tmp_path, "other", "one", ("elsewhere",))
    hold(tmp_path, "model", "one", PARTS)
    assert told(tmp_path) == {"one"}
    hold(tmp_path, "model", "two", PARTS)
    assert not any((tmp_path / part).exists() for part in PARTS)
    assert (tmp_path / "clock.json").exists()
    assert read_json(tmp_path / "held.json") == {"other": "one", "model": "two"}


def test_what_was_made_before_keys_were_kept_goes(tmp_path: Path) -> None:
    made(tmp_path, "unknown")
    hold(tmp_path, "model", "one", PARTS)
    assert not any((tmp_path / part).exists() for part in PARTS)


@pytest.mark.parametrize("then", ["one", "two"])
@pytest.mark.parametrize("turn", range(8))
def test_killed_at_any_turn_nothing_of_another_output_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int, then: str
) -> None:
    """Whether the next run has the new output or the old one again: a folder removed by half is not taken for a whole one."""
    hold(tmp_path, "model", "one", PARTS)
    made(tmp_path, "one")
    turns = [0]

    def killing(call: Any, before: Any = None) -> Any:
        def act(path: Path, *rest: Any) -> None:
            if before is not None:
                before(path)
            turns[0] += 1
            if turns[0] == turn + 1:
                raise Killed
            call(path, *rest)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killing(shutil.rmtree, lambda path: (path / "a").unlink()))
        patch.setattr("tunesmith.pipeline.held.write_json", killing(write_json))
        try:
            hold(tmp_path, "model", "two", PARTS)
        except Killed:
            assert turn < 5
        else:
            assert turn >= 5
    whole = turn == 0 and then == "one"  # killed before anything was done
    hold(tmp_path, "model", then, PARTS)
    assert all((tmp_path / part).exists() for part in PARTS) is whole
    made(tmp_path, then)
    assert told(tmp_path) == {then}


def test_an_output_that_serves_as_well_is_taken_where_it_is_there(tmp_path: Path) -> None:
    place, heard = Workspace(tmp_path / "work"), []

    def listen(event: Event) -> None:
        heard.append(isinstance(event, Ended) and event.reused)

    def never(out: Path) -> None:
        raise AssertionError("it is there")

    with place.ledger() as ledger:
        stages = Stages(place, ledger, None, listen)  # type: ignore[arg-type]
        more = stages.folder("train", 1, {"n": 1, "more": 4}, lambda out: None)
        assert stages.folder("train", 1, {"n": 1}, never, [{"n": 1, "more": 4}]) == more
        assert heard == [True]
        own = stages.folder("train", 1, {"n": 2}, lambda out: None, [{"n": 2, "more": 4}])
        assert own == stages.folder("train", 1, {"n": 2}, never) != more
