"""What a stage that sees all rows at once says of each: keep it, or drop it for one of a few reasons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Decision:
    """One code a row. Legend: N rows."""

    codes_N: "npt.NDArray[np.uint8]"
    """0 keeps the row; k drops it for `reasons[k - 1]`."""
    reasons: tuple[str, ...]

    def kept(self) -> "npt.NDArray[np.bool_]":
        """Which rows go on."""
        found: npt.NDArray[np.bool_] = self.codes_N == 0
        return found


def mixed(keys_N: "npt.NDArray[np.uint64]", seed: int) -> "npt.NDArray[np.uint64]":
    """A seeded hash of 64-bit keys that depends on nothing else (SplitMix64; Steele, Lea and Flood, 2014)."""
    import numpy as np

    with np.errstate(over="ignore"):
        mix = keys_N ^ np.uint64(seed & (2**64 - 1))
        mix = mix + np.uint64(0x9E3779B97F4A7C15)
        mix = (mix ^ (mix >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mix = (mix ^ (mix >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mix ^= mix >> np.uint64(31)
    return mix
