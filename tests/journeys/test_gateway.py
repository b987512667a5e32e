"""A tuned model behind the gateway, asked by the real `openai` client over a real socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tunesmith.core.files import read_jsonl

openai = pytest.importorskip("openai")


@dataclass
class Server:
    """A running gateway."""

    url: str
    workspace: Path
    classifier: str
    writer: str
    process: "subprocess.Popen[str]"
    secret: str = "none needed"

    def client(self, **settings: Any) -> Any:
        return openai.OpenAI(base_url=self.url, api_key=self.secret, max_retries=0, timeout=60, **settings)


def started(workspace: Path, *arguments: str) -> tuple["subprocess.Popen[str]", str]:
    """The real command, and the URL it tells once it takes requests."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    call = [sys.executable, "-m", "tunesmith", "serve", *arguments, "--port", "0", "--workspace", str(workspace), "--json", "--quiet"]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=30)[1])
    return process, json.loads(line)["url"]


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, colour_file: Path, command: Any, write_recipe: Any, write_rows: Any
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gateway")
    work = folder / "work"
    chats = [
        {"messages": [{"role": "user", "content": f"Say the word {word} twice."}, {"role": "assistant", "content": f"{word} {word}"}]}
        for word in (f"{a}{b}" for a in "abcdefghij" for b in "klmnopqr")
    ]
    write_rows(folder / "chats.jsonl", chats)
    recipes = [
        write_recipe(folder / "one", {"path": str(colour_file), "instruction": "Name the colour."}, tiny_base),
        write_recipe(folder / "two", folder / "chats.jsonl", tiny_base),
    ]
    rounds = []
    for recipe in recipes:
        said = command("run", recipe, "--workspace", work, "--json")
        assert said.code == 0, said.err
        rounds.append(said.json()["id"])
    process, url = started(work, *rounds)
    yield Server(url, work, rounds[0], rounds[1], process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_models_are_listed(server: Server) -> None:
    found = {model.id: model.model_extra["tunesmith"] for model in server.client().models.list()}
    assert set(found) == {server.classifier, server.writer}
    assert found[server.classifier]["labels"] == ["blue", "green", "red"] and found[server.writer]["labels"] is None
    assert server.client().models.retrieve(server.writer).id == server.writer


def test_labels_over_http_are_those_of_the_evaluation(server: Server) -> None:
    rounds = server.workspace / "rounds" / server.classifier / "predictions"
    told = {one["row_id"]: one for one in read_jsonl(rounds / "tuned.jsonl")}
    dataset = next(path for path in (server.workspace / "datasets").iterdir() if (path / "test.jsonl").exists() and _holds(path, told))
    rows = [row for row in read_jsonl(dataset / "test.jsonl") if row["id"] in told]
    assert len(rows) == len(told) > 20
    texts = [next(turn["content"] for turn in row["prompt"] if turn["role"] == "user") for row in rows]
    answer = httpx.post(f"{server.url}/classify", json={"model": server.classifier, "input": texts}, timeout=60).json()
    for row, found in zip(rows, answer["data"], strict=True):
        one = told[row["id"]]
        assert found["label"] == one["answer"] and found["confidence"] == pytest.approx(one["confidence"], abs=1e-4)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    said = server.client().chat.completions.create(model=server.classifier, messages=[{"role": "user", "content": texts[0]}])
    assert said.choices[0].message.content == told[rows[0]["id"]]["answer"]
    assert said.choices[0].message.model_extra["tunesmith"]["confidence"] == pytest.approx(told[rows[0]["id"]]["confidence"], abs=1e-4)


def _holds(dataset: Path, told: dict[str, Any]) -> bool:
    return any(row["id"] in told for row in read_jsonl(dataset / "test.jsonl"))


def test_texts_over_http_are_those_of_the_evaluation_however_many_ask_at_once(server: Server) -> None:
    told = {one["row_id"]: one for one in read_jsonl(server.workspace / "rounds" / server.writer / "predictions" / "tuned.jsonl")}
    dataset = next(path for path in (server.workspace / "datasets").iterdir() if _holds(path, told))
    rows = [row for row in read_jsonl(dataset / "test.jsonl") if row["id"] in told]
    client = server.client()

    def ask(row: dict[str, Any]) -> str:
        said = client.chat.completions.create(model=server.writer, messages=row["prompt"])
        assert said.usage.completion_tokens > 0 and said.choices[0].finish_reason in ("stop", "length")
        return str(said.choices[0].message.content)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, rows))
    assert found == [told[row["id"]]["answer"] for row in rows]


def test_a_stream_says_what_the_whole_answer_says(server: Server) -> None:
    client, asked = server.client(), [{"role": "user", "content": "Say the word abc twice."}]
    settings = {"model": server.writer, "messages": asked, "max_tokens": 24, "temperature": 0.8, "seed": 7}
    whole = client.chat.completions.create(**settings)
    pieces = list(client.chat.completions.create(**settings, stream=True, stream_options={"include_usage": True}))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == whole.choices[0].message.content
    assert pieces[0].choices[0].delta.role == "assistant" and len({piece.id for piece in pieces}) == 1
    assert pieces[-1].usage == whole.usage and not pieces[-1].choices
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == whole.choices[0].finish_reason


def test_choices_stops_seeds_and_logprobs(server: Server) -> None:
    client, asked = server.client(), [{"role": "user", "content": "Say the word abc twice."}]
    several = client.chat.completions.create(
        model=server.writer, messages=asked, n=3, temperature=1.0, seed=1, max_tokens=8, logprobs=True, top_logprobs=2
    )
    again = client.chat.completions.create(model=server.writer, messages=asked, n=3, temperature=1.0, seed=1, max_tokens=8)
    assert [one.message.content for one in several.choices] == [one.message.content for one in again.choices]
    for choice in several.choices:
        for token in choice.logprobs.content:
            assert token.logprob <= 0 and len(token.top_logprobs) == 2
            assert token.top_logprobs[0].logprob >= token.logprob - 1e-6
    settings = {"model": server.writer, "prompt": "Say the word", "max_tokens": 12, "temperature": 1.5, "seed": 5}
    text = client.completions.create(**settings).choices[0].text
    assert len(text) > 3
    stopped = client.completions.create(**settings, stop=text[2:4])
    assert stopped.choices[0].text == text[: text.index(text[2:4])] and stopped.choices[0].finish_reason == "stop"
    pieces = list(client.completions.create(**settings, stop=text[2:4], stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == stopped.choices[0].text


def test_an_answer_keeps_to_a_schema(server: Server) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    said = server.client().chat.completions.create(
        model=server.writer,
        messages=[{"role": "user", "content": "A number"}],
        max_tokens=40,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
    )
    assert json.loads(said.choices[0].message.content) in ({"n": 1}, {"n": 2})


def test_embeddings_are_of_length_one(server: Server) -> None:
    made = server.client().embeddings.create(model=server.writer, input=["red car", "blue car", "red car"])
    vectors = [one.embedding for one in made.data]
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-6) and vectors[0] != vectors[1]
    assert sum(part * part for part in vectors[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "gpt-4"}, 404, "is not served here"),
        ({"messages": []}, 400, "'messages' can't be served"),
        ({"messages": "hello"}, 400, "'messages'"),
        ({"temperature": -1}, 400, "'temperature'"),
        ({"n": 0}, 400, "'n'"),
        ({"tools": []}, 400, "'tools' is not served here"),
        ({"max_tokens": 10**6}, 400, "shorten the prompt"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, 400, "shorten the prompt"),
        ({"stop": ["a"] * 17}, 400, "'stop'"),
        ({"stop": [""]}, 400, "stop string is empty"),
        ({"top_logprobs": 2}, 400, "needs logprobs"),
        ({"response_format": {"type": "json_schema"}}, 400, "needs its json_schema"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "can't be served"),
    ],
)
def test_what_is_wrong_is_told_in_openais_form(server: Server, body: dict[str, Any], status: int, said: str) -> None:
    whole = {"model": server.writer, "messages": [{"role": "user", "content": "Hi"}]} | body
    for stream in (False, True):
        found = httpx.post(f"{server.url}/chat/completions", json=whole | {"stream": stream}, timeout=60)
        error = found.json()["error"]
        assert found.status_code == status and said in error["message"] and set(error) == {"message", "type", "param", "code"}
    if status == 404:
        with pytest.raises(openai.NotFoundError):
            server.client().chat.completions.create(**whole)


def test_bytes_that_are_no_request(server: Server) -> None:
    for content in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model": NaN}', b"[" * 100_000):
        found = httpx.post(f"{server.url}/chat/completions", content=content, headers={"content-type": "application/json"}, timeout=60)
        assert found.status_code == 400 and found.json()["error"]["message"]
    large = httpx.post(f"{server.url}/chat/completions", content=b"x" * 2_000_000, timeout=60)
    assert large.status_code == 413
    assert httpx.get(f"{server.url}/nothing").json()["error"]["code"] == "unknown_url"
    assert httpx.get(f"{server.url}/chat/completions").status_code == 405


def test_a_client_that_leaves_is_not_answered_any_longer(server: Server) -> None:
    body = {
        "model": server.writer,
        "messages": [{"role": "user", "content": "Go on"}],
        "stream": True,
        "max_tokens": 60,
        "temperature": 1.0,
    }
    for _ in range(5):
        with httpx.stream("POST", f"{server.url}/chat/completions", json=body, timeout=60) as answer:
            next(answer.iter_lines())
    whole = httpx.post(f"{server.url}/chat/completions", json=body | {"stream": False, "max_tokens": 3}, timeout=60)
    assert whole.status_code == 200


def test_health_and_readiness(server: Server) -> None:
    root = server.url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").json() == {"status": "ok"} and httpx.get(f"{root}/ready").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["r-nothing"], 2, "There is no round 'r-nothing'"),
        (["ROUND", "--host", "192.0.2.1"], 2, "there is no API key in use"),
        (["ROUND", "--tls-key", "key.pem"], 2, "both a certificate and a key"),
        (["ROUND", "--port", "99999"], 2, "--port can't be 99999"),
        (["ROUND", "--port", "TAKEN"], 3, "can't be had"),
        (["ROUND", "ROUND"], 2, "under one name"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_listens(
    server: Server, command: Callable[..., Any], arguments: list[str], code: int, said: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        names = {"ROUND": server.classifier, "TAKEN": str(taken.getsockname()[1])}
        found = command("serve", *(names.get(one, one) for one in arguments), "--workspace", server.workspace)
    assert found.code == code and said in found.err


def _status(url: str, secret: str | None) -> int:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"{url}/models", headers=headers, timeout=60).status_code


def test_from_the_first_key_on_every_request_needs_one_that_is_in_use_and_may(server: Server, tmp_path: Path, command: Any) -> None:
    def key(*arguments: str) -> dict[str, Any]:
        made: dict[str, Any] = command("keys", "create", "app", *arguments, "--workspace", tmp_path, "--json").json()
        return made

    process, url = started(tmp_path, str(server.workspace / "rounds" / server.classifier))
    try:
        assert _status(url, None) == 200  # nobody made a key yet
        chat, feedback = key("--scope", "chat"), key("--scope", "feedback")
        limited = key("--requests-per-minute", "2")
        deadline = time.monotonic() + 60
        while _status(url, None) != 401:
            assert time.monotonic() < deadline
        assert [_status(url, one) for one in (chat["secret"], None, "ts-x", feedback["secret"])] == [200, 401, 401, 403]
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=url, api_key="ts-00000000-wrong", max_retries=0).models.list()
        assert [_status(url, limited["secret"]) for _ in range(3)] == [200, 200, 429]
        for one in (chat, feedback, limited):
            assert command("keys", "revoke", one["id"], "--workspace", tmp_path).code == 0
        while _status(url, chat["secret"]) != 401:
            assert time.monotonic() < deadline
        assert _status(url, None) == 401  # the last key is revoked, and the door stays shut
        listed = command("keys", "list", "--workspace", tmp_path).out
        assert listed.count("revoked") == 3 and chat["secret"] not in listed
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert chat["secret"] not in out + err
