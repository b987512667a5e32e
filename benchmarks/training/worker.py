"""One side of the comparison as a process: a JSON line in, a JSON line out, asleep in between. Standard library only,
since the peers run it in environments of their own.

Whatever else is printed goes to stderr. Peak memory is the kernel's own high-water mark of resident memory, set back
just before the timed part; before that, freed memory is handed back, so that what an earlier run left doesn't hide
what this one takes.
"""

import ctypes
import gc
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIB = 2**20


def serve(commands: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer lines of the form {"do": NAME, ...} until stdin ends. A failure is an answer too: {"error": ...}."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print must not disturb the lines
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = commands[asked.pop("do")](**asked)
        except Exception as error:  # the driver says which case failed and goes on to the next
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Memory:
    """Peak memory from now on: resident memory on the CPU, allocated memory on a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device
        gc.collect()
        if device == "cuda":
            import torch

            torch.cuda.empty_cache()
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / MIB
            return
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self.before = _status("VmRSS")

    def read(self) -> dict[str, float]:
        """Peak since then, and its rise over what was held then, in MiB."""
        if self.device == "cuda":
            import torch

            peak = torch.cuda.max_memory_allocated() / MIB
        else:
            peak = _status("VmHWM")
        return {"peak_mib": round(peak - self.before, 1), "peak_rss_mib": round(peak, 1)}


def _status(key: str) -> float:
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")
