"""A machine to train on: this one, or one that is described in a few words.

Costs a few reads under /proc and /sys, and where there is an NVIDIA driver a call of nvidia-smi; loads no torch. What a
machine can do in a second is known of GPUs by name; of a CPU it has to be measured, which is left to who has torch.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.train.peaks import peak_of_gpu

GROUPS = Path("/sys/fs/cgroup")
MOST_DEVICES = 1024
MOST_MEMORY = 10**15
MOST_CORES = 4096
_SMI_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training may use."""

    device: Literal["cpu", "cuda"]
    count: int
    """Devices: GPUs, or 1 for a CPU. A training uses one."""
    memory: int
    """Bytes of one device."""
    cores: int
    flops: float | None
    """Operations a second of one device at most, in bf16 on a GPU; None: not known."""
    bandwidth: float | None
    """Bytes a second between a device and its memory at most; None: not known."""
    name: str
    watts: float | None = None
    """What one device draws at most, by its maker; None: not known."""


def own_groups() -> list[Path]:
    """The control groups this process is in, innermost first, the root last."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return [GROUPS]
    own = next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "/")
    inner = GROUPS / own.strip("/")
    return [group for group in (inner, *inner.parents) if group == GROUPS or GROUPS in group.parents]


def memory_limit() -> int:
    """Bytes this process may use: the machine's memory, or that of a control group it is in where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in (*(group / "memory.max" for group in own_groups()), GROUPS / "memory" / "memory.limit_in_bytes"):
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):
            continue
    return min(limits)


def cores_here() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_here() -> Machine:
    """This machine: its first GPU where it has one that torch can use, else its CPU with the memory this process may use."""
    gpus = _gpus_here()
    if not gpus:
        return cpu_here()
    name, memory = gpus[0]
    words = f" {name} ".replace("-", " ")
    alike = (spec for spec in _GPUS.values() if f" {spec[3]} " in words and 0.8 < memory / spec[0] < 1.25)
    known = next(alike, None)
    bandwidth, watts = (known[1], known[2]) if known else (None, None)
    return Machine("cuda", len(gpus), memory, cores_here(), peak_of_gpu(name), bandwidth, name, watts)


def cpu_here() -> Machine:
    """This machine's CPU, with the memory and the cores this process may use."""
    return Machine("cpu", 1, memory_limit(), cores_here(), None, None, "this machine")


def _gpus_here() -> list[tuple[str, int]]:
    """Name and bytes of each NVIDIA GPU; none where torch was built without CUDA, or the environment hides them."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip()
    command = shutil.which("nvidia-smi")
    if command is None or hidden in ("", "-1") or _torch_is_for_cpu():
        return []
    asked = [command, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True).stdout
        found = [(name.strip(), int(mib) * 2**20) for name, mib in (line.rsplit(",", 1) for line in told.splitlines() if line.strip())]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    seen = [int(index) for index in hidden.split(",") if index.strip().isdigit()]
    return [found[index] for index in seen if index < len(found)] if seen else found


def _torch_is_for_cpu() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return True


_GPUS: dict[str, tuple[float, float | None, float | None, str]] = {
    "b200": (180e9, 8000e9, 1000.0, "B200"),
    "h200": (141e9, 4800e9, 700.0, "H200"),
    "h100-nvl": (94e9, 3900e9, 400.0, "H100 NVL"),
    "h100-pcie": (80e9, 2000e9, 350.0, "H100 PCIe"),
    "h100-80gb": (80e9, 3350e9, 700.0, "H100"),
    "h100": (80e9, 3350e9, 700.0, "H100"),
    "a100-80gb": (80e9, 2039e9, 400.0, "A100"),
    "a100-40gb": (40e9, 1555e9, 400.0, "A100"),
    "a100": (40e9, 1555e9, 400.0, "A100"),
    "a40": (48e9, 696e9, 300.0, "A40"),
    "a30": (24e9, 933e9, 165.0, "A30"),
    "a10g": (24e9, 600e9, 300.0, "A10G"),
    "a10": (24e9, 600e9, 150.0, "A10"),
    "l40s": (48e9, 864e9, 350.0, "L40S"),
    "l40": (48e9, 864e9, 300.0, "L40"),
    "l4": (24e9, 300e9, 72.0, "L4"),
    "t4": (16e9, 320e9, 70.0, "T4"),
    "v100-32gb": (32e9, 900e9, 300.0, "V100"),
    "v100-16gb": (16e9, 900e9, 300.0, "V100"),
    "rtx-a6000": (48e9, 768e9, 300.0, "RTX A6000"),
    "rtx-6000-ada": (48e9, 960e9, 300.0, "RTX 6000 Ada"),
    "rtx-5090": (32e9, 1792e9, 575.0, "RTX 5090"),
    "rtx-4090": (24e9, 1008e9, 450.0, "RTX 4090"),
    "rtx-3090": (24e9, 936e9, 350.0, "RTX 3090"),
}
"""Bytes, bytes a second, watts and the name that train/peaks.py knows, from the makers' data sheets (of SXM boards where there are several
kinds). T4 and V100 have no bf16, so their speed in it is not known."""

_UNITS = {"mb": 1e6, "gb": 1e9, "tb": 1e12, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"(?<![\d.])(\d{1,9}(?:\.\d{1,6})?)\s*([mgt]i?b)\b")
_CORES = re.compile(r"(?<![\d.])(\d{1,9})\s*cores?\b")
_FLOPS = re.compile(r"(?<![\d.])(\d{1,9}(?:\.\d{1,6})?)\s*([gtp])flops?(?:/s)?(?=$|[\s,])")
_COUNT = re.compile(r"(\d{1,9})\s*x\s*(?=\S)")
_FORMS = "write it as 1x24GB, 2x a100-80gb, l4, or cpu 16GB 8 cores"


def described(text: str) -> Machine:
    """The machine that a few words describe: `1x24GB`, `2x80GB`, `rtx-4090`, `cpu 16GB 8 cores`; `100 TFLOPS` may follow a size.

    A GB is 10^9 bytes, a GiB 2^30: a card sold as 24GB tells of 22.5 to 24 GiB, so this errs on the safe side.

    Raises:
        RecipeError: words that describe none, or numbers that no machine has.
    """
    left = " ".join(text.lower().replace(",", " ").split())
    cpu = left == "cpu" or left.startswith("cpu ")
    left = left[3:].strip() if cpu else left
    count, left = _taken(_COUNT, left) if _COUNT.match(left) and not cpu else (None, left)
    if not cpu and _squeezed(left) in {_squeezed(key) for key in _GPUS}:
        return _named(text, left, int(count[0]) if count else 1, 1, None)
    size, left = _taken(_SIZE, left)
    cores, left = _taken(_CORES, left)
    flops, left = _taken(_FLOPS, left)
    many, memory, each = int(count[0]) if count else 1, _bytes(size), int(cores[0]) if cores else 1
    speed = float(flops[0]) * {"g": 1e9, "t": 1e12, "p": 1e15}[flops[1]] if flops else None
    if left and not cpu and size is None:
        return _named(text, left, many, each, speed)
    _refuse_the_impossible(text, many, memory, each, speed)
    if left or size is None or memory is None:
        raise RecipeError(f"Machine {text!r} is not understood{f' ({left!r})' if left else ': its memory is missing'}: {_FORMS}.")
    if cpu:
        told = f"{each} core{'s' if each > 1 else ''}" + ("" if cores else ", as no cores were named")
        return Machine("cpu", 1, memory, each, speed, None, f"a CPU with {_said(size)} and {told}")
    return Machine("cuda", many, memory, each, speed, None, f"{many} GPU{'s' if many > 1 else ''} of {_said(size)}")


def _taken(pattern: re.Pattern[str], text: str) -> tuple[tuple[str, ...] | None, str]:
    """The groups of a pattern's first match, and the text without it."""
    found = pattern.search(text)
    if found is None:
        return None, text
    return found.groups(), " ".join((text[: found.start()] + " " + text[found.end() :]).split())


def _bytes(size: tuple[str, ...] | None) -> int | None:
    return None if size is None else int(float(size[0]) * _UNITS[size[1]])


def _said(size: tuple[str, ...]) -> str:
    return f"{size[0]} {size[1].upper().replace('I', 'i')}"


def _named(text: str, words: str, count: int, cores: int, speed: float | None) -> Machine:
    by_name = {_squeezed(key): key for key in _GPUS}
    key = by_name.get(_squeezed(words.removeprefix("nvidia ")))
    if key is None:
        raise RecipeError(f"Machine {text!r} is not known.{did_you_mean(words, _GPUS)} Or {_FORMS}.")
    memory, bandwidth, watts, name = _GPUS[key]
    _refuse_the_impossible(text, count, int(memory), cores, speed)
    shown = f"{count} x {name}" if count > 1 else name
    return Machine("cuda", count, int(memory), cores, speed or peak_of_gpu(name), bandwidth, f"{shown} ({memory / 1e9:.0f} GB)", watts)


def _squeezed(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _refuse_the_impossible(text: str, count: int, memory: int | None, cores: int, speed: float | None) -> None:
    wrong = {
        f"{count} devices, and it may have 1 to {MOST_DEVICES:,}": not 1 <= count <= MOST_DEVICES,
        "no memory a machine has": memory is not None and not 2**20 <= memory <= MOST_MEMORY,
        f"{cores} cores, and it may have 1 to {MOST_CORES:,}": not 1 <= cores <= MOST_CORES,
        "no operations a second": speed is not None and not speed > 0,
    }
    for what, so in wrong.items():
        if so:
            raise RecipeError(f"Machine {text!r} has {what}: {_FORMS}.")
