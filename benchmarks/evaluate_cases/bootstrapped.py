"""Whether bootstrapped intervals cover, and gains are not called where there are none: 10,000 simulated test sets a setting.

`interval-coverage-bootstrapped`: macro F1 of five uneven labels, Pearson's correlation of 0.6, mean absolute error of skewed errors, BLEU
from counts of n-grams, and a mean of scores like ROUGE with many zeros; on 50, 200 and 1,000 rows, each standing for itself or in groups
of one to eight (4.5 on average) that share a fifth to a third of their variance. The truth is the value over half a million rows.
`false-gain-bootstrapped`: two systems of the same quality on the same rows, in the same settings; groups are the units of both.

The intervals and tests are the package's own, with 400 resamples in place of 2,000, and each of 20 sets of resamples serves 500 test
sets: their sums are products of one table of weights then, and their ends are worked out together, which is what makes a setting a
matter of seconds. The first test set of each 500 goes through the front door, too (`intervals`, `paired_bootstrap`), and must agree.

Letters: D test sets, U units, K rows of a unit at most, S statistics, B resamples.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.score.classification import macro_f1
from tunesmith.score.intervals import TAIL, bootstrap_ends, intervals
from tunesmith.score.measures import Floats, Measure
from tunesmith.score.paired import p_values, paired_bootstrap
from tunesmith.score.regression import correlation, mean_absolute
from tunesmith.score.resampling import Resamples
from tunesmith.score.text import bleu, mean

DRAWS, BATCH, RESAMPLES = 10_000, 500, 400
SIZES, LARGEST = (50, 200, 1000), 8
TRUE_UNITS = 500_000
Random = np.random.Generator
Tables = tuple[Floats, Floats]
"""Statistics of two systems of the same quality, [D, U, S] each."""


class Kept(Resamples):
    """Resamples that are drawn once and kept."""

    @cached_property
    def kept(self) -> Floats:
        """How often each unit is drawn."""
        return np.concatenate(list(super()._draws()))

    @cached_property
    def kept_coins(self) -> Floats:
        """The coins of the swap test."""
        return np.concatenate(list(super()._coins()))

    def _draws(self, wide: int = 0) -> Iterator[Floats]:
        yield self.kept

    def _coins(self, wide: int = 0) -> Iterator[Floats]:
        yield self.kept_coins


class Rows(NamedTuple):
    """The shape of some test sets."""

    random: Random
    there_DUK: NDArray[np.bool_]
    """Which rows there are: groups are of different sizes."""

    def normal(self, shared: float) -> Floats:
        """Standard normal numbers, of which units share a part of the variance; none where units are single rows."""
        draws, units, most = self.there_DUK.shape
        shared = shared if most > 1 else 0.0
        common_DU1 = self.random.standard_normal((draws, units, 1))
        return np.sqrt(shared) * common_DU1 + np.sqrt(1 - shared) * self.random.standard_normal((draws, units, most))

    def summed(self, *statistics: Floats) -> Floats:
        """Statistics of each row as those of units, [D, U, S]."""
        return np.stack([(one * self.there_DUK).sum(axis=2) for one in statistics], axis=2)


def _macro_f1(rows: Rows) -> Tables:
    ends = np.quantile(np.random.default_rng(0).standard_normal(1_000_000), [0.35, 0.6, 0.8, 0.92])
    label = np.searchsorted(ends, rows.normal(0.3))
    hard = rows.normal(0.2)

    def answered() -> Floats:
        answer = np.where(0.6 * hard + 0.8 * rows.normal(0.2) < 0.5, label, (label + 1) % 5)
        hit = answer == label
        counts = [label == one for one in range(5)] + [answer == one for one in range(5)] + [hit & (label == one) for one in range(5)]
        return rows.summed(hit.astype(float), np.ones(hit.shape), *(one.astype(float) for one in counts))

    return answered(), answered()


def _pearson(rows: Rows) -> Tables:
    x = rows.normal(0.3)

    def answered() -> Floats:
        y = 0.6 * x + 0.8 * rows.normal(0.3)
        return rows.summed(np.ones(x.shape), x, y, x * x, y * y, x * y, np.abs(y - x), (y - x) ** 2)

    return answered(), answered()


def _mae(rows: Rows) -> Tables:
    hard, none = rows.normal(0.3), np.zeros(rows.there_DUK.shape)

    def answered() -> Floats:
        error = np.exp(0.6 * (0.7 * hard + 0.7 * rows.normal(0.2))) * np.abs(rows.normal(0.0))
        return rows.summed(np.ones(none.shape), *[none] * 5, error, error**2)

    return answered(), answered()


def _bleu(rows: Rows) -> Tables:
    hard = rows.normal(0.3)
    wanted = 6 + rows.random.poisson(12, hard.shape)

    def answered() -> Floats:
        long = np.maximum(5, wanted + np.round(2 * rows.normal(0.2))).astype(int)
        share = 1 / (1 + np.exp(-(0.7 * hard + 0.5 * rows.normal(0.2))))
        totals = [long - order for order in range(4)]
        matches = [rows.random.binomial(total, share ** (1 + 0.6 * order)) for order, total in enumerate(totals)]
        return rows.summed(*(one.astype(float) for one in (long, wanted, *matches, *totals)))

    return answered(), answered()


def _scores(rows: Rows) -> Tables:
    hard = rows.normal(0.3)

    def answered() -> Floats:
        score = np.clip(0.15 + 0.3 * (0.7 * hard + 0.7 * rows.normal(0.2)), 0.0, 1.0)
        return rows.summed(score, np.ones(score.shape))

    return answered(), answered()


class Kind(NamedTuple):
    """A measure and where its test sets come from."""

    draw: Callable[[Rows], Tables]
    value: Callable[[Floats], Floats]
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True

    def of(self, sums: Floats) -> Floats:
        """Values of sums with whatever axes before the last."""
        return self.value(sums.reshape(-1, sums.shape[-1])).reshape(sums.shape[:-1])

    def measure(self) -> Measure:
        """A measure of tables that are there already: it takes one in the place of predictions."""
        return Measure(
            name="simulated",
            title="simulated",
            tabulate=lambda table: table,  # type: ignore[arg-type, return-value]
            value=self.value,
            low=self.low,
            high=self.high,
            higher_is_better=self.higher_is_better,
        )


KINDS = {
    "macro F1": Kind(_macro_f1, macro_f1),
    "Pearson": Kind(_pearson, correlation, low=-1.0),
    "MAE": Kind(_mae, mean_absolute, high=float("inf"), higher_is_better=False),
    "BLEU": Kind(_bleu, bleu),
    "mean of scores": Kind(_scores, mean),
}
SETTINGS = list(product(KINDS, SIZES, (False, True)))


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"interval-coverage-bootstrapped": coverage, "false-gain-bootstrapped": false_gain}


def _named(kind: str, rows: int, grouped: bool) -> str:
    return f"{kind}, {rows} rows" + (" in groups" if grouped else "")


def _rows(random: Random, draws: int, rows: int, grouped: bool) -> Rows:
    """Test sets of so many rows; in groups, of so many on average."""
    if not grouped:
        return Rows(random, np.ones((draws, rows, 1), dtype=np.bool_))
    units = round(rows / ((1 + LARGEST) / 2))
    sizes = random.integers(1, LARGEST + 1, size=(draws, units, 1))
    return Rows(random, np.arange(LARGEST) < sizes)


def _drawn(kind: Kind, rows: int, grouped: bool) -> Iterator[tuple[Tables, Kept]]:
    """Test sets in batches, each batch with resamples of its own."""
    for number in range(DRAWS // BATCH):
        tables = kind.draw(_rows(np.random.default_rng([rows, grouped, number]), BATCH, rows, grouped))
        yield tables, Kept(rows=tables[0].shape[1], count=RESAMPLES, seed=number)


def _truth(kind: Kind, grouped: bool) -> float:
    made = [kind.draw(_rows(np.random.default_rng([7, number]), 1, TRUE_UNITS // 10, grouped))[0].sum(axis=(0, 1)) for number in range(10)]
    return float(kind.value(np.sum(made, axis=0)[None, :])[0])


def _sums(weights_BU: Floats, table_DUS: Floats) -> Floats:
    """Weighted sums over units of every test set, [D, B, S]."""
    draws, units, statistics = table_DUS.shape
    columns = table_DUS.transpose(1, 0, 2).reshape(units, draws * statistics)
    return np.ascontiguousarray((weights_BU @ columns).reshape(-1, draws, statistics).transpose(1, 0, 2))


class Bootstrapped(NamedTuple):
    """Values of one system's test sets: whole, over resamples, without each unit."""

    whole_D: Floats
    drawn_DB: Floats
    without_DU: Floats

    @classmethod
    def of(cls, kind: Kind, table_DUS: Floats, resamples: Kept) -> "Bootstrapped":
        """By products of tables."""
        total_DS = table_DUS.sum(axis=1)
        return cls(kind.of(total_DS), kind.of(_sums(resamples.kept, table_DUS)), kind.of(total_DS[:, None, :] - table_DUS))

    def less(self, other: "Bootstrapped", sign: float) -> "Bootstrapped":
        """By how much this one is better, sign telling which way the measure runs."""
        return Bootstrapped(*(sign * (mine - its) for mine, its in zip(self, other, strict=True)))


def _ends(found: Bootstrapped, low: float, high: float) -> tuple[Floats, Floats]:
    return bootstrap_ends(*found, low=low, high=high)


def covered(name: str, rows: int, grouped: bool) -> float:
    """Share of intervals that hold the truth."""
    kind, held = KINDS[name], 0
    truth = _truth(kind, grouped)
    for tables, resamples in _drawn(kind, rows, grouped):
        low_D, high_D = _ends(Bootstrapped.of(kind, tables[0], resamples), kind.low, kind.high)
        same = intervals([kind.measure()], tables[0][0], resamples)["simulated"]  # type: ignore[arg-type]
        assert same is not None and np.allclose([same.low, same.high], [low_D[0], high_D[0]], rtol=1e-9, atol=1e-9)
        held += int(np.count_nonzero((low_D <= truth) & (truth <= high_D)))
    return held / DRAWS


def gains(name: str, rows: int, grouped: bool) -> float:
    """Share of comparisons of equals that call a gain."""
    kind, called = KINDS[name], 0
    sign, span = 1.0 if kind.higher_is_better else -1.0, kind.high - kind.low
    for (ours, theirs), resamples in _drawn(kind, rows, grouped):
        apart = Bootstrapped.of(kind, ours, resamples).less(Bootstrapped.of(kind, theirs, resamples), sign)
        low_D, high_D = _ends(apart, -span, span)
        both_D1S, turned_DBS = (ours + theirs).sum(axis=1)[:, None, :], _sums(resamples.kept_coins, ours - theirs)
        swapped_DB = sign * (kind.of((both_D1S + turned_DBS) / 2) - kind.of((both_D1S - turned_DBS) / 2))
        p_value_D = p_values(apart.whole_D, apart.drawn_DB, swapped_DB)
        same = paired_bootstrap(kind.measure(), ours[0], theirs[0], resamples)  # type: ignore[arg-type]
        assert same is not None
        assert np.allclose([same.low, same.high, same.p_value], [low_D[0], high_D[0], p_value_D[0]], rtol=1e-9, atol=1e-9)
        called += int(np.count_nonzero((low_D > 0) & (p_value_D <= TAIL)))
    return called / DRAWS


def coverage() -> dict[str, Any]:
    """How often the interval holds the truth."""
    told = {_named(*setting): covered(*setting) for setting in SETTINGS}
    least = min(told, key=lambda name: told[name])
    return {
        "case": "interval-coverage-bootstrapped",
        "value": round(told[least], 4),
        "unit": "share of 95% intervals that hold the truth, least of all settings",
        "spread": [round(min(told.values()), 4), round(max(told.values()), 4)],
        "repeats": DRAWS,
        "to_reach": 0.93,
        "ours": {name: round(value, 4) for name, value in told.items()} | {"resamples": RESAMPLES, "least": least},
    }


def false_gain() -> dict[str, Any]:
    """How often a gain is called between systems of the same quality."""
    told = {_named(*setting): gains(*setting) for setting in SETTINGS}
    return {
        "case": "false-gain-bootstrapped",
        "value": round(max(told.values()), 4),
        "unit": "share of gains called where there is none, worst setting",
        "spread": [round(min(told.values()), 4), round(max(told.values()), 4)],
        "repeats": DRAWS,
        "to_reach": 0.03,
        "ours": {name: round(value, 4) for name, value in told.items()} | {"resamples": RESAMPLES},
    }
