"""Personal data and secrets, by the recognisers of `tunesmith.data.anonymise`, a passage at a time with a little of what stands before it.

They look at the words around, so a passage (`tunesmith.guard.passages`) has to be whole before anything of it is settled: a stream lags
by a sentence or two. A name that is told once is not found again in other passages where it stands without a sign of being one.
"""

from dataclasses import dataclass

from tunesmith.data.anonymise.find import find
from tunesmith.data.anonymise.findings import tag
from tunesmith.guard.config import Action
from tunesmith.guard.finding import BEHIND, Finding
from tunesmith.guard.passages import passages, whole_passages


@dataclass(frozen=True, slots=True)
class PersonalRule:
    """Finds personal data of some kinds."""

    treated: dict[str, Action]
    """Kind -> what becomes of it."""

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """Each with its kind."""
        found: list[Finding] = []
        for start, end in passages(text):
            before = (behind + text[:start])[-BEHIND:] if start < BEHIND else text[start - BEHIND : start]
            found += self._of(text[start:end], before, start)
        return found

    def settled(self, text: str) -> int:
        """The passages that are complete."""
        return whole_passages(text)

    def _of(self, passage: str, before: str, start: int) -> list[Finding]:
        moved = start - len(before)
        return [
            Finding(max(start, one.start + moved), one.end + moved, f"personal.{one.kind}", self.treated[one.kind], tag(one.kind))
            for one in find(before + passage, self.treated)
            if one.end > len(before)
        ]
