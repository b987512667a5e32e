"""Watching: one look after another, telling what changed, until told to stop."""

import threading
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.core.files import only_one
from tunesmith.core.hashing import digest
from tunesmith.pipeline.next_round import NextOutcome, next_round, watch

WAITING = NextOutcome(None, False, "no round is due", 0, None)
PROMOTED = NextOutcome("r-1", True, "promoted", 7, {"value": 0.1, "low": 0.05, "high": 0.15})


def told_by(answers: list[NextOutcome | TunesmithError]) -> list[str]:
    stop, told, left = threading.Event(), list[str](), list(answers)

    def call() -> NextOutcome:
        now = left.pop(0)
        if not left:
            stop.set()
        if isinstance(now, TunesmithError):
            raise now
        return now

    watch(call, lambda one: told.append(str(one) if isinstance(one, TunesmithError) else one.why), 0.0, stop)
    assert not left
    return told


def test_only_what_changed_is_told_and_an_error_ends_nothing() -> None:
    answers: list[NextOutcome | TunesmithError] = [
        WAITING,
        WAITING,
        PROMOTED,
        WAITING,
        DataError("the disk is full"),
        DataError("the disk is full"),
        WAITING,
    ]
    assert told_by(answers) == ["no round is due", "promoted", "no round is due", "the disk is full", "no round is due"]


def test_what_waiting_can_not_help_ends_it() -> None:
    with pytest.raises(RecipeError, match="no champion"):
        told_by([WAITING, RecipeError("no champion"), WAITING])


def test_two_at_once_are_one(tmp_path: Path) -> None:
    with only_one(tmp_path / "next" / f".{digest('champion')[:16]}.lock", "The next round of 'champion'"):
        told = next_round(workspace=tmp_path)
    assert told.round_id is None and "in use by another process" in told.why
    with pytest.raises(RecipeError, match="has no champion to go on from"):
        next_round(workspace=tmp_path)
    with pytest.raises(RecipeError, match="no workspace"):
        next_round(workspace=tmp_path / "nowhere")
