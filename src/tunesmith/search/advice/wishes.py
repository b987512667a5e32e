"""What is asked of the model beside its quality: hard requirements, each of which rules bases out with a sentence.

Pure values; nothing is looked up. What they are held against is `order.refusals`.
"""

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.core.errors import RecipeError

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?b)\s*", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
UNKNOWN = "unknown"
"""Listed among the licences, it lets bases pass that tell none."""


def read_size(text: str) -> int:
    """Bytes of `2GB`, `500 MB`, `1.5GiB`. Raises RecipeError for anything else, and for none."""
    found = _SIZE.fullmatch(text)
    size = round(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if size < 1:
        raise RecipeError(f"--max-size is {text!r}: write a size above 0 with its unit, as 2GB or 500MB.")
    return size


def read_licences(text: str) -> tuple[str, ...]:
    """The names of `apache-2.0,mit`, in lower case. Raises RecipeError where none is left."""
    found = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not found:
        raise RecipeError(f"--licence is {text!r}, which names no licence: write names as model cards do, as apache-2.0,mit.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the model must keep to. None, or nothing listed: not asked for.

    Raises:
        RecipeError: a wish that nothing could fulfil.
    """

    latency_ms: float | None = None
    """Longest time for one answer asked alone, in milliseconds."""
    max_size: int | None = None
    """Most bytes of the weights, as the tuned model holds them."""
    licences: tuple[str, ...] = ()
    """Licences that will do, as model cards name them, in lower case; `unknown` lets bases pass that tell none."""
    context: int | None = None
    """Tokens that the model must be able to read at once."""
    private: bool = True
    """Rows stay on machines of one's own: no hosted model is advised."""

    def __post_init__(self) -> None:
        if self.latency_ms is not None and not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise RecipeError(f"--latency-ms is {self.latency_ms:g}: no answer takes that; give milliseconds above 0.")
        if self.context is not None and self.context < 1:
            raise RecipeError(f"--context is {self.context}: a model reads at least one token; give a number above 0.")
        if self.max_size is not None and self.max_size < 1:
            raise RecipeError(f"--max-size is {self.max_size}: no model is that small; give bytes above 0.")

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self) | {"licences": list(self.licences)}


def shown_size(size: float) -> str:
    """`14.5 MB`, `2.1 GB`: bytes for people, in the units that model pages use."""
    for unit, each in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= 0.9995 * each:  # else three digits would round up to 1e+03 of the unit below
            return f"{size / each:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
