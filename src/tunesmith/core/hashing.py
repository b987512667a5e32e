"""Content hashes: the same content has the same name everywhere."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, NaN refused: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """64 hex digits over the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """64 hex digits over a file's bytes, read in blocks of 1 MiB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(folder: Path, patterns: Iterable[str] = ("*",), *, without: Iterable[str] = ()) -> str:
    """64 hex digits over the files of a folder: their names relative to it and their bytes, in order of name.

    Args:
        folder: may hold folders.
        patterns: which files, as `rglob` takes them.
        without: paths relative to the folder that don't count.
    """
    left_out = {folder / name for name in without}
    files = sorted({file for pattern in patterns for file in folder.rglob(pattern) if file.is_file()} - left_out)
    return digest([[file.relative_to(folder).as_posix(), digest_file(file)] for file in files])
