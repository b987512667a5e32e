"""Where a generated answer stops, and what stands of it: text cut exactly before a stop, and ids that say that text.

A stop may span tokens and begin inside one. The ids before it are kept as they were made; what the stop's first token
holds before it is tokenised anew. Looking for a stop costs the decoding of a few tokens a step; what decides is the
whole text, decoded once at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MARGIN = 8
"""Tokens looked at beyond those a stop can span: a decoder may treat the first of a piece in its own way."""
NEAR = 8
"""Whole tokens before a cut that are tokenised anew, one more at a time, where fewer do not say the same text."""


@dataclass(frozen=True, slots=True)
class Stops:
    """Stop strings, as a tokenizer's text shows them."""

    tokenizer: Any
    """A Hugging Face fast tokenizer: `decode`, `encode`."""
    strings: tuple[str, ...]

    def reached(self, made: Sequence[int]) -> bool:
        """Whether a stop ends among the latest tokens. No token but a special one holds less than a byte."""
        if not self.strings:
            return False
        window = max(len(stop.encode()) for stop in self.strings) + MARGIN
        return self._place(self.text(made[-window:])) is not None and self._place(self.text(made)) is not None

    def text(self, ids: Sequence[int]) -> str:
        """What ids say, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def cut(self, made: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Text before the earliest stop, or all of it, and ids whose text that is.

        Where a tokenizer can't write some text back (it changes letters, say), the ids are those of the whole tokens
        before the stop.
        """
        text = self.text(made)
        place = self._place(text)
        if place is None:
            return text, tuple(made)
        kept, told = self._before(made, text[:place])
        for fewer in range(min(NEAR, kept) + 1):
            start = tuple(made[: kept - fewer])
            rest = text[len(self.text(start)) : place]
            ids = (*start, *(self.tokenizer.encode(rest, add_special_tokens=False) if rest else ()))
            if self.text(ids) == text[:place]:
                return text[:place], ids
        return text[:place], told

    def _place(self, text: str) -> int | None:
        found = [place for stop in self.strings if (place := text.find(stop)) >= 0]
        return min(found, default=None)

    def _before(self, made: Sequence[int], text: str) -> tuple[int, tuple[int, ...]]:
        """How many ids lie whole within the text, and those ids: by halving, since text grows with ids."""
        low, high = 0, len(made)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self.text(made[:middle])) <= len(text):
                low = middle
            else:
                high = middle - 1
        while low and not text.startswith(self.text(made[:low])):
            low -= 1  # a character cut through its bytes shows as another
        return low, tuple(made[:low])
