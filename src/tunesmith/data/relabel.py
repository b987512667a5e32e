"""Labels that look wrong, by cross-validated confident learning (Northcutt et al., 2021); what is done about them is `review`'s.

Every row is judged by a logistic regression that was fitted on other folds; rows of one group (near-duplicates) share a fold.
A row is suspected where its own label's probability is too low for what that class usually gets, and as many rows a pair of
labels as the confident joint estimates (cleanlab's `prune_by_noise_rate`). Features are handed in, or made by
`linear_features`. Cost: `folds` fits; on one core about 12 s for 10,000 rows of 77 classes and TF-IDF, a few for dense features.
Memory: rows x classes x 8 bytes, and the features. Legend: N rows, D features, K classes, E suspected errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError
from tunesmith.core.seeds import derive_seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_WORD = r"(?u)\w+"
_FEW_TEXTS = 100
_STRENGTH_SPARSE, _STRENGTH_DENSE = 10.0, 0.1
_ITERATIONS = 200
_FEWEST_ITERATIONS = 30
_WORK = 1e11
"""Products of all fits; where labels say nothing of the texts a fit goes on to its last step, so large sets get fewer of them."""


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Suspected rows, the likeliest error first."""

    ordinals_E: "Ints"
    """Which rows."""
    given_E: "Ints"
    """The label each has."""
    suggested_E: "Ints"
    """The likeliest other label."""
    scores_E: "Floats"
    """Out-of-fold probability of the label given: the lower, the likelier it is wrong."""
    quality_N: "Floats"
    """The same for all rows; 1 for rows that weren't judged."""
    unjudged: tuple[int, ...]
    """Classes of too few rows or groups, whose rows weren't judged."""
    accuracy: float
    """Share of judged rows whose likeliest label is the one given: what the features can tell."""


def linear_features(texts: Sequence[str]) -> Any:
    """TF-IDF of words and pairs of words, the 50,000 commonest: a sparse matrix [N, D] with rows of length 1.

    Raises:
        DataError: no text holds a word.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    least = 2 if len(texts) >= _FEW_TEXTS else 1
    vectors = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=least, max_features=50_000, token_pattern=_WORD, dtype=np.float32
    )
    try:
        return vectors.fit_transform(texts)
    except ValueError:
        raise DataError(
            "No text holds a word that stands in another too: labels can't be judged by words; set data.relabel.action to off."
        ) from None


def suspects(labels_N: "Ints", features_ND: Any, *, groups_N: "Ints | None" = None, folds: int = 5, seed: int = 0) -> LabelErrors:
    """Rank the rows whose label looks wrong; the same input and seed give the same list.

    Args:
        labels_N: label of each row, 0 to K - 1.
        features_ND: float array, or a sparse matrix.
        groups_N: rows that belong together (near-duplicates) have the same number; every row by itself where absent.
        folds: how many models are fitted.
        seed: of the folds.

    Raises:
        DataError: fewer than two classes have enough rows to be judged.
        ValueError: the arrays don't fit together.
    """
    import numpy as np

    if len(labels_N) != features_ND.shape[0] or (groups_N is not None and len(groups_N) != len(labels_N)):
        raise ValueError("labels, features and groups must have as many rows as one another")
    classes, dense_N = np.unique(labels_N, return_inverse=True)
    fold_N = folds_of(dense_N, np.arange(len(dense_N)) if groups_N is None else groups_N, folds, seed)
    judged_K = _spread(dense_N, fold_N, len(classes)) >= folds
    if judged_K.sum() < 2:
        raise DataError(f"Labels can't be judged: fewer than two have {folds} rows that stand apart. Set data.relabel.action to off.")
    probability_NK = _out_of_fold(dense_N, features_ND, fold_N)
    return _ranked(classes, dense_N, probability_NK, judged_K)


def suspected_sets(
    holds_NK: "npt.NDArray[np.bool_]", features_ND: Any, *, groups_N: "Ints | None" = None, folds: int = 5, seed: int = 0
) -> dict[int, LabelErrors]:
    """The same for rows with sets of labels: each label by itself, given or not; only labels with suspected rows are named.

    Args:
        holds_NK: whether each row holds each label.
        features_ND: float array, or a sparse matrix.
        groups_N: as in `suspects`.
        folds: how many models are fitted a label.
        seed: of the folds.
    """
    found: dict[int, LabelErrors] = {}
    for label in range(holds_NK.shape[1]):
        try:
            errors = suspects(
                holds_NK[:, label].astype("int64"), features_ND, groups_N=groups_N, folds=folds, seed=derive_seed(seed, label)
            )
        except DataError:  # nearly all rows hold it, or nearly none
            continue
        if len(errors.ordinals_E):
            found[label] = errors
    return found


def folds_of(labels_N: "Ints", groups_N: "Ints", folds: int, seed: int) -> "Ints":
    """The fold of each row: groups whole, dealt out in a seeded order, label by label, so that every fold has its share of each."""
    import numpy as np

    _, first_G, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    shuffled_G = np.random.default_rng(derive_seed(seed, "folds")).permutation(len(first_G))
    order_G = shuffled_G[np.argsort(labels_N[first_G][shuffled_G], kind="stable")]
    fold_G = np.empty(len(first_G), dtype=np.int64)
    fold_G[order_G] = np.arange(len(first_G)) % folds
    found: Ints = fold_G[group_N]
    return found


def _spread(labels_N: "Ints", fold_N: "Ints", classes: int) -> "Ints":
    """In how many folds each class stands."""
    import numpy as np

    pairs = np.unique(np.stack([labels_N, fold_N], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=classes)


def _out_of_fold(labels_N: "Ints", features_ND: Any, fold_N: "Ints") -> "Floats":
    """Probabilities [N, K], each row's from a model that saw neither it nor its group; a class that wasn't seen has none."""
    from warnings import catch_warnings, simplefilter

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    is_sparse = hasattr(features_ND, "tocsr")
    features_ND = features_ND.tocsr() if is_sparse else _standardised(features_ND)
    probability_NK = np.zeros((len(labels_N), int(labels_N.max()) + 1))
    folds = int(fold_N.max()) + 1
    steps = _WORK / (folds * probability_NK.shape[1] * (features_ND.nnz if is_sparse else features_ND.size))
    steps = int(min(_ITERATIONS, max(_FEWEST_ITERATIONS, steps)))
    with (
        threadpool_limits(1),
        catch_warnings(),
    ):  # its vectors are short: threads that wait for one another cost ten times what they bring on a busy machine
        simplefilter("ignore", ConvergenceWarning)  # a fit that was cut short is a fit of less strength
        for fold in range(folds):
            held = fold_N == fold
            model = LogisticRegression(C=_STRENGTH_SPARSE if is_sparse else _STRENGTH_DENSE, tol=1e-3, max_iter=steps)
            model.fit(features_ND[~held], labels_N[~held])
            probability_NK[np.ix_(held, model.classes_)] = model.predict_proba(features_ND[held])
    return probability_NK


def _standardised(features_ND: Any) -> Any:
    """Columns of mean 0 and deviation 1; a column that never changes is 0. Labels have no part in it."""
    import numpy as np

    features_ND = np.asarray(features_ND, dtype=np.float32)
    if not np.isfinite(features_ND).all():
        raise ValueError("features must be finite")
    deviation_D = features_ND.std(axis=0)
    return (features_ND - features_ND.mean(axis=0)) / np.where(deviation_D > 0, deviation_D, 1.0)


def _ranked(classes: "Ints", labels_N: "Ints", probability_NK: "Floats", judged_K: "npt.NDArray[np.bool_]") -> LabelErrors:
    """What confident learning says of the judged rows, ranked by self-confidence."""
    import numpy as np

    judged_N = np.flatnonzero(judged_K[labels_N])
    kept_K = np.flatnonzero(judged_K)
    new_K = np.cumsum(judged_K) - 1
    own_J, of_JK = new_K[labels_N[judged_N]], probability_NK[np.ix_(judged_N, kept_K)]
    of_JK = of_JK / np.maximum(of_JK.sum(axis=1, keepdims=True), 1e-12)
    confidence_J = of_JK[np.arange(len(own_J)), own_J]
    wrong_J = np.flatnonzero(_issues(own_J, of_JK))
    wrong_J = wrong_J[np.argsort(confidence_J[wrong_J], kind="stable")]
    quality_N = np.ones(len(labels_N))
    quality_N[judged_N] = confidence_J
    others_JK = of_JK.copy()
    others_JK[np.arange(len(own_J)), own_J] = -1.0
    return LabelErrors(
        ordinals_E=judged_N[wrong_J],
        given_E=classes[kept_K[own_J[wrong_J]]],
        suggested_E=classes[kept_K[others_JK[wrong_J].argmax(axis=1)]],
        scores_E=confidence_J[wrong_J],
        quality_N=quality_N,
        unjudged=tuple(int(label) for label in classes[~judged_K]),
        accuracy=float((of_JK.argmax(axis=1) == own_J).mean()),
    )


def _issues(labels_J: "Ints", probability_JK: "Floats") -> "npt.NDArray[np.bool_]":
    """Whether each row is a label error, by cleanlab: thresholds, confident joint and pruning by noise rate (sections 3.1 and 3.2)."""
    import numpy as np
    from cleanlab.filter import find_label_issues

    found = find_label_issues(labels_J, probability_JK, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(found, dtype=bool)
