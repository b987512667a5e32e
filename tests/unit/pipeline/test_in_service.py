"""The gateway follows the ledger over fake models: every way in which a step may come, and every way in which loading may fail."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.core.errors import BusyError, MachineError, RecipeError
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import InService, Mode, StepRecord
from tunesmith.ledger.trials import Side, TrialRule, TriedRecord
from tunesmith.pipeline.in_service import AGAIN_SECONDS, LINGER_SECONDS, Follower, OtherContent, local_loader
from tunesmith.pipeline.judging import JUDGE_SECONDS
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.service import Loaded, Service


class Fake:
    """A model that does nothing."""

    created = 0

    def __init__(self, name: str) -> None:
        self.name, self.closed, self.way, self.facts = name, False, None, {"labels": None}

    def load(self) -> dict[str, float]:
        return {"waiting": 0, "answering": 0}

    def ready(self) -> bool:
        return True

    def close(self, *, drain: bool) -> None:
        self.closed = True


class World:
    """A ledger, a follower, a clock that stands, and models that load as they are told to."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(folder / "ledger.db")
        self.now = 100.0
        self.made: list[Fake] = []
        self.failing: dict[str, Exception] = {}
        self.said: list[str] = []
        self.begun: Follower | None = None

    def load(self, model: InService) -> Loaded:
        if model.model in self.failing:
            raise self.failing[model.model]
        fake = Fake(model.model)
        self.made.append(fake)

        def give_way(way: Any) -> None:
            fake.way = way

        return Loaded(model, fake, f"hash-of-{model.model}", 8, give_way)  # type: ignore[arg-type]

    def step(self, action: Any, model: str | None = None, mode: Mode | None = None, share: float | None = None) -> int:
        return self.ledger.steps.take(StepRecord(action=action, model=model, mode=mode, share=share, who="ann", why="so")).number

    def follow(self, **settings: Any) -> Follower:
        self.begun = Follower(self.ledger, "champion", self.load, lambda text, _: self.said.append(text), **settings)
        self.begun.clock = lambda: self.now
        return self.begun

    def settle(self, turns: int = 4) -> Service:
        """Turns until nothing is left to load."""
        assert self.begun is not None
        for _ in range(turns):
            self.begun.look()
            if self.begun._loading is not None:
                wait([self.begun._loading.future], timeout=30)
            if self.begun._judge.under_way is not None:
                wait([self.begun._judge.under_way], timeout=30)
        return self.begun.service

    def tried(self, rule: TrialRule) -> int:
        """A trial by half, followed."""
        self.step("promote", "one")
        self.follow()
        number = self.step("challenge", "two", "share", 0.5)
        self.ledger.trials.allow(replace(rule, step=number))
        self.settle()
        return number

    def opined(self, step: int, given: Sequence[tuple[str, bool]]) -> None:
        """People say up or down of answers, the champion's and the challenger's in turn: (key, good)."""
        arms: tuple[Side, Side] = ("champion", "challenger")
        self.ledger.trials.record([TriedRecord(step=step, id=str(n), arm=arms[n % 2], asker=str(n)) for n in range(len(given))])
        self.ledger.feedback.give(
            [
                FeedbackRecord(tenant="t", key_id=key, completion_id=str(n), kind="thumbs", value="up" if good else "down")
                for n, (key, good) in enumerate(given)
            ]
        )
        self.now += JUDGE_SECONDS

    @property
    def serving(self) -> tuple[str, str | None]:
        assert self.begun is not None
        now = self.begun.service.now
        return now.champion.model.model, now.challenger and now.challenger.model.model


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    if made.begun is not None:
        made.begun.close()
        assert all(model.closed for model in made.made)
    made.ledger.close()


def test_a_line_without_a_champion_is_not_served(world: World) -> None:
    with pytest.raises(RecipeError, match="'champion' has no champion to serve"):
        world.follow()


def test_promotions_rollbacks_and_trials_are_followed_in_any_order(world: World) -> None:
    world.step("promote", "one")
    world.follow()
    assert world.serving == ("one", None)
    for action, model, mode, expected in (
        ("promote", "two", None, ("two", None)),
        ("challenge", "three", "shadow", ("two", "three")),
        ("keep", None, None, ("two", None)),
        ("challenge", "four", "share", ("two", "four")),
        ("promote", "four", None, ("four", None)),
        ("rollback", None, None, ("two", None)),
        ("rollback", None, None, ("one", None)),
    ):
        number = world.step(action, model, mode, 0.5 if mode == "share" else None)  # type: ignore[arg-type]
        service = world.settle()
        assert world.serving == expected and service.now.step == number and service.behind is None
    assert [one for one in world.said if "is served by" in one][-1] == "'champion' is served by one (step 8)."


def test_a_rollback_loads_nothing_and_takes_one_turn(world: World) -> None:
    for model in ("one", "two"):
        world.step("promote", model)
    follower = world.follow()
    world.settle()  # the former champion is loaded though it never served here
    loads = [model.name for model in world.made]
    assert sorted(loads) == ["one", "two"]
    world.step("rollback")
    follower.look()
    assert world.serving == ("one", None) and len(world.made) == 2
    world.step("promote", "two")
    follower.look()
    assert world.serving == ("two", None) and len(world.made) == 2


def test_a_rollback_does_not_wait_behind_a_load(world: World) -> None:
    import threading

    for model in ("one", "two"):
        world.step("promote", model)
    follower = world.follow()
    world.settle()
    hold, plain = threading.Event(), follower._load

    def slowly(model: InService) -> Loaded:
        hold.wait(30)
        return plain(model)

    follower._load = slowly
    world.step("promote", "three")
    follower.look()
    assert world.serving == ("two", None) and follower.service.behind == "three is being loaded"
    world.step("rollback")  # of a champion that was never loaded: two again
    world.step("rollback")
    follower.look()
    assert world.serving == ("one", None) and follower.service.behind is None
    hold.set()
    world.settle()
    assert world.serving == ("one", None)


def test_names_are_the_line_the_champion_and_the_one_before(world: World) -> None:
    for model in ("one", "two"):
        world.step("promote", model)
    follower = world.follow()
    changes: list[set[str]] = []
    follower.changed = lambda: changes.append(set(follower.names()))
    world.settle()
    world.step("challenge", "three", "shadow")
    world.settle()
    assert set(follower.names()) == {"champion", "one", "two"}  # who is tried is nobody's to ask
    world.step("promote", "three")
    world.settle()
    assert set(follower.names()) == {"champion", "two", "three"} and changes[-1] == {"champion", "two", "three"}


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_and_is_tried_a_few_times(world: World) -> None:
    world.step("promote", "one")
    follower = world.follow()
    world.failing["two"] = OSError("/secret/place is gone")
    world.step("promote", "two")
    for wait_seconds in (0.0, *AGAIN_SECONDS):
        world.now += wait_seconds
        world.settle()
        assert world.serving == ("one", None) and "two can't be loaded" in (follower.service.behind or "")
        world.settle()  # not before its time
    failures = follower.service.counts["load_failures"]
    assert failures == 1 + len(AGAIN_SECONDS)
    world.now += 10_000
    world.settle()
    assert follower.service.counts["load_failures"] == failures  # left alone from here on
    told = [one for one in world.said if "can't be loaded" in one]
    assert len(told) == failures and "left alone" in told[-1] and "secret" not in "".join(told)
    del world.failing["two"]
    world.step("challenge", "three", "shadow")  # any step is a new chance
    service = world.settle()
    assert world.serving == ("two", "three") and service.behind is None


def test_a_challenger_that_cannot_be_loaded_is_not_tried_and_the_champion_serves_all(world: World) -> None:
    world.step("promote", "one")
    follower = world.follow()
    world.failing["two"] = MachineError("It is damaged.")
    world.step("challenge", "two", "share", 0.5)
    world.settle()
    assert world.serving == ("one", None) and follower.service.arm("x").side == "champion"
    assert follower.service.behind == "two can't be loaded: It is damaged."


def test_other_content_than_the_step_names_is_refused_until_the_next_step(world: World) -> None:
    world.step("promote", "one")
    follower = world.follow()
    world.failing["two"] = OtherContent("The folder holds another model.")
    world.step("promote", "two")
    world.settle()
    world.now += 10_000
    world.settle()
    assert world.serving == ("one", None) and follower.service.counts["load_failures"] == 1


def test_a_ledger_that_cannot_be_read_changes_nothing_and_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.step("promote", "one")
    follower = world.follow()

    def locked(_: str) -> int:
        raise BusyError("The ledger is locked.")

    with monkeypatch.context() as patched:
        patched.setattr(world.ledger.steps, "last", locked)
        for _ in range(5):
            follower.look()
    assert world.serving == ("one", None) and world.said == ["The ledger can't be read (The ledger is locked.); what serves goes on."]
    world.step("promote", "two")
    world.settle()
    assert world.serving == ("two", None)


def test_so_many_models_stay_loaded_and_none_that_a_request_is_on_goes(world: World) -> None:
    world.step("promote", "one")
    follower = world.follow(most_loaded=2)
    held = follower.service.arm("ann")  # a request that goes on and on
    for model in ("two", "three", "four"):
        world.step("promote", model)
        world.now += LINGER_SECONDS
        world.settle(6)
        world.now += LINGER_SECONDS
        follower.look()
    names = {loaded.model.model for loaded in follower.service.pool}
    assert names == {"one", "three", "four"} and not world.made[0].closed and held.name == "champion"
    del held
    follower.look()
    assert {loaded.model.model for loaded in follower.service.pool} == {"three", "four"}
    assert sum("is let go of" in one for one in world.said) == 2


def test_only_in_shadow_does_a_challenger_give_way(world: World) -> None:
    world.step("promote", "one")
    world.follow()
    world.step("challenge", "two", "shadow")
    world.settle()
    two = world.made[-1]
    assert two.name == "two" and two.way is not None
    world.step("keep")
    world.step("challenge", "two", "share", 0.5)
    world.settle()
    assert two.way is None and world.made[0].way is None
    world.step("keep")
    world.step("challenge", "two", "shadow")
    world.settle()
    world.step("promote", "two")
    world.settle()
    assert two.way is None and world.serving == ("two", None)


@pytest.mark.parametrize(("good", "rule", "expected"), [
    (True, TrialRule(0, promote_when_better=True), ("promote", "two")),
    (True, TrialRule(0, end_when_worse=True), None),
    (False, TrialRule(0, end_when_worse=True), ("keep", None)),
    (False, TrialRule(0, promote_when_better=True), None),
    (True, None, None),
])  # fmt: skip
def test_a_trial_ends_by_itself_only_where_that_was_allowed(
    world: World, good: bool, rule: TrialRule | None, expected: tuple[str, str | None] | None
) -> None:
    number = world.tried(rule or TrialRule(0))
    world.opined(number, [(f"k{n // 2 % 4}", (n % 2 == 1) == good) for n in range(120)])
    world.settle()
    last = world.ledger.steps.history()[-1]
    if expected is None:
        assert (last.action, last.number) == ("challenge", number)
        return
    assert (last.action, last.model) == expected and last.who == "tunesmith challenge"
    assert "challenger 100% of 60 opinions" in last.why if good else "challenger 0% of 60 opinions" in last.why
    assert world.serving == (("two", None) if good else ("one", None))


@pytest.mark.parametrize(("of_one", "rule", "expected"), [
    (120, TrialRule(0, True, True), "challenge"),
    (64, TrialRule(0, True, True), "challenge"),
    (60, TrialRule(0, True, True), "promote"),
    (120, TrialRule(0, True, True, one_key=True), "promote"),
])  # fmt: skip
def test_nothing_is_done_by_itself_where_one_key_may_have_made_the_people_up(
    world: World, of_one: int, rule: TrialRule, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.pipeline.trial.screen", lambda *_: 0)  # which sees a flood in some of these, and is another matter
    number = world.tried(rule)
    world.opined(number, [("m" if n < of_one else f"k{n}", n % 2 == 1) for n in range(120)])
    for _ in range(3):  # it is said once
        world.settle()
        world.now += JUDGE_SECONDS
    assert world.ledger.steps.history()[-1].action == expected
    told = [one for one in world.said if "takes no step by itself" in one]
    assert len(told) == (expected == "challenge") and all(f"One key speaks for {of_one / 120:.0%} of the people" in one for one in told)


def test_what_looks_wrong_is_set_aside_before_a_trial_ends_by_itself(world: World) -> None:
    number = world.tried(TrialRule(0, promote_when_better=True))
    world.opined(number, [("m", n % 2 == 1) if n < 60 else (f"k{n // 4 % 5}", n // 2 % 2 == 1) for n in range(120)])
    world.settle()
    assert world.ledger.steps.history()[-1].action == "challenge"
    assert {one.key_id for one in world.ledger.feedback.list(states=("quarantined",))} == {"m"}
    assert len(world.ledger.trials.opinions(number)) == 60


def test_a_rollback_waits_for_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    judging, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        judging.set()
        assert go_on.wait(30)

    world.step("promote", "zero")
    number = world.tried(TrialRule(0, promote_when_better=True))
    monkeypatch.setattr("tunesmith.pipeline.judging.verdict_step", slow)
    world.opined(number, [("k", True)])
    assert world.begun is not None
    world.begun.look()
    assert judging.wait(30) and world.serving == ("one", "two")
    world.step("rollback")
    world.begun.look()
    go_on.set()
    assert [*world.serving] == ["zero", None]


def test_a_former_champion_in_shadow_gives_way_to_nobody_while_it_is_asked_under_its_own_name(world: World) -> None:
    world.step("promote", "one")
    follower = world.follow()
    world.step("promote", "two")
    world.settle()
    world.step("challenge", "one", "shadow")
    world.settle()
    one, two = world.made
    asked = 0

    def load() -> dict[str, float]:
        nonlocal asked
        asked += 1
        return {"waiting": 0, "answering": asked % 2}  # busy at the first look, not at the second

    two.load = load  # type: ignore[method-assign]
    shown: Any = follower.names()["one"].arm("ann")  # type: ignore[attr-defined]
    assert one.way is not None
    one.way()
    assert asked == 0 and shown.name == "one"
    del shown
    one.way()
    assert asked == 2


def test_every_gateway_deals_by_one_secret_that_is_no_part_of_a_step(world: World) -> None:
    number = world.tried(TrialRule(0))
    assert world.begun is not None
    secret = world.begun.service.now.secret
    assert len(secret) == 32 and world.ledger.trials.secret(number) == secret and secret not in repr(world.begun.service.now)
    world.step("keep")
    again = world.step("challenge", "two", "share", 0.5)
    assert world.ledger.trials.secret(again) != secret


def test_a_model_that_is_served_anyway_is_lent_and_closed_by_nobody_but_its_owner(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(model: str, _: Any) -> Any:
        return SimpleNamespace(name=model, folder=Path(model))

    def loaded_anew(folder: Path) -> Any:
        raise MachineError(f"{folder} was loaded")

    monkeypatch.setattr("tunesmith.pipeline.naming.named_model", named)
    monkeypatch.setattr("tunesmith.models.package.model_digest", lambda folder: f"hash-of-{folder}")
    monkeypatch.setattr("tunesmith.models.package.load_model", loaded_anew)
    theirs: Any = Fake("one")
    load = local_loader(Workspace(tmp_path), ServeConfig(), {"hash-of-one": theirs})
    one = load(InService("one", "hash-of-one", "2026-11-22T00:00:00Z"))
    assert one.backend is theirs and one.lent and one.hash == "hash-of-one"
    with pytest.raises(OtherContent):
        load(InService("one", "another", "2026-11-22T00:00:00Z"))
    with pytest.raises(MachineError, match="two was loaded"):
        load(InService("two", None, "2026-11-22T00:00:00Z"))
    for model in ("one", "two", "three"):
        world.step("promote", model)
    monkeypatch.setattr(world, "load", lambda model, plain=world.load: load(model) if model.model == "one" else plain(model))
    world.step("rollback")
    world.step("rollback")
    world.follow(most_loaded=1)
    assert world.serving == ("one", None)
    world.step("promote", "two")
    world.settle()
    world.now += LINGER_SECONDS + 1
    world.settle()
    world.begun._loader.shutdown(wait=True)  # type: ignore[union-attr]
    assert world.serving == ("two", None) and [held.model.model for held in world.begun.service.pool] == ["two"]  # type: ignore[union-attr]
    assert not theirs.closed
