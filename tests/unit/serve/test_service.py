"""A line of service over scripted models: who answers whom, what stays where it began, and what is kept of a trial."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom
from starlette.testclient import TestClient

from tunesmith.core.errors import MachineError
from tunesmith.ledger.keys import KeyRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord
from tunesmith.ledger.steps import InService, StepRecord
from tunesmith.serve import trial as trying
from tunesmith.serve.answers import Ask, Labelled, Piece
from tunesmith.serve.app import Gateway, make_app
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.holders import Holders
from tunesmith.serve.kept import Kept
from tunesmith.serve.log import Line
from tunesmith.serve.refusals import busy
from tunesmith.serve.service import (
    SHOWN_HASH,
    Arm,
    Loaded,
    Now,
    Service,
    asker_of,
    falls_to_challenger,
    fingerprint,
    pseudonym,
    unused,
)
from tunesmith.serve.trial import GiveWay, Trial


class Scripted:
    """Says its name and the last message; of labels, its first letter."""

    created = 0

    def __init__(self, name: str, labels: bool = False) -> None:
        self.name, self.facts, self.asked = name, {"labels": None}, 0
        self.open = asyncio.Event()
        self.open.set()
        self.labels, self.refusing, self.closed = labels, False, False

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        self.asked += 1
        if self.refusing:
            raise busy(1)
        for index in range(ask.n):
            yield Piece(index=index, text=f"{self.name} ")
            await self.open.wait()
            said = (ask.text or ask.messages[-1].content) + "!"
            yield Piece(
                index=index, text=said, finish="stop", prompt_tokens=3, answer_tokens=2, extra={"confidence": 0.5, "abstains": False}
            )

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        return [Labelled(label="same" if text == "same" else self.name, confidence=0.75, abstains=False) for text in texts]

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        return [[float(ord(self.name[0]))] for _ in texts], 1

    def ready(self) -> bool:
        return True

    def load(self) -> dict[str, float]:
        return {"waiting": 0, "answering": 0}

    def close(self, *, drain: bool) -> None:
        self.closed = True


def until(done: Callable[[], bool]) -> None:
    """Waits for another thread, and not forever."""
    for _ in range(6000):
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come")


def loaded(name: str, **more: Any) -> Loaded:
    return Loaded(InService(name, f"hash-of-{name}", "2026-11-21T00:00:00Z"), Scripted(name, **more), f"hash-of-{name}", 1000)


class World:
    """A gateway with a line of two models, keys of an admin and of a shop."""

    def __init__(self, folder: Path, mode: Any = None, share: float = 0.0, keep: float = 1.0) -> None:
        self.ledger = Ledger.open(folder / "ledger.db")
        made = {name: self.ledger.keys.create(name, scopes) for name, scopes in (("shop", ["chat", "feedback"]), ("boss", ["admin"]))}
        self.secrets = {name: secret for name, (_, secret) in made.items()}
        self.ids = {name: record.id for name, (record, _) in made.items()}
        self.old, self.new = loaded("old"), loaded("new")
        self.trial = Trial(self.ledger.trials)
        self.now = Now(self.old, 7, self.new if mode else None, mode, share, "s")
        self.service = Service("champion", self.now, self.trial)
        self.config = ServeConfig(keep_requests=keep)
        self.kept = Kept(self.ledger.requests, self.config)
        backends: Any = {"champion": self.service, "old": Arm("old", self.old, now=Now(self.old), trial=None)}
        holders = Holders(self.ledger.keys.holder, self.ledger.keys.any)
        self.gateway = Gateway(backends, holders, self.config, kept=self.kept, opinions=self.ledger.feedback)
        self.client = TestClient(make_app(self.gateway), raise_server_exceptions=False)

    def post(self, path: str, who: str = "shop", **body: Any) -> Any:
        said = self.client.post(f"/v1/{path}", json=body, headers={"Authorization": f"Bearer {self.secrets[who]}"})
        assert said.status_code == 200, said.text
        return said.json()

    def get(self, path: str, who: str = "shop") -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {self.secrets[who]}"}).json()

    def ask(self, text: str = "hello", user: str | None = None, **more: Any) -> tuple[str, str, str]:
        beside = {} if user is None else {"user": user}
        said = self.post("chat/completions", model="champion", messages=[{"role": "user", "content": text}], **beside, **more)
        assert said["model"] == "champion"
        return said["id"], said["choices"][0]["message"]["content"].split()[0], said["system_fingerprint"]

    def written(self) -> None:
        """Once it is closed, all that was noted is in the ledger."""
        self.trial.close()
        self.kept.close()

    def close(self) -> None:
        self.written()
        self.ledger.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Any]:
    made: list[World] = []

    def make(*given: Any, **more: Any) -> World:
        made.append(World(tmp_path, *given, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_shares_hold_over_ten_thousand_users_and_every_trial_deals_anew(share: float) -> None:
    users = [f"user\0shop\0{number}" for number in range(10_000)]
    dealt = [[falls_to_challenger(pseudonym(user, step, "s"), share) for user in users] for step in (3, 4)]
    for tried in dealt:
        low, high = binom.interval(0.9999, len(users), share)
        assert low <= sum(tried) <= high
    both = sum(a and b for a, b in zip(*dealt, strict=True))
    low, high = binom.interval(0.9999, len(users), share * share)
    assert low <= both <= high  # whoever was tried on once is not more likely to be so again
    assert dealt[0] == [falls_to_challenger(pseudonym(user, 3, "s"), share) for user in users]


def test_whose_request_it_is() -> None:
    key = KeyRecord(id="k1", name="shop", hash="", tenant="a", scopes=("chat",))
    other, nobody = replace(key, id="k2", tenant="b"), replace(key, id="")
    assert asker_of(key, "ann") != asker_of(other, "ann")  # the same name at another tenant's is somebody else
    assert asker_of(key, None) == asker_of(key, "") != asker_of(other, None)
    assert asker_of(nobody, None) is None and asker_of(nobody, "ann") is not None
    assert "ann" not in pseudonym("ann", 1, "s") != pseudonym("ann", 2, "s")
    assert pseudonym("ann", 1, "s") != pseudonym("ann", 1, "t")  # the number of a step is public, and tells nobody who is dealt what


def test_a_share_of_users_gets_the_challenger_always_the_same_ones_and_the_record_says_so(worlds: Any) -> None:
    world = worlds("share", 0.5)
    dealt = {user: [world.ask(user=user) for _ in range(2)] for user in map(str, range(30))}
    for user, answers in dealt.items():
        tried = falls_to_challenger(pseudonym(f"user\0default\0{user}", 7, "s"), 0.5)
        assert {said for _, said, _ in answers} == {"new" if tried else "old"}
    assert len({print_ for answers in dealt.values() for *_, print_ in answers}) == 1  # nobody is told which of the two answered
    assert {said for _, said, _ in (world.ask() for _ in range(4))} in ({"old"}, {"new"})  # without a user, by key
    world.written()
    kept = {record.id: record for record in world.ledger.requests.list()}
    rows = {row.id: row for row in world.ledger.trials.rows(7)}
    for answers in dealt.values():
        for id_, said, _ in answers:
            assert kept[id_].model == "champion" and kept[id_].model_hash == f"hash-of-{said}"
            assert rows[id_].arm == {"new": "challenger", "old": "champion"}[said] and rows[id_].answer is None
    assert len({row.asker for row in rows.values()}) == 31


def test_the_fingerprint_names_the_model_but_in_a_trial_by_share_both(worlds: Any) -> None:
    old, new = loaded("old"), loaded("new")
    alone, shadow = Now(old), Now(old, 7, new, "shadow")
    shared, less, later = (Now(old, step, new, "share", share, "s") for step, share in ((7, 0.5), (7, 0.1), (9, 0.5)))

    def shown(now: Now, one: Loaded) -> str:
        return fingerprint(Arm("champion", one, now=now, trial=None))

    assert shown(alone, old) == shown(shadow, old) and shown(alone, old).endswith("-hash-of-old")
    assert shown(shared, old) == shown(shared, new) == shown(less, new) == shown(later, old)
    assert shown(shared, old) not in (shown(alone, old), shown(Now(new), new))
    assert len(shown(shared, old)) == len(shown(alone, old)) + SHOWN_HASH - len("hash-of-old")


def test_figures_are_told_which_model_answers(worlds: Any) -> None:
    world, line = worlds("share", 0.5), Line()
    for backend, content in (
        (Arm("champion", world.new, side="challenger", now=world.now, trial=None), "hash-of-new"),
        (world.service, "hash-of-old"),
        (Scripted("alone"), None),
    ):
        world.gateway.note(line, backend)
        assert (line.model, line.content) == (backend.name, content)
    assert "content" not in line.to_json(200, 0.1) and Kept(None, world.config, {"alone": "h"}).content("alone") == "h"


def test_requests_of_nobody_are_dealt_out_one_by_one() -> None:
    service = Service("champion", Now(loaded("old"), 7, loaded("new"), "share", 0.3))
    tried = sum(service.arm(None).side == "challenger" for _ in range(2000))
    low, high = binom.interval(0.9999, 2000, 0.3)
    assert low <= tried <= high


def test_opinions_are_counted_by_who_answered(worlds: Any) -> None:
    world = worlds("share", 0.5)
    asked = {user: world.ask(user=user) for user in map(str, range(20))}
    opinions = ({"thumbs": "up"}, {"thumbs": "down"}, {"correction": "other"}, {"comment": "so"})
    for place, (id_, _, _) in enumerate(asked.values()):
        world.post("feedback", completion_id=id_, **opinions[place % 4])
    world.written()
    given = world.ledger.trials.opinions(7)
    sides = [{"new": "challenger", "old": "champion"}[said] for _, said, _ in asked.values()]
    expected = [(side, place % 4 == 0) for place, side in enumerate(sides) if place % 4 != 3]
    assert [(one.arm, one.good) for one in given] == expected and len({one.asker for one in given}) == 15
    assert world.ledger.trials.opinion_count(7)[0] == 20 and world.ledger.trials.opinions(8) == []


def test_in_shadow_the_champion_answers_and_the_challenger_is_compared(worlds: Any) -> None:
    world = worlds("shadow")
    ids = [world.ask(text)[0] for text in ("one", "two")]
    streamed = world.client.post(
        "/v1/chat/completions",
        json={"model": "champion", "messages": [{"role": "user", "content": "three"}], "stream": True, "n": 2},
        headers={"Authorization": f"Bearer {world.secrets['shop']}"},
    )
    assert "old" in streamed.text and "new" not in streamed.text
    by_chance = world.ask("four", temperature=0.9)[0]
    several = world.post("completions", model="champion", prompt=["a", "b"], n=2)["id"]
    labels = world.post("classify", model="champion", input=["same", "other"])["id"]
    until(lambda: world.trial.counts["compared"] == 8)
    world.written()
    rows = {(row.id, row.choice): row for row in world.ledger.trials.rows(7)}
    assert len(rows) == 8 and all(row.arm == "champion" and row.lost is None for row in rows.values())
    assert rows[ids[0], 0].answer == "new one!" and rows[ids[0], 0].agrees is False
    assert (rows[ids[0], 0].shown_confidence, rows[ids[0], 0].other_confidence) == (0.5, 0.5)
    assert rows[by_chance, 0].agrees is None
    assert {choice for id_, choice in rows if id_ == several} == {0, 2} and rows[several, 2].answer == "new b!"
    assert [rows[labels, choice].agrees for choice in (0, 1)] == [True, False] and rows[labels, 1].other_confidence == 0.75
    assert {record.model_hash for record in world.ledger.requests.list()} == {"hash-of-old"}


def test_of_words_that_are_not_kept_the_challengers_are_not_either(worlds: Any) -> None:
    world = worlds("shadow", keep=0.0)
    world.ask("secret")
    until(lambda: world.trial.counts["compared"] == 1)
    world.written()
    (row,) = world.ledger.trials.rows(7)
    assert row.answer is None and row.agrees is False


def test_a_challenger_that_fails_or_has_no_room_is_counted_and_the_champion_serves(worlds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "MOST_SHADOWS", 2)
    world = worlds("shadow")
    world.new.backend.refusing = True
    world.ask()
    until(lambda: world.trial.counts["shadows_dropped"] == 1)
    monkeypatch.setattr(world.trial, "_note_shadow", lambda *_: world.trial._woken.wait(30))  # from here on, nobody takes shadows up
    first = [world.ask()[1] for _ in range(6)]
    assert first == ["old"] * 6
    world.written()
    lost = [row.lost for row in world.ledger.trials.rows(7)]
    assert lost.count("refused") == 1 and 3 <= lost.count("full") <= 4


def test_a_ledger_that_refuses_holds_no_answer_up(worlds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise MachineError("no space")

    world = worlds("share", 0.5)
    monkeypatch.setattr(world.ledger.trials, "record", refuse)
    assert world.ask()[1] in ("old", "new")
    world.written()
    assert world.trial.counts["trial_rows_lost"] == 1 and world.trial.counts["tried"] == 0


def test_what_is_under_way_finishes_on_the_model_it_began_on() -> None:
    old, new = loaded("old"), loaded("new")
    service = Service("champion", Now(old, 1))

    async def exchanged() -> tuple[str, str]:
        old.backend.open.clear()  # type: ignore[attr-defined]
        ask = Ask(text="x")
        first = service.arm(None)
        pieces = first.pieces(ask)
        begun = (await anext(pieces)).text
        service.take(Now(new, 2))
        old.free_since = 0.0
        assert not unused(old, 1.0, lambda: 100.0)  # a request is on it
        after = [piece.text async for piece in service.arm(None).pieces(ask)]
        old.backend.open.set()  # type: ignore[attr-defined]
        return begun + "".join([piece.text async for piece in pieces]), "".join(after)

    assert asyncio.run(exchanged()) == ("old x!", "new x!")
    assert unused(old, 1.0, lambda: 100.0) and not unused(old, 101.0, lambda: 100.0)
    assert service.counts["swaps"] == 1


def test_vectors_come_from_the_champion_in_a_trial_too(worlds: Any) -> None:
    world = worlds("share", 0.99)
    for text in map(str, range(5)):
        assert world.post("embeddings", model="champion", input=text)["data"][0]["embedding"] == [float(ord("o"))]


def test_a_model_under_its_own_name_is_held_while_it_makes_vectors(worlds: Any) -> None:
    world, held = worlds(), list[int]()

    class Watched(Scripted):
        async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
            held.append(len(world.old.arms))
            return await super().embed(texts)

    world.old.backend = Watched("old")
    world.post("embeddings", model="old", input="a")
    assert held == [1] and not world.old.arms


def test_who_is_tried_is_told_to_admins_only(worlds: Any) -> None:
    world = worlds("share", 0.25)
    world.service.behind = "r-secret can't be loaded"
    shop, boss = (world.get("/v1/models", who)["data"] for who in ("shop", "boss"))
    assert [one["id"] for one in shop] == ["champion", "old"] and "new" not in str(shop) and "secret" not in str(shop)
    state = boss[0]["tunesmith"]["service"]
    assert (state["champion"]["model"], state["challenger"]["model"], state["share"]) == ("old", "new", 0.25)
    assert state["behind"] == "r-secret can't be loaded" and state["loaded"][0]["bytes"] == 1000
    told = world.client.get("/ready").json()
    assert told == {"status": "ready", "service": {"champion": {"step": 7, "follows": False}}}


def test_shadows_give_way_while_shown_answers_are_under_way_but_not_forever() -> None:
    busy_for = iter([True, True, False])
    way = GiveWay(lambda: next(busy_for), patience=60)
    way()
    assert next(busy_for, "asked as often as it was busy") == "asked as often as it was busy" and way.waited > 0
    endless = GiveWay(lambda: True, patience=0.01)
    endless()  # comes back
    released = GiveWay(lambda: True, patience=60)
    released.release()
    released()


def test_older_rows_of_ended_trials_go_and_words_of_the_running_ones(tmp_path: Path) -> None:
    from tunesmith.ledger.trials import TriedRecord

    def row(step: int, id_: str, created: str) -> TriedRecord:
        return TriedRecord(step=step, id=id_, arm="champion", asker="a", answer="words", created=created)

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for line, action in (
            ("a", "promote"),
            ("b", "promote"),
            ("c", "promote"),
            ("a", "challenge"),
            ("b", "challenge"),
            ("c", "challenge"),
            ("a", "keep"),
        ):
            ledger.steps.take(StepRecord(line=line, action=action, model=action, mode="shadow", who="ann", why="so"))  # type: ignore[arg-type]
        old, new = "2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"
        ledger.trials.record([row(4, "a", old), row(4, "b", new), row(5, "c", old), row(5, "d", new), row(6, "e", old)])
        ledger.trials.record([row(5, "d", old)])  # known already
        assert ledger.trials.forget(before="2026-06-01T00:00:00Z") == 1
        assert [(one.id, one.answer) for step in (4, 5, 6) for one in ledger.trials.rows(step)] == [
            ("b", "words"),
            ("d", "words"),
            ("c", None),
            ("e", None),  # of another line
        ]


def test_a_record_of_a_label_that_is_no_longer_known_makes_no_opinion(tmp_path: Path) -> None:
    from tunesmith.ledger.feedback import FeedbackRecord
    from tunesmith.ledger.trials import TriedRecord

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.trials.record([TriedRecord(step=1, id=id_, arm="challenger", asker=id_) for id_ in "abcd"])
        ledger.requests.record([RequestRecord(id="b", tenant="t", key_id="k", model="m", kind="label", label="red")])
        given = [
            FeedbackRecord(tenant="t", key_id="k", completion_id=id_, kind="label", value="red", answer=answer, state=state)
            for id_, answer, state in (("a", None, "new"), ("b", None, "new"), ("c", "blue", "accepted"), ("d", "blue", "quarantined"))
        ]  # fmt: skip
        ledger.feedback.give(given)  # type: ignore[arg-type]
        assert [(one.asker, one.good) for one in ledger.trials.opinions(1)] == [("b", True), ("c", False)]
