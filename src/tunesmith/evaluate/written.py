"""Answers as a model writes them, and how sure it is of each.

The likelihood of an answer's tokens costs nothing beside the answer. The agreement of further samples costs as many answers more,
each time, when the model is served too; it sees what likelihood does not: one answer said in many ways.

What is billed is the answer alone, in tokens and in seconds: it is what systems are compared by, and the samples say nothing of it but
how sure it is. Who serves confidence from samples pays for `samples` answers more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.evaluate.generation_config import DecodingConfig
from tunesmith.infer.decoding import Decoding, Kind
from tunesmith.infer.generate import Generated, Wanted, answers
from tunesmith.infer.sampling import Sampling
from tunesmith.score.numeric import final_number
from tunesmith.score.sureness import agreement, gist, sequence_likelihood


class Written(NamedTuple):
    """An answer."""

    text: str
    confidence: float | None
    """From 0 to 1, and no probability of being right before it is calibrated; None where nobody asked."""
    tokens: int
    """Of the answer alone, without further samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sure:
    """What confidence is made from."""

    samples: int = 0
    """Further answers, of which those count that say the same; 0: the likelihood of the answer's tokens, end token included."""
    temperature: float = 0.7
    """At which they are drawn."""
    seed: int = 0
    numbers: bool = False
    """Whether answers say the same where they end in the same number."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @property
    def sampling(self) -> Sampling:
        """How the samples are drawn."""
        return Sampling(temperature=self.temperature, samples=self.samples, seed=self.seed)

    @property
    def sentence(self) -> str:
        """What confidence is, for people."""
        if not self.samples:
            return "Confidence is made from the mean likelihood of an answer's tokens."
        said = "end in the same number" if self.numbers else "say the same"
        return f"Confidence is made from how many of {self.samples} further samples (temperature {self.temperature:g}) {said}."


def decoding_of(config: DecodingConfig) -> Decoding:
    """A recipe's section as a value that goes with the model, its schema read where it is a path."""
    config = config.with_schema(Path())
    sampling = Sampling(temperature=config.temperature, top_p=config.top_p, top_k=config.top_k, seed=config.seed)
    held: dict[Kind, Any] = {"json_schema": config.json_schema, "regex": config.regex, "choices": config.choices}
    kind = next((name for name, value in held.items() if value is not None), None)
    return Decoding(sampling=sampling, stop=tuple(config.stop), kind=kind, keeps_to=None if kind is None else held[kind])


def write(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    wanted: Wanted,
    renderer: Renderer,
    device: torch.device,
    *,
    sure: Sure | None = None,
) -> list[Written]:
    """An answer to each prompt, in order; equal to those without `sure`, token by token."""
    asked = replace(wanted, logps=sure is not None and not sure.samples)
    made = [one[0] for one in answers(model, prompts, asked, device=device)]
    texts = [said(one, renderer) for one in made]
    if sure is None:
        confidence: list[float | None] = [None] * len(made)
    elif sure.samples:
        drawn = replace(wanted, sampling=sure.sampling)
        confidence = [*_agreed(texts, draw(model, prompts, drawn, renderer, device), sure)]
    else:
        confidence = [sequence_likelihood(sum(one.logps or ()), len(one.logps or ())) for one in made]
    return [Written(text, share, len(one.made)) for text, share, one in zip(texts, confidence, made, strict=True)]


def draw(model: nn.Module, prompts: Sequence[Sequence[int]], wanted: Wanted, renderer: Renderer, device: torch.device) -> list[list[str]]:
    """As many answers to each prompt as `wanted.sampling` asks for."""
    return [[said(one, renderer) for one in some] for some in answers(model, prompts, replace(wanted, logps=False), device=device)]


def said(one: Generated, renderer: Renderer) -> str:
    """The text of an answer: up to its end, or before its stop, without white space around it."""
    return renderer.decode(one.made) if one.text is None else one.text.strip()


def _agreed(texts: Sequence[str], samples: Sequence[Sequence[str]], sure: Sure) -> list[float]:
    same = _number if sure.numbers else gist
    return [agreement(text, some, same) for text, some in zip(texts, samples, strict=True)]


def _number(text: str) -> object:
    """The number that a text answers with; where there is none, its words."""
    found = final_number(text)
    return gist(text) if found is None else found.value
