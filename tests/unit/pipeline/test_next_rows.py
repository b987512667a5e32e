"""What a next round learns from: what the champion has not learned yet, in the form its task takes."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import write_jsonl
from tunesmith.core.progress import silent
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.feedback.next_config import NextConfig, WhenConfig
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.nexts import NextRecord, NextState, Use
from tunesmith.ledger.records import RoundRecord
from tunesmith.ledger.sides import SideRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.datasets import prepared_dataset
from tunesmith.pipeline.next_look import looks_at
from tunesmith.pipeline.next_plan import _drift, due, undone
from tunesmith.pipeline.next_rows import ROWS, Fresh, Mixture, fresh, mixture, next_recipe, replay, said, taught
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe


def opinion(number: int, kind: Any = "label", value: str = "a", **more: Any) -> FeedbackRecord:
    about: dict[str, Any] = {"tenant": "t", "key_id": "k", "completion_id": f"c-{number}", "answer": "b", "state": "accepted"}
    prompt = (Message("user", f"question {number}"),)
    return FeedbackRecord(**about | {"id": f"fb-{number}", "kind": kind, "value": value, "prompt": prompt, "asked": "label"} | more)


def dataset(task: Task = Task.CLASSIFY, rows: int = 40) -> Dataset:
    made = [Row(id=f"r{n}", prompt=(Message("user", f"row {n}"),), answer="ab"[n % 2]) for n in range(rows)]
    sides = {"train": made, "select": [], "calibrate": [], "test": []}
    return Dataset(task=task, format="text/label", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")


def found(*records: FeedbackRecord) -> Fresh:
    return Fresh(records, frozenset(one.id for one in records), 0, 0, 0)


RECIPE = Recipe.model_validate({"data": {"path": "x"}})


def test_a_model_with_labels_learns_labels_it_knows_and_thumbs_up_for_them() -> None:
    given = (opinion(1), opinion(2, "thumbs", "up"), opinion(3, "thumbs", "down"), opinion(4, value="c"), opinion(5, "comment", "hm"))
    made = taught(found(*given), dataset(), NextConfig())
    assert [(row["feedback"], row["label"]) for row in made.rows] == [("fb-1", "a"), ("fb-2", "b")] and made.unused == 2
    assert made.left_out == {"comments": 1, "a label that the champion does not know": 1, "thumbs": 1}


def test_a_writer_learns_one_form_at_a_time_what_is_new_first() -> None:
    given = (opinion(1, "correction", "better", asked="chat"), opinion(2, "preference", "best", asked="chat"))
    for unused, form in (({"fb-1", "fb-2"}, "corrections"), ({"fb-2"}, "pairs")):
        made = taught(replace(found(*given), unused=frozenset(unused)), dataset(Task.GENERATE), NextConfig())
        assert made.form == form and made.unused == len(unused) and len(made.rows) == 1
    with pytest.raises(RecipeError, match="set it to auto, or to labels"):
        taught(found(*given), dataset(), NextConfig(form="pairs"))
    with pytest.raises(RecipeError, match="only models that know labels, or write"):
        taught(found(*given), dataset(Task.REGRESS), NextConfig())


def test_replay_brings_so_many_rows_for_each_new_one_and_every_label() -> None:
    rows = dataset().sides["train"]
    for share, count in ((0.0, 2), (0.5, 5), (2.0, 20), (100.0, 40)):
        given = found(*(opinion(number) for number in range(10)))
        mixed = mixture(taught(given, dataset(), NextConfig()), given, dataset(), RECIPE, NextConfig(replay=share))
        assert mixed.replayed == count and len(mixed.rows) == 10 + count and len(mixed.uses) == 10
        assert {row["label"] for row in mixed.rows if row["source"] == "replay"} == {"a", "b"}
    assert replay(rows, 7, 1) == replay(rows, 7, 1) != replay(rows, 7, 2)


def test_nothing_to_learn_is_told_with_its_reasons() -> None:
    given = found(opinion(1, "comment", "hm"))
    with pytest.raises(DataError, match="1: comments"):
        mixture(taught(given, dataset(), NextConfig()), given, dataset(), RECIPE, NextConfig())


def record(name: str, champion: str, round_id: str, state: NextState) -> tuple[NextRecord, NextState]:
    return NextRecord(id=name, line="champion", champion=champion, champion_hash="h", after_step=1, round_id=round_id, why="x"), state


def test_learned_is_what_led_to_the_champion_and_a_refused_round_begins_no_other(tmp_path: Path) -> None:
    records = [opinion(number) for number in range(6)]
    stand = {one.id: SideRecord(feedback_id=one.id, side="judge" if one.id == "fb-5" else "train") for one in records}
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.feedback.give(records)
        ended = (record("n-1", "r-0", "r-1", "promoted"), record("n-2", "r-1", "r-2", "refused"), record("n-3", "r-1", "r-3", "overtaken"))
        for number, (one, state) in enumerate(ended):
            ledger.next_rounds.begin(one, [Use(f"fb-{number}", said(records[number]))])
            ledger.next_rounds.end(one.id, state, "so it was")

        def told(champion: str) -> tuple[list[str], set[str]]:
            seen = fresh(ledger, "champion", champion, stand, NextConfig())
            return [one.id for one in seen.usable], set(seen.unused)

        assert told("r-1") == (["fb-1", "fb-2", "fb-3", "fb-4"], {"fb-2", "fb-3", "fb-4"})
        assert told("r-0") == (["fb-0", "fb-1", "fb-2", "fb-3", "fb-4"], {"fb-2", "fb-3", "fb-4"})
        ledger.feedback.give([replace(records[0], value="b", state="accepted")])
        assert told("r-1") == (["fb-0", "fb-1", "fb-2", "fb-3", "fb-4"], {"fb-0", "fb-2", "fb-3", "fb-4"})
        assert fresh(ledger, "champion", "r-1", stand, NextConfig()).judging == 1


@pytest.mark.parametrize("state", ["promoted", "refused", "overtaken"])
def test_what_a_champion_was_taught_is_learned_whoever_promoted_it(tmp_path: Path, state: NextState) -> None:
    records = [opinion(number) for number in range(4)]
    stand = {one.id: SideRecord(feedback_id=one.id, side="train") for one in records}
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.feedback.give(records)
        for number, (one, ended) in enumerate((record("n-1", "r-0", "r-1", "promoted"), record("n-2", "r-1", "r-2", state))):
            ledger.next_rounds.begin(one, [Use(f"fb-{number}", said(records[number]))])
            ledger.next_rounds.end(one.id, ended, "so it was")
        seen = fresh(ledger, "champion", "r-2", stand, NextConfig())
        assert [one.id for one in seen.usable] == ["fb-2", "fb-3"] and seen.unused == {"fb-2", "fb-3"}


def test_no_pair_gives_away_what_judges_the_writer(tmp_path: Path) -> None:
    """40 rows train, 12 judge; of 52 pairs twelve ask what judges, and one holds a held-out answer for the best."""
    asked = [f"{number} birds of kind {chr(97 + number % 26)}{number * 7} sit where?" for number in range(40)]
    made = [Row(id=f"r{n}", prompt=(Message("user", words),), answer=f"in the tree {n}") for n, words in enumerate(asked)]
    held = [
        Row(id=f"h{n}", prompt=(Message("user", f"who paid {n * 31} francs to {chr(97 + n)}?"),), answer=f"{n} aunts") for n in range(12)
    ]
    sides = {"train": made, "select": held[:3], "calibrate": held[3:6], "test": held[6:]}
    former = replace(dataset(Task.GENERATE), sides=sides)
    prompts = [*(row.prompt[0].content for row in held), *(f"name {n * 17} things that {chr(97 + n % 26)}{n} eats" for n in range(40))]
    pairs = [
        {"prompt": [{"role": "user", "content": one}], "chosen": f"yes {n}, by all means", "rejected": "no"}
        for n, one in enumerate(prompts)
    ]
    pairs[20]["chosen"] = held[7].answer
    write_jsonl(tmp_path / ROWS, pairs)
    recipe = next_recipe(RECIPE, Mixture("pairs", pairs, 0, (), {}), tmp_path, former, tmp_path, "r-1")
    ready, _ = prepared_dataset(recipe, Workspace(tmp_path / "work"), silent)
    left = {row.prompt[-1].content for side in ready.sides.values() for row in side}
    assert left == {one for place, one in enumerate(prompts) if place >= 12 and place != 20}


def test_labels_of_strangers_that_look_wrong_train_nothing(tmp_path: Path) -> None:
    """Of 240 opinions every twelfth gives the other label."""
    draw = random.Random(0)
    others = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnprst"]
    rows = [
        {"text": f"{' '.join(draw.sample(others, 3))} {label} {' '.join(draw.sample(others, 2))}", "label": label, "n": n}
        for n in range(240)
        for label in (("card", "transfer")[n % 2],)
    ]
    wrong = [row for row in rows if int(row["n"]) % 12 == 0]
    for row in wrong:
        row["label"] = "transfer" if row["label"] == "card" else "card"
    write_jsonl(tmp_path / ROWS, [{"text": row["text"], "label": row["label"]} for row in rows])
    former = dataset(Task.CLASSIFY)
    actions = {}
    for asked in ("report", "off", "fix", "drop"):
        champion = Recipe.model_validate({"data": {"path": "x", "task": "classify", "relabel": {"action": asked}}})
        recipe = next_recipe(champion, Mixture("labels", [], 0, (), {}), tmp_path, former, tmp_path, "r-1")
        actions[asked] = recipe.data.relabel.action
        if asked == "report":
            alone = recipe.model_copy(update={"data": recipe.data.model_copy(update={"held_out": None})})
            ready, _ = prepared_dataset(alone, Workspace(tmp_path / "work"), silent)
    assert actions == {"report": "drop", "off": "off", "fix": "fix", "drop": "drop"}
    left = {row.prompt[-1].content for side in ready.sides.values() for row in side}
    dropped = {str(row["text"]) for row in rows} - left
    assert dropped <= {str(row["text"]) for row in wrong} and len(dropped) >= 6  # 8 of the 20, and none that is right


def test_unreviewed_opinions_teach_only_where_the_recipe_says_so_and_those_set_aside_never(tmp_path: Path) -> None:
    records = [opinion(0, state="new"), opinion(1, state="quarantined"), opinion(2, state="rejected"), opinion(3)]
    stand = {one.id: SideRecord(feedback_id=one.id, side="train") for one in records}
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.feedback.give(records)
        for unreviewed, usable, waiting in ((False, ["fb-3"], 2), (True, ["fb-0", "fb-3"], 1)):
            seen = fresh(ledger, "champion", "r", stand, NextConfig(unreviewed=unreviewed))
            assert [one.id for one in seen.usable] == usable and seen.waiting == waiting


def test_a_rollback_of_what_a_next_round_promoted_holds_until_somebody_promotes(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:

        def took(action: Any, model: str | None, who: str) -> bool:
            ledger.steps.take(StepRecord(action=action, model=model, who=who, why="rude answers"))
            return undone("champion", ledger) is not None

        assert undone("champion", ledger) is None
        assert [took("promote", "r-0", "ann"), took("promote", "r-1", "bob"), took("rollback", None, "ann")] == [False, False, False]
        assert [took("promote", "r-2", "tunesmith next"), took("rollback", None, "ann")] == [False, True]
        said = undone("champion", ledger)
        assert said and "r-2" in said and "ann (rude answers)" in said and "--after-rollback" in said
        assert [took("promote", "r-3", "bob"), took("promote", "r-4", "tunesmith next"), took("promote", "r-5", "ann")] == [False] * 3
        assert [took("rollback", None, "ann"), took("rollback", None, "ann"), took("rollback", None, "ann")] == [False, True, True]


def test_looks_at_a_test_set_are_counted_for_next_rounds_of_every_line(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for number in range(4):
            ledger.record_round(RoundRecord(id=f"r-{number}", identity=f"{number}" * 64, recipe={}, recipe_hash=f"{number}" * 64))
            ledger.open_test_set("t" * 64, f"r-{number}")
        for line, name in (("champion", "r-2"), ("other", "r-3")):
            ledger.steps.take(StepRecord(line=line, action="promote", model="r-0", who="ann", why="first"))
            made = NextRecord(id=f"n-{line}", line=line, champion="r-0", champion_hash="h", after_step=1, round_id=name, why="x")
            ledger.next_rounds.begin(made, [])
        assert looks_at("t" * 64, "r-3", ledger) == 2 and looks_at("u" * 64, "r-3", ledger) == 1


def test_drift_is_looked_for_once_a_day_and_for_each_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = [1e9], list[float]()
    monkeypatch.setattr("tunesmith.pipeline.next_plan.time", lambda: clock[0])

    def drift_of(*_: object) -> tuple[bool, tuple[str, ...]]:
        looks.append(clock[0])
        return len(looks) % 2 == 0, ("longer",)

    monkeypatch.setattr("tunesmith.pipeline.monitoring.drift_of", drift_of)
    place = Workspace(tmp_path)
    told = []
    for _ in range(2):
        assert _drift(place, "champion", False) is None  # to tell what would be done keeps nothing
        looks.clear()
    assert not (place.root / "next").exists()
    for _ in range(2 * 24 + 1):
        told.append(_drift(place, "champion"))
        clock[0] += 3600
    assert len(looks) == 3 and told == [None] * 24 + ["drift: longer"] * 24 + [None]
    with place.ledger() as ledger:
        ledger.steps.take(StepRecord(action="promote", model="r-1", who="ann", why="first"))
    assert _drift(place, "champion") == "drift: longer" and len(looks) == 4


def test_when_a_round_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.pipeline.next_plan._days_since", lambda *_: 3.0)
    monkeypatch.setattr("tunesmith.pipeline.next_plan._drift", lambda *_: "drift: longer")
    place = Workspace(tmp_path)
    with place.ledger() as ledger:

        def told(new: int, when: WhenConfig | None, least: int = 1) -> str | None:
            return due(new, NextConfig(when=when, least=least), "champion", place, ledger)

        assert told(0, None) is None and told(1, None) == "1 new opinions" and told(4, None, least=5) is None
        assert told(199, WhenConfig(reviewed=200)) is None and told(200, WhenConfig(reviewed=200)) is not None
        assert told(1, WhenConfig(days=3)) == "3 days have passed, with 1 new opinions" and told(1, WhenConfig(days=4)) is None
        assert told(1, WhenConfig(days=4, drift=True)) == "drift: longer" and told(0, WhenConfig(drift=True)) is None
