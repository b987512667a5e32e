"""A model as it was evaluated, from its folder: template, instruction, decoding, what its confidence is made from, calibration.

Whoever asks a finished model goes through here, so that none of these is left out. Costs loading the model; what it answers rows of a
round with beyond that (how answers are understood, how long they may be) is for the round to say (`pipeline.evaluation`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.progress import Listener, silent
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.heads import HeadAnswerer
from tunesmith.evaluate.systems import Answerer, own_prompt
from tunesmith.evaluate.written import Sure
from tunesmith.infer.decoding import Decoding
from tunesmith.infer.sampling import Sampling
from tunesmith.models.heads import Headed
from tunesmith.models.package import Bundle, load_model, renderer_of
from tunesmith.score.calibrated import Calibration, applied
from tunesmith.score.prediction import Prediction

DAMAGED = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError)
"""What loading raises, beside errors of tunesmith's own, where files are damaged."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A model ready to answer."""

    model: nn.Module
    renderer: Renderer
    bundle: Bundle
    decoding: Decoding
    sure: Sure | None
    """What the confidence of a written answer is made from; None: it has none."""
    calibration: Calibration | None

    def answer(
        self,
        rows: Sequence[Row],
        *,
        device: torch.device | None = None,
        precision: str = "fp32",
        work: str = "answer",
        listen: Listener = silent,
    ) -> list[Prediction]:
        """One corrected answer a row, in order; of a model of raw text or of preferences, what it writes.

        Args:
            rows: asked by their own prompts, instruction included.
            device: where; the GPU where there is one.
            precision: `fp32` or `bf16`.
            work: what this is called in progress.
            listen: told how it goes.

        Raises:
            DataError: a prompt that leaves no room for an answer.
        """
        place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        made = self._asked(place, precision).answer(rows, own_prompt, work=work, listen=listen)
        return applied(made, self.calibration) if self.calibration is not None and made else made

    def drawn(
        self, rows: Sequence[Row], *, samples: int, temperature: float, seed: int = 0, work: str = "draw", listen: Listener = silent
    ) -> list[list[str]]:
        """So many drawn answers to each row, in order: of a model that writes.

        Raises:
            DataError: a prompt that leaves no room for an answer.
        """
        place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        asked = self._asked(place, "fp32")
        assert isinstance(asked, Answerer) and asked.labels is None
        return asked.samples(rows, Sampling(temperature=temperature, samples=samples, seed=seed), work=work, listen=listen)

    def ask(self, text: str) -> Prediction:
        """The corrected answer to one text, under the instruction it was made with."""
        return self.answer([Row(id="1", prompt=self.prompt(text))])[0]

    def prompt(self, text: str) -> tuple[Message, ...]:
        """A text under the model's own instruction."""
        system = () if self.bundle.instruction is None else (Message("system", self.bundle.instruction),)
        return (*system, Message("user", text))

    def _asked(self, device: torch.device, precision: str) -> Answerer | HeadAnswerer:
        model, bundle = self.model.to(device).eval(), self.bundle
        if isinstance(model, Headed) and model.kind != "class":
            return HeadAnswerer(model, self.renderer, device, bundle.labels, precision=precision)
        labels, most, ends = bundle.labels if bundle.task == "classify" else None, bundle.max_new_tokens, tuple(self.renderer.end_ids)
        tokenizer = self.renderer.tokenizer
        plain = self.decoding.plain or labels is not None
        wanted = None if plain else self.decoding.wanted(model, tokenizer, end_ids=ends, max_new_tokens=most)
        return Answerer(model, self.renderer, device, labels, max_new_tokens=most, precision=precision, wanted=wanted, sure=self.sure)


def load_ready(folder: Path, *, twins: bool = False) -> Ready:
    """A saved model with all that it answers with.

    Args:
        folder: of the model.
        twins: whether a round's twin will do: for who measures it, and nobody else.

    Raises:
        MachineError, RecipeError: as `load_bundle` says; DataError: its calibration can't be meant.
        One of `DAMAGED`: its files are damaged.
    """
    model, tokenizer, bundle = load_model(folder, twins=twins)
    return Ready(
        model=model,
        renderer=renderer_of(tokenizer, bundle),
        bundle=bundle,
        decoding=Decoding() if bundle.decoding is None else Decoding.from_json(bundle.decoding),
        sure=None if bundle.sureness is None else Sure(**bundle.sureness),
        calibration=None if bundle.calibration is None else Calibration.from_json(bundle.calibration),
    )
