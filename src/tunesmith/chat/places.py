"""Which tokens of a rendered prompt are the row's text, and which characters of it each stands for: what tagging needs.

A template writes before and after the text, may strip it, and the renderer may have broken control strings in it or cut
its start. The text is found by rendering the same messages with a stand-in in its place; what stands around the
stand-in is the template's. The ids are those of `Renderer.prompt`, one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.chat.control import BREAK
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Message, Row

_STAND_IN = "qzxjqzx"
"""Letters alone, so that no template treats them otherwise than a word, and no row is likely to hold them."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A row's prompt as ids, with where each token stands in the row's text."""

    row_id: str
    ids: tuple[int, ...]
    offsets_T: tuple[tuple[int, int] | None, ...]
    """For each token: first and one past the last character of `row.text()` it stands for; None for the template's tokens."""
    cut_tokens: int = 0
    """Tokens taken from the start of a message so that the prompt fits; those characters have no token."""
    neutralised: int = 0


def place(renderer: Renderer, row: Row, *, room: int = 0) -> Placed:
    """The row's prompt with the place of every token in the row's text; `room` as of `Renderer.prompt`.

    Raises:
        DataError: the row has no user message, or the template does not write its text as it stands.
        MachineError: the tokenizer can't tell where its tokens stand.
    """
    at = max((index for index, message in enumerate(row.prompt) if message.role == "user"), default=None)
    if at is None:
        raise DataError(f"Row {row.id} has no user message: its text can't be tagged. Drop the row.")
    prompt, messages = renderer.fitted(row.prompt, room=room)
    text = renderer.text(messages, generation=True)
    start, shown = _found(renderer, messages, at, text, row.id)
    character_of = _original(shown, messages[at].content, row.text(), row.id)
    offsets = tuple(_within(bounds, start, len(shown), character_of) for bounds in _offsets(renderer, text, prompt.ids))
    return Placed(row.id, prompt.ids, offsets, prompt.cut_tokens, prompt.neutralised)


def _offsets(renderer: Renderer, text: str, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Characters of the rendered text that each token stands for."""
    try:
        encoded = renderer.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError as error:
        raise MachineError("The base's tokenizer can't tell where its tokens stand in the text: tagging needs a fast one.") from error
    if tuple(encoded["input_ids"]) != tuple(ids):
        raise MachineError("The base's tokenizer gives other tokens with places than without: tagging needs another base.")
    return [(int(low), int(high)) for low, high in encoded["offset_mapping"]]


def _found(renderer: Renderer, messages: Sequence[Message], at: int, text: str, row_id: str) -> tuple[int, str]:
    """Where the message's content begins in the rendered text, and what of it stands there."""
    stood_in = [replace(message, content=_STAND_IN) if index == at else message for index, message in enumerate(messages)]
    before, _, after = renderer.text(stood_in, generation=True).partition(_STAND_IN)
    content = messages[at].content
    if text.startswith(before) and text.endswith(after) and len(before) + len(after) <= len(text):
        middle = text[len(before) : len(text) - len(after)]
        for shown in (content, content.strip(), content.lstrip(), content.rstrip()):
            if middle == shown:
                return len(before), shown
    found = text.rfind(content.strip())
    if found < 0 or not content.strip() or text.count(content.strip()) > 1:
        raise DataError(f"The chat template doesn't write the text of row {row_id} as it stands, so it can't be tagged: take another base.")
    return found, content.strip()


def _original(shown: str, content: str, original: str, row_id: str) -> list[int]:
    """The character of the row's own text that each shown one is; one more at the end, for ends.

    The shown text is the original's end, stripped, with a break put into each control string.
    """
    here = len(original) if content.endswith(shown) else len(original.rstrip())
    places = [here] * (len(shown) + 1)
    for index in range(len(shown) - 1, -1, -1):
        if here > 0 and shown[index] == original[here - 1]:
            here -= 1
        elif shown[index] != BREAK:
            raise DataError(
                f"The text of row {row_id} can't be followed through rendering (at character {here}): clean it, or drop the row."
            )
        places[index] = here
    return places


def _within(bounds: tuple[int, int], start: int, length: int, character_of: Sequence[int]) -> tuple[int, int] | None:
    """A token's bounds in the row's text; None where it stands for none of it."""
    low, high = max(bounds[0] - start, 0), min(bounds[1] - start, length)
    if low >= high or character_of[low] >= character_of[high]:
        return None
    return character_of[low], character_of[high]
