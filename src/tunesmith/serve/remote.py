"""A tuned model that an engine behind a URL runs (vLLM, llama.cpp, Ollama, ...), asked as it was evaluated.

The bundle stays here: instruction, template, decoding, labels, calibration. How the engine is asked is found out by asking, against
our own renderer, before the first answer, and again after it was out of reach:

`ids`       the prompt as token ids to `/completions`. Exact: nothing renders or tokenises a second time. Taken where the engine reads a
            probe of ids as as many tokens, and shows by its echo, or by counting the tokens of a plain text, that its vocabulary is ours.
`messages`  the conversation to `/chat/completions`, rendered by the engine. Taken where it doesn't take ids and counts, for probes with
            one and with several turns, just the tokens that our renderer gives.

An engine that does neither runs another model or another template, and is not asked: 503 says so. Labels are scored by the echoed
log-probabilities of their words, which vLLM gives; a model that knows labels is not asked of an engine that doesn't. How sure a written
answer is is not told.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Message
from tunesmith.models.package import Bundle
from tunesmith.serve.answers import Ask, Labelled, Piece
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.engine import Engine, broken
from tunesmith.serve.passed import Answer, Behind, Models, messages_json, pieces_of, response_format
from tunesmith.serve.refusals import Refusal, wrong
from tunesmith.serve.tuned import Tuned, no_labels, refuse_beside_labels

Form = Literal["ids", "messages"]
NO_SCORES = "engine_without_scores"
TOGETHER = 8
"""Texts whose labels are scored at the same time."""
PROBES = (
    (Message("user", "Where is my rake? It's the 2nd time I ask :("),),
    (Message("system", "Be brief."), Message("user", "Überweisung?"), Message("assistant", "Yes."), Message("user", " 3 + 4\nplease ")),
)


class RemoteModel(Behind):
    """A bundle here, and its weights in an engine."""

    def __init__(self, name: str, tokenizer: Any, bundle: Bundle, engine: Engine, config: ServeConfig) -> None:
        """Read the bundle; nothing is asked yet.

        Raises:
            RecipeError: an engine can't answer for it: a task head, or a decoding that its API has no words for.
            DataError: a stored calibration that can't be meant.
        """
        super().__init__(name, engine, config)
        self.tuned = Tuned(name, tokenizer, bundle)
        if bundle.head:
            raise RecipeError(f"{name} answers by a task head, which no engine runs: serve it in this process, without --engine.")
        if self.tuned.decoding.kind not in (None, "json_schema"):
            raise RecipeError(f"{name} keeps to {self.tuned.decoding.kind}, which --engine can't ask for: serve it in this process.")
        self.form: Form | None = None
        self.scores = False
        """Whether the engine tells the log-probabilities of a prompt's tokens."""
        self._finding = asyncio.Lock()

    @property
    def facts(self) -> dict[str, Any]:
        """The bundle's."""
        return self.tuned.facts

    def ready(self) -> bool:
        """Whether the engine answered when it was last asked, and is the one that the bundle is for."""
        return super().ready() and self.form is not None

    async def look(self) -> None:
        """Ask the engine whether it is there, and how it wants to be asked. Refusal where it is not, or is another one."""
        if self.form is None or not self.engine.alive:
            self.form = None
            await self._asked_as()
        else:
            await super().look()

    # How it is asked

    @property
    def unscored(self) -> bool:
        """Whether the engine, as far as it was asked, lacks what labels need."""
        return self.tuned.labels is not None and self.form is not None and not (self.form == "ids" and self.scores)

    async def _asked_as(self) -> Form:
        """How it is asked, found out once. Refusal (503) where the engine is not there, not the right one, or can't tell labels."""
        async with self._finding:
            if self.form is None:
                if self.engine.at.model is None:
                    self.engine.at = replace(self.engine.at, model=await only_model(self.engine))
                self.form = "ids" if await self._takes_ids() else "messages" if await self._counts_alike() else None
            if self.form is None:
                raise mismatch(self.name)
            if self.unscored:
                self.form = None
                raise no_scores(self.name)
            return self.form

    async def _takes_ids(self) -> bool:
        ids = self._probe(PROBES[0])
        shown = [self.tuned.renderer.tokenizer.decode(list(ids), skip_special_tokens=skip) for skip in (True, False)]
        echoed = await self._tried("/completions", {"prompt": list(ids), "echo": True, "logprobs": 1})
        choice = None if echoed is None or not echoed.choices else echoed.choices[0]
        if echoed is not None and choice is not None and _read(echoed) == len(ids) and any(map(choice.words().startswith, shown)):
            told = None if choice.logprobs is None else choice.logprobs.token_logprobs
            self.scores = told is not None and len(told) >= len(ids) and all(one is not None for one in told[1 : len(ids)])
            return True
        self.scores = False
        text = PROBES[0][0].content
        plain = (*self.tuned.renderer.start_ids, *self.tuned.renderer.tokenizer.encode(text, add_special_tokens=False))
        if _read(await self._tried("/completions", {"prompt": list(ids)})) != len(ids):
            return False
        return _read(await self._tried("/completions", {"prompt": text})) == len(plain)

    async def _counts_alike(self) -> bool:
        for turns in PROBES:
            said = await self._tried("/chat/completions", {"messages": messages_json(Ask(messages=turns))})
            if _read(said) != len(self._probe(turns)):
                return False
        return True

    def _probe(self, turns: tuple[Message, ...]) -> tuple[int, ...]:
        return self.tuned.renderer.prompt(turns).ids

    async def _tried(self, path: str, body: dict[str, Any]) -> Answer | None:
        """The answer to a probe; None where the engine doesn't take it. Refusal where it is not there."""
        try:
            return await self.engine.post(path, body | {"model": self.engine.at.model, "max_tokens": 1, "temperature": 0}, Answer)
        except Refusal as refusal:
            if refusal.status in (400, 502):
                return None
            raise

    # Texts

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        """The answer as it comes; of a model with labels, the label's words at once."""
        with self.underway():
            if self.tuned.labels is not None and ask.text is None:
                refuse_beside_labels(ask)
                yield self.tuned.label_said(await self._labelled(self.tuned.rendered(ask.messages)))
                return
            ask = replace(ask, schema=ask.schema or self._own_schema(ask))
            prompt = self.tuned.prompt(ask)
            path, body = self._body(ask, prompt, self.tuned.most_new(ask, len(prompt)), await self._form())
            async with aclosing(pieces_of(self.engine, path, body, ask, prompt_tokens=len(prompt))) as coming:  # type: ignore[type-var]
                try:
                    async for piece in coming:
                        yield piece
                except Refusal as refusal:
                    self._lost(refusal)
                    raise

    def _own_schema(self, ask: Ask) -> dict[str, Any] | None:
        decoding = self.tuned.decoding
        return dict(decoding.keeps_to) if decoding.kind == "json_schema" and ask.text is None else None

    def _body(self, ask: Ask, prompt: Sequence[int], most: int, form: Form) -> tuple[str, dict[str, Any]]:
        sampling = self.tuned.sampling(ask)
        if sampling.top_k and form == "messages":
            raise wrong("model", "The model was evaluated with top_k, and the engine takes none: ask whoever runs the gateway for another.")
        body: dict[str, Any] = {"model": self.engine.at.model, "max_tokens": most, "n": ask.n}
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed % 2**63}
        stops = ask.stop or self.tuned.decoding.stop
        body |= {"stop": list(stops)} if stops else {}
        body |= {} if ask.schema is None else {"response_format": response_format(ask.schema)}
        if form == "messages" and ask.text is None:
            own = replace(ask, messages=self.tuned.instructed(ask.messages))
            told = {"logprobs": True, "top_logprobs": ask.top} if ask.logprobs else {}
            return "/chat/completions", body | {"messages": messages_json(own)} | told
        body |= {"logprobs": ask.top} if ask.logprobs else {}
        if form == "messages":
            return "/completions", body | {"prompt": ask.text}
        # What an engine would else take from files or defaults of its own; those that don't know a field leave it.
        plain = {
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": list(self.tuned.renderer.end_ids),
        }
        return "/completions", body | plain | {"prompt": list(prompt)}

    async def _form(self) -> Form:
        try:
            return self.form or await self._asked_as()
        except Refusal as refusal:
            self._lost(refusal)
            raise

    def _lost(self, refusal: Refusal) -> None:
        """An engine that was out of reach may come back as another."""
        if refusal.status == 503:
            self.form = None

    # Labels

    async def classify(self, texts: Sequence[str]) -> list[Labelled]:
        """Labels with their calibrated probabilities."""
        if self.tuned.labels is None:
            raise no_labels(self.name)
        prompts = [self.tuned.rendered((Message("user", text),)) for text in texts]
        gate = asyncio.Semaphore(TOGETHER)

        async def one(prompt: tuple[int, ...]) -> Labelled:
            async with gate:
                return await self._labelled(prompt)

        with self.underway():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_kept(one(prompt))) for prompt in prompts]
        made = [task.result() for task in tasks]
        for found in made:
            if isinstance(found, Refusal):
                raise found
        return [found for found in made if isinstance(found, Labelled)]

    async def _labelled(self, prompt: tuple[int, ...]) -> Labelled:
        await self._form()
        choices = self.tuned.label_ids(prompt)
        body: dict[str, Any] = {"prompt": [[*prompt, *choice] for choice in choices], "echo": True, "logprobs": 1}
        try:
            said = await self.engine.post("/completions", body | {"model": self.engine.at.model, "max_tokens": 1, "temperature": 0}, Answer)
        except Refusal as refusal:
            self._lost(refusal)
            raise
        scores = _scores(said, len(prompt), [len(choice) for choice in choices])
        most = max(scores)
        weights = [math.exp(score - most) for score in scores]
        chances = [weight / sum(weights) for weight in weights]
        return self.tuned.believed(dict(zip(self.tuned.labels or (), chances, strict=True)), len(prompt))


async def _kept(work: Any) -> Labelled | Refusal:
    """What comes of some work, a refusal too: in a group of tasks it would come wrapped."""
    try:
        found: Labelled = await work
    except Refusal as refusal:
        return refusal
    return found


def _scores(said: Answer, prompt: int, lengths: Sequence[int]) -> list[float]:
    """The log-probability of each choice's ids behind a prompt. Refusal (502) where they are not all there."""
    by_index = {choice.index: choice for choice in said.choices}
    scores: list[float] = []
    for index, length in enumerate(lengths):
        choice = by_index.get(index)
        told = None if choice is None or choice.logprobs is None else choice.logprobs.token_logprobs
        own = [one for one in (told or ())[prompt : prompt + length] if one is not None]
        if len(own) != length:
            raise broken("doesn't tell the log-probabilities that it was asked for")
        scores.append(math.fsum(own))
    return scores


def _read(said: Answer | None) -> int | None:
    """Tokens that the engine read."""
    return None if said is None or said.usage is None else said.usage.prompt_tokens


async def only_model(engine: Engine) -> str:
    """The engine's name for its model. Refusal (503) where it has none or several."""
    found = [one.id for one in (await engine.get("/models", Models)).data]
    if len(found) != 1:
        raise Refusal(
            503, f"The engine behind the gateway has {len(found)} models: its operator names one with --engine-model.", "bad_engine"
        )
    return found[0]


def no_scores(name: str) -> Refusal:
    """The engine can't tell labels."""
    message = (
        f"'{name}' answers with labels, and the engine behind it doesn't tell how likely their words are: it takes one that echoes "
        "log-probabilities, as vLLM does."
    )
    return Refusal(503, message, NO_SCORES, headers={"Retry-After": "60"})


def mismatch(name: str) -> Refusal:
    """The engine is not the one that the bundle is for."""
    message = f"The engine behind the gateway doesn't read prompts as '{name}' was tuned: its operator gives it that model with its tokenizer and chat template."
    return Refusal(503, message, "engine_mismatch", headers={"Retry-After": "60"})
