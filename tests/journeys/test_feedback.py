"""Feedback from a real server to rows that a recipe reads: given over HTTP, kept through kill -9, reviewed, exported, checked."""

import io
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.core.files import read_jsonl
from tunesmith.ledger.ledger import Ledger

openai = pytest.importorskip("openai")


@dataclass
class Server:
    """A running gateway that asks for keys."""

    url: str
    workspace: Path
    model: str
    process: Any
    secrets: dict[str, str]

    def feedback(self, who: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/feedback", json=body, headers={"Authorization": f"Bearer {self.secrets[who]}"}, timeout=60)

    def ask(self, who: str, text: str) -> Any:
        client = openai.OpenAI(base_url=self.url, api_key=self.secrets[who], max_retries=0, timeout=60)
        return client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": text}], max_tokens=4)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, command: Any, write_recipe: Any, write_rows: Any, nursery: Any
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("feedback")
    work = folder / "work"
    chats = [
        {"messages": [{"role": "user", "content": f"Say the word {word} twice."}, {"role": "assistant", "content": f"{word} {word}"}]}
        for word in (f"{a}{b}" for a in "abcdefghij" for b in "klmnopqr")
    ]
    evaluate = {"few_shot": [0], "select_rows": 12, "resamples": 200, "max_new_tokens": 4, "forgetting": {"enabled": False}}
    recipe = write_recipe(folder / "one", write_rows(folder / "chats.jsonl", chats), tiny_base, evaluate=evaluate)
    said = command("run", recipe, "--workspace", work, "--json")
    assert said.code == 0, said.err
    secrets = {}
    for name, tenant in (("ann", "a"), ("bob", "b")):
        made = command("keys", "create", name, "--scope", "chat", "--scope", "feedback", "--tenant", tenant, "--workspace", work, "--json")
        secrets[name] = made.json()["secret"]
    model = said.json()["id"]
    process = nursery.start("serve", model, "--port", 0, "--workspace", work, "--json", "--quiet", "--keep-requests", 1)
    yield Server(process.url(), work, model, process, secrets)
    process.end(signal.SIGKILL)


def test_what_was_accepted_is_there_after_kill_9_and_only_ones_own_answers_take_feedback(server: Server) -> None:
    answer = server.ask("ann", "Say the word ak twice, said Mr John Smith (john.smith@example.org).")
    assert server.feedback("bob", completion_id=answer.id, thumbs="up").status_code == 404
    told = [server.feedback("ann", completion_id=answer.id, **one) for one in ({"thumbs": "down"}, {"correction": "ak ak"})]
    told.append(server.feedback("bob", completion_id=server.ask("bob", "Say the word bl twice.").id, comment="Nice."))
    assert [one.status_code for one in told] == [200] * 3, [one.text for one in told]
    assert "john.smith" not in server.process.end(signal.SIGKILL) and server.process.returncode == -signal.SIGKILL
    with Ledger.open(server.workspace / "tunesmith.db") as ledger:
        kept = ledger.feedback.list()
        assert [record.id for record in kept] == [one.json()["id"] for one in told]
        assert [record.tenant for record in kept] == ["a", "a", "b"] and kept[0].model == server.model
        assert kept[0].answer == answer.choices[0].message.content
        assert kept[0].prompt is not None and "[EMAIL]" in kept[0].prompt[0].content and "john" not in kept[0].prompt[0].content.lower()
    assert b"john.smith" not in b"".join(path.read_bytes() for path in server.workspace.glob("tunesmith.db*"))


def typed(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(keys))


def test_from_a_file_through_review_to_rows_that_check_accepts(
    tmp_path: Path, tiny_base: Path, command: Any, write_recipe: Any, write_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = ("--workspace", tmp_path / "work")
    said: list[dict[str, Any]] = []
    for number in range(48):
        word = "abcdefgh"[number % 8] + "klmnop"[number // 8]
        beside = ({"correction": f"{word} {word}"}, {"preferred": f"{word}, {word}"}, {"thumbs": ("up", "down")[number % 2]})
        said += [
            {"prompt": f"Say {word} {('twice', 'two times', 'again')[turn]}.", "answer": word} | one for turn, one in enumerate(beside)
        ]
        said.append({"prompt": f"Which letter begins {word}?", "answer": "b", "label": word[0], "user": f"u{number % 5}"})
    said.append({"prompt": "Say no.", "answer": "yes", "thumbs": "up", "user": "one"})
    said.append({"prompt": "Say no.", "answer": "yes", "thumbs": "down", "user": "two"})
    imported = command("feedback", "import", write_rows(tmp_path / "said.jsonl", said), *work, "--json")
    assert imported.code == 0, imported.err
    assert imported.json()["read"] == len(said) and imported.json()["states"]["quarantined"] == 2
    nothing = command("feedback", "export", "--out", tmp_path / "rows.jsonl", *work)
    assert nothing.code == 3 and "tunesmith review" in nothing.err and not list(tmp_path.glob("rows*"))

    typed(monkeypatch, "r\ns\n" + "a\n" * len(said))
    reviewed = command("review", "--reviewer", "ann", *work, "--json")
    assert reviewed.code == 0, reviewed.err
    assert reviewed.json()["rejected"] == 1 and reviewed.json()["skipped"] == 1 and reviewed.json()["accepted"] == len(said) - 2
    assert "opinions differ" in reviewed.err.split("--- 3 of")[0] and reviewed.json()["left"] == 0
    listed = command("feedback", "list", "--state", "rejected", *work)
    assert listed.code == 0 and "Say no." not in listed.out and "rejected" in listed.out

    exported = command("feedback", "export", "--out", tmp_path / "rows.jsonl", *work, "--json")
    assert {name: made["rows"] for name, made in exported.json()["files"].items()} == dict.fromkeys(
        ("corrections", "labels", "pairs", "thumbs"), 48
    )
    assert all(row["source"] == "feedback" for row in read_jsonl(tmp_path / "rows-pairs.jsonl"))
    for form, more in (("corrections", {}), ("labels", {}), ("pairs", {"task": "prefer"}), ("thumbs", {"task": "prefer"})):
        recipe = write_recipe(tmp_path / form, {"path": str(tmp_path / f"rows-{form}.jsonl")} | more, tiny_base)
        checked = command("check", recipe, *work, "--json")
        assert checked.code == 0, f"{form}: {checked.err}"


def test_mistyped_names_are_answered_with_near_ones(tmp_path: Path, command: Any) -> None:
    work = ("--workspace", tmp_path / "work")
    for arguments, said in (
        (("list", "--state", "accept"), "Did you mean 'accepted'?"),
        (("export", "--out", tmp_path / "x.jsonl", "--form", "pair"), "Did you mean 'pairs'?"),
    ):
        found = command("feedback", *arguments, *work)
        assert found.code == 2 and said in found.err
    empty = command("review", *work)
    assert empty.code == 0 and "Nothing waits" in empty.out
