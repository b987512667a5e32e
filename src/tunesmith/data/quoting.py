"""Labels as errors and notes may quote them: a column taken for labels may hold addresses of people, and stderr goes anywhere.

What personal data looks like is `anonymise`'s to know, which is imported at the first label. Costs some 0.2 ms a label.
"""

from collections.abc import Iterable

from tunesmith.core.errors import did_you_mean
from tunesmith.data.forms import printable

_LOOKED_AT = 1000
_SHOWN = 60
_KNOWN = 2000


def shown_label(label: str, most: int = _SHOWN) -> str:
    """The label with the kind of what is personal in its place, as `[EMAIL]`, `most` characters of it, and `?` for what prints nothing."""
    from tunesmith.data.anonymise import masked

    return printable(masked(label[:_LOOKED_AT]))[:most]


def nearest_label(name: str, known: Iterable[str]) -> str:
    """As `did_you_mean`, of labels that stand in the data: personal data in them is masked; at most 2,000 are looked at."""
    return did_you_mean(name, {shown_label(label) for label in sorted(known)[:_KNOWN]})
