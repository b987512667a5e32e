"""Rows supplied for testing must not stand among those that teach or choose: what does is dropped there, never in the test."""

from typing import TYPE_CHECKING

from tunesmith.core.rows import Row
from tunesmith.data.decision import Decision

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.table import Columns


def group_of(row: Row, by: str | None) -> str | None:
    """The row's value in the column that must not be divided, as text; None where it has none."""
    value = None if by is None else row.fields.get(by)
    return None if value is None or str(value).strip() == "" else str(value)


def leak(columns: "Columns", judged_N: "npt.NDArray[np.bool_]", judges: tuple[str, ...], by: str | None) -> Decision:
    """Of the rows `judged_N`, drop those whose text or group stands in one of the parts `judges`. Legend: N rows."""
    import numpy as np

    codes_N = np.zeros(len(judged_N), np.uint8)
    reasons: list[str] = []
    for what, keys_N in (("text", columns.text), (by, columns.group)):
        for judge in judges:
            held = np.unique(keys_N[columns.of_part(judge)])
            reasons.append(f"its {what} also stands in {judge}")
            if what != "text" and by is None:
                continue
            hit_N = judged_N & (codes_N == 0) & np.isin(keys_N, held) & (keys_N != 0)
            codes_N[hit_N] = len(reasons)
    return Decision(codes_N, tuple(reasons))
