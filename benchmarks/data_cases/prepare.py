"""Preparing from end to end: against datatrove, in memory, and what crosses the sides of what it makes.

`prepare-speed`: a million short rows (spliced clauses of the public sets, a tenth edited copies, one in fifty with a broken encoding, one in
fifty with loose white space) read from JSON Lines, mended, filtered by length, exact and near-duplicates dropped, and written, by both on as
many processes as there are cores. What only we do besides is left on where it is part of that way (split, ids, an account of each row),
and off where it is a stage of its own (personal data, label errors, audit, coverage). Both are run in turn; ratio: the peer's seconds over
ours. Beside it, as `copies`: how many of the planted copies each has left. data-juicer 1.6.1 was tried on 50,000 rows and took eight times as
long as datatrove 0.10.1 (peers/datatrove_side.py).

`prepare-memory`: five million such rows, with everything on but label errors (which look at no more than 200,000 rows). Peak of resident memory of all our
processes together, looked at four times a second; a page that n of them share counts 1/n in each (the kernel's PSS).

`split-crossings`: clinc150's training rows, a tenth as many edited copies planted among them, groups of one to four rows; then all pairs of
rows on two sides are compared by the rule itself, worked out apart from the product. Once divided by text, once by group.
"""

import gzip
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_cases.near import DATA, ROOT, edited, fold, near, spliced
from training.peers import environment

SPEED_ROWS, MEMORY_ROWS = 1_000_000, 5_000_000
REPEATS, ENOUGH_SECONDS = 3, 400
"""So many turns of both; no more are begun after so long."""
LABELS = 77
ALIKE = {
    "task": "classify",
    "dedup": {"near_action": "drop"},
    "relabel": {"action": "off"},
    "audit": {"enabled": False},
    "coverage": {"enabled": False},
}
PEER = {"buckets": 14, "hashes": 8}
WHOLE = {"task": "classify", "relabel": {"action": "off"}}


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"prepare-speed": speed, "prepare-memory": memory, "split-crossings": crossings}


def rows_file(count: int) -> Path:
    """The rows, made once and kept under .bench: `text`, `label`, and in `copy` 1 where a row was planted as an edited copy."""
    path = ROOT / ".bench" / "rows" / f"spliced-1-{count}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rng, whole = random.Random(1), path.with_suffix(".part")
        with whole.open("w", encoding="utf-8") as file:
            for rows in spliced(count):
                for place, text in enumerate(rows):
                    row = {"text": _worn(text, rng), "label": f"label {sum(map(ord, text[:6])) % LABELS}"}
                    file.write(json.dumps(row | {"copy": int(place >= len(rows) - len(rows) // 10)}, ensure_ascii=False) + "\n")
        whole.rename(path)
    return path


def _worn(text: str, rng: random.Random) -> str:
    """One in fifty with a letter decoded wrongly, one in fifty with loose white space."""
    drawn = rng.random()
    if drawn < 0.02:
        return text.replace("e", "Ã©", 1)
    return "  " + text.replace(" ", "  ", 1) + "\t" if drawn < 0.04 else text


def speed() -> dict[str, Any]:
    """Ours and the peer in turn."""
    rows, python, workers = rows_file(SPEED_ROWS), environment("datatrove", own_torch=True), len(os.sched_getaffinity(0))
    began = time.perf_counter()
    runs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with tempfile.TemporaryDirectory(dir=rows.parent) as folder:
        halves = Path(folder) / "in"
        _divided(rows, halves, workers)
        while len(runs) < REPEATS and (len(runs) < 2 or time.perf_counter() - began < ENOUGH_SECONDS):
            runs.append((ours(rows, ALIKE), _peer(python, halves, workers)))
            told = [
                f"{name} {run['seconds']:.1f} s, {run['busy']:.1f} s of processor time"
                for name, run in zip(("ours", "peer"), runs[-1], strict=True)
            ]
            print(f"  prepare-speed: {'; '.join(told)}", file=sys.stderr, flush=True)
    ratios = sorted(peer["seconds"] / mine["seconds"] for mine, peer in runs)
    mine, peer = (min(turn, key=lambda run: run["seconds"]) for turn in zip(*runs, strict=True))
    return {
        "case": "prepare-speed",
        "ratio": round(ratios[len(ratios) // 2], 3),
        "unit": "peer seconds / our seconds",
        "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
        "repeats": len(runs),
        "to_reach": 3,
        "ours": round(SPEED_ROWS / mine["seconds"]),
        "peer": round(SPEED_ROWS / peer["seconds"]),
        "peer_version": peer["version"],
        "peer_settings": "MinHash over runs of 5 characters, 14 buckets of 8; " + f"{workers} workers, a file each",
        "processes": workers,
        "ratio_of_processor_time": round(sum(run["busy"] for _, run in runs) / sum(run["busy"] for run, _ in runs), 3),
        "our_run": mine,
        "peer_run": peer,
    }


def _divided(rows: Path, folder: Path, parts: int) -> None:
    """The rows in as many files as the peer has workers."""
    folder.mkdir()
    subprocess.run(["split", "-n", f"l/{parts}", "-d", "--additional-suffix=.jsonl", str(rows), str(folder / "part")], check=True)


def _peer(python: Path, folder: Path, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        asked = json.dumps({"folder": str(folder), "out": out, "workers": workers} | PEER)
        return _told([str(python), str(ROOT / "benchmarks" / "peers" / "datatrove_side.py"), asked])


def ours(rows: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Our run, in a process of its own."""
    return _told([sys.executable, __file__, str(rows), json.dumps(config)])


def _told(command: list[str]) -> dict[str, Any]:
    """The last line a process printed."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[1]).name} ended with code {done.returncode}: {done.stderr[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def memory() -> dict[str, Any]:
    """The peak of all our processes together, once."""
    run = ours(rows_file(MEMORY_ROWS), WHOLE)
    peak = round(run["peak_gib"], 3)
    return {
        "case": "prepare-memory",
        "value": peak,
        "unit": "GiB",
        "spread": [peak, peak],
        "repeats": 1,
        "to_reach": 2,
        "ours": run | {"rows_read": MEMORY_ROWS, "bytes_a_row": round(2**30 * peak / MEMORY_ROWS)},
    }


def crossings() -> dict[str, Any]:
    """What stands on two sides and must not: near pairs, equal texts, groups."""
    runs = {by or "text": _crossed(seed, by) for seed, by in ((0, None), (1, "group"))}
    found = [run["near_pairs"] + run["groups"] + run["texts"] for run in runs.values()]
    return {
        "case": "split-crossings",
        "value": sum(found),
        "unit": "crossings",
        "spread": [min(found), max(found)],
        "repeats": len(found),
        "to_reach": 0,
        "ours": runs,
    }


def _crossed(seed: int, by: str | None) -> dict[str, Any]:
    from tunesmith.data.config import DataConfig
    from tunesmith.data.prepare import prepare

    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.jsonl"
        rows = list(_planted(rng))
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        made = prepare(DataConfig.model_validate({"path": str(path), "split": {"by": by} if by else {}}), seed)
        sides = {side: list(made.dataset.sides[side]) for side in made.dataset.counts()}
    told = {"rows": len(rows), "planted": sum("of" in row for row in rows), "sides": {side: len(held) for side, held in sides.items()}}
    texts, of_group = defaultdict(set), defaultdict(set)
    for side, held in sides.items():
        for row in held:
            texts[fold(row.text())].add(side)
            of_group[row.fields["group"]].add(side)
    apart = sum(len(held) > 1 for held in of_group.values()) if by else 0
    crossing, compared = _near_across({side: [fold(row.text()) for row in held] for side, held in sides.items()})
    return told | {"compared": compared, "near_pairs": crossing, "texts": sum(len(held) > 1 for held in texts.values()), "groups": apart}


def _planted(rng: random.Random) -> Iterator[dict[str, Any]]:
    """clinc150's training rows in groups, and behind one in ten of them, further on, a copy that is near by the rule."""
    with gzip.open(DATA / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        pairs = json.load(file)["train"]
    rows = [{"text": text, "label": label} for text, label in pairs]
    for at in rng.sample(range(len(rows)), len(rows) // 10):
        text = rows[at]["text"]
        copy = next((copy for _ in range(20) if near(fold(text), fold(copy := edited(text, rng.uniform(0.02, 0.1), rng)))), text)
        rows.append({"text": copy, "label": rows[at]["label"], "of": at})
    rng.shuffle(rows)
    start = 0
    while start < len(rows):
        stop = start + rng.randint(1, 4)
        yield from (row | {"group": f"g{start}"} for row in rows[start:stop])
        start = stop


def _near_across(sides: dict[str, list[str]]) -> tuple[int, int]:
    """Pairs of texts on two sides that are near by the rule, of how many pairs."""
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    found = compared = 0
    names = list(sides)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            for start in range(0, len(sides[one]), 1000):
                some = sides[one][start : start + 1000]
                alike = cdist(some, sides[other], scorer=Levenshtein.normalized_similarity, score_cutoff=0.849, dtype=np.float32)
                found += sum(near(some[a], sides[other][b]) is not False for a, b in np.argwhere(alike > 0).tolist())
                compared += alike.size
    return found, compared


class _Peak:
    """The most resident memory that this process and those it started held together."""

    def __init__(self) -> None:
        self.bytes, self._over = 0, threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            self.bytes = max(self.bytes, sum(map(_resident, [os.getpid(), *_children(os.getpid())])))

    def gib(self) -> float:
        """Until now; no less than the kernel's own high-water mark of this process."""
        self._over.set()
        return max(self.bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) / 2**30


def _children(pid: int) -> list[int]:
    try:
        found = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:  # it ended just now
        return []
    return found + [further for child in found for further in _children(child)]


def _resident(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:  # it ended just now
        return 0
    return int(found[1]) * 1024 if found else 0


def _one_run(path: str, config: dict[str, Any]) -> dict[str, Any]:
    """Prepare, timed from the first import to the last file."""
    peak, began = _Peak(), time.perf_counter()
    from tunesmith.data.config import DataConfig
    from tunesmith.data.prepare import prepare

    parts: dict[str, float] = {}

    def listen(event: Any) -> None:
        if type(event).__name__ == "Ended":
            parts[event.work] = round(event.seconds, 2)

    made = prepare(DataConfig.model_validate({"path": path} | config), 0, listen)
    seconds = time.perf_counter() - began
    used, held = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)], peak.gib()
    left = (row.fields["copy"] for side in made.dataset.counts() for row in made.dataset.sides.each(side))  # type: ignore[attr-defined]
    return {
        "seconds": round(seconds, 2),
        "busy": round(sum(each.ru_utime + each.ru_stime for each in used), 2),
        "rows": sum(made.dataset.counts().values()),
        "copies": sum(left),
        "peak_gib": round(held, 4),
        "parts": parts,
        "waterfall": {stage["stage"]: stage["dropped"] for stage in made.dataset.waterfall},
    }


if __name__ == "__main__":
    print(json.dumps(_one_run(sys.argv[1], json.loads(sys.argv[2]))))
