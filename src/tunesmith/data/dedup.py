"""Repeats go; contradictions are counted and, where asked, go too. Sorting arrays of keys, some 50 bytes a row while it runs.

Legend: N rows.
"""

from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError
from tunesmith.data.decision import Decision
from tunesmith.data.near import Clusters, Conflicts
from tunesmith.data.settings.dedup import ConflictAction, DedupConfig, NearAction
from tunesmith.data.table import CONTRADICTABLE, RAW, Columns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

AGAINST = "its prompt has another answer elsewhere"
MINORITY = "most rows of its prompt have another answer"
REPEATS = "repeats an earlier row"
ALIKE = "nearly repeats an earlier row"


def dedup(columns: Columns, alive_N: "Mask", config: DedupConfig, clusters: Clusters | None = None) -> Decision:
    """Of living rows with the same prompt and answer the first is kept; contradictions as `conflicts` says.

    Raises:
        DataError: `conflicts: ask`, and there are some.
    """
    import numpy as np

    codes_N = np.zeros(len(alive_N), np.uint8)
    living = np.flatnonzero(alive_N)
    if clusters is not None and config.near_action is NearAction.DROP:
        codes_N[_alike(columns, alive_N, clusters)] = 4
    if config.exact and len(living):
        _, first = np.unique(columns.pair[living], return_index=True)
        repeats = np.ones(len(living), bool)
        repeats[first] = False
        codes_N[living[repeats]] = 3
    rows = np.flatnonzero(alive_N & columns.has(CONTRADICTABLE))
    conflicts = _conflicts(columns, rows)
    if config.conflicts is ConflictAction.ASK and conflicts.against().any():
        raise DataError(
            f"{int(conflicts.against().sum()):,} rows have a prompt that stands there with another answer too: mend them, "
            "or set data.dedup.conflicts to keep, majority or drop."
        )
    codes_N[rows[conflicts.dropped(config.conflicts)]] = 2 if config.conflicts is ConflictAction.MAJORITY else 1
    return Decision(codes_N, (AGAINST, MINORITY, REPEATS, ALIKE))


def _alike(columns: Columns, alive_N: "Mask", clusters: Clusters) -> "npt.NDArray[np.int64]":
    """Rows for which another that lives stands, with the same answer; of raw text, which answers nothing, all such."""
    import numpy as np

    first = clusters.first
    found = alive_N & (first != np.arange(len(first))) & alive_N[first]
    same = (columns.answer == columns.answer[first]) | columns.has(RAW)
    rows: npt.NDArray[np.int64] = np.flatnonzero(found & same)
    return rows


def conflicting(columns: Columns, alive_N: "Mask") -> "Mask":
    """Which living rows have a prompt that stands there with more than one answer."""
    import numpy as np

    rows = np.flatnonzero(alive_N & columns.has(CONTRADICTABLE))
    found_N = np.zeros(len(alive_N), bool)
    found_N[rows] = _conflicts(columns, rows).against()
    return found_N


def _conflicts(columns: Columns, rows: "npt.NDArray[np.int64]") -> Conflicts:
    import numpy as np

    return Conflicts(np.unique(columns.text[rows], return_inverse=True)[1], columns.answer[rows])
