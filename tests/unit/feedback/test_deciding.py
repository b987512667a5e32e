"""A reviewer's keys, a line each."""

import io
import os
import pty
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.feedback.deciding import Reviewed, Sitting, letters, next_line, single_keys
from tunesmith.feedback.queue import Waiting, queue
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger

Say = Callable[..., FeedbackRecord]


@pytest.fixture
def ledger(tmp_path: Path, say: Say) -> Ledger:
    made = Ledger.open(tmp_path / "ledger.db")
    made.feedback.give([say("thumbs", "down", f"q{number}", f"a{number}", confidence=number / 10) for number in range(4)])
    return made


def sat(ledger: Ledger, typed: str, labels: tuple[str, ...] | None = None) -> tuple[Reviewed, list[str]]:
    notes: list[str] = []
    lines = io.StringIO(typed)
    sitting = Sitting(ledger, "ann", lambda *_: None, notes.append, lambda _: labels)
    return sitting.go(queue(ledger.feedback.list()), letters(lines), next_line(lines)), notes


def test_each_key_does_what_it_says(ledger: Ledger) -> None:
    done, notes = sat(ledger, "a\nR\n\ns\nreject\n")
    assert (done.accepted, done.rejected, done.skipped, done.left, notes) == (1, 2, 1, 0, [])
    assert [record.state for record in ledger.feedback.list()] == ["accepted", "rejected", "new", "rejected"]
    assert {record.reviewer for record in ledger.feedback.list()} == {"ann", None}


def test_quitting_and_the_end_of_the_input_leave_the_rest(ledger: Ledger) -> None:
    assert sat(ledger, "a\nq\na\na\n")[0].left == 3
    assert sat(ledger, "x\n?\n") == (Reviewed(left=3), ["a accept, r reject, s skip, e edit, q quit."] * 2)


def test_an_edit_is_the_reviewers_own_and_the_opinion_stays_as_it_was(ledger: Ledger) -> None:
    done, notes = sat(ledger, "e\n\ne\nBetter so, ann@example.com.\nq\n")
    assert done.edited == 1 and "is empty" in notes[0]
    first, *_, own = ledger.feedback.list()
    assert (first.kind, first.value, first.state, first.reason) == ("thumbs", "down", "rejected", f"edited as {own.id}")
    assert (own.kind, own.value, own.state, own.key_id) == ("correction", "Better so, [EMAIL].", "accepted", "review:ann")
    assert own.prompt == first.prompt and own.reason == f"edited from {first.id}"
    assert sat(ledger, "e\n")[0].left == 3


def test_an_edit_for_a_model_of_labels_is_one_of_them_and_a_wrong_one_is_refused_at_once(ledger: Ledger, say: Say) -> None:
    labels = ("refund", "card lost", "card stolen")
    ledger.feedback.give([say("label", "else", "where is my card", "refund", asker="someone", confidence=0.0)])
    done, notes = sat(ledger, "e\nrefnud\ne\nCard Lost\ne\n card lost \ne\nwhatever\nr\na\nq\n", labels)
    assert (done.edited, done.rejected, done.accepted) == (1, 1, 1)
    assert "knows no label 'refnud' (the nearest: refund)" in notes[0] and "(the nearest: card lost" in notes[1]
    assert "'whatever' (it knows refund, card lost, card stolen)" in notes[2] and len(notes) == 3
    own = ledger.feedback.list()[-1]
    assert (own.kind, own.value, own.state, own.key_id, own.asker) == ("label", "card lost", "accepted", "review:ann", None)
    ledger.feedback.give([say("label", "else", "and my other card", "refund", confidence=0.0)])
    done, notes = sat(ledger, "a\nq\n", labels)
    assert done.accepted == 1 and notes == ["Accepted, and yet no round will learn it: the model knows no label 'else' "
                                            "(it knows refund, card lost, card stolen)."]  # fmt: skip
    assert sat(ledger, "e\nanything at all\nq\n")[0].edited == 1  # a model whose answers are free text takes anything


def test_nobody_accepts_or_edits_what_they_were_not_shown(ledger: Ledger, say: Say) -> None:
    told = say("label", "refund", "where is my money", "other")
    waiting = queue(ledger.feedback.give([told]))
    for typed, states in (("a\nr\n", ["rejected"]), ("e\nright\ns\n", ["new"]), ("a\n", ["new"])):
        ledger.feedback.give([replace(told, value=f"before {typed}")])
        waiting = [replace(one, record=ledger.feedback.find(told.id)) for one in waiting]
        seen: list[str] = []
        notes: list[str] = []

        def show(one: Waiting, *_: int, seen: list[str] = seen, typed: str = typed) -> None:
            seen.append(one.record.value)
            ledger.feedback.give([replace(told, value=f"after {typed}")])  # while the reviewer reads

        lines = io.StringIO(typed)
        Sitting(ledger, "ann", show, notes.append).go(waiting, letters(lines), next_line(lines))
        assert seen == [f"before {typed}", f"after {typed}"] and "was changed while you looked" in notes[0]
        mine = [record for record in ledger.feedback.list() if record.completion_id == told.completion_id]
        assert [record.state for record in mine] == states and mine[0].value == f"after {typed}"


def test_a_terminal_is_read_key_by_key_and_left_as_it_was() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal, os.fdopen(ours, "wb", buffering=0) as keyboard:
        before = termios.tcgetattr(terminal)
        with single_keys(terminal) as keys:
            termios.tcsetattr(
                terminal, termios.TCSANOW, [*before[:3], before[3] & ~termios.ICANON, *before[4:]]
            )  # as it is while a key is awaited
            keyboard.write(b"A e\x04q")
            time.sleep(0.05)  # typed ahead: the terminal holds it before anybody asks, and keeps it
            assert list(keys) == ["a", "e"]
        assert termios.tcgetattr(terminal) == before
