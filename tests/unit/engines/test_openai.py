"""The client against a real server: order, retries, keys, bounds, and nothing paid twice."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.rows import Message
from tunesmith.engines import openai
from tunesmith.engines.asking import ChatRequest, Completion, EngineError, read_json_answer
from tunesmith.engines.memory import NAME, Memory
from tunesmith.engines.openai import OpenAIEngine, Prices


def ask(text: str, **more: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), **more)


def engine(server: Any, **more: Any) -> OpenAIEngine:
    return OpenAIEngine(url=server.url, model="small", **{"timeout": 5.0, **more})


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "_FIRST_WAIT", 0.01)


def texts(answers: list[Completion | EngineError]) -> list[str]:
    return [answer.text if isinstance(answer, Completion) else answer.reason for answer in answers]


def test_answers_come_in_the_order_of_the_requests_however_late_each_is(server: Any, chat_reply: Any) -> None:
    def late(body: dict[str, Any]) -> Any:
        time.sleep(0.1 if body["messages"][0]["content"] == "a" else 0)
        return chat_reply(body["messages"][0]["content"].upper())

    server.answer = late
    assert texts(engine(server, concurrency=4).complete([ask(letter) for letter in "abcdefgh"])) == list("ABCDEFGH")


def test_the_request_says_everything_that_was_asked(server: Any) -> None:
    schema = {"type": "object"}
    engine(server).complete([ask("hello", max_tokens=7, temperature=0.5, seed=3, stop=("END",), schema=schema)])
    sent = server.asked[0]
    assert sent["path"] == "/v1/chat/completions"
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["seed"], sent["stop"]) == ("small", 7, 0.5, 3, ["END"])
    assert sent["response_format"]["json_schema"]["schema"] == schema
    engine(server, structured="none").complete([ask("hello", schema=schema)])
    assert "response_format" not in server.asked[1]


def test_tokens_and_cost_are_counted_and_equal_requests_are_asked_once(server: Any) -> None:
    asking = engine(server)
    asking.complete([ask("a"), ask("a"), ask("b")])
    assert len(server.asked) == 2
    assert (asking.spent.requests, asking.spent.prompt_tokens, asking.spent.answer_tokens) == (2, 20, 6)
    assert asking.spent.cost(Prices(asked=1.0, answered=10.0)) == pytest.approx(80 / 1e6)
    assert asking.spent.cost(None) is None


def test_a_busy_server_is_asked_again_after_as_long_as_it_says(server: Any, reply: Any, chat_reply: Any) -> None:
    replies = [reply(429, headers={"retry-after": "0.3"}), reply(503), reply(cut=True), chat_reply("done")]
    server.answer = lambda body: replies[len(server.asked) - 1]
    asking, start = engine(server), time.monotonic()
    assert texts(asking.complete([ask("a")])) == ["done"]
    assert time.monotonic() - start >= 0.3
    assert asking.spent.retries == 3


def test_retries_are_bounded_and_the_failure_is_one_sentence(server: Any, reply: Any) -> None:
    server.answer = lambda body: reply(500)
    asking = engine(server, retries=2)
    (answer,) = asking.complete([ask("my secret")])
    assert isinstance(answer, EngineError)
    assert "HTTP 500" in answer.reason
    assert "secret" not in answer.reason
    assert (len(server.asked), asking.spent.failed) == (3, 1)


def test_a_server_that_wants_an_hour_is_not_waited_for(server: Any, reply: Any) -> None:
    server.answer = lambda body: reply(429, headers={"retry-after": "3600"})
    start = time.monotonic()
    assert isinstance(engine(server).complete([ask("a")])[0], EngineError)
    assert time.monotonic() - start < 600
    assert len(server.asked) == 1


def test_one_refused_request_costs_the_others_nothing(server: Any, reply: Any, chat_reply: Any) -> None:
    error = b'{"error": {"code": "context_length_exceeded", "message": "your prompt was: bad"}}'
    server.answer = lambda body: reply(400, error) if body["messages"][0]["content"] == "bad" else chat_reply("fine")
    answers = texts(engine(server).complete([ask("a"), ask("bad"), ask("c")]))
    assert answers[0] == answers[2] == "fine"
    assert "context_length_exceeded" in answers[1]
    assert "your prompt" not in answers[1]


@pytest.mark.parametrize(
    ("status", "word"), [(401, "refused"), (403, "refused"), (404, "engine.url"), (302, "redirect"), (307, "redirect")]
)
def test_what_stands_in_the_way_of_all_stops_all(server: Any, reply: Any, status: int, word: str) -> None:
    server.answer = lambda body: reply(status, headers={"location": "http://127.0.0.1:9/elsewhere"})
    with pytest.raises(RecipeError, match=word):
        engine(server, concurrency=1).complete([ask(str(number)) for number in range(50)])
    assert len(server.asked) == 1


def test_a_server_that_is_down_is_given_up_after_ten(server: Any, reply: Any) -> None:
    server.answer = lambda body: reply(500)
    with pytest.raises(MachineError, match="10 requests in a row"):
        engine(server, concurrency=1, retries=0).complete([ask(str(number)) for number in range(500)])
    assert len(server.asked) == 10


def test_nobody_there_is_said_in_a_sentence() -> None:
    asking = OpenAIEngine(url="http://127.0.0.1:9/v1", model="m", retries=0)
    assert "can't be reached" in texts(asking.complete([ask("a")]))[0]


def test_answers_are_bounded_in_bytes_and_seconds(server: Any, chat_reply: Any) -> None:
    server.answer = lambda body: chat_reply("x" * 100_000)
    assert "bytes" in texts(engine(server, largest_answer=10_000).complete([ask("a")]))[0]

    def slow(body: dict[str, Any]) -> Any:
        time.sleep(0.5)
        return chat_reply("late")

    server.answer = slow
    assert "0.2 seconds" in texts(engine(server, timeout=0.2, retries=0).complete([ask("b")]))[0]


HOSTILE = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    b'{"choices": []}',
    b'{"choices": [{"message": {"content": null}}]}',
    b'{"choices": [{"message": {"content": 5}}]}',
    b"[" * 100_000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_answers_that_are_no_completions_are_errors_not_crashes(server: Any, reply: Any, content: bytes) -> None:
    server.answer = lambda body: reply(200, content)
    assert isinstance(engine(server).complete([ask("a")])[0], EngineError)


def test_odd_numbers_and_halves_of_characters_are_taken_with_suspicion(server: Any, reply: Any, tmp_path: Path) -> None:
    body = b'{"choices": [{"message": {"content": "a\\ud800b"}, "finish_reason": 7}], "usage": {"prompt_tokens": -5}}'
    server.answer = lambda asked: reply(200, body)
    (answer,) = engine(server, memory=Memory(tmp_path)).complete([ask("a")])
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish, answer.prompt_tokens) == ("a\ufffdb", "stop", 0)


def test_the_key_goes_into_one_header_and_nowhere_else(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-private")
    caplog.set_level(logging.DEBUG)
    asking = engine(server, key_env="MY_KEY", memory=Memory(tmp_path))
    asking.complete([ask("a")])
    assert server.headers[0]["authorization"] == "Bearer sk-very-private"
    assert "sk-very-private" not in repr(asking) + caplog.text + (tmp_path / NAME).read_text() + str(server.asked)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"url": "ftp://x/v1"}, "http"),
        ({"url": "http://u:p@x/v1"}, "key_env"),
        ({"url": "http://x/v1?key=1"}, "nothing after"),
        ({"url": "http://[::1/v1"}, "http"),
        ({"url": "http://x:99999/v1"}, "http"),
        ({"key_env": "NOT_THERE"}, "NOT_THERE"),
        ({"url": "http://example.org/v1", "key_env": "KEY"}, "unencrypted"),
        ({"structured": "xml"}, "structured"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_what_cant_be_meant_is_refused_at_construction(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], word: str) -> None:
    monkeypatch.setenv("KEY", "k")
    with pytest.raises(RecipeError, match=word):
        OpenAIEngine(**{"url": "https://example.org/v1", "model": "m", **changes})


def test_a_killed_run_pays_nothing_twice(server: Any, reply: Any, chat_reply: Any, tmp_path: Path) -> None:
    def dies_late(body: dict[str, Any]) -> Any:
        return reply(401) if body["messages"][0]["content"] == "7" else chat_reply("ok")

    server.answer = dies_late
    requests = [ask(str(number)) for number in range(10)]
    with pytest.raises(RecipeError):
        engine(server, concurrency=1, memory=Memory(tmp_path)).complete(requests)
    assert len(server.asked) >= 8
    server.answer, before = (lambda body: chat_reply("ok")), len(server.asked)
    again = engine(server, concurrency=1, memory=Memory(tmp_path))
    answers = again.complete(requests)
    assert [answer.remembered for answer in answers if isinstance(answer, Completion)][:7] == [True] * 7
    assert again.spent.requests == 10 - again.spent.remembered
    assert len(server.asked) - before <= again.spent.requests + 1  # one of the first run may still be on its way
    assert again.spent.remembered >= 7
    assert engine(server, memory=Memory(tmp_path)).complete(requests) == Memoryless(answers)


class Memoryless(list[Any]):
    """Answers, compared without where they came from."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and [item.text for item in self] == [item.text for item in other]


def test_a_torn_or_damaged_memory_loses_only_what_was_torn(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for key in ("a", "b", "c"):
        memory.put(key, Completion(text=key * 3))
    memory.close()
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"bbb", b"bxb")  # still JSON, no longer what was written
    (tmp_path / NAME).write_bytes(b"".join(lines)[:-5])  # and the last line cut short, as by a kill
    again = Memory(tmp_path)
    assert (len(again), again.damaged) == (1, 2)
    again.put("d", Completion(text="ddd"))
    assert [(found := Memory(tmp_path).get(key)) and found.text for key in "abcd"] == ["aaa", None, None, "ddd"]


def test_the_memory_is_for_its_owner_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o755)
    (folder / NAME).touch(mode=0o644)
    Memory(folder)
    assert ((folder / NAME).stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    other = tmp_path / "other"
    other.mkdir()
    (other / NAME).symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError):
        Memory(other)


def test_many_threads_keep_whole_lines(tmp_path: Path) -> None:
    one, two = Memory(tmp_path), Memory(tmp_path)
    threads = [
        threading.Thread(target=lambda name=name, memory=memory: [memory.put(f"{name}{n}", Completion(text="x" * 999)) for n in range(50)])
        for name, memory in (("a", one), ("b", one), ("c", two), ("d", two))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Memory(tmp_path)
    assert (len(whole), whole.damaged) == (200, 0)
    assert all(memory.get(f"{name}{n}") for name, memory in (("a", one), ("c", two)) for n in range(50))


def test_json_answers_are_read_in_and_out_of_fences() -> None:
    assert read_json_answer('```json\n{"a": 1}\n```') == {"a": 1}
    assert read_json_answer(' {"a": 1} ') == {"a": 1}
    assert read_json_answer("I think {") is None
    assert read_json_answer("[" * 100_000) is None
