"""How the base is prompted when nothing was trained: plain or told what is asked of it, with k worked examples or none.

The base is given every fair chance: forms, numbers of examples and ways of choosing them are tried on `select`, and the best is scored
on test (`evaluate.shots` says how far k goes).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.examples import Similar, in_turn, random_examples, similar_examples

PLAIN, LISTED, RANGED = "plain", "labels listed", "range told"
NEAREST = "nearest"
By = Literal["random", "similar"]


@dataclass(frozen=True, slots=True)
class PromptForm:
    """One way of prompting: its name, how many examples, and which."""

    name: str
    k: int = 0
    """Number of worked examples."""
    asked: str = ""
    """What the base is told of the task: the labels it may answer with, the range of the numbers."""
    by: By = "random"
    """How the examples are chosen: the same for every row, or those most like it."""
    examples: Callable[[Row], Sequence[Row]] = lambda row: ()
    """Those of a row, in the order they stand."""
    written: Callable[[str], str] = str
    """What is written for the answer of an example."""

    def messages(self, row: Row) -> tuple[Message, ...]:
        """The prompt for a row: instruction, examples as earlier turns, then the row's own turns."""
        system = [message for message in row.prompt if message.role == "system"][:1]
        turns = [message for message in row.prompt if message not in system]
        if self.asked:
            system = [Message("system", f"{system[0].content}\n{self.asked}" if system else self.asked)]
        shown: list[Message] = []
        for example in self.examples(row):
            shown += [message for message in example.prompt if message.role != "system"]
            shown.append(Message("assistant", self.written(example.answer)))
        return (*system, *shown, *turns)


def one_of(labels: Sequence[str], written: Callable[[str], str]) -> str:
    """What the base is told where one of some labels is the answer."""
    return f"Classify the message. Answer with one of: {', '.join(map(written, labels))}."


@dataclass(slots=True)
class Forms:
    """Every form that can be tried, made as it is asked for."""

    train: Sequence[Row]
    """Rows to take examples from; unwanted answers are no examples."""
    asked: Sequence[Row]
    """Rows that will be answered, each of which gets examples of its own where these are chosen by similarity."""
    told: tuple[str, str] | None
    """The name of the other form (`LISTED`, `RANGED`) and what is told in it."""
    by_answer: bool
    """Random examples are of each answer in turn, as for labels."""
    written: Callable[[str], str]
    """What is written for an answer (`Renderer.written`)."""
    seed: int
    """Of the choice of examples."""
    group_by: str | None = None
    """A column whose equal values belong together: no row is an example for another of its group."""
    _rows: list[Row] | None = None
    _similar: Similar | None = None
    _most: int = 0

    def bare(self) -> list[PromptForm]:
        """Those without examples."""
        return [PromptForm(name, asked=asked) for name, asked in self._ways()]

    def with_examples(self, k: int, by: By) -> list[PromptForm]:
        """Those with k examples; none where there are not so many."""
        rows = self._candidates()
        if by == "random":
            chosen = random_examples(rows, k, by_label=self.by_answer)
            full, examples = len(chosen) == k, lambda row: chosen
        else:
            similar = self._nearest(k)
            full, examples = similar.fewest() >= k, lambda row: similar.examples(row, k)
        if not full:
            return []
        after = f", {NEAREST}" if by == "similar" else ""
        return [PromptForm(name + after, k, asked, by, examples, self.written) for name, asked in self._ways()]

    def _ways(self) -> list[tuple[str, str]]:
        return [(PLAIN, ""), *([self.told] if self.told is not None else [])]

    def _candidates(self) -> list[Row]:
        if self._rows is None:
            self._rows = in_turn([row for row in self.train if row.wanted is not False], self.seed)
        return self._rows

    def _nearest(self, k: int) -> Similar:
        """At least the k nearest rows; searched again, for twice as many, where more are wanted than before."""
        if self._similar is None or self._most < k:
            self._most = max(2 * k, 16)
            self._similar = similar_examples(self._candidates(), self.asked, self._most, group_by=self.group_by)
        return self._similar
