"""What a round's figures were made with: versions, processor, threads."""

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunesmith.pipeline.workspace import library_versions
from tunesmith.recipe.machine import cores_here


def environment() -> dict[str, Any]:
    """What the figures were made with."""
    return {
        "tunesmith": version("tunesmith"),
        "python": platform.python_version(),
        **library_versions(),
        "cpu": cpu_name(),
        "threads": cores_here(),
        "platform": f"{sys.platform} {platform.machine()}",
    }


def cpu_name() -> str:
    """The processor, as the system calls it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
