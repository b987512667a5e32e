"""Marks as people leave them out or add them: the last one, commas, apostrophes. Points inside numbers and addresses stay."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit, words_to_touch

_LAST = re.compile(r"[.!?…]{1,8}(?=\s*\Z)")
_COMMA = re.compile(r"[,;](?=\s)")
_APOSTROPHE = re.compile(r"['’]")


@dataclass(frozen=True, slots=True)
class Punctuation:
    """One of five changes, drawn among those that change something."""

    name: str = "punctuation"
    noise: bool = True
    bound: str = "letters"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """Marks of the first text; inside ``` code nothing changes."""
        text = texts[0]
        if "```" in text:
            return [[]]
        end = len(text.rstrip())
        last = _LAST.search(text)
        choices: list[list[Edit]] = [
            [(last.start(), last.end(), "")] if last else [],
            [(last.end(), last.end(), last[0][-1])] if last else [(end, end, mark)] if end and (mark := draw.choice(".!")) else [],
            [(match.start(), match.end(), "") for match in _COMMA.finditer(text)],
            [
                (word.start + match.start(), word.start + match.end(), "")
                for word in words_to_touch(text)
                for match in _APOSTROPHE.finditer(word.text)
            ],
            [(end, end, draw.choice(["!!", "...", " !"]))] if end and not last else [],
        ]
        real = [found for found in choices if found]
        return [draw.choice(real) if real else []]
