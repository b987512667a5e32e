"""Rows of a loop, in four parts that share none: what the champion learnt from, what users ask, the frozen test set, the arbiter's set.

The arbiter's set is read by no training and no gate: it alone says whether a new champion is worse than the one before.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tunesmith.embedded import sample_path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
"""Where public data sets lie."""
Labelled = tuple[str, str]
"""A text and its right label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many rows each part has, at most."""

    labels: int = 15
    """Of banking77's 77; of the sample's 13 the commonest."""
    champion: int = 150
    traffic: int = 1000
    test: int = 400
    arbiter: int = 450


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRows:
    """The four parts."""

    labels: tuple[str, ...]
    champion: list[Labelled]
    traffic: list[Labelled]
    test: list[Labelled]
    arbiter: list[Labelled]


def rows_of(task: str, sizes: Sizes, seed: int, data: Path = DATA) -> LoopRows:
    """The parts of one loop, drawn by the seed; groups (templates of the sample) are never divided.

    Args:
        task: `banking77` (the public data set, some of its labels) or `sample` (what tunesmith brings along).
        sizes: of the parts.
        seed: which rows go where.
        data: the folder of public data sets.
    """
    groups = _banking(data / "banking77", sizes.labels) if task == "banking77" else _sample(sizes.labels)
    return divided(groups, sizes, seed)


def divided(groups: Sequence[Sequence[Labelled]], sizes: Sizes, seed: int) -> LoopRows:
    """Groups of rows dealt out; the champion's part holds every label in equal numbers as long as they last."""
    drawn = Random(seed)
    left = [list(group) for group in groups]
    drawn.shuffle(left)
    labels = sorted({label for group in left for _, label in group})
    share, champion = -(-sizes.champion // len(labels)), list[Labelled]()
    counts: Counter[str] = Counter()
    rest = []
    for group in left:
        label = group[0][1]
        if counts[label] < share:
            champion += group
            counts[label] += len(group)
        else:
            rest.append(group)
    parts: dict[str, list[Labelled]] = {}
    for name in ("test", "arbiter", "traffic"):
        parts[name] = []
        while rest and len(parts[name]) < getattr(sizes, name):
            parts[name] += rest.pop()
    return LoopRows(labels=tuple(labels), champion=champion, **parts)


def _banking(folder: Path, labels: int) -> list[list[Labelled]]:
    rows = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows += [(row["text"].strip(), row["category"].replace("_", " ")) for row in csv.DictReader(file)]
    known = sorted({label for _, label in rows})
    kept = set(known[:: len(known) // labels][:labels])
    return [[row] for row in dict(rows).items() if row[1] in kept]


def _sample(labels: int) -> list[list[Labelled]]:
    """By template, each with the label that most of its rows have: the sample holds some wrong ones on purpose. The commonest labels alone."""
    groups: dict[str, list[Labelled]] = defaultdict(list)
    for line in sample_path().read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("message") and str(row["message"]).strip() and row.get("intent"):
            groups[row["template"]].append((row["message"].strip(), row["intent"]))
    told = []
    for _, rows in sorted(groups.items()):
        truth = Counter(label for _, label in rows).most_common(1)[0][0]
        told.append([(text, truth) for text in dict.fromkeys(text for text, _ in rows)])
    common = Counter(group[0][1] for group in told for _ in group).most_common(labels)
    return [group for group in told if group[0][1] in dict(common)]


def write_rows(path: Path, rows: Sequence[Labelled]) -> Path:
    """Rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows), encoding="utf-8")
    return path
