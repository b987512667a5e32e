"""What the machine could do at most, and how much memory a run has taken: the yardsticks of its figures.

Costs 0.1 s once, for the matrix product on CPU; what it gives belongs with the run's recorded decisions, so that a
continued run is measured by the same yardstick.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tunesmith.train.peaks import peak_of_gpu

__all__ = ["memory_now_mib", "memory_peak_mib", "peak_flops", "peak_of_gpu"]

_MATRIX = 768
"""Side of the squares that are multiplied: large enough to keep a CPU's cores busy, three of them 7 MiB."""
_SECONDS = 0.1


def peak_flops(device: torch.device, precision: str = "fp32", clock: Callable[[], float] = time.perf_counter) -> float | None:
    """Most operations a second that MFU is measured by; None where it is not known.

    On CUDA by the device's name, in bf16 whatever the run's own precision. On CPU the fastest of the matrix products that
    0.1 s has room for, in the run's precision and with the threads that torch has now.

    Args:
        device: where.
        precision: of the run.
        clock: what a second is taken from; by `time.process_time` it is one of a single core, however busy the machine is.
    """
    if device.type == "cuda":
        return peak_of_gpu(torch.cuda.get_device_name(device))
    if device.type != "cpu":
        return None
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.ones(_MATRIX, _MATRIX, dtype=kind)
    made = left @ left
    best, until = float("inf"), clock() + _SECONDS
    while best == float("inf") or clock() < until:
        started = clock()
        torch.mm(left, left, out=made)
        best = min(best, clock() - started)
    return 2 * _MATRIX**3 / best


def memory_now_mib(device: torch.device) -> float:
    """MiB held now: by torch on a GPU, by the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return memory_peak_mib(device)
    return pages * resource.getpagesize() / 2**20


def memory_peak_mib(device: torch.device) -> float:
    """Most MiB held so far by this process: by torch on a GPU, in all elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 1024
