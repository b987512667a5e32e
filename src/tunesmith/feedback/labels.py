"""Labels that people give, held to those a model knows."""

from collections.abc import Sequence
from difflib import get_close_matches

_SHOWN = 40
_MOST = 3


def unknown_label(said: str, known: Sequence[str]) -> str | None:
    """Why a label is none that a model knows, with the nearest it does know, as half a sentence; None where it is one of them."""
    if said in known:
        return None
    near = get_close_matches(said.casefold(), [label.casefold() for label in known], n=_MOST, cutoff=0.6)
    labels = [label for one in near for label in known if label.casefold() == one]
    shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
    told = f"the nearest: {', '.join(dict.fromkeys(labels))}" if labels else f"it knows {', '.join(known[: 5 * _MOST])}"
    return f"the model knows no label '{shown}' ({told}{', ...' if not labels and len(known) > 5 * _MOST else ''})"
