"""A gateway before an engine: what a client sees when the engine answers, and when it does what engines do on bad days."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from tunesmith.core.progress import Said
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.ready import load_ready
from tunesmith.infer.generate import Wanted, answers
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.models.package import Bundle, load_model, renderer_of, save_model
from tunesmith.pipeline.serving import Serving
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve import engine as engines
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.engine import Engine, EngineAt
from tunesmith.serve.passed import Answer
from tunesmith.serve.refusals import Refusal

openai = pytest.importorskip("openai")
KEY = "engine-key-of-the-operator"
CPU = torch.device("cpu")
TEXTS = ["Where is my rake?", "I want a red car", "They lost my green hat", "She painted her blue boat"]
Writer = asyncio.StreamWriter
Act = Callable[[dict[str, Any], Writer], Awaitable[None]]


@dataclass
class FakeEngine:
    """A scripted engine over real HTTP: raw bytes, so that it can do all that a server can do wrong."""

    url: str = ""
    act: Act | None = None
    """What it does with the next generating request, in place of answering."""
    model: str = "engine-model"
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    connections: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """Set when whoever asked closes the connection in the middle of an answer."""
    answer: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                method, path, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
                body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
                self.asked.append((path, headers, body))
                await self._one(method, path, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, method: str, path: str, body: dict[str, Any], writer: Writer) -> None:
        if path == "/v1/models":
            await send(writer, {"object": "list", "data": [{"id": self.model, "object": "model"}]})
        elif self.act is not None:
            await self.act(body, writer)
        else:
            assert self.answer is not None
            value = await asyncio.to_thread(self.answer, path, body)
            await send(
                writer,
                value,
                status="400 Bad Request" if "error" in value else "200 OK",
                stream="error" not in value and bool(body.get("stream")),
            )


async def send(writer: Writer, value: dict[str, Any], *, status: str = "200 OK", stream: bool = False, headers: str = "") -> None:
    """A whole answer; or as events: each choice cut in two, the usage last."""
    if not stream:
        content = json.dumps(value).encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode() + content
        )
        await writer.drain()
        return
    begin(writer)
    for choice in value["choices"]:
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        for at, part in enumerate((text[: len(text) // 2], text[len(text) // 2 :])):
            said = {"delta": {"content": part}} if "message" in choice else {"text": part}
            event(writer, {"choices": [{"index": choice["index"], "finish_reason": choice["finish_reason"] if at else None} | said]})
    event(writer, {"choices": [], "usage": value["usage"]})
    chunk(writer, b"data: [DONE]\n\n")
    chunk(writer, b"")
    await writer.drain()


def begin(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")


def chunk(writer: Writer, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def event(writer: Writer, value: Any) -> None:
    chunk(writer, f"data: {json.dumps(value)}\n\n".encode())


@contextmanager
def running(engine: FakeEngine, port: int = 0) -> Iterator[FakeEngine]:
    """The engine, in a thread of its own until the end of the block."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(engine.serve, "127.0.0.1", port))
    engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield engine
    finally:

        async def end() -> None:
            server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


@dataclass
class Gateway:
    """A gateway before an engine."""

    client: httpx.Client
    name: str
    said: list[str]
    log: Path

    def chat(self, **body: Any) -> httpx.Response:
        asked = {"model": self.name, "messages": [{"role": "user", "content": "Where is my rake?"}]}
        return self.client.post("chat/completions", json=asked | body)

    def streamed(self, **body: Any) -> tuple[str, dict[str, Any] | None, bool]:
        """The text that came, the error if one did, and whether it said that it was done."""
        text, error, done = "", None, False
        asked = {"model": self.name, "messages": [{"role": "user", "content": "Where is my rake?"}], "stream": True}
        with self.client.stream("POST", "chat/completions", json=asked | body) as answer:
            if answer.status_code != 200:
                answer.read()
                return "", answer.json()["error"] | {"status": answer.status_code}, False
            for line in answer.iter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    value = json.loads(line[6:])
                    error = value.get("error", error)
                    text += "".join(choice["delta"].get("content", "") for choice in value.get("choices", ()))
        return text, error, done


@contextmanager
def gateway(work: Path, engine: str, *models: str, **settings: Any) -> Iterator[Gateway]:
    """A gateway in this process, until the end of the block."""
    heard: list[str] = []
    config = ServeConfig(port=0, engine=engine, **{"engine_first_seconds": 20, "timeout_seconds": 30} | settings)
    serving = Serving(
        models,
        config,
        Workspace(work),
        lambda told: heard.append(told.text) if isinstance(told, Said) else None,
        log=str(work / "log.jsonl"),
    )
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=serving.run, args=(lambda url: ready.set(), stop), daemon=True)
    thread.start()
    assert ready.wait(timeout=60)
    try:
        with httpx.Client(base_url=serving.url, timeout=60) as client:
            yield Gateway(client, next(iter(serving.gateway.backends)), heard, work / "log.jsonl")
    finally:
        stop.set()
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    with running(FakeEngine(answer=_parrot)) as made:
        yield made


def _parrot(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Says what it was asked."""
    said = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    choices = [
        {"index": n, "finish_reason": "stop"} | ({"message": {"content": f"{n} {said}"}} if "messages" in body else {"text": f"{n} {said}"})
        for n in range(body.get("n", 1))
    ]
    return {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7}, "id": "x", "object": "y", "created": 1}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, engine: FakeEngine) -> Iterator[Gateway]:
    """A gateway that passes everything through to the engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THE_ENGINES_KEY", KEY)
        with gateway(tmp_path_factory.mktemp("plain"), engine.url, engine_key_env="THE_ENGINES_KEY") as made:
            yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, engine: FakeEngine) -> Iterator[Gateway]:
    """One that waits for nobody: for engines that are never done."""
    with gateway(tmp_path_factory.mktemp("hasty"), engine.url, engine_first_seconds=2, timeout_seconds=4) as made:
        yield made


@pytest.fixture(autouse=True)
def afresh(engine: FakeEngine) -> Iterator[None]:
    yield
    engine.act = None
    engine.asked.clear()
    engine.left.clear()


def test_the_engine_is_passed_through_under_its_own_name(plain: Gateway, engine: FakeEngine) -> None:
    client = openai.OpenAI(base_url=str(plain.client.base_url), api_key="any", max_retries=0, timeout=30)
    assert [model.id for model in client.models.list()] == ["engine-model"] == [plain.name]
    asked = {"model": plain.name, "messages": [{"role": "user", "content": " héllo "}]}
    whole = client.chat.completions.create(**asked, n=2, temperature=0.5)
    assert [choice.message.content for choice in whole.choices] == ["0  héllo ", "1  héllo "]
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (5, 7)
    pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "0  héllo "
    assert pieces[-1].usage.total_tokens == 12
    assert client.completions.create(model=plain.name, prompt="Once").choices[0].text == "0 Once"
    headers = engine.asked[0][1]
    assert headers["authorization"] == f"Bearer {KEY}"
    bodies = [one for path, _, one in engine.asked if path != "/v1/models"]
    assert bodies[0] == {"model": "engine-model", "messages": asked["messages"], "n": 2, "temperature": 0.5}
    assert bodies[1] == {"model": "engine-model", "messages": asked["messages"], "stream": True, "stream_options": {"include_usage": True}}
    assert plain.client.post("classify", json={"model": plain.name, "input": "x"}).status_code == 400


def test_the_engines_embeddings_are_passed_on(plain: Gateway, engine: FakeEngine) -> None:
    async def vectors(body: dict[str, Any], writer: Writer) -> None:
        found = [{"index": n, "embedding": [float(n), 1.0]} for n in range(len(body["input"]))][::-1]
        await send(writer, {"data": found, "usage": {"prompt_tokens": 9}})

    engine.act = vectors
    made = plain.client.post("embeddings", json={"model": plain.name, "input": ["a", "b"]}).json()
    assert [one["embedding"] for one in made["data"]] == [[0.0, 1.0], [1.0, 1.0]] and made["usage"]["prompt_tokens"] == 9


def _status(status: str, value: Any = None, headers: str = "") -> Act:
    async def act(body: dict[str, Any], writer: Writer) -> None:
        await send(writer, value or {"error": {"message": "no"}}, status=status, headers=headers)

    return act


def _raw(content: bytes, *, hang: bool = False) -> Act:
    async def act(body: dict[str, Any], writer: Writer) -> None:
        writer.write(content)
        await writer.drain()
        if hang:
            await asyncio.sleep(60)
        writer.close()

    return act


def _events(*parts: bytes, hang: bool = False) -> Act:
    framed = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _raw(head + framed, hang=hang)


JSON_200 = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
BAD_DAYS: dict[str, tuple[Act, int, str]] = {
    "too much to do": (_status("429 Too Many Requests", headers="Retry-After: 17\r\n"), 429, "has too much to do: come again in 17 s"),
    "odd time to wait": (_status("429 Too Many Requests", headers="Retry-After: Mon, 1 Jan\r\n"), 429, "come again in 2 s"),
    "a bug": (_status("500 Internal Server Error"), 502, "answers with status 500"),
    "loading": (_status("503 Service Unavailable"), 503, "is not ready"),
    "another place": (_status("307 Temporary Redirect", headers="Location: http://127.0.0.1:9/\r\n"), 502, "answers with status 307"),
    "its key": (_status("401 Unauthorized"), 502, "refuses the gateway's key"),
    "too long": (
        _status("400 Bad Request", {"error": {"message": "context is\x00 4096 tokens"}}),
        400,
        "refuses the request: context is 4096 tokens",
    ),
    "no words": (_status("422 Unprocessable Entity", [1]), 400, "does not say why"),
    "FastAPI's words": (_status("400 Bad Request", {"detail": "prompt must be a string."}), 400, "refuses the request: prompt must be"),
    "FastAPI's fields": (_status("422 Unprocessable Entity", {"detail": [{"loc": ["body"], "msg": "too long"}]}), 400, "request: too long"),
    "no such place": (_status("404 Not Found", {"detail": "Not Found"}), 502, "has no /chat/completions, or not this model"),
    "no HTTP": (_raw(b"hello\r\n\r\n"), 502, "doesn't answer as HTTP has it"),
    "closes at once": (_raw(b""), 502, "breaks off"),
    "half an answer": (_raw(JSON_200 + b'900\r\n\r\n{"choices": [{"mess'), 502, "broke off in the middle"),
    "no JSON": (_raw(JSON_200 + b"5\r\n\r\n<htm>"), 502, "something else than its API says"),
    "bytes": (_raw(JSON_200 + b"4\r\n\r\n\xff\xfe\x00\x01"), 502, "something else"),
    "another shape": (_status("200 OK", {"choices": "many"}), 502, "something else than its API says"),
    "no choice": (_status("200 OK", {"choices": []}), 502, "broke off"),
    "a choice too many": (_status("200 OK", {"choices": [{"index": 3, "text": "x", "finish_reason": "stop"}]}), 502, "nobody asked for"),
    "an end of its own": (_status("200 OK", {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}), 502, "for a reason"),
    "a deep hole": (_raw(JSON_200 + b"200000\r\n\r\n" + b"[" * 200_000), 502, "something else"),
    "silence": (_raw(b"", hang=True), 504, "said nothing for 2 s"),
}


@pytest.mark.parametrize("day", BAD_DAYS)
def test_what_an_engine_does_wrong_is_told_in_a_sentence(plain: Gateway, hasty: Gateway, engine: FakeEngine, day: str) -> None:
    engine.act, status, said = BAD_DAYS[day]
    found = (hasty if status == 504 else plain).chat()
    error = found.json()["error"]
    assert found.status_code == status and said in error["message"] and error["message"].count("\n") == 0
    assert ("retry-after" in found.headers) == (status in (429, 503))
    assert "127.0.0.1" not in found.text and KEY not in found.text
    engine.act = None
    assert plain.chat().status_code == 200


FIRST = b'data: {"choices": [{"index": 0, "delta": {"content": "One"}}]}\n\n'
LAST = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
BAD_STREAMS: dict[str, tuple[Act, int | None, str]] = {
    "closes in the middle": (_events(FIRST), None, "broke off in the middle"),
    "ends without an end": (_events(FIRST, b"data: [DONE]\n\n", b""), None, "broke off"),
    "breaks off behind its end": (_events(FIRST, LAST), None, "broke off in the middle"),
    "garbage in the middle": (_events(FIRST, b"data: <html>\n\n"), None, "something else"),
    "an error in the middle": (_events(FIRST, b'data: {"error": {"message": "CUDA out of memory"}}\n\n'), None, "with an error"),
    "goes on after its end": (_events(FIRST, LAST, FIRST), None, "nobody asked for"),
    "an endless line": (_events(FIRST, b"data: " + b"x" * 3_000_000), None, "longer than can be meant"),
    "hangs in the middle": (_events(FIRST, hang=True), None, "said nothing for 2 s"),
    "no stream": (_status("200 OK", {"choices": []}), 502, "sends something else"),
    "a bug": (_status("500 Internal Server Error"), 502, "status 500"),
    "silence": (_events(hang=True), 504, ""),
}


@pytest.mark.parametrize("day", BAD_STREAMS)
def test_what_goes_wrong_in_a_stream_is_told_in_the_stream(plain: Gateway, hasty: Gateway, engine: FakeEngine, day: str) -> None:
    engine.act, status, said = BAD_STREAMS[day]
    text, error, done = (hasty if "hangs" in day or status == 504 else plain).streamed()
    assert error is not None and said in error["message"] and not done
    assert error.get("status") == status
    assert text == ("" if status else "One")
    engine.act = None
    assert plain.streamed() == ("0 Where is my rake?", None, True)


def test_a_stream_that_ends_with_its_body_is_whole(plain: Gateway, engine: FakeEngine) -> None:
    engine.act = _events(FIRST, LAST, b"")  # `transformers serve` never says [DONE]
    assert plain.streamed() == ("One", None, True)


def test_a_stop_that_the_engine_writes_or_does_not_know_is_cut(plain: Gateway, engine: FakeEngine) -> None:
    said = [b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % part for part in (b"One. E", b"N", b"D and more")]
    engine.act = _events(*said, LAST, b"data: [DONE]\n\n", b"")
    assert plain.streamed(stop=["END", "never"]) == ("One. ", None, True)
    engine.act = _status("200 OK", {"choices": [{"message": {"content": "One. END"}, "finish_reason": "length"}]})
    choice = plain.chat(stop="END").json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("One. ", "stop")
    engine.act = _events(*said[:2], LAST, b"data: [DONE]\n\n", b"")
    assert plain.streamed(stop=["END"]) == ("One. EN", None, True)


def test_what_the_engine_leaves_aside_without_a_word_is_told(plain: Gateway, engine: FakeEngine) -> None:
    engine.act = _status("200 OK", {"choices": [{"message": {"content": "One"}, "finish_reason": "stop"}]})
    for more, said in (({"n": 2}, "gave 1 of 2 answers: ask for one"), ({"logprobs": True}, "no log-probabilities: leave logprobs out")):
        found = plain.chat(**more)
        assert found.status_code == 400 and said in found.json()["error"]["message"]
    engine.act = _events(FIRST, LAST, b"data: [DONE]\n\n", b"")
    text, error, done = plain.streamed(n=2)
    assert text == "One" and error is not None and "gave 1 of 2 answers" in error["message"] and not done


def test_a_stream_that_comes_byte_by_byte_is_read(plain: Gateway, engine: FakeEngine) -> None:
    async def slowly(body: dict[str, Any], writer: Writer) -> None:
        begin(writer)
        for byte in (
            b": a comment\r\n"
            + 'data: {"choices": [{"index": 0, "delta": {"content": "Ünë"}}]}\r\n\r\n'.encode()
            + LAST
            + b"data:[DONE]\n\n"
        ):
            chunk(writer, bytes([byte]))
            await writer.drain()
        chunk(writer, b"")

    engine.act = slowly
    assert plain.streamed() == ("Ünë", None, True)


def test_a_second_streamed_request_takes_the_connection_of_the_first(plain: Gateway, engine: FakeEngine) -> None:
    assert plain.streamed()[2]
    before = engine.connections
    assert plain.streamed()[2] and engine.connections == before


def test_an_engine_that_drips_is_given_up_when_the_time_is_over(hasty: Gateway, engine: FakeEngine) -> None:
    async def drips(body: dict[str, Any], writer: Writer) -> None:
        begin(writer)
        while True:
            chunk(writer, b": not yet\n\n")
            await writer.drain()
            await asyncio.sleep(0.2)

    engine.act = drips
    found = hasty.chat(stream=True)
    assert found.status_code == 504 and "longer than 4 s" in found.json()["error"]["message"]


def test_a_client_that_leaves_ends_the_answer_in_the_engine(plain: Gateway, engine: FakeEngine) -> None:
    async def endless(body: dict[str, Any], writer: Writer) -> None:
        begin(writer)
        try:
            while True:
                chunk(writer, FIRST)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            engine.left.set()

    engine.act = endless
    asked = {"model": plain.name, "messages": [{"role": "user", "content": "x"}], "stream": True}
    with plain.client.stream("POST", "chat/completions", json=asked) as answer:
        next(answer.iter_lines())
    assert engine.left.wait(timeout=10)


def test_no_key_and_no_word_stands_in_the_log(plain: Gateway, engine: FakeEngine) -> None:
    plain.chat(messages=[{"role": "user", "content": "a secret of the user"}])
    log = plain.log.read_text()
    assert '"model":' in log and KEY not in log and "secret of the user" not in log


def test_a_dead_engine_is_told_and_comes_back(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    with gateway(tmp_path, url, engine_model="engine-model") as plain:
        found = plain.chat()
        assert found.status_code == 503 and found.headers["retry-after"] == "2" and "can't be reached" in found.json()["error"]["message"]
        root = str(plain.client.base_url).removesuffix("v1/")
        assert plain.client.get(f"{root}ready").status_code == 503 and plain.client.get(f"{root}health").status_code == 200
        with running(FakeEngine(answer=_parrot), port):
            assert plain.chat().status_code == 200
            assert plain.client.get(f"{root}ready").status_code == 200
        assert plain.streamed()[1]["status"] == 503  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--engine", "ftp://here/v1"], 2, "--engine takes the URL"),
        (["--engine", "http://me:word@127.0.0.1/v1"], 2, "without password"),
        (["--engine", "http://127.0.0.1:1/v1", "--engine-key-env", "NO_SUCH_VARIABLE"], 2, "'NO_SUCH_VARIABLE'"),
        (["--engine", "http://127.0.0.1:1/v1"], 3, "name its model with --engine-model"),
        ([], 2, "There is no model to serve"),
    ],
)
def test_an_engine_that_can_not_be_meant_is_refused(command: Any, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    found = command("serve", *arguments, "--port", "0", "--workspace", tmp_path)
    assert found.code == code and said in found.err and "word@" not in found.err


def test_json_that_was_asked_for_is_looked_over(plain: Gateway, engine: FakeEngine) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}
    engine.act = _status("200 OK", {"choices": [{"message": {"content": '{"n": 1}'}, "finish_reason": "stop"}]})
    assert plain.chat(**wanted).json()["choices"][0]["message"]["content"] == '{"n": 1}'
    assert engine.asked[-1][2]["response_format"]["json_schema"]["schema"] == schema
    engine.act = _status("200 OK", {"choices": [{"message": {"content": "n is 1"}, "finish_reason": "stop"}]})
    found = plain.chat(**wanted)
    assert found.status_code == 502 and "asked for JSON" in found.json()["error"]["message"]


def test_log_probabilities_of_chats_and_of_texts_are_passed_on(plain: Gateway, engine: FakeEngine) -> None:
    likely = [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}, {"token": "e", "logprob": -1.5, "bytes": None}]
    content = [likely[0] | {"top_logprobs": likely}, {"token": "x", "logprob": -2.0, "top_logprobs": None}]
    said = {"message": {"content": "éx"}, "finish_reason": "stop", "logprobs": {"content": content}}
    engine.act = _status("200 OK", {"choices": [said], "usage": {"prompt_tokens": None, "completion_tokens": 2}})
    told = plain.chat(logprobs=True, top_logprobs=2).json()["choices"][0]["logprobs"]["content"]
    assert [(one["token"], one["bytes"], one["logprob"]) for one in told] == [("é", [195, 169], -0.5), ("x", [120], -2.0)]
    assert [len(one["top_logprobs"]) for one in told] == [2, 0]
    assert (engine.asked[-1][2]["logprobs"], engine.asked[-1][2]["top_logprobs"]) == (True, 2)
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": [{"a": -1.0, "c": -3.0}, None]}
    engine.act = _status("200 OK", {"choices": [{"text": "ab", "finish_reason": "length", "logprobs": logprobs}]})
    found = plain.client.post("completions", json={"model": plain.name, "prompt": "x", "logprobs": 2}).json()["choices"][0]
    assert found["logprobs"]["token_logprobs"] == [-1.0, -2.0] and found["logprobs"]["top_logprobs"] == [{"a": -1.0, "c": -3.0}, {}]
    assert found["finish_reason"] == "length"


# A tuned model's bundle here, its weights in an engine


@dataclass
class Running:
    """What an engine does with a tuned model: as vLLM where it takes ids, as Ollama where it doesn't."""

    folder: Path
    takes_ids: bool = True
    echoes: bool = True
    extra: int = 0
    """Tokens that a template of its own adds."""

    def __post_init__(self) -> None:
        self.model, tokenizer, bundle = load_model(self.folder)
        self.renderer = renderer_of(tokenizer, bundle)
        self.lock = threading.Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        prompt: Any = body.get("prompt")
        if path == "/v1/chat/completions":
            ids = [[*self.renderer.prompt(tuple(Message(**turn) for turn in body["messages"])).ids, *[9] * self.extra]]
        elif isinstance(prompt, str):
            ids = [self.renderer.tokenizer.encode(prompt, add_special_tokens=False)]
        elif not self.takes_ids:
            return {"error": {"message": "prompt: a string is expected"}}
        else:
            ids = [prompt] if isinstance(prompt[0], int) else prompt
        with self.lock:
            choices = [self._choice(index, one, body, chat=prompt is None) for index, one in enumerate(ids)]
        return {"choices": choices, "usage": {"prompt_tokens": sum(map(len, ids)), "completion_tokens": len(ids)}}

    def _choice(self, index: int, ids: list[int], body: dict[str, Any], *, chat: bool) -> dict[str, Any]:
        wanted = Wanted(end_ids=tuple(body.get("stop_token_ids", self.renderer.end_ids)), max_new_tokens=body["max_tokens"])
        found = answers(self.model, [ids], wanted, device=CPU)[0][0]
        text = self.renderer.tokenizer.decode(list(found.ids), skip_special_tokens=True)
        told: dict[str, Any] = {"index": index, "finish_reason": "stop" if found.ended == "end" else "length"}
        if body.get("echo") and self.echoes:
            with torch.inference_mode():
                logps = torch.log_softmax(self.model(torch.tensor([ids])).logits[0].float(), dim=-1)
            own = [None, *(float(logps[place, token]) for place, token in enumerate(ids[1:]))]
            text = self.renderer.tokenizer.decode(ids, skip_special_tokens=True) + text
            told["logprobs"] = {"tokens": [*map(str, ids), "x"], "token_logprobs": [*own, -1.0], "top_logprobs": None}
        return told | ({"message": {"content": text}} if chat else {"text": text})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Path]:
    """Two tuned models that say something else to each prompt: one writes, one has labels; and one with a head."""
    folder, made = tmp_path_factory.mktemp("saved"), {}
    kinds: dict[str, dict[str, Any]] = {"writer": {"task": "generate"}, "labels": {"task": "classify", "labels": ("blue", "green", "red")}}
    kinds["headed"] = {"task": "regress", "head": True}
    for name, kind in kinds.items():
        config = BaseConfig(path=str(tiny_base))
        base = load_base(config)
        with torch.no_grad():
            for parameter in base.model.parameters():
                parameter.mul_(8 if parameter.ndim > 1 else 1)
        settings = MethodConfig(name="full", head="regression" if "head" in kind else None)
        model = adapt(base.model, settings, parameters=1, labels=None, seed=0)
        bundle = Bundle(
            method="full", max_tokens=256, max_new_tokens=6, instruction="Be brief.", base=config.model_dump(mode="json"), **kind
        )
        (folder / name).mkdir()
        save_model(folder / name, model, base.tokenizer, bundle)
        made[name] = folder / name
    return made


@pytest.mark.parametrize("takes_ids", [True, False])
def test_a_writer_behind_an_engine_answers_as_it_was_evaluated(saved: dict[str, Path], tmp_path: Path, takes_ids: bool) -> None:
    ready = load_ready(saved["writer"])
    told = ready.answer([Row(id=text, prompt=ready.prompt(text)) for text in TEXTS])
    assert len({one.answer for one in told}) == len(TEXTS)
    with (
        running(FakeEngine(answer=Running(saved["writer"], takes_ids))) as engine,
        gateway(tmp_path, engine.url, str(saved["writer"])) as made,
    ):
        assert any(("token ids" if takes_ids else "by messages") in line for line in made.said)
        engine.asked.clear()
        for one in told:
            asked = {"messages": [{"role": "user", "content": one.row_id}]}
            whole = made.chat(**asked).json()
            assert whole["choices"][0]["message"]["content"] == one.answer == made.streamed(**asked)[0]
            assert whole["usage"]["prompt_tokens"] == one.prompt_tokens
        bodies = [body for path, _, body in engine.asked if path != "/v1/models"]
        if takes_ids:
            assert [tuple(body["prompt"]) for body in bodies[::2]] == [ready.renderer.prompt(ready.prompt(text)).ids for text in TEXTS]
            assert all(body["stop_token_ids"] == list(ready.renderer.end_ids) and body["top_k"] == -1 for body in bodies)
        else:
            assert bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
        assert all((body["temperature"], body["max_tokens"], body["top_p"]) == (0, 6, 1) for body in bodies)
        assert made.client.get(str(made.client.base_url).removesuffix("v1/") + "ready").status_code == 200
        long = made.chat(messages=[{"role": "user", "content": "word " * 500}])
        assert long.status_code == 400 and "shorten the prompt" in long.json()["error"]["message"]


def test_labels_behind_an_engine_are_scored_as_they_were_evaluated(saved: dict[str, Path], tmp_path: Path) -> None:
    ready = load_ready(saved["labels"])
    told = ready.answer([Row(id=text, prompt=ready.prompt(text)) for text in TEXTS])
    with running(FakeEngine(answer=Running(saved["labels"]))) as engine, gateway(tmp_path, engine.url, str(saved["labels"])) as made:
        found = made.client.post("classify", json={"model": made.name, "input": TEXTS}).json()["data"]
        for one, said in zip(told, found, strict=True):
            assert said["label"] == one.answer and said["probabilities"] == pytest.approx(one.chances, abs=1e-4)
        assert made.chat(messages=[{"role": "user", "content": TEXTS[0]}]).json()["choices"][0]["message"]["content"] == told[0].answer

        async def silent(body: dict[str, Any], writer: Writer) -> None:
            await send(writer, {"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]})

        engine.act = silent
        odd = made.client.post("classify", json={"model": made.name, "input": "x"})
        assert odd.status_code == 502 and "log-probabilities" in odd.json()["error"]["message"]


def test_labels_are_not_served_where_the_engine_does_not_tell_how_likely_they_are(
    saved: dict[str, Path], tmp_path: Path, command: Any
) -> None:
    answer = Running(saved["labels"], echoes=False)
    with running(FakeEngine(answer=answer)) as engine:
        found = command("serve", saved["labels"], "--engine", engine.url, "--port", "0", "--workspace", tmp_path)
        assert found.code == 3 and "echoes log-probabilities" in found.err and "without --engine" in found.err
        engine.act = _status("503 Service Unavailable", {})  # one that still loads is told by what it lacks when it is there
        with gateway(tmp_path, engine.url, str(saved["labels"])) as made:
            engine.act = None
            for said in (made.chat(), made.client.post("classify", json={"model": made.name, "input": "x"})):
                assert said.status_code == 503 and said.json()["error"]["code"] == "engine_without_scores", said.text
            assert made.client.get(str(made.client.base_url).removesuffix("v1/") + "ready").status_code == 503
            answer.echoes = True
            assert made.chat().status_code == 200


def test_an_engine_with_another_template_is_not_asked(saved: dict[str, Path], tmp_path: Path) -> None:
    answer = Running(saved["writer"], takes_ids=False, extra=1)
    with running(FakeEngine(answer=answer)) as engine, gateway(tmp_path, engine.url, str(saved["writer"])) as made:
        found = made.chat()
        assert found.status_code == 503 and found.json()["error"]["code"] == "engine_mismatch"
        assert made.client.get(str(made.client.base_url).removesuffix("v1/") + "ready").status_code == 503
        assert any("doesn't read prompts as" in line for line in made.said)
        answer.extra = 0
        assert made.chat().status_code == 200


def test_a_head_is_not_served_by_an_engine(saved: dict[str, Path], tmp_path: Path, command: Any) -> None:
    found = command("serve", saved["headed"], "--engine", "http://127.0.0.1:1/v1", "--port", "0", "--workspace", tmp_path)
    assert found.code == 2 and "answers by a task head" in found.err
    several = command("serve", saved["writer"], saved["labels"], "--engine", "http://127.0.0.1:1/v1", "--workspace", tmp_path)
    assert several.code == 2 and "one model" in several.err


# The connection to it


def _over_waiting(engine: FakeEngine, act: Act) -> str | None:
    """What a request comes to while three connections wait: the words of the answer, or the code of the refusal."""

    async def all_of_it() -> str | None:
        to = Engine(EngineAt(engine.url, model="engine-model"))
        try:
            await asyncio.gather(*(to.post("/completions", {"prompt": "x"}, Answer) for _ in range(3)))
            engine.asked.clear()
            engine.act = act
            return (await to.post("/completions", {"prompt": "again"}, Answer)).choices[0].words()
        except Refusal as refusal:
            return refusal.code
        finally:
            await to.aclose()

    return asyncio.run(all_of_it())


async def _closes(body: dict[str, Any], writer: Writer) -> None:
    writer.close()


async def _resets(body: dict[str, Any], writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("ends", [_closes, _resets])
def test_a_connection_that_closes_as_we_write_costs_no_request_and_one_that_is_broken_by_it_breaks_no_third(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, ends: Act
) -> None:
    monkeypatch.setattr(engines, "RACE_SECONDS", 60.0)

    async def once(body: dict[str, Any], writer: Writer) -> None:
        engine.act = None
        await ends(body, writer)

    assert _over_waiting(engine, once) == "0 again"
    before = engine.connections
    assert _over_waiting(engine, ends) == "bad_engine"
    assert len(engine.asked) == 2 and engine.connections == before + 4  # the three, and a new one for the repeat


def test_a_request_that_an_engine_worked_on_before_it_broke_off_is_not_sent_again(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "RACE_SECONDS", 0.05)

    async def works(body: dict[str, Any], writer: Writer) -> None:
        await asyncio.sleep(0.1)
        writer.close()

    assert _over_waiting(engine, works) == "bad_engine" and len(engine.asked) == 1


def test_a_name_that_is_never_resolved_is_an_engine_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def __init__(self, **settings: Any) -> None: ...

        async def resolve(self, *asked: Any, **settings: Any) -> Any:
            await asyncio.Event().wait()

        async def close(self) -> None: ...

    monkeypatch.setattr("aiohttp.connector.DefaultResolver", Silent)

    async def asked() -> Refusal:
        to = Engine(EngineAt("http://engine.example/v1", model="m", connect_seconds=0.05))
        async with asyncio.timeout(20):
            with pytest.raises(Refusal) as found:
                await to.post("/completions", {"prompt": "x"}, Answer)
        await to.aclose()
        return found.value

    refusal = asyncio.run(asked())
    assert (refusal.status, refusal.code) == (503, "engine_unreachable")


def test_an_engine_that_runs_past_a_stop_is_left(plain: Gateway, engine: FakeEngine) -> None:
    async def endless(body: dict[str, Any], writer: Writer) -> None:
        begin(writer)
        words = iter(["One.", " EN", "D", " a secret"])
        try:
            while True:
                word = next(words, " and more")
                logprobs = {"content": [{"token": word, "logprob": -1.0}]}
                event(writer, {"choices": [{"index": 0, "delta": {"content": word}, "logprobs": logprobs, "finish_reason": None}]})
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            engine.left.set()

    engine.act = endless
    client = openai.OpenAI(base_url=str(plain.client.base_url), api_key="any", max_retries=0, timeout=30)
    asked = {"model": plain.name, "messages": [{"role": "user", "content": "x"}], "stop": ["END"], "logprobs": True}
    pieces = [piece.choices[0] for piece in client.chat.completions.create(**asked, stream=True)]
    assert "".join(piece.delta.content or "" for piece in pieces) == "One. " and pieces[-1].finish_reason == "stop"
    assert [token.token for piece in pieces if piece.logprobs for token in piece.logprobs.content] == ["One."]
    assert engine.left.wait(timeout=10)
    content = [{"token": word, "logprob": -1.0} for word in ("One.", " ", "END", " a secret")]
    said = {"message": {"content": "One. END a secret"}, "finish_reason": "length", "logprobs": {"content": content}}
    engine.act = _status("200 OK", {"choices": [said]})
    whole = client.chat.completions.create(**asked).choices[0]
    assert (whole.message.content, whole.finish_reason) == ("One. ", "stop")
    assert [token.token for token in whole.logprobs.content] == ["One.", " "]


def test_a_choice_that_runs_past_its_stop_waits_for_the_others(plain: Gateway, engine: FakeEngine) -> None:
    def says(index: int, word: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": word}, "finish_reason": finish}
        return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()

    parts = [says(0, "aEND"), says(0, "x"), says(1, "b"), says(0, "x"), says(1, "c", "stop"), says(0, "x")]
    engine.act = _events(*parts, hang=True)
    assert plain.streamed(n=2, stop=["END"]) == ("abc", None, True)
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}\n\n'
    engine.act = _events(*parts, says(0, "", "length"), usage, b"data: [DONE]\n\n", b"")
    assert plain.streamed(n=2, stop=["END"]) == ("abc", None, True)
