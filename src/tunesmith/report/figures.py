"""Numbers as people read them: the right unit, as many digits as mean something, a true minus sign."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tunesmith.report.shape import Against, Estimate
from tunesmith.report.text import one_line

ABSENT = "\u2013"
"""Stands where a figure is unknown: an en dash."""
NOT_MEASURED = "not measured"
"""Stands where a bound was set and its figure is unknown."""
MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Metric:
    """How one metric is named and written."""

    key: str
    name: str
    """At the head of a column: `Macro F1`."""
    scale: float = 1.0
    """What people read is the value times this."""
    unit: str = ""
    """`%` or nothing."""
    places: int | None = None
    """Decimal places; by each value's own size where absent."""
    less_is_better: bool = False

    @property
    def head(self) -> str:
        """The name with its unit: `Accuracy, %`."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def points(self) -> str:
        """What a difference is counted in: ` points` where values run to 100."""
        return " points" if self.scale == 100.0 else ""

    def scaled(self, value: float) -> float:
        """The value in the unit it is written in."""
        return self.scale * value

    def write(self, value: float | None) -> str:
        """`62.0` for 0.62 of a fraction; an en dash where it is unknown."""
        if value is None:
            return ABSENT
        return decimal(self.scaled(value), self.places)

    def write_difference(self, value: float | None) -> str:
        """`+21.0`."""
        if value is None:
            return ABSENT
        written = self.write(value)
        return written if value < 0 or float(written.replace(",", "")) == 0 else f"+{written}"

    def write_range(self, estimate: Estimate | None) -> str:
        """`58.0 to 66.0`; nothing where no interval is known."""
        if estimate is None or estimate.low is None or estimate.high is None:
            return ""
        return f"{self.write(estimate.low)} to {self.write(estimate.high)}"

    def write_difference_range(self, against: Against | Estimate | None) -> str:
        """`+17.0 to +25.0`; nothing where no interval is known."""
        if against is None or against.low is None or against.high is None:
            return ""
        return f"{self.write_difference(against.low)} to {self.write_difference(against.high)}"


def metric_of(key: str, estimates: Iterable[Estimate | None] = ()) -> Metric:
    """The metric called `key`, as `tunesmith.score` has it; one that it doesn't know is written as it is.

    Args:
        key: its name in the report.
        estimates: values that will stand in one column: all get as many decimal places as the largest, so that it lines up.
    """
    from tunesmith.score.measures import NAMES, measure

    known = [abs(held.value) for held in estimates if held is not None and held.value is not None]
    places = _places(max(known)) if known else None
    if key not in NAMES:
        return Metric(key, _capital(one_line(key.replace("_", " "), 40)), places=places)
    found = measure(key)
    places = 1 if found.scale == 100.0 else places
    return Metric(key, _capital(found.title), found.scale, found.unit, places, not found.higher_is_better)


def in_text(key: str) -> str:
    """A metric as sentences write it: `macro F1`."""
    from tunesmith.score.measures import NAMES, measure

    return measure(key).title if key in NAMES else one_line(key.replace("_", " "), 40)


def _capital(title: str) -> str:
    """`Macro F1` for `macro F1`; names with a spelling of their own stay: chrF."""
    first = title.split(" ")[0]
    return title[:1].upper() + title[1:] if first.islower() else title


def decimal(value: float, places: int | None = None) -> str:
    """A number with a true minus sign and thousands set off by commas; `places` by size where absent."""
    if places is None:
        places = _places(abs(value))
        if 0 < abs(value) < 0.001 or abs(value) >= 1e7:
            return f"{value:.2e}".replace("-", MINUS)
    written = f"{value:,.{places}f}"
    return written.replace("-", MINUS) if float(written.replace(",", "")) else f"{0:.{places}f}"


def _places(size: float) -> int:
    """So many decimal places that three or four significant digits stand."""
    return 1 if size >= 10 or size == 0 else 2 if size >= 1 else 3


def whole(value: float | None) -> str:
    """`1,234`."""
    return ABSENT if value is None else f"{value:,.0f}".replace("-", MINUS)


def share(part: float, of: float) -> str:
    """`43%`; under 10% with a digit more; never 100% unless it is all, never 0% unless it is nothing."""
    if not of:
        return ABSENT
    percent = 100 * part / of
    if 0 < percent < 0.1:
        return "<0.1%"
    if 0 < percent < 9.95:
        return f"{percent:.1f}%"
    return "99%" if 99 < percent < 100 else f"{percent:.0f}%"


def p_value(value: float | None) -> str:
    """`p = 0.030`, `p < 0.001`, its parts kept on one line."""
    if value is None:
        return ""
    written = "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"
    return written.replace(" ", "\u00a0")


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds, without a unit: the column's head has it."""
    if seconds is None:
        return ABSENT
    value = 1000 * seconds
    return decimal(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def duration(seconds: float | None) -> str:
    """`3 min 32 s`, `2 h 5 min`, `0.4 s`."""
    if seconds is None:
        return ABSENT
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def memory(mib: float | None) -> str:
    """`1.39 GiB`, `812 MiB`."""
    if mib is None:
        return ABSENT
    return f"{mib / 1024:.2f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def parameters(count: int | None) -> str:
    """`6.95 M`, `1.24 G`."""
    if count is None:
        return ABSENT
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def moment(iso: str) -> str:
    """`21 November 2026, 02:00 UTC` from an ISO 8601 moment; what is none is given back as it was."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = when.tzname() or ""
    return f"{when.day} {when:%B %Y, %H:%M} {zone}".rstrip()


def median(values: Sequence[int]) -> float:
    """The middle value, or the mean of the middle two."""
    ordered, middle = sorted(values), len(values) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
