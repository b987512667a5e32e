"""Label errors: a tenth of banking77's training labels flipped; how many are found, and what dropping them is worth.

Each of three seeds flips 10% of the labels to another, drawn evenly. The figure is the recall at the longest cut of the ranked
list of which at least half are flipped. Beside it stands what is flagged without knowing the truth (recall, precision), and the
accuracy on the official test set of a logistic regression on the same features: trained with all rows, without the flagged
ones, and with clean labels. Features: TF-IDF of words, and the mean of the embedded base's last hidden states.
"""

import csv
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "banking77"
SEEDS = (0, 1, 2)
FLIPPED = 0.1
PRECISION = 0.5
TO_REACH = 0.75


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {
        "labels-recall": lambda: _measure("labels-recall", _linear),
        "labels-recall-base": lambda: _measure("labels-recall-base", _base),
    }


def _measure(case: str, features: Callable[[], tuple[Any, Any]]) -> dict[str, Any]:
    train, test = features()
    runs = [_run(train, test, seed) for seed in SEEDS]
    recalls = [run["recall"] for run in runs]
    return {
        "case": case,
        "value": round(mean(recalls), 4),
        "unit": "recall at precision 0.5",
        "spread": [round(min(recalls), 4), round(max(recalls), 4)],
        "repeats": len(runs),
        "to_reach": TO_REACH,
        "ours": {name: round(mean(run[name] for run in runs), 4) for name in runs[0]},
        "dropping_helps": all(run["accuracy_without_flagged"] > run["accuracy_with_all"] for run in runs),
    }


def _run(train: Any, test: Any, seed: int) -> dict[str, float]:
    from tunesmith.data.relabel import suspects

    (_, labels, test_labels) = _texts_and_labels()
    noisy = _flipped(labels, seed)
    wrong = noisy != labels
    errors = suspects(noisy, train, seed=seed)
    flagged = np.zeros(len(labels), dtype=bool)
    flagged[errors.ordinals_E] = True
    recall, cut = _recall(errors.quality_N, wrong)
    return {
        "recall": recall,
        "cut_rows": cut,
        "flagged_rows": int(flagged.sum()),
        "flagged_recall": float((flagged & wrong).sum() / wrong.sum()),
        "flagged_precision": float((flagged & wrong).sum() / max(1, flagged.sum())),
        "suggested_right": float((errors.suggested_E == labels[errors.ordinals_E])[wrong[errors.ordinals_E]].mean()),
        "accuracy_with_all": _accuracy(train, noisy, test, test_labels),
        "accuracy_without_flagged": _accuracy(train[~flagged], noisy[~flagged], test, test_labels),
        "accuracy_clean_labels": _accuracy(train, labels, test, test_labels),
    }


def _recall(quality: Any, wrong: Any) -> tuple[float, int]:
    """Recall at the longest cut with precision of at least a half, and its rows."""
    hits = np.cumsum(wrong[np.argsort(quality, kind="stable")])
    good = np.flatnonzero(hits / np.arange(1, len(hits) + 1) >= PRECISION)
    return (float(hits[good[-1]] / wrong.sum()), int(good[-1] + 1)) if len(good) else (0.0, 0)


def _flipped(labels: Any, seed: int) -> Any:
    """A tenth of the labels, each turned into any other with the same chance."""
    draw = np.random.default_rng(seed)
    chosen = draw.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
    noisy = labels.copy()
    classes = int(labels.max()) + 1
    noisy[chosen] = (labels[chosen] + draw.integers(1, classes, len(chosen))) % classes
    return noisy


def _accuracy(train: Any, labels: Any, test: Any, test_labels: Any) -> float:
    from sklearn.linear_model import LogisticRegression

    strength = 10.0 if hasattr(train, "tocsr") else 0.1
    model = LogisticRegression(C=strength, tol=1e-3, max_iter=200).fit(train, labels)
    return float((model.predict(test) == test_labels).mean())


@lru_cache(maxsize=1)
def _texts_and_labels() -> tuple[tuple[list[str], list[str]], Any, Any]:
    """The texts of both parts, and their labels as numbers."""
    parts = []
    for name in ("train.csv", "test.csv"):
        with (DATA / name).open(encoding="utf-8", newline="") as file:
            parts.append([(line["text"], line["category"]) for line in csv.DictReader(file)])
    number = {label: place for place, label in enumerate(sorted({label for _, label in parts[0]}))}
    texts = ([text for text, _ in parts[0]], [text for text, _ in parts[1]])
    return texts, *(np.array([number[label] for _, label in part]) for part in parts)


def _linear() -> tuple[Any, Any]:
    """TF-IDF of both parts together; nothing of the labels."""
    from tunesmith.data.relabel import linear_features

    (train, test), _, _ = _texts_and_labels()
    both = linear_features([*train, *test])
    return both[: len(train)], both[len(train) :]


def _base() -> tuple[Any, Any]:
    """The mean of the embedded base's last hidden states over a text's tokens, in columns of mean 0 and deviation 1."""
    (train, test), _, _ = _texts_and_labels()
    both = _pooled([*train, *test])
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    return both[: len(train)], both[len(train) :]


def _pooled(texts: list[str]) -> Any:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tunesmith.embedded import base_path

    tokenizer, model = AutoTokenizer.from_pretrained(base_path()), AutoModel.from_pretrained(base_path()).eval()
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    rows: list[Any] = [None] * len(texts)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            places = order[start : start + 64]
            ids = [tokenizer(texts[place])["input_ids"] or [0] for place in places]
            longest = max(map(len, ids))
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
            seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
            states = model(input_ids=padded, attention_mask=seen).last_hidden_state
            mean_states = (states * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)
            for place, state in zip(places, mean_states.float().numpy(), strict=True):
                rows[place] = state
    return np.stack(rows)
