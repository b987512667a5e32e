"""One choice of an engine's answer as text: cut, stripped and looked over, for not every engine does all that it is asked for.

Some write the stop as well or don't know stops and run on, some leave `n` or `logprobs` aside without a word. What a client asked for is
given, or refused in a sentence. Of a schema no more is looked at than its outside: that the answer is JSON, and, where the schema says
so, an object with the fields that it requires. That the rest of it is kept is the engine's word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tunesmith.serve.answers import Ask, Finish, TokenSaid
from tunesmith.serve.engine import broken
from tunesmith.serve.refusals import Refusal, wrong


class ChoiceText:
    """The text of one choice: cut before a stop, stripped where answers are, and looked over where it has to be JSON.

    What may yet become a stop is held back until it is none, and its tokens with it.
    """

    def __init__(self, ask: Ask, stops: Sequence[str], *, strip: bool) -> None:
        self._stops, self._strip, self._schema = tuple(stops), strip, ask.schema
        self._logprobs = ask.logprobs
        self._held = self._whole = ""
        self._began = self.stopped = self.over = False
        self.come = self.runs_on = False
        """Whether anything came of it, and anything behind its stop while its end did not."""
        self._told = self._cut = False
        self._tokens: list[TokenSaid] = []
        """Held back."""
        self._before, self._spelt = "", 0
        """All that came before the stop, and how many bytes of it the tokens that were told spell, where both are asked for."""

    def more(self, text: str, *, last: bool) -> str:
        """The text that is certain to be part of the answer; with the last piece all that is left."""
        self.come, self.runs_on = True, not last and self.stopped and (self.runs_on or bool(text))
        if self.stopped:
            return ""
        self._before += text if self._logprobs and self._stops else ""
        text = self._held + text
        ends = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        self.stopped = bool(ends)
        if ends:  # that which is complete first, as though letters came one by one
            end, place = min(ends)
            self.runs_on = not last and len(text) > end
            self._before = self._before[: len(self._before) - (len(text) - place)]
            text = text[:place]
        certain = text if last or self.stopped else text[: len(text) - max((_begun(text, stop) for stop in self._stops), default=0)]
        if self._strip:
            certain = certain.rstrip()
        self._held = text[len(certain) :]
        said = certain if self._began or not self._strip else certain.lstrip()
        self._began = self._began or bool(said)
        if self._schema is not None:
            self._whole += said
        return said

    def more_tokens(self, tokens: Sequence[TokenSaid], *, last: bool) -> tuple[TokenSaid, ...]:
        """Those of a piece that may be told after its text was: none before their text is certain, none that reaches into the stop."""
        self._told = self._told or bool(tokens)
        if self._cut:
            return ()
        self._cut = self.stopped
        self._tokens += tokens
        if self._held and not self.stopped and not last:
            return ()
        told, self._tokens = self._within(self._tokens) if self.stopped else self._tokens, []
        for one in told if self._stops and not self.stopped else ():
            self._spelt += len(self._own(one, self._spelt))
        return tuple(told)

    def _within(self, tokens: Sequence[TokenSaid]) -> list[TokenSaid]:
        """The first ones, as long as they spell what stands before the stop."""
        before, place = self._before.encode("utf-8", "replace"), self._spelt
        for count, one in enumerate(tokens):
            own = self._own(one, place)
            if place >= len(before) or not before.startswith(own, place):
                return list(tokens[:count])
            place += len(own)
        return list(tokens)

    def _own(self, token: TokenSaid, place: int) -> bytes:
        """What a token spells of the text; the first without a space that this engine's text lacks."""
        spelt = bytes(token.bytes)
        return spelt if place or self._before.encode("utf-8", "replace").startswith(spelt) else spelt.lstrip()

    def end(self, finish: Finish) -> None:
        """Refusal where it should be JSON and is not (502), or should have come with log-probabilities (400)."""
        self.over = True
        if self._logprobs and self._began and not self._told:
            raise wrong("logprobs", "The engine behind the gateway tells no log-probabilities: leave logprobs out.", "refused_by_engine")
        if self._schema is not None and finish == "stop":
            try:
                read = msgspec.json.decode(self._whole)
            except (msgspec.MsgspecError, RecursionError):
                raise broken("was asked for JSON and wrote something else") from None
            if not _outside(read, self._schema):
                raise broken("was asked for JSON that a schema accepts and wrote something else")


def _outside(read: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is an object, and has the fields that are required, as far as the schema asks for that on its outside."""
    required = schema.get("required")
    if not isinstance(read, dict):
        return schema.get("type") != "object"
    return not isinstance(required, list) or all(name in read for name in required if isinstance(name, str))


def _begun(text: str, stop: str) -> int:
    """How many letters at the end of a text may be the beginning of a stop."""
    return next((length for length in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:length])), 0)


def unfinished(sayings: Sequence[ChoiceText]) -> Refusal:
    """Where some choices never came and the others are whole, the engine leaves `n` aside; else it broke off."""
    whole = sum(one.over for one in sayings)
    if whole and all(one.over for one in sayings if one.come):
        message = f"The engine behind the gateway gave {whole} of {len(sayings)} answers: ask for one at a time, without n."
        return wrong("n", message, "refused_by_engine")
    return broken("broke off in the middle of its answer")
