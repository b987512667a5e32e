"""datatrove's side: the same stages over the same rows, on as many processes as we have; run once, told by a line of JSON.

    python datatrove_side.py '{"folder": IN, "out": EMPTY, "workers": 2, "buckets": 14, "hashes": 8}'
    -> {"seconds": ..., "busy": ..., "rows": ..., "copies": ..., "version": ..., "peak_mib": ...}

`folder` holds one JSONL file a worker: it divides work by file. Stages: read, mend the encoding (ftfy, only where a text isn't ASCII;
its own FTFYFormatter looks at every text), white space, at least two characters, MinHash signatures written in the same pass as the
cleaned rows, buckets, clusters, rows of which another stands for left out, write. Equal texts share every hash, so its MinHash is its
exact deduplication too; a pass of its own would cost more. What a user can set for speed is set: no compression, forked workers, no
progress bars, whole files buffered (`lines_to_buffer`), 32-bit xxhash, no tokeniser.

Its near-duplicates: MinHash over runs of five characters (as we take for long texts), 14 buckets of 8 hashes, its default, which finds
pairs of Jaccard 0.72 one time in two. It has no edit distance, and checks no pair. `copies`: how many rows marked `copy` are left.
"""

import json
import re
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ftfy
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.logging import logger
from datatrove.utils.text import TextNormConfig
from datatrove.utils.word_tokenizers import WordTokenizer

SPACES = re.compile(r"[^\S\n]+")


class Repair(BaseFormatter):
    """Encoding and white space."""

    name = "repair"

    def format(self, text: str) -> str:
        """One text."""
        if not text.isascii():
            text = ftfy.fix_encoding(text)
        return SPACES.sub(" ", text).strip()


class Characters(WordTokenizer):
    """Every character a word of its own."""

    def word_tokenize(self, text: str) -> list[str]:
        """What runs are made of."""
        return list(text)

    def sent_tokenize(self, text: str) -> list[str]:
        """Not asked for."""
        raise NotImplementedError

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Not asked for."""
        raise NotImplementedError


def long_enough(document: Any) -> bool:
    """The length filter."""
    return len(document.text) >= 2


def plain(self: Any, document: Any) -> dict[str, Any]:
    """A row as it was read, without the place it came from."""
    return {"text": document.text, "label": document.metadata["label"], "copy": document.metadata["copy"]}


def reader(folder: str) -> JsonlReader:
    """Rows of a folder's files."""
    return JsonlReader(folder, compression=None, add_file_path=False, glob_pattern="*.jsonl")


def run(asked: dict[str, Any]) -> None:
    """All of it."""
    out, workers = Path(asked["out"]), asked["workers"]
    norm = TextNormConfig(
        norm_numbers=False, norm_weekdays=False, norm_monthnames=False, remove_punctuation=False, norm_unicode_diacritics=False
    )
    config = MinhashConfig(5, asked["buckets"], asked["hashes"], norm_config=norm, hash_config=HashConfig(precision=32))

    def step(name: str, pipeline: list[Any], tasks: int) -> None:
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=min(tasks, workers), logging_dir=str(out / "logs" / name), start_method="fork"
        ).run()

    clean, signatures, pairs, gone = (str(out / name) for name in ("clean", "signatures", "pairs", "gone"))
    cleaned = JsonlWriter(clean, compression=None, adapter=plain)
    signed = MinhashDedupSignature(signatures, config, Characters())
    step("signatures", [reader(asked["folder"]), Repair(), LambdaFilter(long_enough), cleaned, signed], workers)
    step("buckets", [MinhashDedupBuckets(signatures, pairs, config=config, lines_to_buffer=-1)], config.num_buckets)
    step("clusters", [MinhashDedupCluster(pairs, gone, config=config, lines_to_buffer=-1)], 1)
    written = JsonlWriter(str(out / "rows"), compression=None, adapter=plain)
    step("rows", [reader(clean), MinhashDedupFilter(gone), written], workers)


def main() -> None:
    """One run, timed."""
    asked = json.loads(sys.argv[1])
    logger.remove()
    began = time.perf_counter()
    run(asked)
    seconds = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    busy, peak = sum(each.ru_utime + each.ru_stime for each in used), max(each.ru_maxrss for each in used) / 1024
    left = [json.loads(line)["copy"] for file in (Path(asked["out"]) / "rows").glob("*.jsonl") for line in file.open(encoding="utf-8")]
    told = {"seconds": seconds, "busy": busy, "rows": len(left), "copies": sum(left), "peak_mib": peak}
    print(json.dumps(told | {"version": f"datatrove {version('datatrove')}"}))


if __name__ == "__main__":
    main()
