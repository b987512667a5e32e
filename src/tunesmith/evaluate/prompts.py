"""How the base is prompted when nothing was trained: plain or told what is asked of it, with k worked examples or none.

The base is given every fair chance: each form is tried with each k on `select`, and the best is scored on test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.core.rows import Message, Row
from tunesmith.core.seeds import derive_seed

PLAIN, LISTED, RANGED = "plain", "labels listed", "range told"


@dataclass(frozen=True, slots=True)
class PromptForm:
    """One way of prompting: its name, how many examples, and which."""

    name: str
    examples: tuple[Row, ...] = ()
    asked: str = ""
    """What the base is told of the task: the labels it may answer with, the range of the numbers."""
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
        if self.asked:
            system = [Message("system", f"{system[0].content}\n{self.asked}" if system else self.asked)]
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


def one_of(labels: Sequence[str], written: Callable[[str], str]) -> str:
    """What the base is told where one of some labels is the answer."""
    return f"Classify the message. Answer with one of: {', '.join(map(written, labels))}."


def prompt_forms(
    train: Sequence[Row],
    ks: Sequence[int],
    *,
    told: tuple[str, str] | None,
    by_answer: bool,
    written: Callable[[str], str],
    seed: int,
) -> list[PromptForm]:
    """Every form to try: plain and, where there is something to tell, with that told, each with 0 and every wanted k.

    Args:
        train: rows to take examples from; of judged answers the wanted ones alone.
        ks: numbers of examples.
        told: the name of the other form (`LISTED`, `RANGED`) and what is told in it.
        by_answer: examples are of each answer in turn, as for labels.
        written: what is written for an answer (`Renderer.written`).
        seed: of the choice of examples.
    """
    train = [row for row in train if row.wanted is not False]
    forms: list[PromptForm] = []
    for k in sorted({0, *ks}):
        examples = choose_examples(train, k, seed=seed, by_label=by_answer)
        if len(examples) < k:
            continue
        answers = tuple(written(example.answer) for example in examples)
        forms.append(PromptForm(PLAIN, examples, "", answers))
        if told is not None:
            name, asked = told
            forms.append(PromptForm(name, examples, asked, answers))
    return forms
