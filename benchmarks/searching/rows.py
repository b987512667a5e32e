"""Few rows of three public data sets, in three sides that share none: `train`, `select`, and fresh rows that nothing is chosen by.

Rows are taken by a fixed seed, so that a grid measured again is measured on the same ones. Of e2e_nlg all references of one input lie on
one side, and only inputs of at most five facts are taken, which keeps rows short. Nothing of the rows goes into a result.
"""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tunesmith.core.rows import Message, Row

ROOT = Path(__file__).resolve().parents[2]
DATA = next((one / "shared" / "data" for one in ROOT.parents if (one / "shared" / "data").is_dir()), ROOT.parent / "shared" / "data")
"""Where public data sets lie."""
SEED = 7
Pair = tuple[str, str]
"""What is asked, and its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The three sides of one data set."""

    task: str
    train: tuple[Row, ...]
    select: tuple[Row, ...]
    fresh: tuple[Row, ...]
    labels: tuple[str, ...] | None


def rows_of(name: str) -> Rows:
    """The sides of one data set by name."""
    return (_SETS | _OTHERS)[name](DATA / name)


def _banking77(folder: Path) -> Rows:
    train = _table(folder / "train.csv", "text", "category")
    return labelled(train, [], _table(folder / "test.csv", "text", "category"), labels=16, sizes=(10, 6, 40))


def _clinc150(folder: Path) -> Rows:
    with gzip.open(folder / "data_small.json.gz", "rt", encoding="utf-8") as file:
        splits = {name: [(text, label) for text, label in pairs] for name, pairs in json.load(file).items()}
    return labelled(splits["train"], splits["val"], splits["test"], labels=12, sizes=(8, 5, 30))


def _e2e_nlg(folder: Path) -> Rows:
    with gzip.open(folder / "devset.csv.gz", "rt", encoding="utf-8", newline="") as file:
        pairs = [(row["mr"], row["ref"]) for row in csv.DictReader(file) if row["mr"].count("[") <= 5]
    return written(pairs, sizes=(80, 40, 160), references=(4, 4, 4))


def _sgd(folder: Path) -> Rows:
    """What a caller says first, and what for: the first of the dialogue's intents."""
    said: list[Pair] = []
    for split in ("train", "dev", "test"):
        for one in _lines(folder / f"{split}.jsonl.gz"):
            said.append((one["turns"][0]["utterance"], one["intents"][0]))
    counts = Counter(label for _, label in dict.fromkeys(said))
    usual = {label for label, count in counts.items() if count >= 45}
    return labelled([pair for pair in said if pair[1] in usual], [], [], labels=min(16, len(usual)), sizes=(10, 6, 25))


def _hate_offensive(folder: Path) -> Rows:
    with gzip.open(folder / "labeled_data.csv.gz", "rt", encoding="utf-8", newline="") as file:
        names = {"0": "hate", "1": "offensive", "2": "neither"}
        pairs = [(" ".join(row["tweet"].split()), names[row["class"]]) for row in csv.DictReader(file)]
    return labelled(pairs, [], [], labels=3, sizes=(54, 32, 200))


def _cued_nlg(folder: Path) -> Rows:
    """Acts of a dialogue system about restaurants, as one line, and a sentence that says them."""
    acts = [(one["meaning_representation"], one["reference"]) for one in _lines(folder / "restaurant_train.jsonl")]
    return written(acts, sizes=(80, 40, 160), references=(4, 4, 4))


def _alpaca(folder: Path) -> Rows:
    """Instructions with answers of at most forty words."""
    pairs = [(f"{one['instruction']}\n{one['input']}".strip(), one["output"]) for one in _lines(folder / "alpaca_en_demo.jsonl.gz")]
    short = [pair for pair in pairs if len(pair[1].split()) <= 40 and len(pair[0].split()) <= 40]
    return written(short, sizes=(80, 40, 137), references=(1, 1, 1))


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


_SETS = {"banking77": _banking77, "clinc150": _clinc150, "e2e_nlg": _e2e_nlg}
_OTHERS = {"dialogues_sgd": _sgd, "hate_offensive": _hate_offensive, "cued_nlg": _cued_nlg, "instructions_alpaca_demo": _alpaca}
NAMES = tuple(_SETS)
"""What searches and defaults are judged on."""
OTHERS = tuple(_OTHERS)
"""What defaults are chosen on."""


def labelled(train: Sequence[Pair], select: Sequence[Pair], fresh: Sequence[Pair], *, labels: int, sizes: tuple[int, int, int]) -> Rows:
    """So many rows a label on each side, of labels spread over the sorted ones; a side without rows of its own takes from `train`."""
    drawn = Random(SEED)
    known = sorted({label for _, label in fresh or train})
    chosen = tuple(known[:: len(known) // labels][:labels])
    left = {label: _shuffled([pair for pair in dict.fromkeys(train) if pair[1] == label], drawn) for label in chosen}
    sides: list[tuple[Row, ...]] = []
    for place, (own, size) in enumerate(zip(((), select, fresh), sizes, strict=True)):
        taken = []
        for label in chosen:
            pool = _shuffled([pair for pair in dict.fromkeys(own) if pair[1] == label], drawn) if own else left[label]
            taken += [pool.pop() for _ in range(min(size, len(pool)))]
        sides.append(_rows(_shuffled(taken, drawn), place))
    return Rows(task="classify", train=sides[0], select=sides[1], fresh=sides[2], labels=chosen)


def written(pairs: Sequence[Pair], *, sizes: tuple[int, int, int], references: tuple[int, int, int]) -> Rows:
    """Sides of these sizes at most; all references of one input, so many of them at most, on one side."""
    drawn = Random(SEED)
    of_input: dict[str, list[Pair]] = defaultdict(list)
    for pair in dict.fromkeys(pairs):
        of_input[pair[0]].append(pair)
    inputs = _shuffled(sorted(of_input), drawn)
    sides: list[tuple[Row, ...]] = []
    for place, (size, most) in enumerate(zip(sizes, references, strict=True)):
        taken: list[Pair] = []
        while inputs and len(taken) < size:
            taken += _shuffled(of_input[inputs.pop()], drawn)[:most]
        sides.append(_rows(_shuffled(taken[:size], drawn), place))
    return Rows(task="generate", train=sides[0], select=sides[1], fresh=sides[2], labels=None)


def _rows(pairs: Sequence[Pair], side: int) -> tuple[Row, ...]:
    return tuple(
        Row(id=f"{side}{number:015d}", prompt=(Message("user", text),), answer=answer) for number, (text, answer) in enumerate(pairs)
    )


def _shuffled(pairs: Sequence, drawn: Random) -> list:
    made = list(pairs)
    drawn.shuffle(made)
    return made


def _table(path: Path, text: str, label: str) -> list[Pair]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[text].strip(), row[label]) for row in csv.DictReader(file)]
