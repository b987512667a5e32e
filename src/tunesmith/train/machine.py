"""What the machine could do at most, and how much memory a run has taken: the yardsticks of its figures.

Costs 0.1 s once, for the matrix product on CPU; what it gives belongs with the run's recorded decisions, so that a
continued run is measured by the same yardstick.
"""

import resource
import sys
import time
from pathlib import Path

import torch

_MATRIX = 768
"""Side of the squares that are multiplied: large enough to keep a CPU's cores busy, three of them 7 MiB."""
_SECONDS = 0.1

_PEAKS = {
    "GB200": 2500e12,
    "B200": 2250e12,
    "B100": 1750e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "A40": 149.7e12,
    "A30": 165e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX A6000": 154.8e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 6000 Ada": 364e12,
    "RTX 5090": 209.5e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 products with fp32 sums, operations a second, from the makers' data sheets, by part of the device's name."""


def peak_of_gpu(name: str) -> float | None:
    """Operations a second of a GPU in dense bf16 products, by its name; None where the table does not have it."""
    words = f" {name} ".replace("-", " ")
    known = [part for part in _PEAKS if f" {part} " in words]
    return _PEAKS[max(known, key=len)] if known else None


def peak_flops(device: torch.device, precision: str = "fp32") -> float | None:
    """Most operations a second that MFU is measured by; None where it is not known.

    On CUDA by the device's name, in bf16 whatever the run's own precision. On CPU the fastest of the matrix products that
    0.1 s has room for, in the run's precision and with the threads that torch has now.
    """
    if device.type == "cuda":
        return peak_of_gpu(torch.cuda.get_device_name(device))
    if device.type != "cpu":
        return None
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.ones(_MATRIX, _MATRIX, dtype=kind)
    made = left @ left
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while best == float("inf") or time.perf_counter() < until:
        started = time.perf_counter()
        torch.mm(left, left, out=made)
        best = min(best, time.perf_counter() - started)
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
