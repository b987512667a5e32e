"""How the base is prompted when nothing was trained: plain or with the labels listed, with k worked examples or none.

The base is given every fair chance: each form is tried with each k on `select`, and the best is scored on test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core.rows import Message, Row
from tunesmith.core.seeds import derive_seed

PLAIN, LISTED = "plain", "labels listed"


@dataclass(frozen=True, slots=True)
class PromptForm:
    """One way of prompting: its name, how many examples, and which."""

    name: str
    examples: tuple[Row, ...] = ()
    labels: tuple[str, ...] = ()
    """What is written for each label, where they are listed."""
    answers: tuple[str, ...] = ()
    """What is written for the answer of each example."""

    @property
    def k(self) -> int:
        """Number of worked examples."""
        return len(self.examples)

    def messages(self, row: Row) -> tuple[Message, ...]:
        """The prompt for a row: instruction, examples as earlier turns, then the row's own turns."""
        system = [message for message in row.prompt if message.role == "system"][:1]
        turns = [message for message in row.prompt if message not in system]
        if self.name == LISTED:
            asked = f"Classify the message. Answer with one of: {', '.join(self.labels)}."
            system = [Message("system", f"{system[0].content}\n{asked}" if system else asked)]
        shown: list[Message] = []
        for example, answer in zip(self.examples, self.answers, strict=True):
            shown += [message for message in example.prompt if message.role != "system"]
            shown.append(Message("assistant", answer))
        return (*system, *shown, *turns)


def choose_examples(train: Sequence[Row], k: int, *, seed: int, by_label: bool) -> tuple[Row, ...]:
    """k seeded training rows; by label in turn where there are labels. The first j of k are the choice for j.

    Very long rows are passed over: they would crowd out the others.
    """
    order = np.random.default_rng(derive_seed(seed, "few-shot")).permutation(len(train))
    lengths = [sum(len(message.content) for message in row.prompt) + len(row.answer) for row in train]
    longest = float(np.quantile(lengths, 0.9)) if lengths else 0.0
    rows = [train[index] for index in order if lengths[index] <= longest]
    if not by_label:
        return tuple(rows[:k])
    queues: dict[str, list[Row]] = {}
    for row in rows:
        queues.setdefault(row.answer, []).append(row)
    chosen: list[Row] = []
    while len(chosen) < k and any(queues.values()):
        chosen += [queue.pop(0) for queue in queues.values() if queue]
    return tuple(chosen[:k])


def prompt_forms(
    train: Sequence[Row], ks: Sequence[int], labels: Sequence[str] | None, *, written: Callable[[str], str], seed: int
) -> list[PromptForm]:
    """Every form to try: plain and, where there are labels, with these listed, each with 0 and every wanted k.

    Args:
        train: rows to take examples from.
        ks: numbers of examples.
        labels: the label set, for classification.
        written: what is written for an answer (`Renderer.written`).
        seed: of the choice of examples.
    """
    forms: list[PromptForm] = []
    for k in sorted({0, *ks}):
        examples = choose_examples(train, k, seed=seed, by_label=labels is not None)
        if len(examples) < k:
            continue
        answers = tuple(written(example.answer) for example in examples)
        forms.append(PromptForm(PLAIN, examples, (), answers))
        if labels is not None:
            forms.append(PromptForm(LISTED, examples, tuple(map(written, labels)), answers))
    return forms
