"""The floor that remembers: the answers of the training rows whose words are nearest, by cosine of TF-IDF.

Nothing is tuned on anything but training rows: how many neighbours vote is chosen among a few in cross-validation, on at most 2,000
rows. Neighbours vote with their cosine; where no training row shares a word, the shares of all training rows stand in. For generated answers the
nearest row's own answer is given. Takes a sparse product of test with training texts, in blocks: seconds for 10,000 by 3,000 rows.

Legend: N training rows, T texts asked about, K classes (or neighbours), D figures of a row.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.evaluate.linear import WORD
from tunesmith.score.meanings import write_number
from tunesmith.score.measures import Floats
from tunesmith.score.prediction import Prediction

NEIGHBOURS = (1, 3, 5, 10, 20)
"""Numbers of neighbours tried; the least is taken of equals, and where too few rows allow a choice."""
FOLDS = 3
CHOOSING_ROWS = 2000
_BLOCK = 4_000_000
"""Cosines held at a time."""

Near = tuple[NDArray[np.int64], Floats]
"""The training rows nearest to each text, best first, and their cosines, [T, K] each."""


def neighbour_labels(train: Sequence[Row], test: Sequence[Row], *, seed: int = 0) -> list[Prediction]:
    """Labels by vote; `chances` are the shares of the votes. The same rows and seed give the same answers.

    Raises:
        DataError: there is no training row.
    """
    from scipy.sparse import csr_array

    _needs_rows(train)
    classes, index_N = np.unique(np.array([row.answer for row in train]), return_inverse=True)
    shares_K = np.bincount(index_N, minlength=len(classes)) / len(train)
    is_class_NK = csr_array((np.ones(len(train)), (np.arange(len(train)), index_N)), shape=(len(train), len(classes)))

    def voted(near: Near, votes: int) -> Floats:
        """Chances, [T, K]."""
        return _tally(near, votes, is_class_NK, shares_K)

    def hits(near: Near, held_out: NDArray[np.int64], votes: int) -> float:
        return float((voted(near, votes).argmax(axis=1) == index_N[held_out]).mean())

    votes = _chosen([row.text() for row in train], hits, seed)
    near, seconds = _nearest_timed(train, test, votes)
    chances_TK = voted(near, votes) if test else np.zeros((0, len(classes)))
    names = [str(label) for label in classes]
    return [
        Prediction(
            row_id=row.id,
            reference=row.answer,
            answer=names[best],
            confidence=float(chances[best]),
            chances=dict(zip(names, chances.tolist(), strict=True)),
            seconds=seconds,
        )
        for row, chances, best in zip(test, chances_TK, chances_TK.argmax(axis=1), strict=True)
    ]


def neighbour_value(train: Sequence[Row], test: Sequence[Row], *, seed: int = 0) -> list[Prediction]:
    """The neighbours' mean number, by their cosines.

    Raises:
        DataError: there is no training row with a number.
    """
    train = [row for row in train if row.value is not None]
    _needs_rows(train)
    value_N1 = np.array([[row.value] for row in train], dtype=np.float64)

    def told(near: Near, votes: int) -> Floats:
        return _tally(near, votes, value_N1, value_N1.mean(axis=0))[:, 0]

    def closeness(near: Near, held_out: NDArray[np.int64], votes: int) -> float:
        return -float(((told(near, votes) - value_N1[held_out, 0]) ** 2).mean())

    votes = _chosen([row.text() for row in train], closeness, seed)
    near, seconds = _nearest_timed(train, test, votes)
    found = told(near, votes).tolist() if test else []
    return [
        Prediction(row_id=row.id, reference=row.answer, answer=write_number(value), truth=row.value, found=value, seconds=seconds)
        for row, value in zip(test, found, strict=True)
    ]


def neighbour_answer(train: Sequence[Row], test: Sequence[Row]) -> list[Prediction]:
    """The nearest training row's answer, word for word; the commonest one where no row shares a word.

    Raises:
        DataError: there is no training row.
    """
    _needs_rows(train)
    counts = Counter(row.answer for row in train)
    commonest = min(counts, key=lambda one: (-counts[one], one))
    (places_N1, cosines_N1), seconds = _nearest_timed(train, test, 1)
    return [
        Prediction(row_id=row.id, reference=row.answer, answer=train[place].answer if cosine > 0 else commonest, seconds=seconds)
        for row, place, cosine in zip(test, places_N1[:, 0].tolist(), cosines_N1[:, 0].tolist(), strict=True)
    ]


def _needs_rows(train: Sequence[Row]) -> None:
    if not train:
        raise DataError("The nearest-neighbour floor has no training row: at least one is needed.")


def _tally(near: Near, votes: int, held_ND: Any, otherwise_D: Floats) -> Floats:
    """What the first `votes` neighbours hold, averaged by their cosines, [T, D]; `otherwise` where all of these are 0."""
    from scipy.sparse import csr_array

    places_TK, cosines_TK = near[0][:, :votes], near[1][:, :votes]
    asked = np.repeat(np.arange(len(places_TK)), places_TK.shape[1])
    votes_TN = csr_array((cosines_TK.ravel(), (asked, places_TK.ravel())), shape=(len(places_TK), held_ND.shape[0]))
    made = votes_TN @ held_ND
    total_T = cosines_TK.sum(axis=1)
    made_TD: Floats = made if isinstance(made, np.ndarray) else made.toarray()
    return np.where((total_T > 0)[:, None], made_TD / np.where(total_T > 0, total_T, 1.0)[:, None], otherwise_D)


def _chosen(texts: Sequence[str], score: Callable[[Near, NDArray[np.int64], int], float], seed: int) -> int:
    """The number of neighbours that scores best on rows held out from others, over `FOLDS` folds."""
    order = np.random.default_rng(derive_seed(seed, "neighbour folds")).permutation(len(texts))[:CHOOSING_ROWS]
    if len(order) < 2 * FOLDS:
        return NEIGHBOURS[0]
    total = np.zeros(len(NEIGHBOURS))
    for fold in range(FOLDS):
        held_out = order[fold::FOLDS]
        kept = np.setdiff1d(order, held_out)
        places, cosines = _nearest([texts[index] for index in kept], [texts[index] for index in held_out], max(NEIGHBOURS))
        near = kept[places], cosines
        total += len(held_out) * np.array([score(near, held_out, votes) for votes in NEIGHBOURS])
    return NEIGHBOURS[int(np.argmax(total))]


def _nearest_timed(train: Sequence[Row], test: Sequence[Row], count: int) -> tuple[Near, float]:
    """The nearest training rows, and each answer's share of the time."""
    if not test:
        return (np.zeros((0, 1), dtype=np.int64), np.zeros((0, 1))), 0.0
    features, held = text_features([row.text() for row in train])
    start = time.perf_counter()
    near = _search(held, features([row.text() for row in test]), count)
    return near, (time.perf_counter() - start) / len(test)


def _nearest(train: Sequence[str], texts: Sequence[str], count: int) -> Near:
    features, held = text_features(train)
    return _search(held, features(texts), count)


def text_features(train: Sequence[str]) -> tuple[Callable[[Sequence[str]], Any], Any]:
    """From texts to unit vectors, learnt from training texts, and those of these; empty ones where these hold no word."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    try:
        held = words.fit_transform(train)
    except ValueError:
        return lambda texts: csr_array((len(texts), 1)), csr_array((len(train), 1))
    return words.transform, held


def _search(held: Any, asked: Any, count: int) -> Near:
    """The nearest, best first; of equals the earlier row."""
    rows = held.shape[0]
    count, step = min(count, rows), max(1, _BLOCK // rows)
    columns = held.T.tocsr()
    places, cosines = [], []
    for start in range(0, asked.shape[0], step):
        block = (asked[start : start + step] @ columns).toarray()
        best = np.argsort(-block, axis=1, kind="stable")[:, :count] if count > 1 else block.argmax(axis=1)[:, None]
        places.append(best)
        cosines.append(np.take_along_axis(block, best, axis=1))
    return np.concatenate(places), np.concatenate(cosines)
