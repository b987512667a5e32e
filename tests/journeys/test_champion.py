"""Champion and challenger in a running gateway, asked by the real `openai` client: promoted, rolled back and tried while requests go on."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import StepRecord
from tunesmith.serve.service import falls_to_challenger, pseudonym

openai = pytest.importorskip("openai")

WORDS = ("rake", "spade", "hose")


def model_of(folder: Path, base: Path, seed: int) -> Path:
    """A model with weights of its own, saved as rounds save theirs."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tunesmith.models.package import Bundle, save_model

    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(base, tie_word_embeddings=False))  # tied, it would repeat the end of turn
    save_model(folder, model, AutoTokenizer.from_pretrained(base), Bundle(task="chat", method="full", max_tokens=128, max_new_tokens=6))
    return folder


@dataclass
class Gateway:
    """A running gateway over a line of service."""

    url: str
    workspace: Path
    models: dict[str, Path]
    secrets: dict[str, str]
    ledger: Ledger
    command: Callable[..., Any]

    def client(self, who: str = "shop") -> Any:
        return openai.OpenAI(base_url=self.url, api_key=self.secrets[who], max_retries=0, timeout=60)

    def take(self, action: Any, model: str | None = None, **more: Any) -> int:
        path = None if model is None else str(self.models[model])
        return self.ledger.steps.take(StepRecord(action=action, model=path, who="ann", why="tested", **more)).number

    def follows(self, step: int) -> dict[str, Any]:
        """What admins are told once a step is served."""
        for _ in range(3000):
            state = self.state()
            if state["step"] >= step and state["behind"] is None:
                return state
            time.sleep(0.02)
        raise AssertionError(f"step {step} was never served: {self.state()}")

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client("boss").models.retrieve("champion").model_extra["tunesmith"]["service"]
        return found

    def ask(
        self, word: str = "rake", who: str = "shop", model: str = "champion", stream: bool = False, **more: Any
    ) -> tuple[str, str, str]:
        """Id, model by its folder's name, and words."""
        body = {"model": model, "messages": [{"role": "user", "content": f"Where is my {word}?"}], **more}
        if stream:
            pieces = list(self.client(who).chat.completions.create(**body, stream=True))
            said, print_ = "".join(piece.choices[0].delta.content or "" for piece in pieces), pieces[0].system_fingerprint
            return pieces[0].id, self.named(print_), said
        whole = self.client(who).chat.completions.create(**body)
        assert whole.model == model
        return whole.id, self.named(whole.system_fingerprint), whole.choices[0].message.content

    def named(self, fingerprint: str) -> str:
        """Whose fingerprint it is; `either` where it tells no single model."""
        from tunesmith.models.package import model_digest

        hashes = {model_digest(path)[:12]: name for name, path in self.models.items()}
        return hashes.get(fingerprint.rsplit("-", 1)[1], "either")

    def answered(self, id_: str) -> str:
        """Which model made an answer, as the ledger knows a moment later."""
        from tunesmith.models.package import model_digest

        for _ in range(3000):
            if (found := self.ledger.requests.find(id_)) is not None:
                return {model_digest(path): name for name, path in self.models.items()}[str(found.model_hash)]
            time.sleep(0.02)
        raise AssertionError(f"{id_} was never written")

    def tunesmith(self, *arguments: Any) -> Any:
        said = self.command(*arguments, "--workspace", self.workspace, "--json")
        assert said.code == 0, said.err
        return said.json()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any, nursery: Any) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("champion")
    work = folder / "work"
    work.mkdir()
    models = {name: model_of(folder / name, tiny_base, seed) for seed, name in enumerate(("old", "new"))}
    with Ledger.open(work / "tunesmith.db") as ledger:
        secrets = {}
        for who, scopes in (("shop", ["chat", "feedback"]), ("boss", ["admin"])):
            secrets[who] = ledger.keys.create(who, scopes)[1]
        ledger.steps.take(StepRecord(action="promote", model=str(models["old"]), who="ann", why="the first"))
        process = nursery.start("serve", "--champion", "--port", 0, "--keep-requests", 1, "--workspace", work, "--json", "--quiet")
        try:
            yield Gateway(process.url(), work, models, secrets, ledger, command)
        finally:
            said = process.end(signal.SIGTERM)
    assert process.returncode == 0
    assert "Traceback" not in said


@pytest.fixture(autouse=True)
def _old_serves(gateway: Gateway) -> None:
    """Each test begins with the old model as champion and nobody beside it."""
    standing = gateway.ledger.steps.standing()
    if standing.champion is not None and standing.champion.model != str(gateway.models["old"]):
        gateway.take("promote", "old")
    elif standing.challenger is not None:
        gateway.take("keep")
    gateway.follows(gateway.ledger.steps.last())


def test_promoting_and_rolling_back_under_load_loses_no_request(gateway: Gateway) -> None:
    alone = {("old", word): gateway.ask(word)[1:] for word in WORDS}
    gateway.follows(gateway.take("promote", "new"))
    alone |= {("new", word): gateway.ask(word)[1:] for word in WORDS}
    assert {name for name, _ in alone.values()} == {"old", "new"} and len({said for _, said in alone.values()}) > len(WORDS)
    seen: list[tuple[str, str, str]] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def keep_asking(turn: int) -> None:
        while not stop.is_set():
            word = WORDS[turn % len(WORDS)]
            try:
                seen.append((word, *gateway.ask(word, stream=turn % 2 == 0)[1:]))
            except BaseException as error:
                errors.append(error)
            turn += 1

    threads = [threading.Thread(target=keep_asking, args=(turn,), daemon=True) for turn in range(3)]
    for thread in threads:
        thread.start()
    try:
        for action, model, expected in (("rollback", None, "old"), ("promote", "new", "new"), ("rollback", None, "old")):
            before = len(seen)
            gateway.follows(gateway.take(action, model))
            assert gateway.ask()[1] == expected  # whoever asks after the exchange gets the other one
            for _ in range(3000):
                if len(seen) >= before + 6:
                    break
                time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=120)
    assert errors == [] and {name for _, name, _ in seen} == {"old", "new"}
    assert all((name, said) == alone[name, word] for word, name, said in seen)


def test_the_champion_has_its_own_name_too_and_the_one_before_keeps_its(gateway: Gateway) -> None:
    gateway.follows(gateway.take("promote", "new"))
    assert {one.id for one in gateway.client().models.list()} == {"champion", "old", "new"}
    assert [gateway.ask(model=name)[1] for name in ("champion", "new", "old")] == ["new", "new", "old"]
    gateway.follows(gateway.take("rollback"))


def test_a_challenger_in_shadow_is_compared_and_never_shown(gateway: Gateway) -> None:
    told = gateway.tunesmith("challenge", gateway.models["new"], "--shadow", "--who", "ann", "--why", "is it as good")
    assert told["mode"] == "shadow" and told["challenger"]["model"] == str(gateway.models["new"])
    state = gateway.follows(told["number"])
    assert state["mode"] == "shadow"
    asked = [gateway.ask(word)[:2] for word in WORDS for _ in range(2)]
    assert {name for _, name in asked} == {"old"}
    for _ in range(1500):
        shadow = gateway.tunesmith("trial")["shadow"]
        if shadow["compared"] >= len(asked):
            break
        time.sleep(0.02)
    assert (shadow["requests"], shadow["compared"], shadow["lost"]) == (len(asked), len(asked), {})
    gateway.follows(gateway.take("keep"))
    gateway.follows(gateway.take("promote", "new"))  # who is tried can't be asked by name, who serves can
    own = {word: (gateway.ask(word, model="old")[2], gateway.ask(word, model="new")[2]) for word in WORDS}
    assert shadow["agree"] == pytest.approx(sum(a == b for a, b in own.values()) / len(WORDS))
    rows = {row.id: row for row in gateway.ledger.trials.rows(told["number"])}
    assert {id_: rows[id_].answer for id_, _ in asked} == {
        id_: own[word][1] for (id_, _), word in zip(asked, (word for word in WORDS for _ in range(2)), strict=True)
    }


def test_a_share_of_users_gets_the_challenger_and_their_opinions_are_counted(gateway: Gateway) -> None:
    told = gateway.tunesmith("challenge", gateway.models["new"], "--share", "0.5", "--end-when-worse")
    gateway.follows(told["number"])
    sides: dict[str, int] = {"old": 0, "new": 0}
    again = gateway.command("challenge", gateway.models["new"], "--shadow", "--workspace", gateway.workspace)
    assert again.code == 2 and "is tried beside the champion of 'champion' already" in again.err and gateway.state()["mode"] == "share"
    secret = gateway.ledger.trials.secret(told["number"])
    for number in range(200):  # the secret is drawn anew each time: four on each side, too few to know anything
        tried = falls_to_challenger(pseudonym(f"user\0default\0u{number}", told["number"], secret), 0.5)
        if sides["new" if tried else "old"] == 4:
            continue
        id_, name, _ = gateway.ask(user=f"u{number}")
        assert name == "either" and gateway.answered(id_) == ("new" if tried else "old")
        sides[gateway.answered(id_)] += 1
        body = {"completion_id": id_, "thumbs": "down" if tried else "up"}
        assert (
            httpx.post(f"{gateway.url}/feedback", json=body, headers={"Authorization": f"Bearer {gateway.secrets['shop']}"}).status_code
            == 200
        )
    assert sides == {"old": 4, "new": 4}
    for _ in range(1500):
        found = gateway.tunesmith("trial")["opinions"]
        if found["champion"]["opinions"] + found["challenger"]["opinions"] == 8:
            break
        time.sleep(0.02)
    assert (found["champion"]["people"], found["challenger"]["people"]) == (sides["old"], sides["new"])
    assert (found["champion"]["liked"], found["challenger"]["liked"], found["verdict"]) == (1.0, 0.0, "unknown")
    said = gateway.command("trial", "--workspace", gateway.workspace).out
    assert "on a share of 0.5" in said and "Not known yet: opinions of about" in said and "By itself it is ended where worse." in said
    assert "One key speaks for 100% of the people" in said and gateway.tunesmith("trial")["of_one_key"] == 1.0
    shop, boss = ([one.model_extra["tunesmith"] for one in gateway.client(who).models.list()] for who in ("shop", "boss"))
    assert "service" not in str(shop) and gateway.state()["share"] == 0.5 and any("service" in one for one in boss)
    assert gateway.follows(gateway.tunesmith("challenge", "--end")["number"])["challenger"] is None


def test_a_model_with_other_content_than_the_step_names_is_refused(gateway: Gateway) -> None:
    step = gateway.take("promote", "new", model_hash="0" * 64)
    for _ in range(3000):
        state = gateway.state()
        if state["step"] >= step and "can't be loaded" in (state["behind"] or ""):
            break
        time.sleep(0.02)
    assert "holds another model than the step names" in state["behind"] and gateway.ask()[1] == "old"
    ready = httpx.get(gateway.url.replace("/v1", "/ready")).json()
    assert ready == {"status": "ready", "service": {"champion": {"step": step, "follows": False}}}
    gateway.follows(gateway.take("rollback"))
    history = [(one.action, one.who, one.why) for one in gateway.ledger.steps.history()]
    assert ("challenge", "ann", "is it as good") in history and all(who and why for _, who, why in history)


def test_what_cannot_be_tried_is_refused_in_a_sentence(gateway: Gateway) -> None:
    for arguments, said in (
        ((), "Name a model and how it is tried"),
        ((gateway.models["new"],), "Name a model and how it is tried"),
        ((gateway.models["new"], "--shadow", "--share", "0.1"), "Name a model and how it is tried"),
        ((gateway.models["new"], "--share", "1.5"), "between 0 and 1"),
        ((gateway.models["old"], "--shadow"), "is the champion of 'champion' already"),
        ((gateway.models["new"], "--shadow", "--promote-when-better"), "no opinion can decide"),
        (("--end",), "there is no trial to end"),
        ((gateway.models["new"], "--shadow", "--line", "other"), "has no champion to challenge"),
    ):
        found = gateway.command("challenge", *arguments, "--workspace", gateway.workspace)
        assert found.code == 2 and said in found.err, found.err
    assert "No model is tried" in gateway.command("trial", "--workspace", gateway.workspace).err
    none = gateway.command("serve", "--champion", "--line", "other", "--port", "0", "--workspace", gateway.workspace)
    assert none.code == 2 and "'other' has no champion to serve" in none.err
