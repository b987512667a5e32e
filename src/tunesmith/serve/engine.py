"""An engine behind a URL (vLLM, llama.cpp, Ollama, whatever speaks OpenAI's API), and what can go wrong on the way to it.

The URL is the operator's alone: no request says where to go, redirects are not followed, proxies and .netrc of the environment are not
looked at, and answers are read as they come, never unpacked. The engine's key goes into one header and nowhere else.

What is repeated: a connection that could not be made, for then nothing was sent; and, once and over a new connection, a request whose
connection had waited and was closed or reset within half a second, for engines close what waits just as we write. One that breaks off
later was at work on the request, which may be what broke it. What is told to clients:

503 with Retry-After    the engine can't be reached, or says itself that it is not ready
429 with Retry-After    the engine has too much to do, passed on
400                     the engine refuses the request, in its words
502                     it answers with something else than its API says, breaks off, or refuses the gateway's key
504                     no answer within the time

Costs one connection a request under way, kept for the next one for three seconds, less than engines keep theirs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from tunesmith.core.errors import RecipeError
from tunesmith.serve.refusals import Refusal, wrong

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, TCPConnector, TraceConfig

T = TypeVar("T")
LINE_BYTES = 2**20
"""Longest line of a stream; no token with its likeliest others comes near."""
WHOLE_BYTES = 2**26
"""Largest answer in one piece."""
ERROR_BYTES = 2**16
RETRY_SECONDS = 2
TRIES = 3
"""To connect."""
PAUSE_SECONDS = 0.05
RACE_SECONDS = 0.5
"""A connection that had waited and closes within so long after it was taken was being closed as we wrote."""
END_SECONDS = 1.0
"""An answer that is complete ends within so long, or its connection is given up."""
IDLE_SECONDS = 3.0
"""A connection that waits is kept for so long: servers close theirs after five, and one that closes as we write would lose a request."""


@dataclass(frozen=True, slots=True)
class EngineAt:
    """Where an engine is, and how long it may take."""

    url: str
    key: str | None = field(default=None, repr=False)
    model: str | None = None
    """Its name for the model; None: the only one that it has."""
    connect_seconds: float = 5.0
    """Up to a connection, the look-up of the host's name among it."""
    first_seconds: float = 60.0
    """Up to the first token, and between two."""


def engine_url(text: str) -> str:
    """The URL without its last slash.

    Raises:
        RecipeError: no http(s) URL of a host, or one with a password, a query or a fragment in it.
    """
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise RecipeError(
            "--engine takes the URL of an OpenAI-compatible engine without password, query or fragment, as http://127.0.0.1:8001/v1; "
            "its key goes into an environment variable that --engine-key-env names."
        )
    return text.rstrip("/")


class Engine:
    """An engine's API. Belongs to one event loop at a time."""

    def __init__(self, at: EngineAt) -> None:
        self.at = at
        self.alive = True
        """Whether it answered when it was last asked."""
        self._client: ClientSession | None = None
        self._fresh: ClientSession | None = None
        """For what is repeated: none of its connections ever waited."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Task[None] | None = None

    async def get(self, path: str, kind: type[T]) -> T:
        """What stands at a path, decoded as `kind`. Refusal as the module says."""
        return await self._whole("GET", path, None, kind)

    async def post(self, path: str, body: dict[str, Any], kind: type[T]) -> T:
        """The answer to a body, decoded as `kind`. Refusal as the module says."""
        return await self._whole("POST", path, body, kind)

    async def _whole(self, method: str, path: str, body: dict[str, Any] | None, kind: type[T]) -> T:
        async with self._answer(method, path, body) as response:
            content = await _read(response, WHOLE_BYTES)
            if len(content) > WHOLE_BYTES:
                raise broken("answers with more than can be meant")
            return _decoded(content, kind)

    async def events(self, path: str, body: dict[str, Any], kind: type[T]) -> AsyncIterator[T]:
        """Each event of a streamed answer, decoded as `kind`; leaving it closes the connection.

        It ends with `[DONE]`, or, as with engines that don't say so, with the body, which HTTP tells from a body that broke off. Whether
        the answer in it is whole is for who reads it to say.

        Raises:
            Refusal: as the module says.
        """
        async with self._answer("POST", path, body) as response:
            told = response.headers.get("content-type", "")
            if not told.startswith("text/event-stream"):
                raise broken("was asked for a stream and sends something else")
            decoder = msgspec.json.Decoder(kind)
            lines = _lines(response)
            async for data in lines:
                if data == b"[DONE]":
                    await _read_on(lines)
                    return
                try:
                    yield decoder.decode(data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    raise _odd_event(data) from None

    @asynccontextmanager
    async def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> AsyncIterator["ClientResponse"]:
        """The answer, its head read. What goes wrong within, while it is read, is told as what it is too."""
        import aiohttp

        content = None if body is None else msgspec.json.encode(body)
        try:
            async with await self._sent(method, path, content) as response:
                if response.status != 200:
                    raise await _refused(response, path)
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            self.alive = False
            raise unreachable() from None
        except aiohttp.ServerTimeoutError:
            raise Refusal(504, f"The engine said nothing for {self.at.first_seconds:g} s: come again.", "engine_timeout") from None
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError):
            raise broken("broke off in the middle of its answer") from None
        except (aiohttp.ClientError, ValueError):
            raise broken("doesn't answer as HTTP has it, or breaks off") from None
        self.alive = True

    async def _sent(self, method: str, path: str, content: bytes | None) -> "ClientResponse":
        import aiohttp

        pool, fresh = self._open()
        waited: list[float] = []
        try:
            return await self._connected(pool, method, path, content, waited)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError):
            if not waited or asyncio.get_running_loop().time() - waited[-1] > RACE_SECONDS:
                raise
        return await self._connected(fresh, method, path, content, [])

    async def _connected(
        self, client: "ClientSession", method: str, path: str, content: bytes | None, waited: list[float]
    ) -> "ClientResponse":
        """The answer over a connection, tried again as long as none could be made; `waited` takes when one that had waited was taken."""
        import aiohttp

        loop = asyncio.get_running_loop()
        began = loop.time()
        for tried in range(1, TRIES + 1):
            try:
                return await client.request(method, self.at.url + path, data=content, allow_redirects=False, trace_request_ctx=waited)
            except aiohttp.ClientConnectorError:  # nothing was sent yet
                if tried == TRIES or loop.time() - began > self.at.connect_seconds:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * tried)
        raise AssertionError("the last try returns or raises")

    def _open(self) -> tuple["ClientSession", "ClientSession"]:
        """The pool of the loop that runs, and what makes a connection for each request."""
        from aiohttp import TCPConnector

        loop = asyncio.get_running_loop()
        if self._client is None or self._fresh is None or self._loop is not loop:
            self._loop = loop
            self._client = self._session(TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS))
            self._fresh = self._session(TCPConnector(limit=0, force_close=True))
        return self._client, self._fresh

    def _session(self, connector: "TCPConnector") -> "ClientSession":
        import aiohttp

        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json", "User-Agent": "tunesmith"}
        if self.at.key is not None:
            headers["Authorization"] = f"Bearer {self.at.key}"
        return aiohttp.ClientSession(
            headers=headers,
            connector=connector,
            # `connect` holds the look-up of a name too, which `sock_connect` leaves out; nothing waits for a place in a pool without limit.
            timeout=aiohttp.ClientTimeout(total=None, connect=self.at.connect_seconds, sock_read=self.at.first_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[_noting_reuse()],
        )

    def close(self) -> None:
        """Close what waits in the pool, from whatever thread; nothing waits where the loop has ended."""
        loop = self._loop
        if loop is None or loop.is_closed() or not loop.is_running():
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is loop:
            self._closing = loop.create_task(self.aclose())
        else:
            asyncio.run_coroutine_threadsafe(self.aclose(), loop).result(timeout=5)

    async def aclose(self) -> None:
        """Close what waits in the pool."""
        clients, self._client, self._fresh = (self._client, self._fresh), None, None
        if self._loop is asyncio.get_running_loop():
            for client in clients:
                if client is not None:
                    await client.close()


def _noting_reuse() -> "TraceConfig":
    """Notes of each request, in its own context, when it took a connection that had waited in the pool."""
    from aiohttp import TraceConfig

    async def waited(client: object, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.append(asyncio.get_running_loop().time())

    trace = TraceConfig()
    trace.on_connection_reuseconn.append(waited)
    return trace


async def _read(response: "ClientResponse", most: int) -> bytes:
    """The body, up to a little more than `most` bytes."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            break
    return b"".join(parts)


async def _lines(response: "ClientResponse") -> AsyncIterator[bytes]:
    """What stands behind `data:` in each line of server-sent events; comments and other fields are left out."""
    rest = b""
    async for part in response.content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise broken("sends a line that is longer than can be meant")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


async def _read_on(lines: AsyncIterator[bytes]) -> None:
    """Read to the end of an answer that is complete: only then is its connection kept for the next."""
    from aiohttp import ClientError

    with suppress(TimeoutError, ClientError, Refusal):
        async with asyncio.timeout(END_SECONDS):
            async for _ in lines:
                pass


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise broken("answers with something else than its API says") from None


class _Told(msgspec.Struct):
    """What an engine says of an error; some say it without the braces around."""

    message: str = ""


class _Wrong(msgspec.Struct):
    """A field that FastAPI refuses."""

    msg: str = ""


class _Error(msgspec.Struct):
    error: _Told | str | None = None
    message: str = ""
    detail: str | list[_Wrong] | None = None
    """Engines over FastAPI (`transformers serve`) say it there."""

    @property
    def words(self) -> str:
        own = self.error if isinstance(self.error, str) else "" if self.error is None else self.error.message
        told = self.detail if isinstance(self.detail, str) else "; ".join(one.msg for one in self.detail or ())
        return own or self.message or told


def _words(content: bytes) -> str:
    """An engine's words of an error; empty where it has none that can be read."""
    try:
        said = msgspec.json.decode(content, type=_Error)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return "".join(letter for letter in said.words[:300] if letter.isprintable())


def _odd_event(data: bytes) -> Refusal:
    """An event that is none: an error that the engine tells in its stream, or garbage."""
    return broken("ended its answer with an error" if _words(data[:ERROR_BYTES]) else "sends something else than its API says")


async def _refused(response: "ClientResponse", path: str) -> Refusal:
    """What a client is told of a status that is not 200."""
    status = response.status
    retry = response.headers.get("retry-after", "")
    seconds = retry if retry.isascii() and retry.isdigit() and len(retry) <= 4 else str(RETRY_SECONDS)
    if status == 429:
        message = f"The engine has too much to do: come again in {seconds} s."
        return Refusal(429, message, "overloaded", headers={"Retry-After": seconds})
    if status == 503:
        return unreachable("is not ready", seconds)
    if status in (400, 413, 422):
        words = _words(await _read(response, ERROR_BYTES))
        return wrong("messages", f"The engine refuses the request: {words or 'it does not say why'}", "refused_by_engine")
    if status in (401, 403):
        return broken("refuses the gateway's key: ask whoever runs the gateway")
    if status in (404, 405, 501):
        return broken(f"has no {path}, or not this model")
    return broken(f"answers with status {status}")


def broken(how: str) -> Refusal:
    """502: the engine is there and doesn't do as its API says."""
    return Refusal(502, f"The engine behind the gateway {how}.", "bad_engine")


def unreachable(how: str = "can't be reached", seconds: str = str(RETRY_SECONDS)) -> Refusal:
    """503: the engine is not there."""
    message = f"The engine behind the gateway {how}: come again in {seconds} s."
    return Refusal(503, message, "engine_unreachable", headers={"Retry-After": seconds})
