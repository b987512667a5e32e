"""The floor for sets of labels and for numbers: one logistic regression a label, or ridge regression, on TF-IDF.

Nothing is tuned on anything but training rows. Rows that compare two texts also give how alike the two are, by words and
by letters, since a sum of words can't tell.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.targets import FIRST, SECOND
from tunesmith.evaluate.linear import WORD
from tunesmith.score.meanings import write_labels, write_number
from tunesmith.score.prediction import Meaning, Prediction

STRENGTH = 10.0
"""Inverse strength of regularisation of each label's logistic regression."""
RIDGES = (0.1, 1.0, 10.0, 100.0)
"""Strengths of ridge regression tried in cross-validation within training rows."""
FOLDS = 3
THRESHOLD = 0.5


def linear_labels(train: Sequence[Row], test: Sequence[Row], *, seed: int = 0) -> list[Prediction]:
    """TF-IDF with one logistic regression for each label; labels from a probability of one half on."""
    from sklearn.linear_model import LogisticRegression

    labels = sorted({label for row in train for label in row.labels or ()})
    held = [frozenset(row.labels or ()) for row in train]
    features = _features([row.text() for row in train])
    inputs = features([row.text() for row in train])
    models: list[Any] = []
    for label in labels:
        has = np.array([label in one for one in held])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit cut off at max_iter is a floor all the same
            model = LogisticRegression(C=STRENGTH, max_iter=200, tol=1e-3, class_weight="balanced", random_state=seed % 2**32)
            models.append(model.fit(inputs, has) if 0 < has.sum() < len(has) else bool(has.all()))

    def answers(texts: Sequence[str]) -> list[tuple[Meaning, str]]:
        made = features(texts)
        chances = [np.full(len(texts), float(one)) if isinstance(one, bool) else one.predict_proba(made)[:, 1] for one in models]
        sets = [
            tuple(label for label, chance in zip(labels, chances, strict=True) if chance[row] >= THRESHOLD) for row in range(len(texts))
        ]
        return [(one, write_labels(one)) for one in sets]

    return _timed(test, answers, [row.labels or () for row in test])


def linear_value(train: Sequence[Row], test: Sequence[Row], *, seed: int = 0) -> list[Prediction]:
    """TF-IDF with ridge regression, kept within the training rows' range."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_score

    texts = [row.text() for row in train]
    truth = np.array([row.value for row in train], dtype=np.float64)
    features = _features(texts)
    inputs = features(texts)
    chosen = RIDGES[1]
    if len(train) >= 2 * FOLDS:
        folds = KFold(FOLDS, shuffle=True, random_state=derive_seed(seed, "ridge folds") % 2**32)
        scores = [cross_val_score(Ridge(alpha=one), inputs, truth, cv=folds, scoring="neg_mean_squared_error").mean() for one in RIDGES]
        chosen = RIDGES[int(np.argmax(scores))]
    model = Ridge(alpha=chosen).fit(inputs, truth)

    def answers(texts: Sequence[str]) -> list[tuple[Meaning, str]]:
        found = np.clip(model.predict(features(texts)), truth.min(), truth.max())
        return [(float(value), write_number(float(value))) for value in found]

    return _timed(test, answers, [row.value for row in test])


def _timed(
    test: Sequence[Row], answers: Callable[[Sequence[str]], list[tuple[Meaning, str]]], truths: Sequence[Meaning]
) -> list[Prediction]:
    """Predictions with each answer's share of the time."""
    if not test:
        return []
    start = time.perf_counter()
    found = answers([row.text() for row in test])
    seconds = (time.perf_counter() - start) / len(test)
    return [
        Prediction(row_id=row.id, reference=row.answer, answer=shown, seconds=seconds, truth=truth, found=meaning)
        for row, truth, (meaning, shown) in zip(test, truths, found, strict=True)
    ]


def _features(train: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """From texts to features, learnt from training texts; a constant one where these hold no word."""
    from scipy.sparse import csr_array, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    compared = bool(train) and all(_two(text) is not None for text in train)
    try:
        words.fit(train)
        letters.fit(train)
    except ValueError:
        return lambda texts: csr_array(np.ones((len(texts), 1)))

    def made(texts: Sequence[str]) -> Any:
        parts = [words.transform(texts)]
        if compared:
            both = [_two(text) or ("", "") for text in texts]
            first, second = ([pair[side] for pair in both] for side in (0, 1))
            alike = [np.asarray((one.transform(first).multiply(one.transform(second))).sum(axis=1)).ravel() for one in (words, letters)]
            lengths = np.array([abs(len(a) - len(b)) / max(1, len(a), len(b)) for a, b in both])
            parts.append(csr_array(np.column_stack([*alike, *(one**2 for one in alike), lengths])))
        return hstack(parts, format="csr")

    return made


def _two(text: str) -> tuple[str, str] | None:
    """The two texts of a row that compares them; None for any other."""
    first, middle, second = text.partition(SECOND)
    return (first.removeprefix(FIRST), second) if middle and first.startswith(FIRST) else None
