"""What `monitor` tells from the ledger: planted drift by name, nothing where nothing changed, and what can't be told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import write_json
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.ledger.watched import WatchedRecord
from tunesmith.pipeline.monitoring import drift_of, drifted, monitor, told
from tunesmith.pipeline.references import NAME, keep_reference, read_reference
from tunesmith.pipeline.traffic import quantile
from tunesmith.pipeline.workspace import Workspace
from tunesmith.score.prediction import Prediction
from tunesmith.score.sketch import Sketch, box_of

WORDS = {"bill": "invoice payment charge amount", "ship": "parcel courier delivery late", "login": "password account reset locked"}


def text(rng: np.random.Generator, label: str) -> str:
    return (
        " ".join(rng.choice(WORDS[label].split(), 3))
        + f" {rng.integers(0, 40)} "
        + " ".join(rng.choice(["please", "help", "today", "again"], 2))
    )


def rows(rng: np.random.Generator, count: int, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> list[tuple[str, str]]:
    labels = rng.choice(list(WORDS), count, p=shares)
    return [(text(rng, label), str(label)) for label in labels]


class World:
    """A model that was trained here, and days of its traffic."""

    def __init__(self, folder: Path) -> None:
        self.place, self.rng = Workspace(folder / "work"), np.random.default_rng(0)
        self.folder = folder / "model"
        self.folder.mkdir()
        write_json(self.folder / "tunesmith.json", {})
        made = [Row(id=f"r{at}", prompt=(Message("user", said),), answer=label) for at, (said, label) in enumerate(rows(self.rng, 1200))]
        sides = {"train": made[:600], "select": made[600:700], "calibrate": made[700:800], "test": made[800:]}
        counts = dict.fromkeys(WORDS, 400)
        dataset = Dataset(task=Task.CLASSIFY, format="text/label", mapping={}, labels=counts, sides=sides, waterfall=[], notes=(), path="x")
        answers = [
            Prediction(row_id=row.id, reference=row.answer, answer=row.answer, confidence=float(self.rng.random())) for row in sides["test"]
        ]
        keep_reference(self.folder, dataset, answers, None, tuple(WORDS))
        with self.place.ledger() as ledger:
            ledger.record_artefact(ArtefactRecord(content_hash="h", kind="model", path=str(self.folder), bytes=1))
            ledger.steps.take(StepRecord(action="promote", model=str(self.folder), model_hash="h", who="t", why="t"))

    def day(self, ago: int, count: int, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3), words: str = "") -> None:
        reference = read_reference(self.folder)
        assert reference is not None
        frame, sketch = reference.frame, Sketch.empty(reference.frame.bins)
        for said, label in rows(self.rng, count, shares):
            asked = f"{said} {words}".strip()
            sketch.count(box_of("", asked), frame.of_text(asked) + frame.of_answer(label, label, float(self.rng.random())))
        folded = sketch.folded(frame.variables[0].bins)
        assert folded is not None
        start = (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%dT00:00:00Z")
        figures = {"frame": frame.id, "counts": folded.to_json()}
        with self.place.ledger() as ledger:
            ledger.watched.record(
                [WatchedRecord(model="m", model_hash="h", span="day", start=start, writer=f"w{ago}{words}", figures=figures)]
            )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)


def test_the_same_traffic_as_in_training_is_no_drift(world: World) -> None:
    for ago in range(10):
        world.day(ago, 120)
    (state,) = monitor(world.place, line="champion")
    assert state.drifted is False and state.reasons == ()
    assert {(one.name, one.against) for one in state.signals} == {
        (name, against) for name in ("length", "vocabulary", "embedding", "confidence", "labels") for against in ("training", "last week")
    }
    assert "drift       none found" in "\n".join(told(state))


def test_a_class_that_grows_is_told_by_name_against_training_and_last_week(world: World) -> None:
    for ago in range(1, 9):
        world.day(ago, 120)
    world.day(0, 500, (0.2, 0.2, 0.6))
    found, reasons = drift_of(world.place)
    assert found is True and drifted(world.place) is True
    named = [reason for reason in reasons if reason.startswith("class 'login': 3") and "% -> " in reason]
    assert any("against training" in reason for reason in named) and any("against last week" in reason for reason in named), reasons


def test_new_words_are_told_as_such(world: World) -> None:
    world.day(0, 500, words="quantum zeppelin frobnicator kaputt blorp")
    (state,) = monitor(world.place, str(world.folder))
    assert state.drifted and any(
        reason.startswith("texts with over ") and "of words that training rows don't hold" in reason for reason in state.reasons
    )
    assert not [reason for reason in state.reasons if "zeppelin" in reason]


def test_too_little_is_said_to_be_too_little(world: World) -> None:
    assert drift_of(world.place) == (None, ("No traffic has been sketched yet: a day's sketch begins at some hundred answers.",))
    world.day(0, 40)
    found, reasons = drift_of(world.place)
    assert found is None and "too little traffic" in reasons[0]
    assert drift_of(world.place, "other") == (None, ("'other' has no champion.",))


def test_rows_that_are_damaged_or_old_are_no_traffic(world: World) -> None:
    world.day(12, 500)
    found, reasons = drift_of(world.place)
    assert found is None and "no traffic in the last week" in reasons[0]
    frame = read_reference(world.folder)
    assert frame is not None
    for number, counts in enumerate((None, [[[1]]], "x", [[["a"]]])):
        figures = {"frame": frame.frame.id, "counts": counts}
        with world.place.ledger() as ledger:
            ledger.watched.record(
                [WatchedRecord(model="m", model_hash="h", span="day", start=now(0), writer=f"d{number}", figures=figures)]
            )
    assert drift_of(world.place)[0] is None


def test_the_latest_days_are_taken_until_they_are_enough(world: World) -> None:
    for ago in range(4, 12):
        world.day(ago, 200)
    for ago in range(4):
        world.day(ago, 150, (0.1, 0.1, 0.8))
    (state,) = monitor(world.place, line="champion")
    labels = {one.against: one for one in state.signals if one.name == "labels"}
    assert labels["training"].answers == 600 and labels["last week"].reference_answers == 1400 and state.drifted


def test_opinions_that_turn_bad_are_a_drift_of_their_own(world: World) -> None:
    with world.place.ledger() as ledger:
        give(ledger, ago=10, ups=95, downs=5)
        give(ledger, ago=1, ups=60, downs=40)
        ledger.watched.record([WatchedRecord(model="m", model_hash="h", span="hour", start=now(0), writer="w", figures=HOUR)])
        ledger.steps.take(StepRecord(line="other", action="promote", model="/nowhere/m", who="t", why="t"))
    (state,) = monitor(world.place, line="other")
    assert state.drifted and state.reasons[0].startswith("good opinions: 95.0% -> 60.0%")
    assert state.feedback["opinions"] == 100 and state.feedback["low"] < 0.6 < state.feedback["high"]
    assert state.traffic["requests"] == 40 and state.traffic["p95_seconds"] == 0.5 and state.traffic["p50_seconds"] == 0.1


HOUR = {
    "requests": 40, "errors": {"busy": 2}, "seconds": [0, 0, 0, 0, 30, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0], "first": [0] * 15, "read": 7, "written": 9,
    "blocked": {"input:lexicon": 1}, "answers": 38, "abstained": 19, "confidence": [0] * 13,
}  # fmt: skip


def now(ago: int) -> str:
    return (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def give(ledger: Ledger, ago: int, ups: int, downs: int, *, model: str = "m", model_hash: str | None = None, tenant: str = "t") -> None:
    made = [
        FeedbackRecord(
            tenant=tenant,
            key_id=f"k{at % 10}",
            completion_id=f"c{ago}-{at}",
            kind="thumbs",
            value="up" if at < ups else "down",
            model=model,
            model_hash=model_hash,
            created=now(ago),
        )
        for at in range(ups + downs)
    ]
    ledger.feedback.give(made)


def test_what_is_asked_wrongly_is_told(world: World) -> None:
    for call in ({"model": "x", "line": "champion"}, {"line": "gone"}, {"model": "r-nothing"}, {}):
        with pytest.raises(RecipeError):
            monitor(world.place, **call)  # type: ignore[arg-type]


def test_a_damaged_reference_is_no_reference(world: World) -> None:
    for content in ("{", "[]", '{"schema": 1}', '{"schema": 1, "frame": {"variables": 3}}'):
        (world.folder / NAME).write_text(content)
        assert read_reference(world.folder) is None


def test_a_reference_holds_no_word_of_the_rows(world: World) -> None:
    content = (world.folder / NAME).read_text()
    assert not [word for words in WORDS.values() for word in words.split() if word in content] and len(content) < 60_000


def test_quantiles_of_bins() -> None:
    assert quantile([0] * 15, 0.5) is None and quantile([1] + [0] * 14, 0.95) == 0.005 and quantile([0] * 14 + [5], 0.5) is None


def test_of_a_name_that_several_models_shared_each_has_its_own_traffic_and_opinions(world: World) -> None:
    """A line's former champion answered ten times as often, and badly: nothing of that is the present one's."""
    with world.place.ledger() as ledger:
        ledger.steps.take(StepRecord(action="promote", model="/nowhere/new", model_hash="n", who="t", why="t"))

        def hour(content: str | None, times: int, name: str = "champion") -> None:
            figures = HOUR | {"requests": 40 * times}
            ledger.watched.record(
                [WatchedRecord(model=name, model_hash=content, span="hour", start=now(0), writer=f"{name}{content}", figures=figures)]
            )

        hour("h", 10)
        hour("n", 1)
        hour("n", 2, "new")
        hour(None, 4)  # of an earlier version: whose it was is not known
        hour(None, 8, "new")
        for content, ups in (("h", 2), ("n", 9)):
            give(ledger, ago=1, ups=ups, downs=10 - ups, model="champion", model_hash=content, tenant=content)
        give(ledger, ago=1, ups=0, downs=10, model="champion", tenant="unknown")
        give(ledger, ago=1, ups=5, downs=0, model="new", tenant="named")
    (new,) = monitor(world.place, line="champion")
    assert new.traffic["requests"] == 40 * (1 + 2 + 8) and (new.feedback["good"], new.feedback["opinions"]) == (9 + 5, 10 + 5)
    (old,) = monitor(world.place, str(world.folder))
    assert old.traffic["requests"] == 400 and (old.feedback["good"], old.feedback["opinions"]) == (2, 10)
    named = {state.model: state.traffic["requests"] for state in monitor(world.place)}
    assert named == {"champion": 440, "new": 440}


def test_a_line_that_only_ever_had_one_model_counts_what_tells_no_content(world: World) -> None:
    with world.place.ledger() as ledger:
        ledger.watched.record([WatchedRecord(model="champion", span="hour", start=now(0), writer="w", figures=HOUR)])
        give(ledger, ago=1, ups=3, downs=1, model="champion")
        world.day(0, 120)
        day = ledger.watched.list("day")[0]
        ledger.watched.record(
            [WatchedRecord(model="champion", model_hash="h", span="day", start=day.start, writer="v", figures=day.figures)]
        )
    (state,) = monitor(world.place, line="champion")
    assert state.traffic["requests"] == 40 and state.feedback["opinions"] == 4
    with world.place.ledger() as ledger:
        ledger.steps.take(StepRecord(action="challenge", model="r-2", model_hash="other", mode="share", share=0.5, who="t", why="t"))
    (state,) = monitor(world.place, line="champion")
    assert state.traffic["requests"] == 0 and state.feedback["opinions"] == 0
    assert any(note.startswith("40 requests under a name that several models shared") for note in state.notes)
