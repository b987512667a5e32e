"""What a report card should say, worked out anew from the saved answers: by scikit-learn, scipy and sacrebleu, or in a few lines here.

Nothing of `tunesmith.score` is used, so a fault there can't hide itself.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Answers = list[dict[str, Any]]


def saved(folder: Path) -> dict[str, Answers]:
    """Every system's answers, as a round keeps them: system -> lines."""
    files = {path.stem: path for path in (folder / "baselines").glob("*.jsonl")} | {"tuned": folder / "predictions" / "tuned.jsonl"}
    return {name: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for name, path in files.items()}


def differences(report: dict[str, Any], folder: Path) -> list[str]:
    """Every figure of the report that differs from what its saved answers give, told; empty where all agree."""
    answers, wrong = saved(folder), []
    for system in report["systems"]:
        rows = answers[system["key"]]
        for name, told in system["metrics"].items():
            made = MEASURES[name](rows)
            same = told["value"] is None if made is None else told["value"] is not None and math.isclose(made, told["value"], **_NEAR)
            if not same:
                wrong.append(f"{name} of {system['key']}: the card has {told['value']}, the answers give {made}")
            elif made is not None and not told["low"] <= told["value"] <= told["high"]:
                wrong.append(f"{name} of {system['key']}: {told} is no interval around its value")
        for name in ("prompt_tokens", "answer_tokens"):
            if not math.isclose(system[name], np.mean([row[name] for row in rows]), **_NEAR):
                wrong.append(f"{name} of {system['key']}")
        if system["rows"] != len(rows):
            wrong.append(f"rows of {system['key']}")
    return wrong


_NEAR: dict[str, Any] = {"rel_tol": 1e-9, "abs_tol": 1e-9}


def _both(rows: Answers) -> tuple[list[str], list[str]]:
    return [row["reference"] for row in rows], [row["answer"] for row in rows]


def _averaged(part: int, average: str) -> Callable[[Answers], float]:
    """Precision (0), recall (1) or F1 (2) over the labels of the references."""

    def made(rows: Answers) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        truth, answer = _both(rows)
        return float(precision_recall_fscore_support(truth, answer, labels=sorted(set(truth)), average=average, zero_division=0)[part])

    return made


def _mcc(rows: Answers) -> float:
    """Answers that are none of the references' labels are one label more."""
    from sklearn.metrics import matthews_corrcoef

    truth, answer = _both(rows)
    return float(matthews_corrcoef(truth, [one if one in set(truth) else "another" for one in answer]))


def _exact(rows: Answers) -> float:
    return float(np.mean([row["answer"].split() == row["reference"].split() for row in rows]))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(theirs) + 1)
    for one in ours:
        before = row[:]
        for place, other in enumerate(theirs):
            row[place + 1] = before[place] + 1 if one == other else max(row[place], before[place + 1])
    return row[-1]


def _overlap(common: Callable[[Sequence[str], Sequence[str]], int]) -> Callable[[Answers], float]:
    """Twice what is in common over both lengths, mean over rows."""

    def one(row: dict[str, Any]) -> float:
        ours, theirs = _words(row["answer"]), _words(row["reference"])
        return 2 * common(ours, theirs) / (len(ours) + len(theirs)) if ours or theirs else 1.0

    return lambda rows: float(np.mean([one(row) for row in rows]))


def _bag(ours: Sequence[str], theirs: Sequence[str]) -> int:
    return (Counter(ours) & Counter(theirs)).total()


def _sacre(name: str) -> Callable[[Answers], float]:
    def made(rows: Answers) -> float:
        import sacrebleu

        truth, answer = _both(rows)
        return float(getattr(sacrebleu, name)(answer, [truth]).score) / 100

    return made


def _perplexity(rows: Answers) -> float | None:
    if any(row["reference_logprob"] is None for row in rows):
        return None
    return math.exp(-sum(row["reference_logprob"] for row in rows) / sum(row["reference_tokens"] for row in rows))


def _last_number(text: str) -> float | None:
    """What GSM8K is scored by: the number after ####, else the last one of the text."""
    _, mark, end = text.rpartition("####")
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", end if mark else text)
    return float(found[0 if mark else -1].replace(",", "")) if found else None


def _numeric(rows: Answers) -> float:
    return float(np.mean([_last_number(row["answer"]) == _last_number(row["reference"]) for row in rows]))


def _numbers(made: Callable[[Any, Any], float]) -> Callable[[Answers], float]:
    return lambda rows: float(made(np.array([row["truth"] for row in rows]), np.array([row["found"] for row in rows])))


def _correlation(name: str) -> Callable[[Answers], float]:
    """scipy's, 0 for a constant answer."""

    def made(truth: Any, found: Any) -> float:
        from scipy import stats

        return 0.0 if np.ptp(found) == 0 else float(getattr(stats, name)(truth, found).statistic)

    return _numbers(made)


def _r2(truth: Any, found: Any) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(truth, found))


MEASURES: dict[str, Callable[[Answers], float | None]] = {
    "accuracy": lambda rows: float(np.mean([row["answer"] == row["reference"] for row in rows])),
    "macro_precision": _averaged(0, "macro"),
    "macro_recall": _averaged(1, "macro"),
    "balanced_accuracy": _averaged(1, "macro"),
    "macro_f1": _averaged(2, "macro"),
    "micro_precision": _averaged(0, "micro"),
    "micro_recall": _averaged(1, "micro"),
    "micro_f1": _averaged(2, "micro"),
    "mcc": _mcc,
    "exact_match": _exact,
    "token_f1": _overlap(_bag),
    "rouge1": _overlap(_bag),
    "rougeL": _overlap(_common),
    "bleu": _sacre("corpus_bleu"),
    "chrf": _sacre("corpus_chrf"),
    "perplexity": _perplexity,
    "numeric_match": _numeric,
    "pearson": _correlation("pearsonr"),
    "spearman": _correlation("spearmanr"),
    "mae": _numbers(lambda truth, found: float(np.mean(np.abs(found - truth)))),
    "rmse": _numbers(lambda truth, found: math.sqrt(np.mean((found - truth) ** 2))),
    "r2": _numbers(_r2),
}
