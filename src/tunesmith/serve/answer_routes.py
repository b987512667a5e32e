"""`/v1/chat/completions`, `/v1/completions`, `/v1/classify`, `/v1/embeddings`: how requests become answers, whole or as a stream, and what
happens when a client leaves."""

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from tunesmith.core.rows import Message
from tunesmith.ledger.keys import KeyRecord
from tunesmith.serve.answers import Ask, Backend, Piece
from tunesmith.serve.filters import answered, filtered, filtered_texts
from tunesmith.serve.kept import About
from tunesmith.serve.log import Line, line_of
from tunesmith.serve.refusals import Refusal, wrong
from tunesmith.serve.requests import ChatRequest, ClassifyRequest, CompletionRequest, EmbeddingRequest
from tunesmith.serve.service import Arm, asker_of, fingerprint
from tunesmith.serve.speaking import Gathered, chat_chunk, labelled_json, new_id, text_chunk, usage

if TYPE_CHECKING:
    from tunesmith.serve.app import Gateway

T = TypeVar("T")


def answer_routes(app: FastAPI, gateway: "Gateway") -> None:
    """Add the routes."""
    _chat(app, gateway)
    _completions(app, gateway)
    _labels(app, gateway)


async def _within(gateway: "Gateway", request: Request, work: Awaitable[T]) -> T:
    """The result of some work; it is dropped where the client leaves or the time is up.

    Raises:
        Refusal: 504, 499.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_left(request))
    try:
        done, _ = await asyncio.wait({task, watch}, timeout=gateway.config.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            return task.result()
        if watch in done:
            raise Refusal(499, "The client left.", "client_closed")
        seconds = gateway.config.timeout_seconds
        raise Refusal(504, f"The answer took longer than {seconds:g} s: ask for fewer tokens, or come again.", "timeout")
    finally:
        task.cancel()
        watch.cancel()


async def _together(works: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; where one fails the others are dropped, for nobody waits for them any longer."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _left(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _ask_of_chat(body: ChatRequest) -> Ask:
    """What a chat request asks for. Refusal where settings can't go together."""
    schema: dict[str, Any] | None = None
    if body.response_format is not None and body.response_format.type == "json_schema":
        if body.response_format.json_schema is None:
            raise wrong("response_format", "response_format of type json_schema needs its json_schema.", "missing_required_parameter")
        schema = body.response_format.json_schema.schema_
    elif body.response_format is not None and body.response_format.type == "json_object":
        schema = {"type": "object"}
    if body.top_logprobs is not None and not body.logprobs:
        raise wrong("top_logprobs", "top_logprobs needs logprobs: true beside it.")
    if any(turn.role in ("tool", "function") for turn in body.messages):
        raise wrong("messages", "Tool calls are not served: send messages of system, user and assistant.")
    roles = {"developer": "system"}
    return Ask(
        messages=tuple(Message(roles.get(turn.role, turn.role), turn.text) for turn in body.messages),
        max_tokens=body.most_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=tuple(body.stop or ()),
        n=body.n,
        schema=schema,
        logprobs=body.logprobs,
        top=body.top_logprobs or 0,
        whole=not body.stream,
    )


def _head(kind: str, shape: str, backend: Backend) -> dict[str, Any]:
    return {
        "id": new_id(kind),
        "object": shape,
        "created": int(time.time()),
        "model": backend.name,
        "system_fingerprint": fingerprint(backend),
    }


def _arm(backend: Backend) -> Arm | None:
    """Which model of a line of service it is; None of one that serves under its own name alone."""
    return backend if isinstance(backend, Arm) else None


async def _gather(pieces: AsyncIterator[Piece], count: int) -> Gathered:
    made = Gathered(count)
    async for piece in pieces:
        made.add(piece)
    return made


def _chat(app: FastAPI, gateway: "Gateway") -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat(
        body: ChatRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any] | Response:
        backend = await gateway.answering(body.model, asker_of(key, body.whose), key)
        line, policy = line_of(request), gateway.policies.of(key)
        gateway.note(line, backend)
        ask = await filtered(policy, _ask_of_chat(body), line)
        pieces = answered(backend, ask, policy, line)
        head = _head("chatcmpl", "chat.completion.chunk" if body.stream else "chat.completion", backend)
        about = About(head["id"], key, backend.name, "chat", ask.messages, by=_arm(backend), user=body.whose or "")  # as the model saw them
        if body.stream:
            seen: set[int] = set()

            def chunk(piece: Piece) -> dict[str, Any]:
                first = piece.index not in seen
                seen.add(piece.index)
                return chat_chunk(head, piece, first=first, logprobs=ask.logprobs)

            told = body.stream_options is not None and body.stream_options.include_usage
            watched = gateway.kept.watched(about, pieces, ask.n)
            return await _streamed(gateway, request, _spender(gateway, key, line), watched, chunk, head if told else None)
        made = await _within(gateway, request, _gather(pieces, ask.n))
        _spender(gateway, key, line)(made.prompt_tokens, made.answer_tokens)
        gateway.kept.done(about, made)
        return head | {
            "choices": made.chat_choices(logprobs=ask.logprobs),
            "usage": usage(made.prompt_tokens, made.answer_tokens),
        }


def _completions(app: FastAPI, gateway: "Gateway") -> None:
    @app.post("/v1/completions", response_model=None)
    async def completions(
        body: CompletionRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any] | Response:
        backend = await gateway.answering(body.model, asker_of(key, body.whose), key)
        line, policy = line_of(request), gateway.policies.of(key)
        gateway.note(line, backend)
        asks = [await filtered(policy, _ask_of_text(body, prompt), line) for prompt in body.prompt]
        head = _head("cmpl", "text_completion", backend)
        by, user = _arm(backend), body.whose or ""
        abouts = [About(head["id"], key, backend.name, "text", (Message("user", ask.text or ""),), by=by, user=user) for ask in asks]
        if body.stream:
            if len(asks) > 1:
                raise wrong("prompt", "One prompt at a time can be streamed: send one, or leave stream out.")
            lengths = [0] * body.n

            def chunk(piece: Piece) -> dict[str, Any]:
                start = lengths[piece.index]
                lengths[piece.index] += sum(len(said.text) for said in piece.tokens)
                return text_chunk(head, piece, logprobs=asks[0].logprobs, start=start)

            told = body.stream_options is not None and body.stream_options.include_usage
            watched = gateway.kept.watched(abouts[0], answered(backend, asks[0], policy, line), asks[0].n)
            return await _streamed(gateway, request, _spender(gateway, key, line), watched, chunk, head if told else None)
        answers = [answered(backend, ask, policy, line) for ask in asks]
        made = await _within(gateway, request, _together([_gather(pieces, body.n) for pieces in answers]))
        read, written = sum(one.prompt_tokens for one in made), sum(one.answer_tokens for one in made)
        _spender(gateway, key, line)(read, written)
        for at, (about, one) in enumerate(zip(abouts, made, strict=True)):
            gateway.kept.done(about, one, at * body.n)
        choices = [c for at, one in enumerate(made) for c in one.text_choices(at * body.n, logprobs=body.logprobs is not None)]
        return head | {"choices": choices, "usage": usage(read, written)}


def _ask_of_text(body: CompletionRequest, prompt: str) -> Ask:
    return Ask(
        text=prompt,
        max_tokens=body.max_tokens or 16,  # OpenAI's own default here
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=tuple(body.stop or ()),
        n=body.n,
        logprobs=body.logprobs is not None,
        top=body.logprobs or 0,
        whole=not body.stream,
    )


def _spender(gateway: "Gateway", key: KeyRecord, line: Line) -> Callable[[int, int], None]:
    """Tells of tokens that were read and written: to the key's allowance, and to the log."""

    def spent(read: int, written: int) -> None:
        gateway.holders.take_tokens(key, read + written)
        line.spent(read, written)

    return spent


class _Events(StreamingResponse):
    """Server-sent events; however they end, what made them is ended with them."""

    def __init__(self, events: AsyncGenerator[str, None], end: Callable[[], Awaitable[None]]) -> None:
        """Begin.

        Args:
            events: as they are sent.
            end: called when the last was sent or can't be.
        """
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events, self._end = events, end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(self._ended())

    async def _ended(self) -> None:
        await self._events.aclose()
        await self._end()


async def _streamed(
    gateway: "Gateway",
    request: Request,
    spent: Callable[[int, int], None],
    pieces: AsyncGenerator[Piece, None],
    chunk: Callable[[Piece], dict[str, Any]],
    usage_head: dict[str, Any] | None,
) -> Response:
    """Server-sent events; what is refused before the first token is refused with a status, and not in the stream. The time is the model's:
    a client that reads slowly gets all that was made within it."""
    deadline = asyncio.get_running_loop().time() + gateway.config.timeout_seconds
    first = await _within(gateway, request, anext(pieces))
    read = written = said = 0

    def count(piece: Piece) -> None:
        nonlocal read, written, said
        read, written, said = max(read, piece.prompt_tokens), written + piece.answer_tokens, said + bool(piece.text or piece.tokens)

    async def events() -> AsyncGenerator[str, None]:
        piece: Piece | None = first
        try:
            while piece is not None:
                if piece.says:
                    yield _event(chunk(piece))
                async with asyncio.timeout_at(deadline):
                    piece = await anext(pieces, None)
                if piece is not None:
                    count(piece)
            if usage_head is not None:
                yield _event(usage_head | {"choices": [], "usage": usage(read, written)})
            yield "data: [DONE]\n\n"
        except TimeoutError:
            yield _event(Refusal(504, f"The answer took longer than {gateway.config.timeout_seconds:g} s.", "timeout").body())
        except Refusal as refusal:
            yield _event(refusal.body())

    async def end() -> None:
        spent(read, max(written, said))  # of who leaves early: at least a token a piece
        await pieces.aclose()

    count(first)
    return _Events(events(), end)


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _labels(app: FastAPI, gateway: "Gateway") -> None:
    @app.post("/v1/classify")
    async def classify(body: ClassifyRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        backend, line = await gateway.answering(body.model, asker_of(key, body.whose), key), line_of(request)
        gateway.note(line, backend)
        head = _head("class", "classification", backend)
        about = About(head["id"], key, backend.name, "label", (), by=_arm(backend), user=body.whose or "")
        texts = await filtered_texts(gateway.policies.of(key), body.input, line)
        found = await _within(gateway, request, backend.classify(texts))
        read = sum(one.prompt_tokens for one in found)
        _spender(gateway, key, line)(read, 0)
        gateway.kept.labelled(about, texts, found)
        data = [{"index": index} | labelled_json(one, text, body.top) for index, (one, text) in enumerate(zip(found, texts, strict=True))]
        return head | {"data": data, "usage": {"prompt_tokens": read, "total_tokens": read}}

    @app.post("/v1/embeddings")
    async def embeddings(
        body: EmbeddingRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any]:
        backend, line = await gateway.backend(body.model, key), line_of(request)
        gateway.note(line, backend)
        texts = await filtered_texts(gateway.policies.of(key), body.input, line)
        made, read = await _within(gateway, request, backend.embed(texts))
        _spender(gateway, key, line)(read, 0)
        packed = body.encoding_format == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector} for index, vector in enumerate(made)
        ]
        return {"object": "list", "data": data, "model": backend.name, "usage": {"prompt_tokens": read, "total_tokens": read}}


def _packed(vector: list[float]) -> str:
    """Little-endian float32 in base64, as OpenAI's clients ask for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
