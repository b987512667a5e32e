"""An answer as text while it is made: what is certain is said at once, what may yet be cut or changed is held back.

Held back are bytes that are no whole character yet, the beginning of what may become a stop string, and space at the end, which an
answer is rid of. What was said is always a beginning of the whole answer.
"""

from collections.abc import Sequence
from typing import Any

WINDOW = 16
"""Tokens decoded again with each new one: a token's text may hang on those before it."""


class Saying:
    """Turns tokens into text as they come."""

    def __init__(self, tokenizer: Any, stops: Sequence[str] = (), *, strip: bool = True) -> None:
        self._tokenizer, self._stops, self._strip = tokenizer, tuple(stops), strip
        self._ids: list[int] = []
        self._settled = ""
        """Text of the ids before the window."""
        self._start = 0
        self.said = ""

    def more(self, token: int) -> str:
        """The text that is certain now and was not before."""
        self._ids.append(token)
        certain = self._certain(self._text())
        if not certain.startswith(self.said):
            return ""
        new = certain[len(self.said) :]
        self.said = certain
        return new

    def rest(self, whole: str) -> str:
        """What is left to say of the whole answer."""
        new = whole[len(self.said) :] if whole.startswith(self.said) else ""
        self.said += new
        return new

    def _text(self) -> str:
        if len(self._ids) - self._start > 2 * WINDOW:
            settled = self._decode(self._ids[self._start : -WINDOW])
            if settled + self._decode(self._ids[-WINDOW:]) == self._decode(self._ids[self._start :]):
                self._settled += settled
                self._start = len(self._ids) - WINDOW
        return self._settled + self._decode(self._ids[self._start :])

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _certain(self, text: str) -> str:
        text = text.rstrip("\ufffd")
        for stop in self._stops:
            found = text.find(stop)
            if found >= 0:
                text = text[:found]
            for length in range(min(len(stop), len(text)), 0, -1):
                if text.endswith(stop[:length]):
                    text = text[:-length]
                    break
        return text.strip() if self._strip else text
