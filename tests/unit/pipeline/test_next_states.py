"""How a next round ends, or doesn't: what is gone for a moment, steps that others take, and looks at the test set."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import make_folder, write_json
from tunesmith.core.progress import silent
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.evaluate.trial import CHAMPION
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.next_config import NextConfig, WhenConfig
from tunesmith.feedback.screening import foreseen, screen
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.nexts import NextRecord, Use
from tunesmith.ledger.records import RoundRecord
from tunesmith.ledger.steps import LINE, Mode, StepRecord, Steps
from tunesmith.pipeline import next_round as rounds
from tunesmith.pipeline.next_judging import Duel, Found, decide
from tunesmith.pipeline.next_look import look, spent
from tunesmith.pipeline.next_rows import Fresh
from tunesmith.pipeline.promotion import refused_by
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

TEST = Duel(100, "accuracy", 0.5, 0.8, 0.3, 0.2, 0.4, 0.001)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[rounds._Next]:
    """A line whose champion is r-0, with an open next round n-1."""
    place = Workspace(tmp_path / "work")
    with place.ledger() as ledger:
        ledger.steps.take(StepRecord(action="promote", model="r-0", who="ann", why="the first"))
        ledger.next_rounds.begin(
            NextRecord(id="n-1", line=LINE, champion="r-0", champion_hash="h", after_step=1, why="x"), [Use("fb-1", "s")]
        )
        recipe = Recipe.model_validate({"data": {"path": str(tmp_path / "rows.jsonl")}})
        write_json(make_folder(place.root / "next" / "n-1") / "recipe.json", recipe.model_dump(mode="json"))
        yield rounds._Next(place, ledger, LINE, None, None, silent)


def opened(one: rounds._Next) -> NextRecord:
    record = one.ledger.next_rounds.open(LINE)
    assert record
    return record


def refusing(*_: Any, **__: Any) -> None:
    raise RecipeError("that can't be")


def test_what_is_gone_for_a_moment_ends_no_round_and_rows_that_can_not_serve_do(
    one: rounds._Next, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.pipeline.api.run", refusing)
    with pytest.raises(MachineError, match=r"rows\.jsonl is not there, so next round n-1 waits"):
        one.go(check=False)
    assert opened(one).id == "n-1"
    (tmp_path / "rows.jsonl").write_text("{}")
    with pytest.raises(RecipeError, match="that can't be"):
        one.go(check=False)
    assert [held.state for held in one.ledger.next_rounds.list(LINE)] == ["failed"]


@pytest.mark.parametrize("taken", ["challenge", "promote"])
def test_a_step_that_somebody_takes_just_before_is_no_error(one: rounds._Next, taken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    take, met = Steps.take, list[str]()

    def late(self: Steps, step: StepRecord, *, after: int | None = None) -> Any:
        if not met:
            met.append(taken)
            mode: Mode | None = "shadow" if taken == "challenge" else None
            take(self, StepRecord(action=taken, model="r-other", mode=mode, who="bob", why="mine"))
        return take(self, step, after=after)

    monkeypatch.setattr(Steps, "take", late)
    monkeypatch.setattr(rounds, "checked", lambda *_: (None, "h"))
    done: Any = SimpleNamespace(id="r-1", folder=one.place.root / "rounds" / "r-1")
    told = one._promoted(opened(one), done, Found(True, "better", TEST, None, None), 1)
    champion = one.ledger.steps.standing(LINE).champion
    assert told.promoted is (taken == "challenge") and champion and champion.model == ("r-1" if told.promoted else "r-other")
    assert [held.state for held in one.ledger.next_rounds.list(LINE)] == ["promoted" if told.promoted else "overtaken"]


def test_looking_ahead_writes_nothing(one: rounds._Next, monkeypatch: pytest.MonkeyPatch) -> None:
    one.ledger.next_rounds.end("n-1", "failed", "x")
    given = [
        FeedbackRecord(
            tenant="t", key_id=f"k{n}", completion_id=f"c{n}", kind="label", value="a", prompt=(Message("user", f"row {n * 977} of {n}"),)
        )
        for n in range(30)
    ]
    same: dict[str, Any] = {"tenant": "t", "key_id": "k0", "completion_id": "c-x", "kind": "correction", "value": "a", "answer": "a"}
    one.ledger.feedback.give([*given, FeedbackRecord(**same, prompt=(Message("user", "and another thing"),))])
    lineage: Any = SimpleNamespace(champion=SimpleNamespace(model="r-0"), recipe=Recipe.model_validate({"data": {"path": "x"}}))
    monkeypatch.setattr(rounds, "lineage_of", lambda *_: lineage)
    before = one.ledger.feedback.list()
    told = one.go(check=True)
    assert one.ledger.feedback_sides.list() == [] and one.ledger.feedback.list() == before
    records, sides = foreseen(one.ledger, ScreenConfig())
    screen(one.ledger, ScreenConfig())
    states = {held.id: (held.state, held.reason) for held in one.ledger.feedback.list()}
    assert states == {held.id: (held.state, held.reason) for held in records} and "quarantined" in {state for state, _ in states.values()}
    assert {held.feedback_id: held.side for held in one.ledger.feedback_sides.list()} == {name: held.side for name, held in sides.items()}
    placed = [held.side for held in sides.values()]
    assert len(placed) == 30  # what is to be set aside settles no side, and waits for review all the same
    assert f"{placed.count('train') + 1} wait for review" in told.why and f"{placed.count('judge')} are kept to judge" in told.why


def test_rows_of_a_group_are_drawn_together_and_the_tenth_look_brings_a_warning(one: rounds._Next, monkeypatch: pytest.MonkeyPatch) -> None:
    test = [Row(id=f"t{n}", prompt=(Message("user", f"row {n}"),), answer="a", fields={"customer": f"c{n % 5}"}) for n in range(20)]
    sides = {"train": [], "select": [], "calibrate": [], "test": test}
    former = Dataset(task=Task.GENERATE, format="x", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")
    recipe = Recipe.model_validate({"data": {"path": "x", "split": {"by": "customer"}}}).model_dump(mode="json")
    one.ledger.record_round(RoundRecord(id="r-0", identity="r-0", recipe=recipe, recipe_hash="h"))
    one.ledger.finish_round("r-0", "done", 1.0, verdict={"metric": "exact_match"})
    for number in range(9):
        one.ledger.record_round(RoundRecord(id=f"r-{number + 2}", identity=f"{number}", recipe={}, recipe_hash="h"))
        one.ledger.open_test_set(former.side_hash("test"), f"r-{number + 2}")
    one.ledger.record_round(RoundRecord(id="r-1", identity="r-1", recipe={}, recipe_hash="h"))
    write_json(one.place.root / "next" / "n-1" / "plan.json", {"form": "pairs", "origin": "r-0"})
    asked: list[Any] = []

    def fought(rows: Any, *about: Any) -> Duel | None:
        asked.append((len(rows), about))
        return TEST if rows else None

    monkeypatch.setattr(rounds, "duel", fought)
    monkeypatch.setattr("tunesmith.pipeline.next_look.duel", fought)
    monkeypatch.setattr("tunesmith.pipeline.next_look.dataset_of", lambda *_: (former, Path()))
    monkeypatch.setattr(rounds, "known_model", lambda *_: SimpleNamespace(folder=Path()))
    done: Any = SimpleNamespace(id="r-1", folder=Path(), report={"verdict": {"gates": []}})
    found = one._found(opened(one), NextConfig(), done)
    assert found.promoted and "this test set has been opened 10 times" in found.why
    groups = {f"t{n}": f"c{n % 5}" for n in range(20)}
    assert asked[0][0] == 20 and asked[0][1][-2:] == (groups, spent(1))  # the nine others were no next rounds


def test_rounds_against_the_champion_are_told_at_the_level_of_their_look_and_by_groups(
    one: rounds._Next, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = [Row(id=f"t{n}", prompt=(Message("user", f"row {n}"),), answer="a", fields={"customer": f"c{n % 25}"}) for n in range(100)]
    sides = {"train": [], "select": [], "calibrate": [], "test": test}
    former = Dataset(task=Task.CLASSIFY, format="x", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")
    recipe = Recipe.model_validate({"data": {"path": "x", "split": {"by": "customer"}}}).model_dump(mode="json")
    one.ledger.record_round(RoundRecord(id="r-0", identity="r-0", recipe=recipe, recipe_hash="h"))
    for number in (1, 2):
        one.ledger.record_round(RoundRecord(id=f"r-{number}", identity=f"{number}", recipe={}, recipe_hash="h"))
        one.ledger.open_test_set(former.side_hash("test"), f"r-{number}")
    one.ledger.next_rounds.tell_round("n-1", "r-1")
    one.ledger.next_rounds.end("n-1", "refused", "x")
    one.ledger.next_rounds.begin(NextRecord(id="n-2", line=LINE, champion="r-0", champion_hash="h", after_step=1, why="x"), [])
    one.ledger.next_rounds.tell_round("n-2", "r-2")
    folder = make_folder(one.place.root / "next" / "n-2")
    write_json(folder / "plan.json", {"form": "labels", "origin": "r-0"})
    write_json(folder / "recipe.json", recipe)
    monkeypatch.setattr("tunesmith.pipeline.next_look.dataset_of", lambda *_: (former, Path()))
    told = {"difference": 0.1, "low": 0.02, "high": 0.18, "p_value": 0.0005, "test": "paired bootstrap"}
    systems = [{"key": key, "rows": 100, "metrics": {"accuracy": {"value": 0.5}}, "against": told} for key in (CHAMPION, "tuned")]
    done: Any = SimpleNamespace(id="r-2", folder=Path(), report={"systems": systems, "verdict": {"metric": "accuracy"}})
    seen = look(folder, Path(), done, one.place, one.ledger, silent)
    assert seen.test and (seen.test.tail, seen.test.units, seen.openings) == (spent(2), 25, 2)
    assert seen.test.low < 0 < 0.18 < seen.test.high and not decide([], seen.test, None, None, "", 0.0).promoted


def test_what_next_refused_is_held_against_a_model_and_what_it_promoted_is_not(one: rounds._Next) -> None:
    one.ledger.record_round(RoundRecord(id="r-1", identity="r-1", recipe={}, recipe_hash="h"))
    assert refused_by(one.ledger.round("r-1"), one.ledger) == ""
    one.ledger.next_rounds.tell_round("n-1", "r-1")
    one.ledger.next_rounds.end("n-1", "refused", "it is worse on traffic; accuracy 0.500")
    assert refused_by(one.ledger.round("r-1"), one.ledger) == "what `tunesmith next` asks (it is worse on traffic)"


def test_what_a_rounds_rows_leave_out_is_told_when_it_ends(one: rounds._Next) -> None:
    write_json(one.place.root / "next" / "n-1" / "plan.json", {"form": "labels", "origin": "r-0", "left_out": {"comments": 3}})
    one.ledger.steps.take(StepRecord(action="promote", model="r-other", who="bob", why="mine"))
    told = one.go(check=False)
    assert "became champion meanwhile" in told.why and told.left_out == {"comments": 3}


def test_what_is_left_out_is_told_while_no_round_is_due(one: rounds._Next, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that were taken before anybody held them to the model's own."""
    one.ledger.next_rounds.end("n-1", "failed", "x")
    given = tuple(
        FeedbackRecord(
            id=f"fb-{value}", tenant="t", key_id="k", completion_id=value, kind="label", value=value, state="accepted", answer="b",
            prompt=(Message("user", f"is it {value}?"),),
        )
        for value in ("a", "zz", "yy")
    )  # fmt: skip
    rows = [Row(id=f"r{n}", prompt=(Message("user", f"row {n}"),), answer="ab"[n % 2]) for n in range(8)]
    sides = {"train": rows, "select": [], "calibrate": [], "test": []}
    former = Dataset(task=Task.CLASSIFY, format="x", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")
    lineage: Any = SimpleNamespace(
        champion=SimpleNamespace(model="r-0"), recipe=Recipe.model_validate({"data": {"path": "x"}}), dataset=lambda _: (former, Path())
    )
    monkeypatch.setattr(rounds, "lineage_of", lambda *_: lineage)
    monkeypatch.setattr(rounds, "fresh", lambda *_: Fresh(given, frozenset(held.id for held in given), 0, 0, 0))
    one.config = NextConfig(when=WhenConfig(reviewed=100))
    told = one.go(check=False)
    assert "1 new opinions that may train" in told.why and told.left_out == {"a label that the champion does not know": 2}
    one.config = NextConfig()
    told = one.go(check=True)
    assert "a round is due" in told.why and told.left_out == {"a label that the champion does not know": 2}
