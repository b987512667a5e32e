"""Divide rows by time: the oldest train, the newest test, what lies between validates.

Rows of one moment stay together. A text, group or near-duplicate that stands in two periods is kept in the later one: what
would give an answer away is dropped from the earlier. Unlike the split by hash, appending newer rows moves the bounds.

Legend: N rows, M rows that are divided.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunesmith.data.decision import mixed
from tunesmith.data.split import NOWHERE, TORN_NEAR, TORN_TEXT, UNTIMED, Near

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.table import Columns


def moment(value: Any) -> float:
    """A time as seconds since 1970: an ISO 8601 date or moment (UTC where it names no zone), or a number as it is; NaN for anything else."""
    if isinstance(value, bool):
        return float("nan")
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        return float("nan")
    text = value.strip()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("nan")


def assign_by_time(
    columns: "Columns", divided_N: "npt.NDArray[np.bool_]", shares: Mapping[str, float], seed: int, near: Near | None = None
) -> "npt.NDArray[np.int8]":
    """The side of each row, as its place in `shares`, or one of the codes of `tunesmith.data.split`.

    Args:
        columns: of all rows, with their times.
        divided_N: which rows to divide.
        shares: side -> share, summing to 1, oldest first; select and calibrate divide one period by a seeded hash of the group or text.
        seed: the recipe's.
        near: which rows resemble one another.
    """
    import numpy as np

    names = list(shares)
    sides_N = np.full(len(divided_N), NOWHERE, np.int8)
    rows = np.flatnonzero(divided_N & np.isfinite(columns.time))
    sides_N[divided_N & ~np.isfinite(columns.time)] = UNTIMED
    if not len(rows):
        return sides_N
    times_M = columns.time[rows]
    period = np.searchsorted(_bounds(np.sort(times_M), shares), times_M, side="right")
    coin = mixed(np.where(columns.group[rows] != 0, columns.group[rows], columns.text[rows]), seed) & np.uint64(1)
    periods = _periods(names)
    sides_N[rows] = [names.index(periods[which][int(flip) % len(periods[which])]) for which, flip in zip(period, coin, strict=True)]
    for keys in (columns.text, columns.group):
        _keep_latest(sides_N, rows, keys)
    if near is not None:
        _part_near(sides_N, near)
    return sides_N


def _periods(names: list[str]) -> list[list[str]]:
    """Sides that lie in one stretch of time, oldest first."""
    between = [name for name in names if name in ("select", "calibrate")]
    return [stretch for stretch in (["train"] if "train" in names else [], between, ["test"] if "test" in names else []) if stretch]


def _bounds(times: "npt.NDArray[np.float64]", shares: Mapping[str, float]) -> "npt.NDArray[np.float64]":
    """The first moment of each period but the oldest."""
    import numpy as np

    ends = np.cumsum([sum(shares[name] for name in stretch) for stretch in _periods(list(shares))])[:-1]
    found: npt.NDArray[np.float64] = times[np.minimum(np.ceil(ends * len(times) - 1e-6).astype(int), len(times) - 1)]
    return found


def _keep_latest(sides_N: "npt.NDArray[np.int8]", rows: "npt.NDArray[np.int64]", keys_N: "npt.NDArray[np.uint64]") -> None:
    """Drop rows whose key stands on a later side too; rows without a key (0) stay."""
    import numpy as np

    living = rows[(sides_N[rows] >= 0) & (keys_N[rows] != 0)]
    _, which = np.unique(keys_N[living], return_inverse=True)
    latest = np.full(which.max() + 1 if len(which) else 0, NOWHERE, np.int8)
    np.maximum.at(latest, which, sides_N[living])
    sides_N[living[sides_N[living] < latest[which]]] = TORN_TEXT


def _part_near(sides_N: "npt.NDArray[np.int8]", near: Near) -> None:
    """Of two rows that resemble one another on two sides, drop the one on the earlier side."""
    import numpy as np

    for one, other in near.blocks():
        torn = (sides_N[one] >= 0) & (sides_N[other] >= 0) & (sides_N[one] != sides_N[other])
        sides_N[np.where(sides_N[one] < sides_N[other], one, other)[torn]] = TORN_NEAR
