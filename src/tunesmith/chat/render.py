"""The one renderer: a row, or a request, becomes token ids and a loss mask.

Prompt and answer are tokenised apart and joined, so an answer has the same ids whether it is trained, scored or
generated. The end-of-answer token is part of the answer and supervised. What training shows is, to the id, what
serving shows: both come from `Renderer.prompt`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tunesmith.chat.control import control_strings, neutralise, neutraliser
from tunesmith.chat.template import PLAIN, render_text
from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Message, Row


class Tokenizer(Protocol):
    """The part of a Hugging Face fast tokenizer that rendering needs."""

    chat_template: str | None
    eos_token: str | None
    eos_token_id: int | None
    bos_token: str | None

    def __call__(self, text: str, *, add_special_tokens: bool = ..., return_offsets_mapping: bool = ...) -> Any: ...
    def encode(self, text: str, *, add_special_tokens: bool = ...) -> Any: ...
    def decode(self, token_ids: list[int], skip_special_tokens: bool = ...) -> Any: ...
    def get_added_vocab(self) -> dict[str, int]: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as ids, and what was done to it."""

    ids: tuple[int, ...]
    cut_tokens: int = 0
    """Tokens taken from the start of its longest message so that it fits."""
    neutralised: int = 0
    """Control strings broken in its content."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A row as the model sees it: ids with the answer's place in them."""

    row_id: str
    ids: tuple[int, ...]
    answer_start: int
    """ids[answer_start:] are supervised, end token included."""
    cut_tokens: int = 0
    neutralised: int = 0

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """What is shown before the answer."""
        return self.ids[: self.answer_start]

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """What is supervised."""
        return self.ids[self.answer_start :]


class Renderer:
    """Renders with one tokenizer, one template and one length; make it once and use it everywhere."""

    def __init__(
        self, tokenizer: Tokenizer, *, max_tokens: int, label_texts: Mapping[str, str] | None = None, new_tokens: Iterable[str] = ()
    ) -> None:
        if tokenizer.eos_token_id is None or tokenizer.eos_token is None:
            raise MachineError(
                "The base's tokenizer names no end-of-sequence token: answers could never end. Set eos_token in its tokenizer_config.json."
            )
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.label_texts = dict(label_texts or {})
        self.template = tokenizer.chat_template or PLAIN
        self.has_own_template = bool(tokenizer.chat_template)
        self.start_ids = self._start_of_text()
        # A template of the model's own writes its start token where it wants one; ours writes what the tokenizer would add.
        start = tokenizer.bos_token if self.has_own_template or self.start_ids else None
        self._tokens: dict[str, Any] = {"bos_token": start or "", "eos_token": tokenizer.eos_token}
        self.added = tokenizer.get_added_vocab()
        self._pattern = neutraliser(
            control_strings(self.template, set(self.added) - set(new_tokens))
        )  # words that the recipe added are words
        self.end_ids = self._end_of_answer()

    def _start_of_text(self) -> tuple[int, ...]:
        """The tokens that this tokenizer puts before plain text: BOS for Llama or Gemma, none for GPT-2."""
        bare = self.tokenizer.encode("x", add_special_tokens=False)
        whole = self.tokenizer.encode("x", add_special_tokens=True)
        found = next((place for place in range(len(whole)) if whole[place : place + len(bare)] == bare), 0)
        return tuple(whole[:found])

    def _end_of_answer(self) -> tuple[int, ...]:
        """The token that closes an answer: what the template writes after one where that is a control token, else eos."""
        probe = "qzx"
        try:
            text = self.text([Message("user", "q"), Message("assistant", probe)], generation=False)
        except DataError:
            return (int(self.tokenizer.eos_token_id or 0),)
        after = text[text.rfind(probe) + len(probe) :] if probe in text else ""
        ids = self.tokenizer.encode(after, add_special_tokens=False)
        if ids and ids[0] in self.added.values():
            return (ids[0],)
        return (int(self.tokenizer.eos_token_id or 0),)

    def text(self, messages: Sequence[Message], *, generation: bool) -> str:
        """What the template makes of messages, as text; content is taken as it is."""
        return render_text(self.template, messages, generation=generation, tokens=self._tokens)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def prompt(self, messages: Sequence[Message], *, room: int = 0) -> Prompt:
        """Ids of everything before the answer.

        Args:
            messages: the conversation up to the answer.
            room: tokens to leave free for an answer.

        Raises:
            DataError: the prompt cannot be made to fit, even with its longest message cut to nothing.
        """
        return self.fitted(messages, room=room)[0]

    def fitted(self, messages: Sequence[Message], *, room: int = 0) -> tuple[Prompt, tuple[Message, ...]]:
        """`prompt`, and the messages as they were rendered: control strings broken, the longest cut where it had to be."""
        safe, broken = [], 0
        for message in messages:
            content, count = neutralise(message.content, self._pattern)
            role, others = neutralise(message.role, self._pattern)  # templates write it between their own markers
            safe.append(Message(role, content))
            broken += count + others
        ids = self._encode(self.text(safe, generation=True))
        excess, cut = len(ids) - (self.max_tokens - room), 0
        while excess > 0:
            longest = max(range(len(safe)), key=lambda index: len(safe[index].content))
            content_ids = self._encode(safe[longest].content)
            if excess >= len(content_ids):
                raise DataError(
                    f"A prompt of {len(ids)} tokens leaves no room for {room} tokens of answer within {self.max_tokens}: "
                    "raise train.max_tokens, shorten the instruction, or drop the row."
                )
            kept = str(self.tokenizer.decode(content_ids[excess:], skip_special_tokens=False))
            safe[longest] = replace(safe[longest], content=kept.lstrip("\ufffd"))  # a character cut through its bytes goes whole
            cut += excess
            ids = self._encode(self.text(safe, generation=True))
            excess = len(ids) - (self.max_tokens - room)
        return Prompt(tuple(ids), cut, broken), tuple(safe)

    def written(self, answer: str) -> str:
        """What is written for an answer: a label's words, those of several labels with commas between them, or the answer itself."""
        if answer in self.label_texts or not self.label_texts:
            return self.label_texts.get(answer, answer)
        labels = answer.split(", ")
        return ", ".join(self.label_texts[label] for label in labels) if all(label in self.label_texts for label in labels) else answer

    def answer(self, text: str) -> tuple[int, ...]:
        """Ids of an answer, end token included; of a label, its words."""
        safe, _ = neutralise(self.written(text), self._pattern)
        return (*self._encode(safe), *self.end_ids)

    def row(self, row: Row, *, whole: bool = False) -> Rendered:
        """A row as ids and mask. Raw text (no prompt) is supervised from its second token on.

        Args:
            row: the row.
            whole: leave raw text uncut, for whoever divides it into windows.

        Raises:
            DataError: the answer alone, or the prompt with it, can't be made to fit.
        """
        answer, broken = self.answer(row.answer), neutralise(self.written(row.answer), self._pattern)[1]
        if not row.prompt:
            text = self.start_ids + answer
            kept = text if whole else text[: self.max_tokens]
            return Rendered(row.id, kept, 0, len(text) - len(kept), broken)
        if len(answer) >= self.max_tokens:
            raise DataError(
                f"Row {row.id} has an answer of {len(answer)} tokens, and train.max_tokens is {self.max_tokens}: raise it, or drop the row."
            )
        prompt = self.prompt(row.prompt, room=len(answer))
        return Rendered(row.id, prompt.ids + answer, len(prompt.ids), prompt.cut_tokens, prompt.neutralised + broken)

    def pair(self, row: Row) -> tuple[Rendered, Rendered]:
        """A preference pair as two rows of ids, the chosen first, under one and the same prompt: it leaves room for the longer answer.

        Raises:
            DataError: the row has no rejected answer, or one of its answers can't be made to fit.
        """
        if row.rejected is None:
            raise DataError(f"Row {row.id} is no preference pair: it has one answer. Drop it, or name the column of rejected answers.")
        answers = [self.answer(row.answer), self.answer(row.rejected)]
        longest = max(map(len, answers))
        if longest >= self.max_tokens:
            raise DataError(
                f"Row {row.id} has an answer of {longest} tokens, and train.max_tokens is {self.max_tokens}: raise it, or drop the row."
            )
        prompt = self.prompt(row.prompt, room=longest)
        broken = prompt.neutralised + sum(neutralise(text, self._pattern)[1] for text in (row.answer, row.rejected))
        chosen, rejected = (Rendered(row.id, prompt.ids + ids, len(prompt.ids), prompt.cut_tokens, broken) for ids in answers)
        return chosen, rejected

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids up to the end of the answer, control tokens left out."""
        kept: list[int] = []
        for token in ids:
            if token in self.end_ids or token == self.tokenizer.eos_token_id:
                break
            kept.append(token)
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()
