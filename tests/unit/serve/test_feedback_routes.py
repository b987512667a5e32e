"""`/v1/feedback` over a scripted model: who may say what of which answer, and what is kept of requests."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tunesmith.core.errors import MachineError
from tunesmith.feedback.sides import user_of
from tunesmith.ledger.keys import asker
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.requests import RequestRecord
from tunesmith.serve import kept as keeping
from tunesmith.serve.answers import Ask, Labelled, Piece
from tunesmith.serve.app import Gateway, make_app
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.feedback_routes import Flow
from tunesmith.serve.holders import Holders
from tunesmith.serve.kept import Kept, drawn
from tunesmith.serve.refusals import Refusal


class Scripted:
    """Says the last message backwards; `sort` gives labels."""

    created = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.facts: dict[str, Any] = {"labels": ("red", "blue") if name == "sort" else None}

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        if self.name == "sort":
            yield Piece(index=0, text="Red", finish="stop", extra={"label": "red", "confidence": 0.6, "abstains": False})
            return
        said = (ask.text or ask.messages[-1].content)[::-1].encode("utf-8", "replace").decode()  # no tokenizer says half a character
        for index in range(ask.n):
            yield Piece(index=index, text=said[:2])
            finish = "content_filter" if "bad" in said[::-1] else "stop"
            yield Piece(index=index, text=said[2:] + str(index), finish=finish, prompt_tokens=3, answer_tokens=2)  # type: ignore[arg-type]

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        return [Labelled(label="blue", confidence=0.9, abstains=False, prompt_tokens=1) for _ in texts]

    def close(self, *, drain: bool) -> None:
        pass


class World:
    """A gateway with keys of two tenants."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = Ledger.open(folder / "ledger.db")
        both = ["chat", "feedback"]
        made = {name: self.ledger.keys.create(name, both, tenant=name[0]) for name in ("a1", "a2", "b1")}
        self.keys = {name: record for name, (record, _) in made.items()}
        self.secrets = {name: secret for name, (_, secret) in made.items()}
        config = ServeConfig(**{"keep_requests": 1.0} | settings)
        self.kept = Kept(self.ledger.requests, config, {"echo": "hash-of-echo"})
        backends: Any = {name: Scripted(name) for name in ("echo", "sort")}
        self.gateway = Gateway(
            backends, Holders(self.ledger.keys.holder, self.ledger.keys.any), config, kept=self.kept, opinions=self.ledger.feedback
        )
        self.client = TestClient(make_app(self.gateway), raise_server_exceptions=False)

    def post(self, who: str, path: str, **body: Any) -> httpx.Response:
        return self.client.post(f"/v1/{path}", json=body, headers={"Authorization": f"Bearer {self.secrets[who]}"})

    def get(self, who: str, **params: Any) -> Any:
        return self.client.get("/v1/feedback", params=params, headers={"Authorization": f"Bearer {self.secrets[who]}"}).json()

    def ask(self, who: str = "a1", text: str = "hello", model: str = "echo", **more: Any) -> str:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]} | more)  # httpx refuses half characters
        header = {"Authorization": f"Bearer {self.secrets[who]}", "content-type": "application/json"}
        said = self.client.post("/v1/chat/completions", content=body, headers=header)
        assert said.status_code == 200, said.text
        return str(said.json()["id"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.kept.close()
    made.ledger.close()


def test_every_kind_of_opinion_is_taken_with_the_words_it_is_about(world: World) -> None:
    one, two, label = world.ask(n=2), world.ask(), world.ask(model="sort")
    bodies: list[dict[str, Any]] = [
        {"completion_id": one, "thumbs": "down"},
        {"completion_id": one, "choice": 1, "correction": "olleh, dear ann@example.com"},
        {"completion_id": one, "preferred": {"completion_id": two}},
        {"completion_id": two, "preferred": {"text": "quite another"}},
        {"completion_id": two, "comment": "too short"},
        {"completion_id": label, "label": "blue"},
    ]
    answers = [world.post("a1", "feedback", **body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200] * 6, [answer.text for answer in answers]
    told = [answer.json() for answer in answers]
    assert [one["kind"] for one in told] == ["thumbs", "correction", "preference", "preference", "comment", "label"]
    assert told[2]["preferred"] == {"completion_id": two, "choice": 0} and told[3]["preferred"] == {"text": "quite another"}
    kept = world.ledger.feedback.list()
    assert [record.id for record in kept] == [one["id"] for one in told]
    assert (kept[0].answer, kept[1].answer, kept[1].value, kept[2].value) == ("olleh0", "olleh1", "olleh, dear [EMAIL]", "olleh0")
    assert kept[5].answer == "red" and kept[5].confidence == 0.6 and kept[5].model == "sort"
    assert all(record.prompt and record.prompt[0].content == "hello" for record in kept)


def test_streams_texts_and_labels_of_several_inputs_take_opinions_too(world: World) -> None:
    streamed = world.post("a1", "chat/completions", model="echo", messages=[{"role": "user", "content": "bad word"}], stream=True)
    first = streamed.text.split("\n", 1)[0].removeprefix("data: ")
    ids = [httpx.Response(200, text=first).json()["id"]]
    ids.append(world.post("a1", "completions", model="echo", prompt=["abc", "def"]).json()["id"])
    ids.append(world.post("a1", "classify", model="sort", input=["x", "y"]).json()["id"])
    said = [world.post("a1", "feedback", completion_id=id_, choice=choice, thumbs="up") for id_, choice in zip(ids, (0, 1, 1), strict=True)]
    assert [one.status_code for one in said] == [200] * 3
    kept = world.ledger.feedback.list()
    assert [(one.asked, one.answer, one.flagged) for one in kept] == [
        ("chat", "drow dab0", True),
        ("text", "fed0", False),
        ("label", "blue", False),
    ]
    assert kept[2].prompt is not None and kept[2].prompt[0].content == "y"
    assert world.post("a1", "feedback", completion_id=ids[2], choice=2, thumbs="up").status_code == 404


def test_another_tenants_answer_does_not_exist_and_a_colleagues_does(world: World) -> None:
    mine, theirs = world.ask("a1"), world.ask("b1")
    assert world.post("a2", "feedback", completion_id=mine, thumbs="up").status_code == 200
    strange = world.post("b1", "feedback", completion_id=mine, thumbs="up")
    unknown = world.post("b1", "feedback", completion_id="chatcmpl-\ud800none".encode("utf-8", "replace").decode(), thumbs="up")
    through = world.post("b1", "feedback", completion_id=theirs, preferred={"completion_id": mine})
    assert [one.status_code for one in (strange, unknown, through)] == [404] * 3
    assert strange.json()["error"]["message"] == unknown.json()["error"]["message"]
    assert set(strange.json()["error"]) == {"message", "type", "param", "code"}
    world.kept.close()  # from here on it is known from the ledger alone
    world.kept._remembered.clear()
    assert world.post("b1", "feedback", completion_id=mine, thumbs="up").status_code == 404
    assert world.post("a1", "feedback", completion_id=mine, thumbs="up").status_code == 200


def test_halves_of_characters_and_nuls_break_nothing(world: World) -> None:
    answer = world.ask(text="half \ud83d and \0")
    header = {"Authorization": f"Bearer {world.secrets['a1']}", "content-type": "application/json"}
    for id_, said, status in ((answer, "\\ud83d", 200), (answer, "\\u0000 so", 200), ("\\ud800", "so", 404), ("\\u0000", "so", 404)):
        body = f'{{"completion_id": "{id_}", "correction": "{said}"}}'
        assert world.client.post("/v1/feedback", content=body, headers=header).status_code == status
    (kept,) = world.ledger.feedback.list()
    assert kept.value == "\ufffd so" and kept.prompt is not None and kept.prompt[0].content == "half \ufffd and \ufffd"
    assert world.get("a1")["data"][0]["correction"] == kept.value


def test_once_is_enough_and_a_changed_mind_replaces(world: World) -> None:
    answer = world.ask()
    first, again = (world.post("a1", "feedback", completion_id=answer, thumbs="up").json() for _ in range(2))
    changed = world.post("a1", "feedback", completion_id=answer, thumbs="down").json()
    assert first == again and changed["id"] == first["id"] and changed["thumbs"] == "down"
    assert [one["thumbs"] for one in world.get("a1")["data"]] == ["down"] and world.get("a2")["data"] == []


def test_ones_own_opinions_come_in_pages_and_tell_nothing_of_quarantine(world: World) -> None:
    given = [world.post("a1", "feedback", completion_id=world.ask(), thumbs="up").json()["id"] for _ in range(3)]
    page = world.get("a1", limit=2)
    rest = world.get("a1", limit=2, after=page["last_id"])
    assert [one["id"] for one in (*page["data"], *rest["data"])] == given and (page["has_more"], rest["has_more"]) == (True, False)
    assert page["object"] == "list" and page["data"][0]["state"] == "received" and "reason" not in page["data"][0]
    assert (
        world.client.get("/v1/feedback", params={"limit": 0}, headers={"Authorization": f"Bearer {world.secrets['a1']}"}).status_code == 400
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Send one of thumbs"),
        ({"thumbs": "up", "comment": "x"}, "Send one of thumbs"),
        ({"thumbs": "sideways"}, "'thumbs'"),
        ({"correction": ""}, "'correction'"),
        ({"correction": "x" * 32_769}, "'correction'"),
        ({"comment": "x" * 4097}, "'comment'"),
        ({"label": "red"}, "a text and no label"),
        ({"preferred": {}}, "one of the two"),
        ({"preferred": {"text": "a", "completion_id": "b"}}, "one of the two"),
        ({"preferred": {"completion_id": "SELF"}}, "can't be preferred to itself"),
        ({"preferred": {"completion_id": "OTHER"}}, "answer different prompts"),
        ({"completion_id": "SORT", "label": "green"}, "it knows red, blue"),
        ({"completion_id": "SORT", "correction": "green"}, "send the right one as label"),
        ({"thumbs": "up", "rating": 5}, "'rating' is not served here"),
        ({"thumbs": "up", "choice": -1}, "'choice'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_openais_form(world: World, body: dict[str, Any], said: str) -> None:
    names = {"SELF": world.ask(), "OTHER": world.ask(text="other"), "SORT": world.ask(model="sort")}

    def named(value: Any) -> Any:
        return {key: named(part) for key, part in value.items()} if isinstance(value, dict) else names.get(value, value)

    found = world.post("a1", "feedback", **{"completion_id": names["SELF"]} | named(body))
    assert found.status_code == 400 and said in found.json()["error"]["message"], found.text
    assert world.ledger.feedback.list() == []


def test_a_key_gives_so_many_opinions_a_minute() -> None:
    clock = [0.0]
    flow = Flow(3, clock=lambda: clock[0])
    for _ in range(3):
        flow.take("k")
    with pytest.raises(Refusal) as refused:
        flow.take("k")
    assert refused.value.status == 429 and refused.value.headers == {"Retry-After": "20"}
    flow.take("other")
    clock[0] = 20.0
    flow.take("k")
    with pytest.raises(Refusal):
        flow.take("k")


def test_of_a_sample_texts_are_kept_without_personal_data_of_the_rest_figures_only(tmp_path: Path) -> None:
    world = World(tmp_path, keep_requests=0.5)
    ids = [world.ask(text="write to ann@example.com") for _ in range(40)]
    world.kept.close()
    kept = {record.id: record for record in world.ledger.requests.list()}
    assert set(kept) == set(ids) and world.kept.counts.written == 40
    sample = [id_ for id_ in ids if drawn(id_, 0.5)]
    assert 0 < len(sample) < 40
    for id_, record in kept.items():
        assert record.sampled == (id_ in sample) and record.model_hash == "hash-of-echo"
        assert (record.prompt_tokens, record.answer_tokens, record.finish) == (3, 2, "stop")
        assert (record.prompt[0].content if record.prompt else None) == ("write to [EMAIL]" if id_ in sample else None)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ann@example.com" not in files
    assert sum(drawn(f"c-{number}", 0.1) for number in range(10_000)) == pytest.approx(1000, abs=120)
    assert not any(drawn(f"c-{number}", 0) for number in range(100)) and all(drawn(f"c-{number}", 1) for number in range(100))


def test_texts_outside_the_sample_are_known_for_as_long_as_memory_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_REMEMBERED", 2)
    world = World(tmp_path, keep_requests=0)
    ids = [world.ask(text=f"text {number}") for number in range(3)]
    world.kept.close()
    assert [world.post("a1", "feedback", completion_id=id_, thumbs="up").status_code for id_ in ids] == [200] * 3
    told = [record.prompt[0].content if record.prompt else None for record in world.ledger.feedback.list()]
    assert told == [None, "text 1", "text 2"]


def test_a_full_queue_and_a_ledger_that_refuses_are_counted_and_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def record(self, records: Sequence[RequestRecord]) -> None:
            raise MachineError("no space")

        def forget(self, **_: str) -> int:
            raise MachineError("no space")

    monkeypatch.setattr(keeping, "MOST_WAITING", 5)
    monkeypatch.setattr(keeping.threading.Thread, "start", lambda self: None)
    kept = Kept(Refusing(), ServeConfig())  # type: ignore[arg-type]
    for number in range(8):
        kept.note(RequestRecord(id=f"c{number}", tenant="a", key_id="k", model="m"))
    kept.close()
    kept._write()
    assert (kept.counts.dropped, kept.counts.failed, kept.counts.written) == (3, 5, 0)
    assert kept.find("c7", 0) is not None


def test_an_old_answer_takes_no_opinion(world: World) -> None:
    world.ledger.requests.record([RequestRecord(id="old", tenant="a", key_id="k", model="echo", created="2026-01-01T00:00:00Z")])
    assert world.post("a1", "feedback", completion_id="old", thumbs="up").status_code == 404


def test_what_could_not_be_kept_is_not_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = world.ask()

    def full(*_: object) -> None:
        raise MachineError("no space left for /secret/place")

    monkeypatch.setattr(world.ledger.feedback, "give", full)
    found = world.post("a1", "feedback", completion_id=answer, thumbs="up")
    assert found.status_code == 503 and found.headers["Retry-After"] == "5" and "secret" not in found.text


def test_users_are_kept_apart_as_hashes_for_a_key_that_is_believed_and_for_no_other(world: World) -> None:
    world.ledger.keys.let_name_users(world.keys["a1"].id, True)
    held = {record.id: record for record in world.ledger.keys.list()}[world.keys["a1"].id]
    ann, bob = asker(held, "ann"), asker(held, "bob")
    world.gateway.holders.close()
    world.gateway.holders = Holders(world.ledger.keys.holder, world.ledger.keys.any)  # as if it had forgotten what it knew of keys
    ids = [world.ask("a1", user="ann"), world.ask("a1", user="old", safety_identifier="bob"), world.ask("a1"), world.ask("a2", user="ann")]
    ids.append(world.post("a1", "classify", model="sort", input="x", safety_identifier="ann").json()["id"])
    ids.append(world.post("a1", "completions", model="echo", prompt="x", user="bob").json()["id"])
    for id_ in ids[:4]:
        assert world.post("a1", "feedback", completion_id=id_, thumbs="up").status_code == 200
    assert world.post("a2", "feedback", completion_id=ids[0], thumbs="down", user="ann").status_code == 200
    assert world.post("a1", "feedback", completion_id=ids[0], comment="hm", user="bob").status_code == 200
    assert world.post("a1", "feedback", completion_id=ids[0], correction="so", safety_identifier="bob", user="x").status_code == 200
    world.kept.close()
    kept = {record.id: record.asker for record in world.ledger.requests.list()}
    assert [kept[id_] for id_ in ids] == [ann, bob, None, None, ann, bob]
    given = world.ledger.feedback.list()
    assert [one.asker for one in given] == [ann, bob, None, None, None, bob, bob]
    assert [one.model_hash for one in given] == ["hash-of-echo"] * 7
    assert user_of(given[0]) == ("a", held.id, ann) != user_of(given[1]) and user_of(given[3]) == user_of(given[2]) == ("a", held.id)
    shown = json.dumps([world.get("a1"), world.get("a2")])
    assert str(ann) not in shown and "bob" not in shown
