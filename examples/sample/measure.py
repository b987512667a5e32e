"""Prints how far a bag of words gets on the embedded sample, split by template: the table in README.md is what this prints.

python examples/sample/measure.py
"""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import ftfy
import numpy as np
from make_sample import TARGET
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from writing import fold

SPLITS = 5
STRENGTHS = (1.0, 10.0)
LEARNERS: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 1)},
    "words and pairs": {"ngram_range": (1, 2)},
    "letters, 3 to 5 of a word": {"analyzer": "char_wb", "ngram_range": (3, 5)},
}


def usable_rows() -> Iterator[dict[str, Any]]:
    """Rows with a message and an intent, encodings repaired, each message once."""
    seen: set[str] = set()
    for line in TARGET.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not (row["message"] or "").strip() or not row["intent"]:
            continue
        row["message"] = ftfy.fix_text(row["message"])
        if fold(row["message"]) not in seen:
            seen.add(fold(row["message"]))
            yield row


def main() -> None:
    warnings.simplefilter("ignore")
    rows = list(usable_rows())
    messages, intents, templates = (np.array([row[name] for row in rows]) for name in ("message", "intent", "template"))
    print(f"{len(rows)} usable rows, {len(set(templates))} templates, {SPLITS} splits by template, 15% for test, labels as given\n")
    print("| TF-IDF over | C | accuracy, mean | lowest | highest |\n|---|---|---|---|---|")
    splits = list(GroupShuffleSplit(SPLITS, test_size=0.15, random_state=0).split(messages, intents, templates))
    for name, options in LEARNERS.items():
        for strength in STRENGTHS:
            scores = []
            for train, test in splits:
                model = make_pipeline(TfidfVectorizer(sublinear_tf=True, **options), LogisticRegression(C=strength, max_iter=300))
                scores.append(float(model.fit(messages[train], intents[train]).score(messages[test], intents[test])))
            print(f"| {name} | {strength:g} | {np.mean(scores):.1%} | {min(scores):.1%} | {max(scores):.1%} |", flush=True)


if __name__ == "__main__":
    main()
