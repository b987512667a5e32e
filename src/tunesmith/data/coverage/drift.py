"""Do lengths and words differ between train rows and production inputs?

Words are those of the first 2,000 characters, casefolded. Legend: T train rows, P production inputs.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.terms import words_of
from tunesmith.data.coverage.features import MOST_CHARS
from tunesmith.score.intervals import wilson

_TOP = 20
_PRIOR = 500.0
"""The prior weighs as much as so many words."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def length_drift(train: Sequence[str], production: Sequence[str]) -> dict[str, Any]:
    """Lengths in characters: the Wasserstein distance, and the test of Kolmogorov and Smirnov (asymptotic, careful with ties)."""
    import numpy as np
    from scipy.stats import ks_2samp, wasserstein_distance

    ours, theirs = np.array([len(text) for text in train]), np.array([len(text) for text in production])
    test = ks_2samp(ours, theirs, method="asymp")
    return {
        "quantiles": list(QUANTILES),
        "train": np.quantile(ours, QUANTILES).tolist(),
        "production": np.quantile(theirs, QUANTILES).tolist(),
        "wasserstein": float(wasserstein_distance(ours, theirs)),
        "ks": {"value": float(test.statistic), "p": float(test.pvalue)},
    }


def vocabulary_drift(train: Sequence[str], production: Sequence[str], seed: int) -> dict[str, Any]:
    """The share of production's words that train rows don't hold, against that of train rows set aside; and which words differ most.

    A fifth of the train rows is set aside, and both are looked up in the words of the others: any text holds new words.
    """
    import numpy as np

    ours, theirs = [_words(text) for text in train], [_words(text) for text in production]
    order = np.random.default_rng(derive_seed(seed, "coverage", "vocabulary")).permutation(len(ours))
    aside, rest = order[: max(1, len(order) // 5)], order[max(1, len(order) // 5) :]
    known = {word for at in rest for word in ours[at]}
    counts, other_counts = Counter(word for words in ours for word in words), Counter(word for words in theirs for word in words)
    unseen, expected = _unseen(theirs, known), _unseen([ours[at] for at in aside], known)
    return {
        "unseen": unseen,
        "expected": expected,
        "words": {"train": len(counts), "production": len(other_counts)},
        "more_in_production": telling_words(other_counts, counts)[:_TOP],
        "more_in_train": telling_words(counts, other_counts)[:_TOP],
    }


def _words(text: str) -> list[str]:
    return words_of(text[:MOST_CHARS])


def _unseen(texts: Sequence[Sequence[str]], known: set[str]) -> dict[str, Any]:
    """The share of words that are not known. Words of a text come together: the interval counts texts, by the ratio estimator's variance."""
    new = [sum(word not in known for word in words) for words in texts]
    whole, unseen = sum(map(len, texts)), sum(new)
    if not whole:
        return {"rows": 0, "hits": 0, "rate": None, "interval": None}
    rate = unseen / whole
    variance = sum((hits - rate * len(words)) ** 2 for hits, words in zip(new, texts, strict=True)) / whole**2
    effective = rate * (1 - rate) / variance if variance > 0 else float(len(texts))
    effective = max(1.0, min(float(whole), effective))
    return {"rows": whole, "hits": unseen, "rate": rate, "interval": list(wilson(rate * effective, effective))}


def telling_words(one: Counter[str], other: Counter[str]) -> list[dict[str, Any]]:
    """The words that one side uses more, the surest first, by the log-odds ratio with an informative Dirichlet prior.

    Monroe, Colaresi and Quinn (2008, eq. 16, 20 to 22); the prior is the words of both sides together, worth 500 words. `z` is
    the log-odds ratio over its standard deviation; only words of z above 2 are told.
    """
    both = one + other
    whole, ours, theirs = both.total(), one.total(), other.total()
    found = []
    for word, count in one.items():
        prior = _PRIOR * both[word] / whole
        mine, yours = count + prior, other[word] + prior
        odds = math.log(mine / (ours + _PRIOR - mine)) if ours + _PRIOR > mine else math.inf
        other_odds = math.log(yours / (theirs + _PRIOR - yours)) if theirs + _PRIOR > yours else math.inf
        if not (math.isfinite(odds) and math.isfinite(other_odds)):
            continue
        z = (odds - other_odds) / math.sqrt(1 / mine + 1 / yours)
        if z > 2:
            found.append({"word": word, "z": z, "count": count, "other": other[word]})
    return sorted(found, key=lambda each: (-each["z"], each["word"]))
