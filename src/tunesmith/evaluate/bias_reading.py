"""How likely a model finds the sentences and answers of bias sets: forward passes only, nothing generated.

A sentence is scored whole, under the tokens that the tokenizer puts before text or, where it puts none, under its end of text,
so that the first word counts too; what follows a sentence is not. An answer of BBQ is scored under its question as any label
is, end of answer included. Both are sums of log-probabilities: the same ids for base and tuned model.
Costs a pass over each sentence and over each answer; what neighbours share is computed once.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.hashing import digest
from tunesmith.evaluate.bias_files import BiasSets
from tunesmith.evaluate.general import Probe
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.evaluate.running import arithmetic
from tunesmith.infer.choices import row_logps
from tunesmith.tree.plan import Sequence_, answer_only

BLOCK = 256
"""Texts between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasReading:
    """What one model made of the sets; plain values, to be kept as JSON."""

    material: str
    """Digest of the ids that were read."""
    pairs: tuple[tuple[float, float], ...]
    """Natural log-probability of each pair's stereotyping sentence, and of the other."""
    answers: tuple[tuple[float, float, float], ...]
    """Of each question's answers."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of `to_json`."""
        pairs = tuple((float(more), float(less)) for more, less in value["pairs"])
        answers = tuple((float(a), float(b), float(c)) for a, b, c in value["answers"])
        return cls(material=value["material"], pairs=pairs, answers=answers)


def read_bias(model: Likelihood, sets: BiasSets, advanced: Callable[[int], None] = lambda done: None) -> BiasReading:
    """Let a model read the sets.

    Args:
        model: a language model, asked how likely it finds what is written.
        sets: what is read.
        advanced: told how many texts are done.

    Raises:
        DataError: a likelihood that is no number, or a text that can't be made to fit.
    """
    asked = sequences(model, sets)
    sums: list[float] = []
    model.model.eval()
    with arithmetic(model.device, model.precision):
        for start in range(0, len(asked), BLOCK):
            found, _ = row_logps(model.model, asked[start : start + BLOCK], device=model.device)
            sums += found.tolist()
            advanced(len(sums))
    if not np.isfinite(sums).all():
        raise DataError(
            "A model gives texts of the bias sets a likelihood that is no number: its weights are damaged or training diverged."
        )
    split = 2 * len(sets.pairs)
    return BiasReading(
        material=digest_of(model, sets),
        pairs=tuple((sums[at], sums[at + 1]) for at in range(0, split, 2)),
        answers=tuple((sums[at], sums[at + 1], sums[at + 2]) for at in range(split, len(sums), 3)),
    )


def digest_of(model: Likelihood, sets: BiasSets) -> str:
    """Names the sets as a model reads them: the same where the same ids are read."""
    return digest([[list(one.ids), sum(one.weights)] for one in sequences(model, sets)])


def sequences(model: Likelihood, sets: BiasSets) -> list[Sequence_]:
    """Two for each pair, then three for each question."""
    made = [_sentence(model, text) for pair in sets.pairs for text in (pair.more, pair.less)]
    for question in sets.questions:
        prompt, choices = model.asked(Probe(question.text, question.answers, question.right))
        made += [answer_only((*prompt, *choice), len(prompt)) for choice in choices]
    return made


def _sentence(model: Likelihood, text: str) -> Sequence_:
    renderer = copy(model.renderer)
    renderer.label_texts = {}  # a sentence is what it is, even where it reads like a label
    start = renderer.start_ids or (int(renderer.tokenizer.eos_token_id or 0),)
    ids = renderer.answer(text)[: -len(renderer.end_ids)]
    if len(start) + len(ids) > renderer.max_tokens:
        raise DataError(
            f"A sentence of a bias set has {len(ids)} tokens, and a row may have {renderer.max_tokens}: raise train.max_tokens, or drop it."
        )
    return answer_only((*start, *ids), len(start))
