"""Which values say nothing: empty ones, white space, whole values such as `nan`, and in labels words such as `none`.

Costs a look at short values only; what becomes of a row that lacks one is `fill`'s work.
"""

from collections.abc import Mapping
from math import ceil

from tunesmith.data.settings.fill import FillConfig

_LABEL_SHARE, _LABEL_ROWS = 0.01, 5


class Missing:
    """The rule of one recipe."""

    __slots__ = ("_longest", "unsaid", "values")

    def __init__(self, config: FillConfig) -> None:
        self.values = frozenset(map(plain, config.missing))
        """Whole values that say nothing wherever they stand, as `plain` writes them."""
        self.unsaid = frozenset(map(plain, config.missing_labels))
        """The same for labels and columns only."""
        self._longest = 16 + max(map(len, (*self.values, *self.unsaid, "")))  # with white space around it

    def says_nothing(self, text: str) -> bool:
        """Whether a text is empty, white space, or one of `values`."""
        return not text or text.isspace() or (len(text) <= self._longest and plain(text) in self.values)

    def word(self, label: str) -> str:
        """The word of `unsaid` that a label is, or nothing."""
        word = plain(label) if len(label) <= self._longest else ""
        return word if word in self.unsaid else ""

    @staticmethod
    def labels_among(words: Mapping[str, int], rows: int) -> frozenset[str]:
        """Words of `unsaid` that so many of all rows carry that they are labels: at least 1%, and five."""
        enough = max(_LABEL_ROWS, ceil(_LABEL_SHARE * rows))
        return frozenset(word for word, count in words.items() if count >= enough)


def plain(text: str) -> str:
    """A value as it is compared."""
    return text.strip().casefold()
