"""What stands most often in a stream, with bounded memory (Misra & Gries, 1982, "Finding repeated elements").

With room for K keys, of N seen, every key that came more than N / (K + 1) times is held, and its count is at most that much too
low, never too high; counts are exact where no more than K different keys came. A key costs about 100 bytes.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Frequent(Generic[Key]):
    """Counts of the commonest keys."""

    __slots__ = ("_counts", "room", "seen")

    def __init__(self, room: int = 4096) -> None:
        self.room, self.seen = room, 0
        self._counts: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """One more of a key. Where there is no room for it, every key held loses one: constant work, averaged over the stream."""
        self.seen += 1
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < self.room:
            counts[key] = 1
        else:
            self._counts = {held: count - 1 for held, count in counts.items() if count > 1}

    def merge(self, other: "Frequent[Key]") -> None:
        """Take in what stood in another stream; the bound is that of both together (Agarwal et al., 2012, "Mergeable summaries")."""
        self.seen += other.seen
        counts = self._counts
        for key, count in other._counts.items():
            counts[key] = counts.get(key, 0) + count
        if len(counts) > self.room:
            cut = sorted(counts.values(), reverse=True)[self.room]
            self._counts = {key: count - cut for key, count in counts.items() if count > cut}

    def __getitem__(self, key: Key) -> int:
        return self._counts.get(key, 0)

    @property
    def exact(self) -> bool:
        """Whether no count was lowered."""
        return sum(self._counts.values()) == self.seen

    def items(self) -> Iterator[tuple[Key, int]]:
        """Keys held and their counts, the commonest first; of equals the one that came first."""
        yield from sorted(self._counts.items(), key=lambda held: -held[1])
