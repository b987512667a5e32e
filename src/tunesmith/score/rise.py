"""How much perplexity rose on the same documents: the ratio of two perplexities with its 95% interval.

The logarithm of the ratio is a mean over tokens, of what the second model gives each less probability than the first: a ratio
of two sums over documents. Documents are what was drawn, not tokens, which follow from one another; so documents are
resampled, both models' alike (`score.intervals`: widened percentiles and BCa, the outer ends). Chosen over Student's t on the
same ratio by simulation: where a tenth of the documents carry most of the loss, 60 documents cover the truth in 96% of draws
against 90%, and the end that gates look at is the one that t misses. Where nothing changed both say exactly nothing.

The interval is about other documents of the same kind. It is not about another seed of the same training.

Legend: D documents, U units (documents, or groups of documents that belong together), B resamples, 2: lost, tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, inf

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.score.intervals import Interval, bootstrap_interval
from tunesmith.score.measures import Floats
from tunesmith.score.resampling import Resamples

FEWEST = 2
"""Units below which there is nothing to take an interval from."""
_MOST = 700.0
"""A logarithm above it is no number any more; what rose so far is broken all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """Two perplexities of the same tokens, and how far the second lies above the first."""

    base: float
    """Perplexity before, 1 up."""
    tuned: float
    """Perplexity after."""
    relative: Interval
    """tuned / base - 1: 0.05 is five percent more, 0 nothing, below 0 a fall."""
    documents: int
    units: int
    """Documents, or groups of them, that the interval counts."""
    tokens: int

    @property
    def retained(self) -> Interval:
        """base / tuned: of the probability the base gives a token, the share the tuned model still gives it (geometric mean)."""
        return Interval(1 / (1 + self.relative.value), 1 / (1 + self.relative.high), 1 / (1 + self.relative.low))


def rise(
    base_D: Floats, tuned_D: Floats, tokens_D: Floats, groups: Sequence[str] | None = None, *, resamples: int = 2000, seed: int = 0
) -> Rise:
    """Compare two models' likelihood of the same documents.

    Args:
        base_D: natural log-probability of each document under the first model, summed over its tokens.
        tuned_D: the same under the second.
        tokens_D: tokens each sum runs over; documents with none count for nothing.
        groups: what each document belongs to; every document its own where absent.
        resamples: bootstrap resamples behind the interval.
        seed: of the resamples.

    Raises:
        DataError: fewer than two units, or a likelihood that is no number.
    """
    counted = tokens_D > 0
    names = None if groups is None else [name for name, one in zip(groups, counted.tolist(), strict=True) if one]
    base_D, tuned_D, tokens_D = base_D[counted], tuned_D[counted], tokens_D[counted]
    units = len(base_D) if names is None else len(set(names))
    if units < FEWEST:
        raise DataError(f"General text of {units} independent documents was given: a rise of perplexity needs at least {FEWEST}.")
    if not np.isfinite(base_D).all() or not np.isfinite(tuned_D).all():
        who = "tuned model" if np.isfinite(base_D).all() else "base"
        raise DataError(f"The {who} gives general text a likelihood that is no number: its weights are damaged or training diverged.")
    around = _log_ratio(
        np.column_stack([base_D - tuned_D, tokens_D]), Resamples(rows=len(base_D), count=resamples, seed=seed, groups=names)
    )
    total = float(tokens_D.sum())
    return Rise(
        base=exp(min(_MOST, -float(base_D.sum()) / total)),
        tuned=exp(min(_MOST, -float(tuned_D.sum()) / total)),
        relative=Interval(_risen(around.value), _risen(around.low), _risen(around.high)),
        documents=len(base_D),
        units=units,
        tokens=int(total),
    )


def _log_ratio(lost_D2: Floats, drawn: Resamples) -> Interval:
    """Probability lost a token, in nats, with its interval."""

    def a_token(sums_B2: Floats) -> Floats:
        ratio: Floats = sums_B2[:, 0] / sums_B2[:, 1]
        return ratio

    without_U = np.concatenate([a_token(sums) for sums in drawn.without_each(lost_D2)])
    value = float(a_token(lost_D2.sum(axis=0, keepdims=True))[0])
    return bootstrap_interval(value, a_token(drawn.sums(lost_D2)), without_U, low=-inf, high=inf)


def _risen(log_ratio: float) -> float:
    return expm1(min(_MOST, log_ratio))
