"""What a tuned model's bundle says of its answers, whatever computes them: prompt, decoding, labels and what they are worth.

Whoever runs the model, this process (`serve.local`) or an engine behind a URL (`serve.remote`), asks here, so that both answer as the
model was evaluated. A prompt that does not fit is refused, not cut: a client can shorten it, and should know.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message
from tunesmith.infer.decoding import Decoding
from tunesmith.infer.sampling import Sampling
from tunesmith.models.package import Bundle, renderer_of
from tunesmith.score.calibrated import Calibration, applied
from tunesmith.score.prediction import Prediction
from tunesmith.serve.answers import Ask, Labelled, Piece
from tunesmith.serve.refusals import Refusal, wrong


class Tuned:
    """A model's name, and what its bundle says of it."""

    def __init__(self, name: str, tokenizer: Any, bundle: Bundle) -> None:
        """Read the bundle. DataError for a stored calibration that can't be meant, RecipeError for such a decoding."""
        self.name, self.created, self.bundle = name, int(time.time()), bundle
        self.renderer: Renderer = renderer_of(tokenizer, bundle)
        self.labels = bundle.labels if bundle.task == "classify" else None
        self.calibration = None if bundle.calibration is None else Calibration.from_json(bundle.calibration)
        self.decoding = Decoding() if bundle.decoding is None else Decoding.from_json(bundle.decoding)

    @property
    def facts(self) -> dict[str, Any]:
        """Task, labels, calibration."""
        return {
            "task": self.bundle.task,
            "labels": self.labels,
            "calibrated": self.calibration is not None,
            "context": self.bundle.max_tokens,
        }

    # Prompts

    def prompt(self, ask: Ask) -> tuple[int, ...]:
        """What is run. Refusal where it doesn't fit, is empty or can't be rendered."""
        if ask.text is None:
            return self.rendered(ask.messages)
        ids = (*self.renderer.start_ids, *self.renderer.tokenizer.encode(ask.text, add_special_tokens=False))
        if not ids:
            raise wrong("prompt", "The prompt is empty: send a text to continue.")
        return ids

    def instructed(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation, under the instruction that the model was trained with where the client gives none."""
        if self.bundle.instruction and all(turn.role != "system" for turn in messages):
            return (Message("system", self.bundle.instruction), *messages)
        return messages

    def rendered(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The ids of a conversation. Refusal where it doesn't fit or can't be rendered."""
        try:
            prompt = self.renderer.prompt(self.instructed(messages))
        except DataError as error:
            raise unrenderable(error) from None
        if prompt.cut_tokens:
            raise too_long(len(prompt.ids) + prompt.cut_tokens, 1, self.renderer.max_tokens)
        return prompt.ids

    def most_new(self, ask: Ask, prompt_tokens: int) -> int:
        """Tokens that an answer may take. Refusal where they don't fit behind the prompt."""
        room = self.renderer.max_tokens - prompt_tokens
        most = ask.max_tokens or min(self.bundle.max_new_tokens, max(1, room))
        if most > room:
            raise too_long(prompt_tokens, most, self.renderer.max_tokens)
        return most

    def sampling(self, ask: Ask) -> Sampling:
        """How tokens are chosen: as the client asks, else as the model was evaluated."""
        own = self.decoding.sampling
        return Sampling(
            temperature=own.temperature if ask.temperature is None else ask.temperature,
            top_p=own.top_p if ask.top_p is None else ask.top_p,
            top_k=own.top_k,
            seed=ask.seed if ask.seed is not None else own.seed if ask.temperature is None else time.time_ns(),
        )

    # Labels

    def label_ids(self, prompt: Sequence[int]) -> list[tuple[int, ...]]:
        """The ids of each label, in their order. Refusal where the longest doesn't fit behind the prompt."""
        choices = [self.renderer.answer(label) for label in self.labels or ()]
        room = max(map(len, choices), default=0)
        if len(prompt) + room > self.renderer.max_tokens:
            raise too_long(len(prompt), room, self.renderer.max_tokens)
        return choices

    def believed(self, chances: Mapping[str, float], prompt_tokens: int) -> Labelled:
        """A label with what its probability is worth."""
        best = max(chances, key=lambda label: chances[label])
        said = Prediction(row_id="", reference="", answer=best, confidence=chances[best], chances=dict(chances))
        gives = True
        if self.calibration is not None:
            said = applied([said], self.calibration)[0]
            gives = self.calibration.gives(said)
        return Labelled(
            label=said.answer,
            confidence=said.confidence or 0.0,
            abstains=not gives,
            chances=said.chances or {},
            prompt_tokens=prompt_tokens,
        )

    def label_said(self, found: Labelled) -> Piece:
        """A conversation's label, as its words."""
        return Piece(
            index=0,
            text=self.renderer.written(found.label),
            finish="stop",
            prompt_tokens=found.prompt_tokens,
            answer_tokens=len(self.renderer.answer(found.label)),
            extra={"label": found.label, "confidence": found.confidence, "abstains": found.abstains},
        )


def refuse_beside_labels(ask: Ask) -> None:
    """Refusal (400) of what can't be had of a model that doesn't write its answers."""
    for name, asked in (("n", ask.n > 1), ("logprobs", ask.logprobs), ("response_format", ask.schema is not None)):
        if asked:
            raise wrong(name, "The model writes no text, so this can't be had of it: leave it out, or ask /v1/classify for probabilities.")


def no_labels(name: str) -> Refusal:
    """Labels were asked of a model that writes texts."""
    return wrong("model", f"The model '{name}' writes texts and has no labels: ask /v1/chat/completions.")


def unrenderable(error: DataError) -> Refusal:
    """A conversation that the template can't take, or that can't be made to fit."""
    return wrong("messages", f"The conversation can't be rendered: {str(error)[:300]}", "context_length_exceeded")


def too_long(prompt: int, answer: int, most: int) -> Refusal:
    """Prompt and answer don't fit together."""
    message = f"The prompt takes {prompt:,} tokens and the answer up to {answer:,}, and the model was tuned for {most:,} in all: shorten the prompt, or lower max_tokens."
    return wrong("messages", message, "context_length_exceeded")
