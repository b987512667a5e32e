"""What an engine answers, as pieces; and the gateway as a pass-through before an engine: keys, limits, filters, feedback and logs alone.

An answer that the client takes whole is asked for whole: a token in a piece of its own costs more on the way than all else. Each event is
parsed once, into a structure that has no room for what is not looked at. Tokens are counted by the engine, with those behind a stop that it
doesn't know where the answer comes whole; where it tells none, or is left at a stop that it runs past, pieces are counted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Annotated, Any

import msgspec

from tunesmith.serve.answers import Ask, Finish, Labelled, Piece, TokenSaid
from tunesmith.serve.choices import ChoiceText, unfinished
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.engine import Engine, broken
from tunesmith.serve.refusals import Refusal, busy
from tunesmith.serve.tuned import no_labels

RETRY_SECONDS = 1
LOOK_SECONDS = 2.0
"""Whether the engine is there is asked again so often, where somebody wants to know."""
_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}


class Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0


Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


class _Likely(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[Byte] | None = None

    def said(self) -> tuple[str, tuple[int, ...], float]:
        return self.token, tuple(self.token.encode("utf-8", "replace") if self.bytes is None else self.bytes), self.logprob


class _Token(_Likely):
    top_logprobs: list[_Likely] | None = None


class Logprobs(msgspec.Struct):
    """Of a chat (`content`) or of a text (the others)."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Content(msgspec.Struct, gc=False):
    content: str | None = None


class Choice(msgspec.Struct):
    """A choice of a chat or of a text, whole or in pieces."""

    index: int = 0
    delta: _Content | None = None
    message: _Content | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    def words(self) -> str:
        """What it says."""
        part = self.delta or self.message
        return (self.text if part is None else part.content) or ""

    def said(self) -> tuple[TokenSaid, ...]:
        """Its tokens with their log-probabilities, as far as it tells them."""
        told = self.logprobs
        if told is None:
            return ()
        if told.content is not None:
            return tuple(TokenSaid(*one.said(), tuple(other.said() for other in one.top_logprobs or ())) for one in told.content)
        made = []
        for place, (text, logp) in enumerate(zip(told.tokens or (), told.token_logprobs or (), strict=False)):
            likely = (told.top_logprobs or [])[place : place + 1]
            pairs = tuple((other, tuple(other.encode("utf-8", "replace")), by) for other, by in ((likely and likely[0]) or {}).items())
            made.append(TokenSaid(text, tuple(text.encode("utf-8", "replace")), logp or 0.0, pairs))
        return tuple(made)


class Answer(msgspec.Struct):
    """A whole answer, or an event of a streamed one."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int


class Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: Usage | None = None


class _Model(msgspec.Struct):
    id: str


class Models(msgspec.Struct):
    """What `/models` lists."""

    data: list[_Model]


async def pieces_of(engine: Engine, path: str, body: dict[str, Any], ask: Ask, *, prompt_tokens: int = 0) -> AsyncIterator[Piece]:
    """An engine's answer as pieces; leaving it closes the connection, by which engines know that nobody listens. So it is left where all
    choices are over for the client, and the engine writes on behind a stop.

    Args:
        engine: where it comes from.
        path: `/chat/completions` or `/completions`.
        body: what is asked, without what concerns streaming.
        ask: the same as the client asked it.
        prompt_tokens: of the prompt, where the engine tells none.

    Raises:
        Refusal: as `serve.engine` says; 502 too where the answer is none, 400 where the engine left out what was asked for.
    """
    sayings = [ChoiceText(ask, body.get("stop", ()), strip=ask.text is None and bool(prompt_tokens)) for _ in range(ask.n)]
    used, counted = None, 0
    async with aclosing(_answers(engine, path, body, ask)) as coming:  # type: ignore[type-var]
        async for answer in coming:
            if answer.error is not None:
                raise broken("ended its answer with an error")
            used = answer.usage or used
            for choice in answer.choices:
                piece = _piece(choice, sayings, ask)
                counted += piece.says
                if piece.says:
                    yield piece
            if any(one.runs_on for one in sayings) and all(one.over for one in sayings):
                break
    if not all(one.over for one in sayings):
        raise unfinished(sayings)
    told = used or Usage(prompt_tokens, counted)
    yield Piece(index=0, prompt_tokens=told.prompt_tokens or 0, answer_tokens=told.completion_tokens or 0)


async def _answers(engine: Engine, path: str, body: dict[str, Any], ask: Ask) -> AsyncIterator[Answer]:
    if ask.whole:
        yield await engine.post(path, body, Answer)
        return
    async with aclosing(engine.events(path, body | {"stream": True, "stream_options": {"include_usage": True}}, Answer)) as events:  # type: ignore[type-var]
        async for event in events:
            yield event


def _piece(choice: Choice, sayings: Sequence[ChoiceText], ask: Ask) -> Piece:
    saying = sayings[choice.index] if 0 <= choice.index < len(sayings) else None
    if saying is None or (saying.over and not saying.runs_on):
        raise broken("answers with choices that nobody asked for")
    last, over, finish = bool(choice.finish_reason), saying.over, None
    text = saying.more(choice.words(), last=last)
    tokens = saying.more_tokens(choice.said(), last=last) if ask.logprobs else ()
    if not over and (last or saying.runs_on):
        finish = "stop" if saying.stopped else _FINISHES.get(choice.finish_reason or "")
        if finish is None:
            raise broken("ended its answer for a reason that is none of its API's")
        saying.end(finish)
    return Piece(index=choice.index, text=text, tokens=tokens, finish=finish)


class Behind:
    """What all backends before an engine have in common: how much is under way, whether the engine is there."""

    def __init__(self, name: str, engine: Engine, config: ServeConfig) -> None:
        self.name, self.created = name, int(time.time())
        self.engine = engine
        self._most = config.most_rows + config.most_waiting
        self._answering = 0
        self._looked = -LOOK_SECONDS
        self._look: asyncio.Task[None] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """That an engine answers."""
        return {"task": None, "labels": None, "calibrated": False, "context": None}

    @contextmanager
    def underway(self) -> Iterator[None]:
        """A request on its way. Refusal (429) where as many are as may."""
        if self._answering >= self._most:
            raise busy(RETRY_SECONDS)
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1

    def ready(self) -> bool:
        """Whether the engine answered when it was last asked; it is asked again beside this."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS and (self._look is None or self._look.done()):
            self._looked = now
            self._look = asyncio.get_running_loop().create_task(self._look_again())
        return self.engine.alive

    async def _look_again(self) -> None:
        try:
            async with asyncio.timeout(self.engine.at.connect_seconds):
                await self.look()
        except (Refusal, TimeoutError):
            self.engine.alive = False

    async def look(self) -> None:
        """Ask the engine whether it is there. Refusal where it is not."""
        await self.engine.get("/models", Models)

    def load(self) -> dict[str, float]:
        """What is under way; what waits, waits in the engine."""
        return {"waiting": 0, "answering": self._answering}

    def close(self, *, drain: bool) -> None:
        """Let go of the connections. Called from another thread than the loop's."""
        self.engine.close()

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """The engine's embeddings."""
        with self.underway():
            made = await self.engine.post("/embeddings", {"model": self.engine.at.model, "input": list(texts)}, Vectors)
        if sorted(one.index for one in made.data) != list(range(len(texts))):
            raise broken("answers with other embeddings than were asked for")
        ordered = sorted(made.data, key=lambda one: one.index)
        return [one.embedding for one in ordered], 0 if made.usage is None else made.usage.prompt_tokens or 0


class PassThrough(Behind):
    """An engine as it is: its own template, its own defaults."""

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The engine's answer; what the client does not set is as the engine has it."""
        path, body = _as_asked(self.engine.at.model, ask)
        with self.underway():
            async with aclosing(pieces_of(self.engine, path, body, ask)) as coming:  # type: ignore[type-var]
                async for piece in coming:
                    yield piece

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """None: an engine has no labels."""
        raise no_labels(self.name)


def _as_asked(model: str | None, ask: Ask) -> tuple[str, dict[str, Any]]:
    """The path, and a body of OpenAI's fields alone, without those that the client left out."""
    body: dict[str, Any] = {"model": model, "n": ask.n, "max_tokens": ask.max_tokens, "temperature": ask.temperature}
    body |= {"top_p": ask.top_p, "seed": ask.seed, "stop": list(ask.stop) or None, "response_format": response_format(ask.schema)}
    if ask.text is not None:
        path, body["prompt"], body["logprobs"] = "/completions", ask.text, ask.top if ask.logprobs else None
    else:
        path, body["messages"] = "/chat/completions", messages_json(ask)
        body |= {"logprobs": True, "top_logprobs": ask.top} if ask.logprobs else {}
    return path, {name: value for name, value in body.items() if value is not None and not (name == "n" and value == 1)}


def messages_json(ask: Ask) -> list[dict[str, str]]:
    """The conversation as OpenAI's API has it."""
    return [{"role": turn.role, "content": turn.content} for turn in ask.messages]


def response_format(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """What asks for JSON that a schema accepts; None where none is asked for."""
    if schema is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
