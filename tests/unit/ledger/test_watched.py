"""Figures of traffic in the ledger."""

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.watched import WatchedRecord


def record(
    start: str = "2026-05-04T00:00:00Z", writer: str = "w", figures: int = 1, model: str = "m", model_hash: str | None = "h"
) -> WatchedRecord:
    return WatchedRecord(model=model, model_hash=model_hash, span="day", start=start, writer=writer, figures={"n": figures})


def test_the_same_process_writes_its_row_anew_and_others_have_their_own(ledger: Ledger) -> None:
    for one in (record(figures=1), record(figures=2), record(writer="v", figures=5), record(model="other", figures=7)):
        ledger.watched.record([one])
    assert [one.figures["n"] for one in ledger.watched.list("day")] == [2, 5, 7]
    assert [one.figures["n"] for one in ledger.watched.list("day", model="m")] == [2, 5] and ledger.watched.list("hour") == []


def test_they_come_in_order_of_time_and_can_be_chosen(ledger: Ledger) -> None:
    days = ["2026-05-06T00:00:00Z", "2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"]
    ledger.watched.record([record(day, model_hash=hash_) for day, hash_ in zip(days, ("a", "b", "a"), strict=True)])
    assert [one.start for one in ledger.watched.list("day")] == sorted(days)
    assert [one.start for one in ledger.watched.list("day", since=days[2])] == sorted(days)[1:]
    assert [one.start for one in ledger.watched.list("day", model_hash="b")] == [days[1]]
    assert [one.start for one in ledger.watched.list("day", limit=1)] == [days[0]]
    assert ledger.watched.forget(days[2]) == 1 and len(ledger.watched.list("day")) == 2


def test_what_is_no_span_or_time_is_refused() -> None:
    with pytest.raises(RecipeError, match="hour or a day"):
        WatchedRecord(model="m", span="week", start="2026-05-04T00:00:00Z", writer="w")  # type: ignore[arg-type]
    with pytest.raises(RecipeError):
        record("yesterday")


def test_good_opinions_count_by_key_without_those_set_aside(ledger: Ledger) -> None:
    def opinion(at: int, **more: str) -> FeedbackRecord:
        return FeedbackRecord(
            **{"tenant": "t", "key_id": "a", "completion_id": f"c{at}", "kind": "thumbs", "value": "up", "model": "m"} | more
        )  # type: ignore[arg-type]

    given = [
        opinion(0), opinion(1, value="down"), opinion(2, kind="label", value="x", answer="x"), opinion(3, kind="label", value="y", answer="x"),
        opinion(4, key_id="b"), opinion(5, state="rejected"), opinion(6, model="other"), opinion(7, kind="comment", value="hm"),
        opinion(8, created="2020-01-01T00:00:00Z"),
    ]  # fmt: skip
    ledger.feedback.give(given)
    assert ledger.feedback.good(["m"], since="2026-01-01T00:00:00Z") == {"a": (2, 4), "b": (1, 1)}
    assert ledger.feedback.good(["m"], since="2019-01-01T00:00:00Z", before="2021-01-01T00:00:00Z") == {"a": (1, 1)}
    assert ledger.feedback.by_kind()["thumbs", "rejected"] == 1 and ledger.feedback.by_kind()["label", "new"] == 2
