"""What passes is counted by the hour and sketched by the day, and nothing of it can be read back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tunesmith.core.rows import Message
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord
from tunesmith.score.sketch import Frame, Sketch, plain_frame
from tunesmith.serve import watching as module
from tunesmith.serve.log import Line
from tunesmith.serve.watching import Watching


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 23, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as made:
        yield made


def answer(at: int, model: str = "m", model_hash: str | None = "h") -> RequestRecord:
    prompt = (Message("system", "Be kind."), Message("user", f"zorgle number {at}"))
    return RequestRecord(
        id=f"c-{at}",
        tenant="t",
        key_id="k",
        model=model,
        model_hash=model_hash,
        prompt=prompt,
        answer="blimp",
        label="blimp",
        confidence=0.7,
        finish="stop",
    )


def filled(watching: Watching, answers: int, model_hash: str = "h") -> None:
    for at in range(answers):
        watching.answered(answer(at, model_hash=model_hash), "", at % 2 == 0)
        watching.request(
            Line(model="m", content=model_hash, read=5, written=1, first=0.3, blocked=["input:topic.x"] if at == 0 else []),
            200 if at else 500,
            0.07,
        )
    watching.count()
    watching.write()


def test_an_hour_and_a_day_are_told(ledger: Ledger) -> None:
    watching = Watching(ledger.watched, lambda name, hash_: plain_frame(("blimp",)), clock=Clock())
    filled(watching, 120)
    (hour,), (day,) = ledger.watched.list("hour"), ledger.watched.list("day")
    assert hour.start == "2026-05-04T23:00:00Z" and day.start == "2026-05-04T00:00:00Z" and day.model_hash == "h"
    figures = hour.figures
    assert (figures["requests"], figures["answers"], figures["abstained"], figures["read"], figures["written"]) == (120, 120, 60, 600, 120)
    assert figures["errors"] == {"server": 1} and figures["blocked"] == {"input:topic.x": 1}
    assert figures["seconds"][4] == 120 and figures["first"][6] == 120 and figures["confidence"][6] == 120
    frame = plain_frame(("blimp",))
    sketch = Sketch.from_json(day.figures["counts"], frame.bins)
    assert sketch.units_UK[:, : frame.variables[0].bins].sum() == 120
    watching.close()


def test_no_word_of_any_text_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    watching = Watching(ledger.watched, clock=Clock())
    for at in range(50):
        watching.answered(answer(at), "mister-x", None)
    watching.close()
    told = json.dumps([dict(one.figures) for span in ("hour", "day") for one in ledger.watched.list(span)])
    assert len(ledger.watched.list("day")) == 1
    assert not [word for word in ("zorgle", "number", "blimp", "mister", "kind", "c-1") if word in told]


def test_a_few_answers_leave_no_sketch(ledger: Ledger) -> None:
    watching = Watching(ledger.watched, clock=Clock())
    filled(watching, 9)
    assert ledger.watched.list("day") == [] and ledger.watched.list("hour")[0].figures["answers"] == 9
    watching.close()


def test_the_same_hour_is_written_anew_and_the_next_begins_its_own(ledger: Ledger) -> None:
    clock = Clock()
    watching = Watching(ledger.watched, clock=clock)
    filled(watching, 30)
    filled(watching, 30)
    assert [one.figures["answers"] for one in ledger.watched.list("hour")] == [60]
    clock.now += timedelta(hours=1)
    filled(watching, 20)
    watching.write()
    assert [one.figures["answers"] for one in ledger.watched.list("hour")] == [60, 20]
    assert [one.start for one in ledger.watched.list("day")] == ["2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"]
    watching.close()


def test_another_model_under_the_same_name_begins_its_own_sketch_and_its_own_hour(ledger: Ledger) -> None:
    watching = Watching(ledger.watched, clock=Clock())
    filled(watching, 40, "one")
    filled(watching, 50, "two")
    found = {one.model_hash: Sketch.from_json(one.figures["counts"], plain_frame(None).bins) for one in ledger.watched.list("day")}
    assert {hash_: int(sketch.units_UK[:, :11].sum()) for hash_, sketch in found.items()} == {"one": 40, "two": 50}
    hours = {one.model_hash: (one.model, one.figures["requests"], one.figures["answers"]) for one in ledger.watched.list("hour")}
    assert hours == {"one": ("m", 40, 40), "two": ("m", 50, 50)}
    watching.close()


def test_models_that_take_turns_under_one_name_keep_their_sketches_and_are_asked_for_once(ledger: Ledger) -> None:
    asked: list[str | None] = []

    def frames(name: str, hash_: str | None) -> Frame:
        asked.append(hash_)
        return plain_frame(None)

    watching = Watching(ledger.watched, frames, clock=Clock())
    for at in range(200):
        watching.answered(answer(at, model_hash="BA"[at % 4 > 0] * 64), "", False)
    watching.count()
    filled(watching, 30, "C" * 64)
    filled(watching, 20, "A" * 64)  # back again
    found = {one.model_hash: Sketch.from_json(one.figures["counts"], plain_frame(None).bins) for one in ledger.watched.list("day")}
    assert {(hash_ or "")[:1]: int(one.units_UK[:, :11].sum()) for hash_, one in found.items()} == {"A": 170, "B": 50, "C": 30}
    assert len(ledger.watched.list("day")) == 3 and sorted(hash_[0] for hash_ in asked if hash_) == ["A", "B", "C"]
    watching.close()


def test_an_error_that_nobody_foresaw_is_counted_and_told_once_and_the_next_answer_is_counted(ledger: Ledger) -> None:
    asked, told = list[str](), list[str]()

    def frames(name: str, hash_: str | None) -> Frame:
        asked.append(name)
        if name == "odd":
            raise ZeroDivisionError
        return plain_frame(None)

    watching = Watching(ledger.watched, frames, clock=Clock(), tell=told.append)
    for at in range(20):
        watching.answered(answer(at, model="odd"), "", False)
        watching.answered(answer(at), "", False)
    watching.count()
    assert sorted(set(asked)) == ["m", "odd"] and len(asked) == 2  # an odd frame is not asked for at every answer
    assert watching.odd.count == 20 and len(told) == 1 and "ZeroDivisionError" in told[0]
    watching.close()
    assert [one.model for one in ledger.watched.list("day")] == ["m"]
    assert {one.model: one.figures["answers"] for one in ledger.watched.list("hour")} == {"m": 20, "odd": 20}


def test_two_gateways_over_one_ledger_add_up(ledger: Ledger) -> None:
    made = [Watching(ledger.watched, clock=Clock()) for _ in range(2)]
    for one in made:
        filled(one, 25)
        one.close()
    assert [row.figures["answers"] for row in ledger.watched.list("hour")] == [25, 25]


def test_old_figures_are_forgotten(ledger: Ledger) -> None:
    clock = Clock()
    watching = Watching(ledger.watched, clock=clock)
    filled(watching, 30)
    clock.now += timedelta(days=module.KEEP_DAYS + 1)
    filled(watching, 1)
    assert [one.start for one in ledger.watched.list("hour")] == ["2026-08-03T23:00:00Z"]
    watching.close()


def test_where_too_many_wait_they_are_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    watching = Watching(None)
    watching._counting.acquire()  # nobody counts meanwhile
    taken = [watching.answered(answer(at), "", None) for at in range(10)]
    watching._counting.release()
    assert len(taken) == 10 and watching.lost >= 6
    watching.close()


def test_a_ledger_that_takes_nothing_loses_no_figure(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.core.errors import MachineError

    watching = Watching(ledger.watched, clock=Clock())
    whole = ledger.watched.record

    def refuses(_: object) -> None:
        raise MachineError("The disk is full.")

    monkeypatch.setattr(ledger.watched, "record", refuses)
    filled(watching, 30)
    assert watching.failed == 1
    monkeypatch.setattr(ledger.watched, "record", whole)
    filled(watching, 12)
    assert [one.figures["answers"] for one in ledger.watched.list("hour")] == [42]
    watching.close()
