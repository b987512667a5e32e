"""From feedback to a gated next round: clean opinions promote, poisoned ones don't, and a killed round goes on as the same one."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.core.rows import Message
from tunesmith.ledger.feedback import FeedbackRecord, Verdict
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord

COLOURS = ("red", "green", "blue")
THINGS = ("sofa", "table", "kite", "ring", "spoon", "train", "mirror", "ladder", "pencil", "window", "bottle", "carpet")
ENDS = ("before the rain", "for my aunt in Basel", "by Monday", "if that is fine", "said Tom", "without its lid", "and two keys", "tonight")
OPENINGS = ("He wants one", "We found that", "Who ordered a", "Mend this old", "I never had any", "Is there another")


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, colour_rows: Any, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any
) -> Path:
    """A workspace whose champion has learned next to nothing, and could."""
    folder: Path = tmp_path_factory.mktemp("next")
    write_rows(folder / "rows.jsonl", colour_rows)
    data = {"path": "../rows.jsonl", "split": {"test": 0.3, "validation": 0.2}}
    evaluate = {"few_shot": [0], "explain": {"enabled": False}, "slices": False, "linear_floor": False}
    train = {"epochs": 6, "max_steps": None, "compile": "off"}
    recipe = write_recipe(folder / "first", data, tiny_base, train=train | {"max_steps": 1}, evaluate=evaluate)
    done = command("run", recipe, "--workspace", folder / "work", "--json")
    assert done.code == 0, done.err
    promoted = command("promote", done.json()["id"], "--workspace", folder / "work", "--why", "the first", "--who", "ann")
    assert promoted.code == 0, promoted.err
    better = json.loads(recipe.read_text()) | {"train": json.loads(recipe.read_text())["train"] | train}
    (folder / "better.yaml").write_text(json.dumps(better | {"data": data | {"path": str(folder / "rows.jsonl")}}))
    return folder


def opinions(ledger: Ledger, *, lies: float, seed: int = 0) -> None:
    """Labels by twelve users of answers to requests that were all drawn at random, reviewed by somebody who lets everything pass."""
    drawn = random.Random(seed)
    made = []
    for place, (opening, colour, thing) in enumerate((o, c, t) for o in OPENINGS for t in THINGS for c in COLOURS):
        end = drawn.sample(ENDS, 2)
        prompt = (Message("user", f"{opening} {colour} {thing} {end[0]} {end[1]}"),)
        request = f"class-{place}"
        wrong = [one for one in COLOURS if one != colour]
        label = drawn.choice(wrong) if drawn.random() < lies else colour
        answer = drawn.choice(wrong)
        common: dict[str, Any] = {"tenant": "t", "key_id": f"key-{place % 12}", "prompt": prompt, "answer": answer}
        ledger.requests.record([RequestRecord(id=request, model="m", kind="label", sampled=True, label=answer, **common)])
        made.append(FeedbackRecord(completion_id=request, kind="label", value=label, asked="label", **common))
    ledger.feedback.give(made)
    for record in made:
        ledger.feedback.review(Verdict(record.id, "accepted"), "ann")


@pytest.fixture
def work(home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(home / "work", tmp_path / "work")


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trained(home: Path, command: Any) -> Path:
    """A workspace in which a next round on clean labels was killed once its round was done, and what it had said it would do."""
    work = shutil.copytree(home / "work", home / "trained")
    place = ("--workspace", work, "--json")
    nothing = command("next", *place)
    assert nothing.code == 0 and nothing.json()["round_id"] is None and "0 new opinions" in nothing.json()["why"]
    with Ledger.open(work / "tunesmith.db") as ledger:
        opinions(ledger, lies=0.0)
    planned = command("next", "--check", "--recipe", home / "better.yaml", *place)
    assert planned.code == 0 and planned.json()["round_id"] is None and planned.json()["used"] > 100
    (home / "planned.json").write_text(planned.out)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tunesmith.pipeline.next_round.duel", killed)
        assert command("next", "--recipe", home / "better.yaml", *place).code == 130
    return work


@pytest.fixture
def half(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "half")


def champion_of(work: Path) -> str:
    with Ledger.open(work / "tunesmith.db") as ledger:
        champion = ledger.steps.standing().champion
    assert champion
    return champion.model


def test_clean_labels_promote_after_a_kill_too_and_are_used_once(home: Path, half: Path, command: Any) -> None:
    place, first = ("--workspace", half, "--json"), champion_of(half)
    done = command("next", *place)
    told = done.json()
    assert done.code == 0 and told["promoted"] and told["used"] == json.loads((home / "planned.json").read_text())["used"], done.out
    assert told["gain"]["low"] > 0 and "traffic: accuracy" in told["why"] and "count for nothing" in told["why"]
    with Ledger.open(half / "tunesmith.db") as ledger:
        standing, step = ledger.steps.standing(), ledger.steps.history()[-1]
        assert standing.champion and standing.champion.model == told["round_id"] and [one.model for one in standing.former] == [first]
        assert step.who == "tunesmith next" and "95% interval" in step.why and len(ledger.rounds()) == 2
        before, after = (ledger.dataset(str(ledger.round(one).dataset_hash)) for one in (first, told["round_id"]))
        heads = [next((half / "datasets").glob(f"{one.id[:16]}-*/dataset.json")) for one in (before, after)]
        hashes = [json.loads(head.read_text())["hashes"] for head in heads]
        assert hashes[0]["test"] == hashes[1]["test"] and hashes[0]["calibrate"] == hashes[1]["calibrate"]
        assert len(ledger.test_openings(hashes[0]["test"])) == 2
    again = command("next", *place)
    assert again.code == 0 and again.json()["round_id"] is None and "0 new opinions" in again.json()["why"]


def test_one_killed_after_its_promotion_promotes_no_second_time(half: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("next", "--workspace", half, "--json")
    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.ledger.nexts.NextRounds.end", killed)
        assert command(*call).code == 130
    with Ledger.open(half / "tunesmith.db") as ledger:
        (begun,) = ledger.next_rounds.list("champion")
        uses = ledger.next_rounds.uses(begun.id)
        assert begun.state == "open" and champion_of(half) == begun.round_id
    told = command(*call).json()
    assert told["promoted"] and told["round_id"] == begun.round_id and told["used"] == len(uses)
    with Ledger.open(half / "tunesmith.db") as ledger:
        assert [step.model for step in ledger.steps.history()][1:] == [told["round_id"]]
        assert [one.state for one in ledger.next_rounds.list("champion")] == ["promoted"]
        ledger.feedback.give([replace(record, value="not so") for record in ledger.feedback.list()[:20]])
    assert command("rollback", "--why", "it is rude", "--who", "ann", *call[1:]).code == 0
    held = command(*call)
    assert held.code == 0 and held.json()["round_id"] is None and "rolled back by ann (it is rude)" in held.json()["why"]
    assert "rolled back" not in command(*call, "--after-rollback", "--check").json()["why"]


def test_somebody_elses_promotion_meanwhile_stays_and_frees_the_feedback(home: Path, half: Path, command: Any) -> None:
    work = ("--workspace", half, "--json")
    elsewhere = shutil.copytree(half / "rounds" / champion_of(half) / "model", half.parent / "other")
    tunesmith.promote(str(elsewhere), workspace=half, why="a person's choice", who="bob")
    done = command("next", *work)
    assert done.code == 4 and "became champion meanwhile" in done.json()["why"] and done.json()["used"] == 0
    assert champion_of(half) == str(elsewhere.resolve())
    back = command("rollback", "--why", "that was no good", "--who", "ann", *work)
    assert back.code == 0 and back.json()["champion"]["model"].startswith("r-")
    assert command("next", "--check", *work).json()["used"] == json.loads((home / "planned.json").read_text())["used"]
    shown = command("champions", *work).json()["lines"][0]["history"]
    assert [(step["action"], step["who"]) for step in shown] == [("promote", "ann"), ("promote", "bob"), ("rollback", "ann")]


def test_poisoned_labels_do_not_promote(home: Path, work: Path, command: Any) -> None:
    with Ledger.open(work / "tunesmith.db") as ledger:
        opinions(ledger, lies=1.0)
        before = ledger.steps.standing()
    done = command("next", "--recipe", home / "better.yaml", "--workspace", work, "--json")
    assert done.code == 4 and not done.json()["promoted"], done.out + done.err
    assert "not shown to be better" in done.json()["why"]
    with Ledger.open(work / "tunesmith.db") as ledger:
        assert ledger.steps.standing() == before
    assert tunesmith.next_round(workspace=work).round_id is None


def test_a_champion_is_named_in_a_recipe_and_a_changed_one_is_not_promoted(home: Path, work: Path, command: Any) -> None:
    first, place = champion_of(work), ("--workspace", work, "--json")
    asked = ("--set", "base.path=champion", "--set", "evaluate.against=[champion]", "--set", "train.max_steps=1")
    done = command("run", home / "better.yaml", *asked, *place)
    assert done.code == 0, done.err
    named = tunesmith.load_recipe(work / "rounds" / done.json()["id"] / "recipe.yaml")
    assert named.base.path == str((work / "rounds" / first / "model").resolve()) and named.evaluate.against == [first]
    (work / "rounds" / done.json()["id"] / "model" / "added.txt").write_text("x")
    refused = command("promote", done.json()["id"], *place)
    assert refused.code == 3 and "are not those that round" in refused.err and champion_of(work) == first
    for model, code in (("r-nothing", 2), (first, 2)):
        assert command("promote", model, *place).code == code


def test_preferences_make_a_round_that_the_writers_own_test_set_judges(
    tmp_path: Path, tiny_base: Path, command: Any, write_recipe: Any, write_rows: Any
) -> None:
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopq"]
    turns = [
        [{"role": "user", "content": f"Say the word {word} twice."}, {"role": "assistant", "content": f"{word} {word}"}] for word in words
    ]
    rows = write_rows(tmp_path / "chats.jsonl", [{"messages": one} for one in turns])
    evaluate = {"few_shot": [0], "explain": {"enabled": False}, "slices": False, "linear_floor": False, "max_new_tokens": 4}
    data = {"path": str(rows), "split": {"test": 0.3}}
    method = {"name": "lora", "rank": 2}
    recipe = write_recipe(tmp_path / "one", data, tiny_base, evaluate=evaluate, train={"max_steps": 2, "compile": "off"}, method=method)
    work = tmp_path / "work"
    first = command("run", recipe, "--workspace", work, "--json").json()["id"]
    tunesmith.promote(first, workspace=work, why="the first", who="ann")
    given = []
    for number in range(40):
        name = f"{number * 7919 % 1000:03d} {'xyz'[number % 3]}{'uvw'[number % 2]}"
        turn = (Message("user", f"Spell {name} and then {number * 31} backwards"),)
        about: dict[str, Any] = {"tenant": "t", "key_id": f"k{number % 9}", "completion_id": f"c{number}", "prompt": turn, "answer": "no"}
        given.append(FeedbackRecord(kind="preference", value=f"{name} {name}", **about))
        given.append(FeedbackRecord(kind="comment", value="hm", **about))
    with Ledger.open(work / "tunesmith.db") as ledger:
        ledger.feedback.give(given)
        for record in given:
            ledger.feedback.review(Verdict(record.id, "accepted"), "ann")
    done = command("next", "--workspace", work, "--json")
    told = done.json()
    assert done.code == 4 and "not shown to be better" in told["why"] and 20 < told["used"] <= 40, done.out + done.err
    made = tunesmith.load_recipe(work / "rounds" / told["round_id"] / "recipe.yaml")
    assert made.data.task == "prefer" and made.base.path.startswith(str(work.resolve() / "bases"))
    with Ledger.open(work / "tunesmith.db") as ledger:
        test = ledger.dataset(str(ledger.round(first).dataset_hash))
        head = json.loads(next((work / "datasets").glob(f"{test.id[:16]}-*/dataset.json")).read_text())
        assert [one.round_id for one in ledger.test_openings(head["hashes"]["test"])] == [first, told["round_id"]]
    nothing = command("next", "--workspace", work, "--json")
    assert nothing.code == 0 and "0 new opinions" in nothing.json()["why"]
