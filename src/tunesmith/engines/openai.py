"""The client of any OpenAI-compatible URL: vLLM, llama.cpp, Ollama, a hosted service.

Several requests are under way at once; what is busy or broken for a moment (408, 429, 5xx, a dropped connection) is asked again,
after as long as the server says. The key is read from an environment variable, goes into one header and nowhere else. Redirects are
not followed, certificates are verified, answers are bounded in size and time. What was answered is kept by `memory.Memory`.
Costs what the server charges, counted in `spent`. Leaves to others: which prompts to ask, and whether the answers are any good.
"""

import ipaddress
import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.engines.asking import ChatRequest, Completion, EngineError
from tunesmith.engines.memory import Memory
from tunesmith.engines.wire import STRUCTURED, body_of, error_code, key_of, read_answer

_AGAIN = frozenset({408, 429, 500, 502, 503, 504, 529})
_GIVE_UP_AFTER = 10
"""So many requests in a row without one answer: the server is down, and the rest is not asked."""
_LONGEST_WAIT = 120.0
"""Seconds; a server that wants a longer pause is not waited for."""
_FIRST_WAIT = 0.5


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in a currency of your own."""

    asked: float
    answered: float


@dataclass(slots=True)
class Spent:
    """What was asked so far, and what it took."""

    requests: int = 0
    """Answered by the server."""
    remembered: int = 0
    """Answered from disk, at no cost."""
    failed: int = 0
    """Without an answer, after all retries."""
    retries: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def cost(self, prices: Prices | None) -> float | None:
        """In the currency of the prices; None without them."""
        if prices is None:
            return None
        return (self.prompt_tokens * prices.asked + self.answer_tokens * prices.answered) / 1e6


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why an attempt failed, and after how many seconds it may be tried again (None: the usual), where it may."""

    reason: str
    again: bool = False
    after: float | None = None


@dataclass(slots=True)
class _Run:
    """What the threads of one call share."""

    client: Any
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    not_before: float = 0.0
    in_a_row: int = 0

    def pause(self, seconds: float) -> None:
        """Nobody asks for so long: a server that says it is busy is busy for all."""
        with self.lock:
            self.not_before = max(self.not_before, time.monotonic() + seconds)

    def wait(self) -> None:
        while not self.stop.is_set() and (left := self.not_before - time.monotonic()) > 0:
            self.stop.wait(left)


@dataclass(slots=True, kw_only=True)
class OpenAIEngine:
    """An `Engine` over HTTP. RecipeError at construction for a URL, a variable or a number that can't be meant."""

    url: str
    """Up to and with the version: `http://localhost:8000/v1`."""
    model: str
    key_env: str | None = None
    """The environment variable that holds the key; None for servers that want none."""
    timeout: float = 120.0
    """Seconds for one attempt, from sending to the last byte."""
    concurrency: int = 4
    """Requests under way at once."""
    retries: int = 4
    """Further attempts where the server is busy or the connection breaks."""
    structured: str = "json_schema"
    """How JSON is asked for: json_schema, json_object or none (see `wire.STRUCTURED`)."""
    largest_answer: int = 8 * 2**20
    """Bytes; longer answers are not read to their end."""
    memory: Memory | None = field(default=None, repr=False)
    """Where answers are kept; None keeps nothing."""
    spent: Spent = field(default_factory=Spent)
    _key: str | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        parts = _checked_url(self.url)
        self.url = self.url.rstrip("/")
        if self.structured not in STRUCTURED:
            raise RecipeError(f"engine.structured {self.structured!r} is unknown: use one of {', '.join(STRUCTURED)}.")
        if not self.model or self.timeout <= 0 or self.concurrency < 1 or self.retries < 0:
            raise RecipeError("An engine needs a model, a timeout above 0, a concurrency of 1 or more and no negative number of retries.")
        if self.key_env is not None:
            self._key = _key_from(self.key_env)
            if parts.scheme == "http" and not _near(parts.hostname or ""):
                raise RecipeError(
                    f"The key in {self.key_env} would travel to {parts.hostname} unencrypted: write engine.url with https, or leave key_env out."
                )

    @property
    def name(self) -> str:
        """The address and the model."""
        return f"{self.url} {self.model}"

    @property
    def host(self) -> str:
        """Whom errors name."""
        return urlsplit(self.url).netloc

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | EngineError]:
        """One answer a request, in order; equal requests are asked once.

        Raises:
            RecipeError: the server refuses the key, doesn't know the path, or answers with a redirect.
            MachineError: ten requests in a row found no answer, or the memory can't be written.
        """
        import httpx

        bodies = [body_of(request, self.model, self.structured) for request in requests]
        keys = [key_of(self.name, body) for body in bodies]
        if not keys:
            return []
        with self._client(httpx) as client:
            run = _Run(client)
            pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="engine")
            try:
                asked = {key: pool.submit(self._answer, run, key, body) for key, body in dict(zip(keys, bodies, strict=True)).items()}
                answers = {key: future.result() for key, future in asked.items()}
            finally:
                run.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)  # all are done, or what is left is not waited for
        return [answers[key] for key in keys]

    def _client(self, httpx: Any) -> Any:
        headers = {"accept-encoding": "identity", "user-agent": "tunesmith"}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        return httpx.Client(headers=headers, timeout=self.timeout, limits=limits, follow_redirects=False)

    def _answer(self, run: _Run, key: str, body: dict[str, Any]) -> Completion | EngineError:
        try:
            return self._recall_or_ask(run, key, body)
        except BaseException:
            run.stop.set()  # here, in the thread that knows: until `complete` hears of it, others would go on asking
            raise

    def _recall_or_ask(self, run: _Run, key: str, body: dict[str, Any]) -> Completion | EngineError:
        known = self.memory.get(key) if self.memory is not None else None
        if known is not None:
            with run.lock:
                self.spent.remembered += 1
            return known
        answer = self._ask(run, key, body)
        with run.lock:
            if isinstance(answer, Completion):
                self.spent.requests += 1
                self.spent.prompt_tokens += answer.prompt_tokens
                self.spent.answer_tokens += answer.answer_tokens
                run.in_a_row = 0
            else:
                self.spent.failed += 1
                run.in_a_row += 1
        if isinstance(answer, EngineError) and run.in_a_row >= _GIVE_UP_AFTER and not run.stop.is_set():
            raise MachineError(f"{self.host} left {run.in_a_row} requests in a row without an answer; the last one: {answer.reason}")
        if isinstance(answer, Completion) and self.memory is not None:
            self.memory.put(key, answer)
        return answer

    def _ask(self, run: _Run, key: str, body: dict[str, Any]) -> Completion | EngineError:
        draw = random.Random(key)
        for attempt in range(self.retries + 1):
            run.wait()
            if run.stop.is_set():
                return EngineError("Not asked: the run was stopped.")
            found = self._attempt(run.client, body)
            if isinstance(found, Completion):
                return found
            if not found.again or attempt == self.retries or (found.after or 0) > _LONGEST_WAIT:
                return EngineError(found.reason)
            with run.lock:
                self.spent.retries += 1
            if found.after is not None:
                run.pause(found.after)
            else:
                run.stop.wait(min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT) * (0.5 + draw.random()))
        raise AssertionError("the last attempt returns")

    def _attempt(self, client: Any, body: dict[str, Any]) -> Completion | _Trouble:
        import httpx

        ends = time.monotonic() + self.timeout
        try:
            with client.stream("POST", f"{self.url}/chat/completions", json=body) as response:
                content = bytearray()
                for block in response.iter_bytes():
                    content += block
                    if len(content) > self.largest_answer:
                        return _Trouble(f"{self.host} answered with over {self.largest_answer:,} bytes: the rest was not read.")
                    if time.monotonic() > ends:
                        return _Trouble(f"{self.host} took over {self.timeout:g} seconds: raise engine.timeout.", again=True)
                return self._read(response.status_code, response.headers.get("retry-after"), bytes(content))
        except httpx.TimeoutException:
            return _Trouble(f"{self.host} took over {self.timeout:g} seconds: raise engine.timeout.", again=True)
        except (httpx.HTTPError, httpx.StreamError) as error:
            return _Trouble(f"{self.host} can't be reached ({type(error).__name__}): is the server running there?", again=True)

    def _read(self, status: int, retry_after: str | None, content: bytes) -> Completion | _Trouble:
        if status == 200:
            answer = read_answer(content)
            return answer if isinstance(answer, Completion) else _Trouble(answer.reason)
        if status in _AGAIN:
            return _Trouble(f"{self.host} is busy or broken (HTTP {status}).", again=True, after=_seconds(retry_after))
        if 300 <= status < 400:
            raise RecipeError(
                f"{self.host} answered with a redirect (HTTP {status}), which is not followed: give its final address as engine.url."
            )
        if status in (401, 403):
            key = f"the key in {self.key_env}" if self.key_env else "a request without a key (engine.key_env)"
            raise RecipeError(f"{self.host} refused {key} (HTTP {status}).")
        if status == 404:
            raise RecipeError(
                f"{self.host} knows neither {self.url}/chat/completions nor the model {self.model!r} (HTTP 404): see engine.url, engine.model."
            )
        code = error_code(content)
        hint = "; if it can't follow JSON schemas, set engine.structured: json_object" if status == 400 and not code else ""
        return _Trouble(f"{self.host} refused the request (HTTP {status}{', ' + code if code else ''}){hint}.")


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, known = urlsplit(""), False
    if known and (parts.username or parts.password):
        raise RecipeError("engine.url holds a user or password: put the key in an environment variable and name it in engine.key_env.")
    if not known or parts.query or parts.fragment or any(not character.isprintable() or character == " " for character in url):
        raise RecipeError(
            "engine.url must be http:// or https:// with a host and a path, such as http://localhost:8000/v1, and nothing after."
        )
    return parts


def _key_from(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(f"The environment variable {variable}, named by engine.key_env, is not set: set it to the key.")
    if not (key.isascii() and key.isprintable()):
        raise RecipeError(f"The environment variable {variable} holds characters that no key has: set it again.")
    return key


def _near(host: str) -> bool:
    """Whether a host is this machine or its own network, where servers without certificates are usual."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return address.is_loopback or address.is_private


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds, be it a number or a date; None where it is neither."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None
