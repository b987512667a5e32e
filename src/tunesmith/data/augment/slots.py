"""Values of named lists exchanged for others of the same list, in every text of the row alike.

A value is found as a whole word, letter case aside; of two that overlap the longer is taken. Two values of one slot in a row never
become one. `{slot}` in a text is filled with a value, the same everywhere in the row.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tunesmith.data.augment.edits import Bounds, Edit


@dataclass(frozen=True, slots=True)
class Slots:
    """Slot -> values; built by `slots_of`."""

    values: Mapping[str, tuple[str, ...]]
    slot_of: Mapping[str, str]
    """Folded value or `{slot}` -> its slot."""
    pattern: re.Pattern[str]
    name: str = "slots"
    noise: bool = False
    bound: str = "lists"

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The same exchange in all texts; none where the values left over are too few."""
        present = dict.fromkeys(match[0].casefold() for text in texts for match in self.pattern.finditer(text))
        new: dict[str, str] = {}
        for old in present:
            slot = self.slot_of[old]
            taken = {value.casefold() for other, value in new.items() if self.slot_of[other] == slot}
            free = [value for value in self.values[slot] if value.casefold() not in taken and value.casefold() != old]
            if not free:
                return [[] for _ in texts]
            new[old] = draw.choice(free)
        return [[(match.start(), match.end(), new[match[0].casefold()]) for match in self.pattern.finditer(text)] for text in texts]


def slots_of(values: Mapping[str, Sequence[str]]) -> Slots:
    """The way for these lists. A value in two slots belongs to the first."""
    slot_of: dict[str, str] = {}
    for slot, listed in values.items():
        for value in [*listed, "{" + slot + "}"]:
            slot_of.setdefault(value.casefold(), slot)
    return Slots({slot: tuple(dict.fromkeys(listed)) for slot, listed in values.items()}, slot_of, whole_words(slot_of))


def whole_words(terms: Iterable[str]) -> re.Pattern[str]:
    """Finds any of the terms as a whole word, the longest first, letter case aside."""
    longest = sorted(terms, key=lambda term: (-len(term), term))
    return re.compile(r"(?<!\w)(?:" + "|".join(re.escape(term) for term in longest) + r")(?!\w)", re.IGNORECASE)
