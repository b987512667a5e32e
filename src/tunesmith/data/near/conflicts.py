"""Rows that ask the same and answer differently: which they are, and which go under each policy. Pure numpy over ordinals.

Leaves to others what groups rows (equal prompts, `Clusters.first`, `Clusters.component`) and what makes answers equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tunesmith.data.near.grams import Array
from tunesmith.data.settings.dedup import ConflictAction


@dataclass(frozen=True, slots=True)
class Conflicts:
    """The groups of n rows in which more than one answer stands."""

    group: Array
    """int64 [n]: which rows belong together, as an ordinal below n; rows that can't conflict are alone in theirs."""
    answer: Array
    """int64 or uint64 [n]: equal where two rows answer the same."""

    def against(self) -> Array:
        """bool [n]: rows of a group with two answers or more."""
        low = np.full(len(self.group), np.iinfo(self.answer.dtype).max, self.answer.dtype)
        high = np.full(len(self.group), np.iinfo(self.answer.dtype).min, self.answer.dtype)
        np.minimum.at(low, self.group, self.answer)
        np.maximum.at(high, self.group, self.answer)
        differ: Array = (low < high)[self.group]
        return differ

    def groups(self) -> Iterator[Array]:
        """The ordinals of each such group, rising; the group with the lowest group number first."""
        rows = np.flatnonzero(self.against())
        rows = rows[np.argsort(self.group[rows], kind="stable")]
        if len(rows):
            yield from np.split(rows, np.flatnonzero(np.diff(self.group[rows])) + 1)

    def dropped(self, action: ConflictAction) -> Array:
        """bool [n]: rows that go. Under `majority` those without their group's commonest answer, all of them where two lead.

        `ask` drops none: whoever calls stops there.
        """
        if action in (ConflictAction.KEEP, ConflictAction.ASK):
            return np.zeros(len(self.group), bool)
        against = self.against()
        return against if action is ConflictAction.DROP else against & ~self._leads(np.flatnonzero(against))

    def _leads(self, rows: Array) -> Array:
        """bool [n]: of these rows, the ones that give their group's one commonest answer."""
        leads = np.zeros(len(self.group), bool)
        if not len(rows):
            return leads
        order = rows[np.lexsort((self.answer[rows], self.group[rows]))]
        group, answer = self.group[order], self.answer[order]
        begins = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (answer[1:] != answer[:-1])))
        votes, of_group = np.diff(np.append(begins, len(order))), group[begins]
        most = np.zeros(len(self.group), np.int64)
        np.maximum.at(most, of_group, votes)
        top = votes == most[of_group]
        tops = np.bincount(of_group[top], minlength=len(self.group))
        leads[order] = np.repeat(top & (tops[of_group] == 1), votes)
        return leads
