"""Policies on their way through the gateway: what a client sends is read before the model sees it, and every piece before it is sent.

Labels pass as they are: they are the model's own set. Log-probabilities under a policy come with the last piece of a choice, if nothing
of the choice was withheld, and without the tokens that were likely in their place: these may say what may not be said.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from tunesmith.guard.policy import Policy
from tunesmith.guard.stream import Filter
from tunesmith.ledger.keys import KeyRecord
from tunesmith.serve.answers import Ask, Backend, Piece, TokenSaid
from tunesmith.serve.log import Line
from tunesmith.serve.refusals import Refusal

SHORT = 2000
"""Characters of a text that are read at once; other requests wait for longer ones no longer than for these."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of a server."""

    named: Mapping[str, Policy] = field(default_factory=dict)
    default: str | None = None
    """Of keys that name none."""

    def of(self, key: KeyRecord) -> Policy | None:
        """The policy that a key's requests keep to.

        Raises:
            Refusal: 403, it names one that this server doesn't know; nothing passes rather than all.
        """
        name = key.policy or self.default
        if name is None:
            return None
        if name not in self.named:
            message = f"This key's answers pass the policy '{name}', which this server doesn't know: ask whoever runs it to load it."
            raise Refusal(403, message, "unknown_policy")
        return self.named[name]


async def filtered(policy: Policy | None, ask: Ask, line: Line) -> Ask:
    """What the model may see of a request.

    Raises:
        Refusal: 400, a rule blocks it.
    """
    if policy is None:
        return ask
    line.policy = policy.name
    if ask.text is not None:
        return replace(ask, text=await _read(policy, ask.text, line, "prompt"))
    messages = [
        replace(turn, content=await _read(policy, turn.content, line, "messages", attempts=turn.role != "system")) for turn in ask.messages
    ]
    return replace(ask, messages=tuple(messages))


async def filtered_texts(policy: Policy | None, texts: Sequence[str], line: Line) -> list[str]:
    """What the model may see of texts that it shall label or embed. Refusal as `filtered`."""
    if policy is None:
        return list(texts)
    line.policy = policy.name
    return [await _read(policy, text, line, "input") for text in texts]


async def _read(policy: Policy, text: str, line: Line, field_name: str, *, attempts: bool = True) -> str:
    quick = len(text) <= SHORT and not policy.slow
    read = policy.read(text, attempts=attempts) if quick else await asyncio.to_thread(policy.read, text, attempts=attempts)
    if quick:
        await asyncio.sleep(0)  # a thousand short texts are no short one: others come in between
    line.note("input", read.counts, read.blocked)
    if read.blocked is None and read.text != text:
        line.redacted["input"] += 1
    if read.blocked is not None:
        raise Refusal(400, read.message or policy.message, "content_filter", field_name)
    return read.text


def answered(backend: Backend, ask: Ask, policy: Policy | None, line: Line) -> AsyncIterator[Piece]:
    """The pieces of an answer that may be sent."""
    labels = ask.text is None and backend.facts.get("labels") is not None
    pieces = backend.pieces(ask)
    return pieces if policy is None or labels or not policy.answers else _passing(pieces, ask.n, policy, line)


@dataclass(slots=True)
class _Choice:
    """One choice under its filter."""

    filter: Filter
    tokens: list[TokenSaid] = field(default_factory=list)
    said: bool = False
    """Whether anything was let out."""
    over: bool = False
    """Its end was told."""


async def _passing(pieces: AsyncIterator[Piece], count: int, policy: Policy, line: Line) -> AsyncIterator[Piece]:
    choices = [_Choice(policy.answer()) for _ in range(count)]
    try:
        async with aclosing(pieces) as coming:  # type: ignore[type-var]
            async for piece in coming:
                one = choices[piece.index]
                if one.over:  # blocked before; the tokens still count
                    if piece.finish is not None or piece.prompt_tokens or piece.answer_tokens:
                        yield replace(piece, text="", tokens=(), finish=None, extra=None)
                    continue
                passed = await asyncio.to_thread(_more, one, piece) if policy.slow else _more(one, piece)
                sent = _sent(one, piece, passed, policy)
                if one.over:
                    line.note("output", one.filter.counts, one.filter.blocked)
                    line.redacted["output"] += one.filter.changed and one.filter.blocked is None
                if sent is not None:
                    yield sent
    finally:
        for one in (choice for choice in choices if not choice.over):
            line.note("output", one.filter.counts, one.filter.blocked)


def _more(choice: _Choice, piece: Piece) -> str:
    if piece.finish is not None:
        return choice.filter.rest(piece.text)
    return choice.filter.more(piece.text)


def _sent(choice: _Choice, piece: Piece, passed: str, policy: Policy) -> Piece | None:
    """What is sent for a piece; None where all of it is kept back."""
    choice.tokens += (replace(said, likeliest=()) for said in piece.tokens)
    blocked = choice.filter.blocked is not None
    if blocked and not choice.said and not passed.strip():
        passed += choice.filter.message or policy.message
    choice.said = choice.said or bool(passed.strip())
    choice.over = blocked or piece.finish is not None
    if not choice.over and not passed:
        return None
    whole = choice.over and not choice.filter.changed
    tokens = tuple(choice.tokens) if whole else ()
    return replace(piece, text=passed, tokens=tokens, finish="content_filter" if blocked else piece.finish)
