"""The stages that see all rows at once, over the table: leaks and contamination, sides, repeats, label errors, samples.

Nothing here reads a row, but to show one, and to look for what was supplied for testing inside those that train.

Legend: N rows.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.seeds import derive_seed
from tunesmith.data import checks
from tunesmith.data.chronology import assign_by_time
from tunesmith.data.config import Task
from tunesmith.data.contamination import Held, How
from tunesmith.data.dataset import SIDES
from tunesmith.data.decision import Decision
from tunesmith.data.dedup import dedup
from tunesmith.data.fold import fold, keys_of
from tunesmith.data.leak import leak
from tunesmith.data.making import NOWHERE, Making
from tunesmith.data.near import Clusters
from tunesmith.data.power import rows_to_show, smallest_gain
from tunesmith.data.read import read
from tunesmith.data.sample import at_most
from tunesmith.data.split import Near, assign, crossing, longest_chain, on_two_sides, shares_of, split
from tunesmith.data.suspecting import Suspected, suspected
from tunesmith.data.table import PARTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from tunesmith.data.making import Mask, Sides

_HALVES = {"select": 0.5, "calibrate": 0.5}
_WRITTEN_SO = 0.2
"""A set of which so many rows nearly repeat what judges them, or hang together in long chains, is written from templates: it is told, and lets them be."""
_LARGEST_TEST = 0.4
"""The share of rows that `split.gain` may make a test set of."""
_SHOWN = 20_000
"""Of the rows that a stage drops for one reason so many are read again, to be looked at."""


class Deciding:
    """What becomes of every row that was cleaned."""

    def __init__(self, making: Making, clusters: Clusters | None) -> None:
        """Before any decision; `clusters` are the near-duplicates among all rows, where these are looked for."""
        self._making, self._clusters = making, clusters
        self._near = None
        if clusters is not None:
            self._near = Near.of_sorted(clusters.near.earlier, clusters.near.later, len(making.table))

    def sides(self) -> tuple["Sides", Suspected]:
        """The side of every row, as its place in `SIDES`, or below 0; and the labels that look wrong."""
        making = self._making
        alive_N = self._uncontaminated(self._unleaked())
        main_N, validation_N, test_N = (making.columns.of_part(part) & alive_N for part in PARTS)
        shares = self._shares(main_N)
        with making.work("split"):
            sides_N = self._placed(main_N, validation_N, test_N, shares)
        kept_N = self._deduped(alive_N, main_N)
        some = lambda row: next(making.spool.rows([row]))  # noqa: E731
        checks.check_classes(making.columns, kept_N, making.task, some, making.account.why())
        checks.check_marks(making.columns, kept_N, making.task)
        errors = suspected(making, kept_N, sides_N, self._clusters)
        if errors.active:
            kept_N = self._decide("relabel", kept_N, errors.decision)
            making.account.untouched("relabel", int((alive_N & ~main_N).sum()))
        kept_N = self._decide("split", kept_N | validation_N, split(sides_N))
        making.account.untouched("split", int(test_N.sum()))
        sides_N = np.where(kept_N | test_N, sides_N, NOWHERE).astype(np.int8)
        checks.check_sides(sides_N, making.columns, shares, making.config, making.task)
        self._tell_split(sides_N)
        return self._sampled(sides_N), errors

    def _decide(self, stage: str, rows_N: "Mask", decision: Decision) -> "Mask":
        """Count what a stage says of the rows `rows_N`; returns which of all rows it keeps."""
        making, rows = self._making, np.flatnonzero(rows_N)
        codes = decision.codes_N[rows]
        making.account.decide(stage, making.columns.read[rows].astype(np.int64), codes, decision.reasons)
        for code, reason in enumerate(decision.reasons, 1):
            for row in making.spool.rows(rows[codes == code][:_SHOWN]):
                making.account.show(stage, reason, row)
        return rows_N & decision.kept()

    def _unleaked(self) -> "Mask":
        """From each part, what stands in one that judges it is dropped: train by validation and test, validation by test."""
        making, columns = self._making, self._making.columns
        supplied = list(making.readings)
        if len(supplied) == 1:
            return np.ones(len(columns.text), bool)
        judges = tuple(name for name in ("test", "validation") if name in supplied)
        kept_N = columns.of_part("test")
        making.account.untouched("leak", int(kept_N.sum()))
        for name in (name for name in ("train", "validation") if name in supplied):
            of_part_N = columns.of_part(name)
            against = tuple(judge for judge in judges if judge != name)
            left_N = self._decide("leak", of_part_N, leak(columns, of_part_N, against, making.config.split.by))
            if not left_N.any():
                raise DataError(f"Every row of {name} also stands in {' or '.join(against)}: supply rows that differ.")
            kept_N = kept_N | left_N
        return kept_N

    def _uncontaminated(self, alive_N: "Mask") -> "Mask":
        """Rows to train on that give away, nearly or in passing, what was supplied for judging or stands in a benchmark, are dropped."""
        making, config = self._making, self._making.config
        held = self._held(alive_N)
        main_N = making.columns.of_part("train") & alive_N
        if not held:
            return alive_N
        rows = np.flatnonzero(main_N)
        codes_N = np.zeros(len(main_N), np.uint8)
        reasons: list[str] = []
        with making.work("contamination", len(rows)):
            finder = Held(held, config.dedup.nearness, config.contamination.ngram)
            words = (
                [keys.shown, *([fold(row.answer)] if row.prompt else [])] for row in making.spool.rows(rows) for keys in (keys_of(row),)
            )
            for found in finder.find(words if making.task is not Task.CLASSIFY else ([each[0]] for each in words)):
                reason = f"{_WORDS[found.how]} {found.held}"
                if reason not in reasons:
                    reasons.append(reason)
                codes_N[rows[found.ordinal]] = reasons.index(reason) + 1
            self._add_pairs(codes_N, reasons, main_N, alive_N)
            self._spare_templates(codes_N, reasons, main_N)
        left_N = self._decide("contamination", main_N, Decision(codes_N, tuple(reasons)))
        making.account.untouched("contamination", int((alive_N & ~main_N).sum()))
        making.found(
            "contamination", {"held": {name: len(texts) for name, texts in held.items()}, "dropped": int((main_N & ~left_N).sum())}
        )
        return left_N | (alive_N & ~main_N)

    def _add_pairs(self, codes_N: "npt.NDArray[np.uint8]", reasons: list[str], main_N: "Mask", alive_N: "Mask") -> None:
        """Near-duplicates found among all rows count too: neither search finds quite all that the other does."""
        for name in ("test", "validation"):
            if self._near is None or name not in self._making.readings:
                continue
            judge_N, reason = self._making.columns.of_part(name) & alive_N, f"{_WORDS[How.NEAR]} {name}"
            for one, other in self._near.blocks():
                hit = np.concatenate([one[main_N[one] & judge_N[other]], other[main_N[other] & judge_N[one]]])
                hit = hit[codes_N[hit] == 0]
                if len(hit):
                    if reason not in reasons:
                        reasons.append(reason)
                    codes_N[hit] = reasons.index(reason) + 1

    def _spare_templates(self, codes_N: "npt.NDArray[np.uint8]", reasons: list[str], main_N: "Mask") -> None:
        """Where training rows are written from templates, and more than a fifth of them nearly stand in what judges them: those stay, and it is told."""
        count = int(main_N.sum())
        near = [place for place, reason in enumerate(reasons, 1) if reason.startswith(_WORDS[How.NEAR])]
        hit_N = np.isin(codes_N, near)
        if hit_N.sum() > _WRITTEN_SO * count and self._written_from_templates(main_N):
            codes_N[hit_N] = 0
            self._making.notes.append(
                f"{int(hit_N.sum()):,} of {count:,} training rows nearly stand among those that judge them: the set is written from templates, "
                "so they stay, and figures will flatter; supply a test set of other templates."
            )

    def _held(self, alive_N: "Mask") -> dict[str, list[str]]:
        """What was supplied for judging, and the benchmarks named: name -> texts, folded."""
        making = self._making
        held: dict[str, list[str]] = {
            name: [keys_of(row).shown for row in making.spool.rows(np.flatnonzero(making.columns.of_part(name) & alive_N))]
            for name in ("test", "validation")
            if name in making.readings
        }
        paths = making.config.contamination.paths
        short = Counter(["test", "validation", *(path.rpartition("/")[2] for path in paths)])
        for path in paths:
            name = path.rpartition("/")[2]
            held[name if short[name] == 1 else path] = list(_texts_of(path, making))
        return held

    def _shares(self, main_N: "Mask") -> dict[str, float]:
        """The share of each side of the main file."""
        making, wanted = self._making, self._making.config.split
        test = wanted.test
        if wanted.gain is not None and "test" not in making.readings:
            needed, texts = rows_to_show(wanted.gain), len(np.unique(making.columns.text[main_N]))
            test = min(_LARGEST_TEST, needed / texts)
            if needed > _LARGEST_TEST * texts:
                shown = smallest_gain(int(_LARGEST_TEST * texts))
                making.notes.append(
                    f"To show a gain of {wanted.gain:.1%}, test needs about {needed:,} rows, and two fifths of {texts:,} texts are fewer: "
                    f"it will show {shown:.1%} and more; add rows, or ask data.split.gain for more."
                )
        supplied = making.readings
        return shares_of(None if "validation" in supplied else wanted.validation, None if "test" in supplied else test)

    def _placed(self, main_N: "Mask", validation_N: "Mask", test_N: "Mask", shares: dict[str, float]) -> "Sides":
        """The side of each row.

        Sides are settled before repeats go, so that a contradiction that comes later moves no row. Rows supplied for
        validation and test keep their repeats: they are scored as they were given.
        """
        making = self._making
        seed = derive_seed(making.seed, "split")
        divide = assign if making.config.split.time is None else assign_by_time
        bound = self._near is not None and not self._written_from_templates(main_N)
        placed_N = divide(making.columns, main_N, shares, seed, self._near if bound else None)
        codes = np.array([SIDES.index(side) for side in shares], np.int8)
        sides_N = np.where(placed_N >= 0, codes[np.maximum(placed_N, 0)], placed_N).astype(np.int8)
        if validation_N.any():
            halves_N = assign(making.columns, validation_N, _HALVES, seed, self._near)
            sides_N = np.where(validation_N, np.where(halves_N >= 0, halves_N + SIDES.index("select"), halves_N), sides_N)
        sides_N[test_N] = SIDES.index("test")
        return sides_N.astype(np.int8)

    def _written_from_templates(self, main_N: "Mask") -> bool:
        """Whether near-duplicates are how the set is written, not repetition: too many rows hang together in chains too long for one side."""
        if self._clusters is None or not main_N.any():
            return False
        _, counts = np.unique(self._clusters.component[main_N], return_counts=True)
        rows = int(counts.sum())
        return bool(counts[counts > longest_chain(rows, rows)].sum() > _WRITTEN_SO * rows)

    def _deduped(self, alive_N: "Mask", main_N: "Mask") -> "Mask":
        """Which rows of the main file are left without repeats."""
        making = self._making
        with making.work("dedup"):
            making.notes += checks.contradiction_notes(making.columns, main_N, making.config.dedup, making.task)
            decision = dedup(making.columns, main_N, making.config.dedup, self._clusters)
            kept_N = self._decide("dedup", main_N, decision)
            making.account.untouched("dedup", int((alive_N & ~main_N).sum()))
        if self._clusters is not None:
            held = {"pairs": self._clusters.pairs, "compared": self._clusters.compared, "capped": self._clusters.capped}
            making.found("near", held | {"alike": self._clusters.dropped})
        return kept_N

    def _tell_split(self, sides_N: "Sides") -> None:
        """How small a gain the test set can show, and what crosses."""
        making, rows = self._making, int((sides_N == SIDES.index("test")).sum())
        columns, by = making.columns, making.config.split.by
        told: dict[str, Any] = {"test_rows": rows, "smallest_gain": smallest_gain(rows), "by": by}
        told["text_crossings"] = on_two_sides(columns.text, sides_N)
        told["group_crossings"] = None if by is None else on_two_sides(columns.group, sides_N)
        if self._near is not None:
            told["near_crossings"] = crossing(self._near, sides_N)
            if told["near_crossings"]:
                making.notes.append(
                    f"Near-duplicates on two sides: {told['near_crossings']:,} of {len(self._near.earlier):,} pairs: long chains of them "
                    "are divided like other rows, since the set is written from templates; name their column in data.split.by."
                )
        making.found("split", told)
        if making.task is Task.CLASSIFY:
            making.say(f"{rows:,} test rows show a gain of {told['smallest_gain']:.1%} right answers and more, four times in five.")

    def _sampled(self, sides_N: "Sides") -> "Sides":
        """Fewer rows to train on and to score, where the recipe asks for fewer."""
        making, config, columns = self._making, self._making.config, self._making.columns
        if config.rows is None and config.rows_per_label is None and config.test_rows is None:
            return sides_N
        seed = derive_seed(making.seed, "sample")
        train_N, test_N = sides_N == SIDES.index("train"), sides_N == SIDES.index("test")
        labels_N = columns.answer if making.task is Task.CLASSIFY else np.zeros_like(columns.answer)
        fewer = at_most(columns.key, labels_N, train_N, count=config.rows, per_label=config.rows_per_label, seed=seed)
        kept_N = self._decide("sample", train_N, fewer)
        kept_N |= self._decide("sample", test_N, at_most(columns.key, labels_N, test_N, count=config.test_rows, seed=seed))
        others_N = (sides_N >= 0) & ~train_N & ~test_N
        making.account.untouched("sample", int(others_N.sum()))
        return np.where(kept_N | others_N, sides_N, NOWHERE).astype(np.int8)


_WORDS = {How.SAME: "stands in", How.NEAR: "nearly stands in", How.OVERLAP: "shares a passage with"}


def _texts_of(path: str, making: Making) -> Iterator[str]:
    """What the rows of a benchmark file show, folded."""
    from tunesmith.core.rows import Row

    for item in read(path, making.config.read.model_copy(update={"columns": {}}), None):
        if isinstance(item, Row):
            yield keys_of(item).shown
