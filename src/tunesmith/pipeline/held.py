"""What in a round's folder hangs on the output of a stage, and goes when that output is another one.

A round that goes on may meet other inputs than it was begun with: another version of tunesmith or of a library, another machine, a
cache that was emptied. What it made of the earlier output lies under the same names, and would be told of the new one.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.files import explained, read_json, write_json
from tunesmith.pipeline.training import SNAPSHOTS

HELD = "held.json"
"""What each part of the folder was made from."""
OF_TRAINING = ("training",)
"""Of an unfinished training: its checkpoints, its log."""
OF_MODEL = ("model", SNAPSHOTS, "predictions", "looks", "twins")
OF_SCORING = ("baselines-unfinished",)
"""Answers of systems that were scored before the stage was whole."""
OF_BASELINES = ("baselines",)


def hold(folder: Path, what: str, key: str, hanging: Sequence[str]) -> None:
    """Keep what hangs on an output as long as its key is the same; else remove it, and hold the folder to the new key.

    The old key is forgotten before anything is removed, and the new one written after: whoever is killed between leaves a folder that
    is held to no key, and the next to come removes the rest.

    Args:
        folder: the round's.
        what: names the output.
        key: of the output, as it is now.
        hanging: names of folders in `folder` that were made from it.

    Raises:
        MachineError: something can't be removed, or `held.json` is damaged.
    """
    path = folder / HELD
    held: dict[str, Any] = read_json(path) if path.exists() else {}
    if held.get(what) == key:
        return
    if held.pop(what, None) is not None:
        write_json(path, held)
    for name in hanging:
        if (folder / name).exists():
            with explained(folder / name):
                shutil.rmtree(folder / name)
    write_json(path, held | {what: key})
