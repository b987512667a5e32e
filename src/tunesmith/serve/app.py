"""The HTTP side of the gateway, as a FastAPI app: routes, who may, how errors look, what happens when a client leaves."""

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from tunesmith.core.rows import Message
from tunesmith.ledger.feedback import Opinions
from tunesmith.ledger.keys import KeyRecord, Scope
from tunesmith.serve.answers import Ask, Backend, Piece
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.feedback_routes import feedback_routes
from tunesmith.serve.filters import Policies, answered, filtered, filtered_texts
from tunesmith.serve.holders import Holders
from tunesmith.serve.kept import About, Kept
from tunesmith.serve.log import Line, Logged, RequestLog
from tunesmith.serve.refusals import Refusal, no_such_model, wrong
from tunesmith.serve.requests import ChatRequest, ClassifyRequest, CompletionRequest, EmbeddingRequest, refused
from tunesmith.serve.speaking import Gathered, chat_chunk, new_id, text_chunk, usage

T = TypeVar("T")


class Gateway:
    """What the routes need: the models by name, who may ask, what may pass, and where requests are told of."""

    def __init__(
        self,
        backends: dict[str, Backend],
        holders: Holders,
        config: ServeConfig,
        *,
        kept: Kept | None = None,
        opinions: Opinions | None = None,
        policies: Policies | None = None,
        log: RequestLog | None = None,
    ) -> None:
        self.backends, self.holders, self.config = backends, holders, config
        self.kept, self.opinions = kept or Kept(None, config), opinions
        self.policies, self.log = policies or Policies(), log
        self.draining = False

    def backend(self, name: str) -> Backend:
        """The model of a name. Refusal (404) where it is not served."""
        found = self.backends.get(name)
        if found is None:
            raise no_such_model(name, ", ".join(sorted(self.backends)))
        return found

    def may(self, scope: Scope) -> Callable[[Request], Awaitable[KeyRecord]]:
        """A dependency: the key of a request, if it may."""

        async def holder(request: Request) -> KeyRecord:
            header = request.headers.get("authorization")
            key = await asyncio.to_thread(self.holders.holder, header, scope)
            line_of(request).key = key.id or None
            self.holders.take_request(key)
            return key

        return holder


def line_of(request: Request) -> Line:
    """The line that the log will tell of a request."""
    line: Line = request.state.line
    return line


def make_app(gateway: Gateway) -> FastAPI:
    """The app over a gateway."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        gateway.draining = True
        for backend in gateway.backends.values():
            await asyncio.to_thread(backend.close, drain=False)
        await asyncio.to_thread(gateway.kept.close)

    app = FastAPI(title="tunesmith gateway", version=version("tunesmith"), lifespan=lifespan, docs_url=None, redoc_url=None)
    _tell_errors(app)
    app.add_middleware(_Bounded, most=gateway.config.body_kib * 1024)
    if gateway.config.origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(CORSMiddleware, allow_origins=gateway.config.origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    app.add_middleware(Logged, log=gateway.log)
    _health(app, gateway)
    _models(app, gateway)
    _chat(app, gateway)
    _completions(app, gateway)
    _labels(app, gateway)
    if gateway.opinions is not None:
        feedback_routes(app, gateway, gateway.opinions)
    return app


def _tell_errors(app: FastAPI) -> None:
    """Every error in OpenAI's form."""

    async def refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return JSONResponse(error.body(), error.status, headers=error.headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = refused(list(error.errors()))
        return JSONResponse(told.body(), told.status)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: f"There is no {request.method} {request.url.path[:100]} here.", 405: f"{request.method} is not served at this path."}
        told = Refusal(error.status_code, said.get(error.status_code, "The request can't be read."), "unknown_url")
        return JSONResponse(told.body(), error.status_code, headers=error.headers)

    async def bug(_: Request, error: Exception) -> Response:
        return JSONResponse(Refusal(500, "Something went wrong in the server; the request is in its log.", "internal_error").body(), 500)

    for kind, handler in ((Refusal, refusal), (RequestValidationError, invalid), (HTTPException, http), (Exception, bug)):
        app.add_exception_handler(kind, handler)


class _Bounded:
    """Refuses bodies that are too large, told or not told beforehand."""

    def __init__(self, app: Any, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Refusal(413, f"The body is larger than {self.most // 1024:,} KiB: send less.", "body_too_large")
        if not told.isdigit() or int(told) > self.most:
            await JSONResponse(too_large.body(), 413)(scope, receive, send)
            return
        read = 0

        async def counted() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise too_large
            return message

        await self.app(scope, counted, send)


def _health(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Response:
        """It takes requests."""
        fine = not gateway.draining and all(backend.ready() for backend in gateway.backends.values())
        return JSONResponse({"status": "ready" if fine else "not ready"}, 200 if fine else 503)


def _models(app: FastAPI, gateway: Gateway) -> None:
    def shown(backend: Backend) -> dict[str, Any]:
        return {"id": backend.name, "object": "model", "created": backend.created, "owned_by": "tunesmith", "tunesmith": backend.facts}

    @app.get("/v1/models")
    async def models(_: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        return {"object": "list", "data": [shown(backend) for backend in gateway.backends.values()]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str, _: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        return shown(gateway.backend(name))


async def _within(gateway: Gateway, request: Request, work: Awaitable[T]) -> T:
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
    )


def _head(kind: str, shape: str, backend: Backend) -> dict[str, Any]:
    return {
        "id": new_id(kind),
        "object": shape,
        "created": int(time.time()),
        "model": backend.name,
        "system_fingerprint": f"tunesmith-{version('tunesmith')}",
    }


async def _gather(pieces: AsyncIterator[Piece], count: int) -> Gathered:
    made = Gathered(count)
    async for piece in pieces:
        made.add(piece)
    return made


def _chat(app: FastAPI, gateway: Gateway) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat(
        body: ChatRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any] | Response:
        backend, line, policy = gateway.backend(body.model), line_of(request), gateway.policies.of(key)
        line.model = backend.name
        ask = await filtered(policy, _ask_of_chat(body), line)
        pieces = answered(backend, ask, policy, line)
        head = _head("chatcmpl", "chat.completion.chunk" if body.stream else "chat.completion", backend)
        about = About(head["id"], key, backend.name, "chat", ask.messages)  # as the model saw them
        if body.stream:
            seen: set[int] = set()

            def chunk(piece: Piece) -> dict[str, Any]:
                first = piece.index not in seen
                seen.add(piece.index)
                return chat_chunk(head, piece, first=first, logprobs=ask.logprobs)

            told = body.stream_options is not None and body.stream_options.include_usage
            watched = gateway.kept.watched(about, pieces, ask.n)
            return await _streamed(gateway, _spender(gateway, key, line), watched, chunk, head if told else None)
        made = await _within(gateway, request, _gather(pieces, ask.n))
        _spender(gateway, key, line)(made.prompt_tokens, made.answer_tokens)
        gateway.kept.done(about, made)
        return head | {
            "choices": made.chat_choices(logprobs=ask.logprobs),
            "usage": usage(made.prompt_tokens, made.answer_tokens),
        }


def _completions(app: FastAPI, gateway: Gateway) -> None:
    @app.post("/v1/completions", response_model=None)
    async def completions(
        body: CompletionRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any] | Response:
        backend, line, policy = gateway.backend(body.model), line_of(request), gateway.policies.of(key)
        line.model = backend.name
        asks = [await filtered(policy, _ask_of_text(body, prompt), line) for prompt in body.prompt]
        head = _head("cmpl", "text_completion", backend)
        abouts = [About(head["id"], key, backend.name, "text", (Message("user", ask.text or ""),)) for ask in asks]
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
            return await _streamed(gateway, _spender(gateway, key, line), watched, chunk, head if told else None)
        answers = [answered(backend, ask, policy, line) for ask in asks]
        made = await _within(gateway, request, asyncio.gather(*(_gather(pieces, body.n) for pieces in answers)))
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
    )


def _spender(gateway: Gateway, key: KeyRecord, line: Line) -> Callable[[int, int], None]:
    """Tells of tokens that were read and written: to the key's allowance, and to the log."""

    def spent(read: int, written: int) -> None:
        gateway.holders.take_tokens(key, read + written)
        line.spent(read, written)

    return spent


async def _streamed(
    gateway: Gateway,
    spent: Callable[[int, int], None],
    pieces: AsyncIterator[Piece],
    chunk: Callable[[Piece], dict[str, Any]],
    usage_head: dict[str, Any] | None,
) -> Response:
    """Server-sent events; what is refused before the first token is refused with a status, and not in the stream."""
    try:
        async with asyncio.timeout(gateway.config.timeout_seconds):
            first = await anext(pieces)
    except TimeoutError:
        raise Refusal(504, f"No token came within {gateway.config.timeout_seconds:g} s: come again.", "timeout") from None

    async def events() -> AsyncIterator[str]:
        read = written = 0
        piece: Piece | None = first
        try:
            async with asyncio.timeout(gateway.config.timeout_seconds):
                while piece is not None:
                    read, written = max(read, piece.prompt_tokens), written + piece.answer_tokens
                    if piece.says:
                        yield _event(chunk(piece))
                    piece = await anext(pieces, None)
            if usage_head is not None:
                yield _event(usage_head | {"choices": [], "usage": usage(read, written)})
            yield "data: [DONE]\n\n"
        except TimeoutError:
            yield _event(Refusal(504, f"The answer took longer than {gateway.config.timeout_seconds:g} s.", "timeout").body())
        except Refusal as refusal:
            yield _event(refusal.body())
        finally:
            spent(read, written)
            await pieces.aclose()  # type: ignore[attr-defined]

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _labels(app: FastAPI, gateway: Gateway) -> None:
    @app.post("/v1/classify")
    async def classify(body: ClassifyRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]) -> dict[str, Any]:
        backend, line = gateway.backend(body.model), line_of(request)
        line.model = backend.name
        head = _head("class", "classification", backend)
        about = About(head["id"], key, backend.name, "label", ())
        texts = await filtered_texts(gateway.policies.of(key), body.input, line)
        found = await _within(gateway, request, backend.classify(texts))
        read = sum(one.prompt_tokens for one in found)
        _spender(gateway, key, line)(read, 0)
        gateway.kept.labelled(about, texts, found)
        data = [
            {
                "index": index,
                "label": one.label,
                "confidence": one.confidence,
                "abstains": one.abstains,
                "probabilities": dict(sorted(one.chances.items(), key=lambda pair: (-pair[1], pair[0]))[: body.top]),
            }
            for index, one in enumerate(found)
        ]
        return head | {"data": data, "usage": {"prompt_tokens": read, "total_tokens": read}}

    @app.post("/v1/embeddings")
    async def embeddings(
        body: EmbeddingRequest, request: Request, key: Annotated[KeyRecord, Depends(gateway.may("chat"))]
    ) -> dict[str, Any]:
        backend, line = gateway.backend(body.model), line_of(request)
        line.model = backend.name
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
