"""Near-duplicates: recall and precision of planted edits, and what a million rows cost.

Rows are the prompts of banking77 and clinc150, and clauses of 10 to 100 characters cut from the prose of pretrain_en, folded
and each once; a tenth are copies of others with 2 to 10% of their characters replaced, inserted or deleted. Recall and
precision are by the rule itself (`tunesmith.data.near.rule`): a planted pair counts where its texts are near by it; a found
pair is right where Levenshtein distance, worked out apart, says so. `brute_recall` is over every pair of a sample of 1,000 rows
with all others, natural ones included.

    .venv/bin/python benchmarks/data_cases/near.py neardup-recall neardup-precision
    .venv/bin/python benchmarks/data_cases/near.py neardup-million neardup-five-million neardup-template   # 2, 8 and 4 minutes

Of the large sets the rows are spliced: the head of one row and the tail of another, a tenth edited; the last is a million texts
of one template. Their figures are rows a second of processor time on one core, and the peak of resident memory less what
was held before.
"""

import csv
import gzip
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
ROWS, SEEDS, AT_ONCE = 50_000, (0, 1, 2), 8192
LETTERS = "abcdefghijklmnopqrstuvwxyz "
Pairs = set[tuple[int, int]]


def fold(text: str) -> str:
    """As the product folds prompts."""
    return " ".join(text.casefold().split())


@lru_cache
def questions() -> list[str]:
    """Prompts of banking77 and clinc150, each once."""
    found = []
    for part in ("train", "test"):
        with (DATA / f"banking77/{part}.csv").open(newline="", encoding="utf-8") as file:
            found += [row["text"] for row in csv.DictReader(file)]
    with gzip.open(DATA / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        found += [text for part in json.load(file).values() for text, _ in part]
    return list(dict.fromkeys(map(fold, found)))


@lru_cache
def clauses() -> list[str]:
    """Clauses of pretrain_en of 10 to 100 characters, each once."""
    found = []
    for path in sorted((DATA / "pretrain_en").glob("train-*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                found += [fold(clause) for clause in re.split(r"(?<=[.!?;:,])\s+", json.loads(line)["text"])]
    return list(dict.fromkeys(clause for clause in found if 10 <= len(clause) <= 100))


def edited(text: str, share: float, rng: random.Random) -> str:
    """The text with so large a share of its characters replaced, inserted or deleted; one at least."""
    letters = list(text)
    for _ in range(max(1, round(share * len(text)))):
        place, kind = rng.randrange(len(letters)), rng.randrange(3)
        if kind == 0:
            letters[place] = rng.choice(LETTERS)
        elif kind == 1:
            letters.insert(place, rng.choice(LETTERS))
        elif len(letters) > 1:
            del letters[place]
    return "".join(letters)


def planted(seed: int) -> tuple[list[str], Pairs]:
    """Rows, shuffled, and which pairs of places were planted."""
    rng = random.Random(seed)
    base = questions() + rng.sample(clauses(), ROWS * 9 // 10 - len(questions()))
    rows: list[tuple[str, int | None]] = [(text, None) for text in base]
    rows += [(edited(base[at], rng.uniform(0.02, 0.1), rng), at) for at in rng.choices(range(len(base)), k=ROWS - len(base))]
    order = rng.sample(range(ROWS), ROWS)
    place = {old: new for new, old in enumerate(order)}
    pairs = {(place[old], place[of]) for old, (_, of) in enumerate(rows) if of is not None}
    return [rows[old][0] for old in order], {(max(pair), min(pair)) for pair in pairs}


def spliced(count: int) -> Iterator[list[str]]:
    """Rows in chunks: heads and tails of questions and clauses, a tenth of each chunk edited copies of its others."""
    rng = random.Random(0)
    words = [text.split() for text in questions() + rng.sample(clauses(), 4 * len(questions()))]
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        rows = []
        for _ in range(size - size // 10):
            head, tail = words[int(rng.random() * len(words))], words[int(rng.random() * len(words))]
            kept = head[: 1 + int(rng.random() * len(head))] + tail[int(rng.random() * len(tail)) :]
            rows.append(" ".join(kept)[:100])
        yield rows + [edited(rng.choice(rows), rng.uniform(0.02, 0.1), rng) for _ in range(size // 10)]


def template(count: int) -> Iterator[list[str]]:
    """Rows that differ in a number only."""
    numbers = random.Random(0).sample(range(10**9), count)
    for start in range(0, count, AT_ONCE):
        yield [f"order number {number} is late" for number in numbers[start : start + AT_ONCE]]


def search(texts: list[str]) -> tuple[Pairs, Any]:
    """The pairs found, later ordinal first, and the clusters."""
    from tunesmith.data.near import NearDuplicates, find
    from tunesmith.data.settings.dedup import NearConfig

    found: Pairs = set()

    class Listening(find.Joining):
        """Joins, and keeps the pairs for counting."""

        def add(self, pairs: Any) -> None:
            found.update(zip((pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist(), strict=True))
            super().add(pairs)

    own, find.Joining = find.Joining, Listening  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory() as folder:
            finder = NearDuplicates(NearConfig(), Path(folder), 0)
            for start in range(0, len(texts), AT_ONCE):
                finder.add(texts[start : start + AT_ONCE])
            clusters = finder.clusters()
    finally:
        find.Joining = own  # type: ignore[misc]
    return found, clusters


def near(one: str, other: str) -> bool | None:
    """By the stated rule, worked out apart from the product; None for two long texts, which edits don't decide."""
    from rapidfuzz.distance import Levenshtein

    if all(text.count(" ") + 1 > 50 or len(text) > 400 for text in (one, other)):
        return None
    longest = max(len(one), len(other))
    return Levenshtein.distance(one, other) <= int(0.15 * longest + 1e-9)


def brute(texts: list[str], seed: int) -> Pairs:
    """Every pair of distinct texts that is near and has a row of a sample of 1,000 in it."""
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    sample = random.Random(seed).sample(range(len(texts)), 1000)
    alike = cdist([texts[k] for k in sample], texts, scorer=Levenshtein.normalized_similarity, score_cutoff=0.849, dtype=np.float32)
    rough = {(max(sample[a], b), min(sample[a], b)) for a, b in np.argwhere(alike > 0.849).tolist() if texts[sample[a]] != texts[b]}
    return {pair for pair in rough if near(texts[pair[0]], texts[pair[1]])}


@lru_cache
def measured(seed: int) -> dict[str, float]:
    """Recall of planted pairs and of a sample's, and precision of all found."""
    texts, pairs = planted(seed)
    first_of: dict[str, int] = {}
    first = [first_of.setdefault(text, at) for at, text in enumerate(texts)]
    found, clusters = search(texts)
    wanted = {(a, b) for a, b in pairs if texts[a] != texts[b] and near(texts[a], texts[b])}
    sampled = brute(texts, seed)
    met = {tuple(sorted((first[a], first[b]))) for a, b in found}

    def share(of: Pairs) -> float:
        return sum(tuple(sorted((first[a], first[b]))) in met for a, b in of) / len(of)

    judged = [verdict for a, b in found if (verdict := near(texts[a], texts[b])) is not None]
    return {
        "recall": share(wanted),
        "brute_recall": share(sampled),
        "precision": sum(judged) / len(judged),
        "planted": len(wanted),
        "sampled": len(sampled),
        "found": len(judged),
        "capped": clusters.capped,
    }


def quality(name: str, value: str, to_reach: float) -> dict[str, Any]:
    """One of the two cases, over three sets."""
    runs = [measured(seed) for seed in SEEDS]
    values = sorted(run[value] for run in runs)
    told = {key: sorted(run[key] for run in runs) for key in runs[0]}
    middle, spread = values[len(values) // 2], [values[0], values[-1]]
    return {"case": name, "value": middle, "unit": "share", "spread": spread, "repeats": len(runs), "ours": told, "to_reach": to_reach}


def cost(name: str, count: int) -> dict[str, Any]:
    """Rows a second of processor time, and memory, in a process of its own."""
    line = subprocess.run([sys.executable, __file__, "--cost", name, str(count)], check=True, capture_output=True, text=True).stdout
    told = json.loads(line)
    value = told["rows_a_second"]
    return {"case": name, "value": value, "unit": "rows/s", "spread": [value, value], "repeats": 1, "ours": told, "to_reach": 40_000}


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _cost(name: str, count: int) -> dict[str, Any]:
    from tunesmith.data.near import NearDuplicates
    from tunesmith.data.settings.dedup import NearConfig

    made = template(count) if "template" in name else spliced(count)
    next(made)
    before, seconds = _peak_mib(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        finder = NearDuplicates(NearConfig(), Path(folder), 0)
        for rows in made:
            start = time.process_time()
            finder.add(rows)
            seconds += time.process_time() - start
        added, start = seconds, time.process_time()
        clusters = finder.clusters()
        seconds += time.process_time() - start
    told = {"rows_a_second": round(count / seconds), "seconds": round(seconds, 1), "adding_seconds": round(added, 1)}
    told |= {"peak_rss_mib": _peak_mib(), "before_mib": before, "pairs": clusters.pairs, "compared": clusters.compared}
    return told | {"capped": clusters.capped, "dropped": clusters.dropped}


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what runs it."""
    return {
        "neardup-recall": lambda: quality("neardup-recall", "recall", 0.97),
        "neardup-precision": lambda: quality("neardup-precision", "precision", 0.99),
        "neardup-million": lambda: cost("neardup-million", 1_000_000),
        "neardup-five-million": lambda: cost("neardup-five-million", 5_000_000),
        "neardup-template": lambda: cost("neardup-template", 1_000_000),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cost"]:
        print(json.dumps(_cost(sys.argv[2], int(sys.argv[3]))))
    else:
        for wanted in sys.argv[1:]:
            print(json.dumps(cases()[wanted]()), flush=True)
