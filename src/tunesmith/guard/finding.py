"""What a rule is, and what it finds."""

from dataclasses import dataclass
from typing import Protocol

from tunesmith.guard.config import Action

BEHIND = 64
"""Characters of what was read before that a rule may look back at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end - 1` of a text are unwanted."""

    start: int
    end: int
    rule: str
    """For the log: `lexicon`, `topic.weapons`, `personal.email`, `injection`, `classifier`."""
    action: Action
    instead: str
    """Stands there where it is redacted."""
    message: str | None = None
    """Said where it blocks, instead of the policy's own."""


class Rule(Protocol):
    """Reads texts, whole or as they come. A text may be cut where `settled` says, and what is found stays the same:

    find(text) == find(text[:s]) and, moved by s, find(text[s:], behind=text[:s][-BEHIND:]), for s = settled(t), t any beginning of text.
    """

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """What is unwanted, in order of places, none over another.

        Args:
            text: to be read.
            behind: what stands right before it, at most `BEHIND` characters, already read.
        """

    def settled(self, text: str) -> int:
        """How many characters are settled, whatever follows: no finding reaches over that place. The others are the rule's margin."""
