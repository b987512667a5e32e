"""Whether memory stays flat as files grow: JSON Lines of 10 MB, 1 GB and 10 GB read to their end, each in a process of its own.

`read-memory`: peak of resident memory at 10 GB over that at 1 GB; the peaks themselves stand beside. At 10 MB it is lower by what the first
20,000 records take, of which columns and task are told: there are fewer. Rows hold some 2,000 characters, and no line repeats.
What a whole preparation holds beside (some eighty bytes a row, by design) is `prepare-memory`'s to measure.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_cases.near import ROOT

SIZES = {"10 MB": 10**7, "1 GB": 10**9, "10 GB": 10**10}
_BLOCK_ROWS = 500


def cases() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> what measures it."""
    return {"read-memory": memory}


def memory() -> dict[str, Any]:
    """The peaks."""
    folder = ROOT / ".bench" / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        runs = {name: _one(Path(place) / "rows.jsonl", size) for name, size in SIZES.items()}
    ratio = runs["10 GB"]["peak_mib"] / runs["1 GB"]["peak_mib"]
    return {
        "case": "read-memory",
        "value": round(ratio, 3),
        "unit": "peak memory at 10 GB over that at 1 GB",
        "spread": [round(ratio, 3)] * 2,
        "repeats": 1,
        "to_reach": 1.1,
        "ours": runs,
    }


def _one(path: Path, size: int) -> dict[str, Any]:
    _write(path, size)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, __file__, str(path)], env=env, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"bytes": path.stat().st_size}


def _write(path: Path, size: int) -> None:
    """Rows of one block over and over, each begun by its own number."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz      "
    texts = ["".join(draw.choices(letters, k=2000)) for _ in range(_BLOCK_ROWS)]
    number = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            lines = [f'{{"text": "{number + place} {text}", "label": "{place % 7}"}}\n' for place, text in enumerate(texts)]
            written += file.write("".join(lines))
            number += _BLOCK_ROWS


def _read(path: str) -> dict[str, Any]:
    import resource
    import time

    from tunesmith.data.config import ReadConfig
    from tunesmith.data.read import read

    began = time.perf_counter()
    rows = sum(1 for _ in read(path, ReadConfig(), None))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "peak_mib": round(peak, 1), "seconds": round(time.perf_counter() - began, 1)}


if __name__ == "__main__":
    print(json.dumps(_read(sys.argv[1])))
