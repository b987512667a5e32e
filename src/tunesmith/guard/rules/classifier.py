"""Passages that a classifier thinks unwanted. What reads them is handed in: a function from texts to probabilities. Costs its passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.guard.config import Action
from tunesmith.guard.finding import Finding
from tunesmith.guard.passages import passages, whole_passages

Scorer = Callable[[Sequence[str]], list[float]]
"""The probability that each text is unwanted, 0 to 1; may be asked by several threads."""


@dataclass(frozen=True, slots=True)
class ClassifierRule:
    """Finds passages from a probability on."""

    score: Scorer
    threshold: float
    action: Action
    instead: str
    name: str = "classifier"

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """Whole passages."""
        places = passages(text)
        chances = self.score([text[start:end] for start, end in places]) if places else []
        return [
            Finding(start, end, self.name, self.action, self.instead)
            for (start, end), chance in zip(places, chances, strict=True)
            if chance >= self.threshold
        ]

    def settled(self, text: str) -> int:
        """The passages that are complete."""
        return whole_passages(text)
