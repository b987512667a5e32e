"""Figures on the rows that were kept: bias, coverage, distributions, crossings. They hold words of rows, so they stand in the report alone.

Legend: N rows.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit import Audit, describe, sampled
from tunesmith.data.coverage import Sample, coverage
from tunesmith.data.dataset import SIDES
from tunesmith.data.fold import keys_of
from tunesmith.data.making import Making
from tunesmith.data.read import read

if TYPE_CHECKING:
    from tunesmith.data.making import Sides

_DROPPED = 20_000
"""So many rows that a stage dropped are looked at for what they had in common."""
_FEW = 100
"""Fewer train rows are not looked at for coverage unless the recipe asks."""
_BY_LOT = ("sample", "balance")
_WITHIN = 20_000
"""Where there is no sample of production, so many train rows are looked at."""

Mask = Callable[[str], str]


class Auditing:
    """Looks at rows as they are dropped, and at those that are left."""

    def __init__(self, making: Making) -> None:
        """Before the first row is read."""
        config = making.config
        self._making, self._told = making, Counter[str]()
        self._audit = None
        if config.audit.enabled:
            seed = derive_seed(making.seed, "audit")
            self._audit = Audit(config.audit, making.task, seed=seed, timed=config.split.time)
            making.account.on_dropped = self._dropped

    def _dropped(self, row: Row, stage: str) -> None:
        if self._audit is not None and stage not in _BY_LOT and self._told[stage] < _DROPPED:
            self._told[stage] += 1
            self._audit.dropped(row, stage)

    def result(self, sides_N: "Sides", mask: Mask) -> dict[str, Any]:
        """`audit`, `coverage` and `spread` for the report."""
        making = self._making
        labels: Mapping[str, Mapping[str, int]] = making.findings.get("classes", {})
        told: dict[str, Any] = {"spread": describe(making.columns, sides_N, labels)}
        if self._audit is not None:
            told["audit"] = self._audited(sides_N, labels)
        config = making.config.coverage
        enough = int((sides_N == SIDES.index("train")).sum()) >= _FEW
        if config.enabled and (enough or "coverage" in making.config.model_fields_set):
            told["coverage"] = self._covered(sides_N, mask)
        return told

    def _audited(self, sides_N: "Sides", labels: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
        making, columns = self._making, self._making.columns
        rows = np.flatnonzero(sides_N >= 0)
        chosen = rows[sampled(columns.key[rows], making.config.audit.rows, derive_seed(making.seed, "audit rows"))]
        ids, places = making.account.ids(), columns.read[chosen].tolist()
        named = (replace(row, id=ids[place]) for row, place in zip(making.spool.rows(chosen), places, strict=True))
        if self._audit is None:
            return {}
        self._audit.add(named, [SIDES[side] for side in sides_N[chosen].tolist()])
        return self._audit.result(total=len(rows), labels=labels).to_json()

    def _covered(self, sides_N: "Sides", mask: Mask) -> dict[str, Any]:
        making, config = self._making, self._making.config.coverage
        seed = derive_seed(making.seed, "coverage")
        if config.features == "base" and making.handed.features is None:
            raise RecipeError("data.coverage.features: base needs the base model, and none is at hand here: set it to linear.")
        most = config.rows if config.production is not None else min(config.rows, _WITHIN)
        train = np.flatnonzero(sides_N == SIDES.index("train"))
        train = train[sampled(making.columns.key[train], most, seed)]
        texts = [row.text() for row in making.spool.rows(train)]
        asked = None if config.production is None else list(_texts_of(config.production, making))[: config.rows]
        found = coverage(self._sample(texts), None if asked is None else self._sample(asked), config, seed).to_json()
        for example in found.get("examples") or []:
            example["text"] = mask(example["text"])
        return found

    def _sample(self, texts: list[str]) -> Sample:
        features = self._making.handed.features if self._making.config.coverage.features == "base" else None
        return Sample(texts, None if features is None else features(texts))


def _texts_of(path: str, making: Making) -> Iterator[str]:
    """What the inputs of production show."""
    for item in read(path, making.config.read.model_copy(update={"columns": {}}), None):
        if isinstance(item, Row):
            yield item.text() if item.prompt else keys_of(item).shown
