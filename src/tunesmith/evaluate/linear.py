"""The floor: logistic regression on TF-IDF of words and pairs of words. What a language model should not lose to.

Nothing here is tuned on anything but training rows. On 10,003 rows of 77 classes it takes about ten seconds on one
core; the strength of regularisation is chosen on at most 2,000 of them.
"""

import re
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.score.prediction import Prediction

STRENGTHS = (10.0, 1.0, 100.0)
"""Inverse strengths of regularisation tried: scikit-learn's C. The first is taken of equals, and where too few rows allow a choice."""
WORD = r"(?u)\w+"
"""Words of any length and script; scikit-learn's own pattern drops words of one letter."""
FOLDS = 3
CHOOSING_ROWS = 2000


def linear_floor(train: Sequence[Row], test: Sequence[Row], *, seed: int = 0) -> list[Prediction]:
    """Fit on `train`, answer `test`, in its order; the same rows and seed give the same answers.

    One class, or no text that holds a word, leaves the commonest class as every answer.
    `seconds` is each answer's share of the time to turn text into features and features into an answer.

    Raises:
        DataError: there is no training row.
    """
    if not train:
        raise DataError("The linear floor has no training row: at least one is needed.")
    texts, labels = [row.text() for row in train], np.array([row.answer for row in train])
    model = _fit(texts, labels, seed)
    if not test:
        return []
    start = time.perf_counter()
    classes, probability_RK = _answer(model, labels, [row.text() for row in test])
    seconds = (time.perf_counter() - start) / len(test)
    best_R = probability_RK.argmax(axis=1)
    return [
        Prediction(
            row_id=row.id,
            reference=row.answer,
            answer=str(classes[best]),
            confidence=float(probability[best]),
            chances=dict(zip(map(str, classes), map(float, probability), strict=True)),
            seconds=seconds,
        )
        for row, best, probability in zip(test, best_R, probability_RK, strict=True)
    ]


def _answer(model: Any, labels: Any, texts: list[str]) -> tuple[Any, Any]:
    """Classes [K] and their probabilities [R, K]; the shares among the training rows where there is no model."""
    if model is None:
        classes, counts = np.unique(labels, return_counts=True)
        return classes, np.tile(counts / counts.sum(), (len(texts), 1))
    return model.classes_, model.predict_proba(texts)


def _features() -> Any:
    """Words alone and in pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)


def _pipeline(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(_features(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def _hold_words(texts: list[str]) -> bool:
    return any(re.search(WORD, text) for text in texts)


def _fit(texts: list[str], labels: Any, seed: int) -> Any:
    """A fitted pipeline; None where there is nothing to tell apart or to tell it by."""
    if len(np.unique(labels)) < 2 or not _hold_words(texts):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit cut off at max_iter is a floor all the same
        return _pipeline(_strength(texts, labels, seed)).fit(texts, labels)


def _strength(texts: list[str], labels: Any, seed: int) -> float:
    """The strength with the best accuracy in cross-validation within these rows."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    chosen = np.arange(len(texts))
    if len(texts) > CHOOSING_ROWS:
        chosen = np.sort(np.random.default_rng(derive_seed(seed, "linear rows")).permutation(len(texts))[:CHOOSING_ROWS])
    classes, counts = np.unique(labels[chosen], return_counts=True)
    fellows = classes[counts >= FOLDS]
    chosen = chosen[np.isin(labels[chosen], fellows)]
    some = [texts[index] for index in chosen]
    if len(fellows) < 2 or not _hold_words(some):
        return STRENGTHS[0]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=derive_seed(seed, "linear folds") % 2**32)
    scores = [cross_val_score(_pipeline(strength), some, labels[chosen], cv=folds, error_score=0.0).mean() for strength in STRENGTHS]
    return STRENGTHS[int(np.argmax(scores))]
