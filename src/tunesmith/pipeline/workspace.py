"""Where things lie: the workspace and its folders, and stages that are not run again when their inputs did not change."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.files import explained, make_folder, mend_folder, only_one, whole_folder
from tunesmith.core.hashing import digest, digest_folder
from tunesmith.core.progress import Ended, Listener
from tunesmith.ledger.records import StageRecord

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that holds rounds, datasets, a cache and the ledger."""

    root: Path

    @property
    def rounds(self) -> Path:
        """One folder a round."""
        return self.root / "rounds"

    @property
    def datasets(self) -> Path:
        """One folder a dataset, named by content."""
        return self.root / "datasets"

    @property
    def cache(self) -> Path:
        """Outputs of stages, named by key; may be deleted at any time."""
        return self.root / "cache"

    def ledger(self) -> "Ledger":
        """Open the ledger: the database that TUNESMITH_LEDGER names by URL, else SQLite in the workspace, made where it is missing."""
        from tunesmith.ledger.ledger import Ledger

        make_folder(self.root)
        return Ledger.open(os.environ.get("TUNESMITH_LEDGER") or self.root / "tunesmith.db")


@dataclass(frozen=True, slots=True)
class Stages:
    """Runs stages for one round, or takes what an earlier run with the same inputs left."""

    workspace: Workspace
    ledger: "Ledger"
    round_id: str | None
    """None of what is run outside any round."""
    listen: Listener

    def folder(
        self, name: str, stage_version: int, inputs: dict[str, Any], make: Callable[[Path], None], also: Sequence[dict[str, Any]] = ()
    ) -> Path:
        """The output folder of a stage.

        Args:
            name: the stage's name, as it is shown.
            stage_version: raised when its meaning changes.
            inputs: everything its output depends on, as JSON values.
            make: writes the output into an empty folder, which then appears whole or not at all.
            also: inputs whose output serves as well, where it is there.
        """
        if (found := self.found(name, stage_version, inputs, also)) is not None:
            self.listen(Ended(name, 0.0, reused=True))
            return found
        out, key = self._place(name, stage_version, inputs)
        started = time.monotonic()
        with only_one(out.with_name(f".{out.name}.lock"), f"The stage {name} with the same inputs"):
            mend_folder(out)  # what an earlier execution left when it was killed
            with whole_folder(out) as temporary:
                make(temporary)
        self.record(key, name, stage_version, inputs, out, time.monotonic() - started)
        return out

    def found(self, name: str, stage_version: int, inputs: dict[str, Any], also: Sequence[dict[str, Any]] = ()) -> Path | None:
        """The output folder that an earlier run left, whole; None where there is none. Arguments as `folder`."""
        for served in (inputs, *also):
            out, key = self._place(name, stage_version, served)
            earlier = self.ledger.reusable_stage(key)
            if earlier is not None and out.is_dir() and earlier.output_hash == digest_folder(out):
                return out
        return None

    def _place(self, name: str, stage_version: int, inputs: dict[str, Any]) -> tuple[Path, str]:
        key = stage_key(name, stage_version, inputs)
        return self.workspace.cache / f"{name.replace(' ', '-')}-{key[:16]}", key

    def record(self, key: str, name: str, stage_version: int, inputs: dict[str, Any], out: Path, seconds: float) -> None:
        """Tell the ledger of a finished stage."""
        self.ledger.record_stage(
            StageRecord(
                key=key,
                name=name,
                version=stage_version,
                inputs=inputs,
                output_path=str(out),
                output_hash=digest_folder(out),
                seconds=seconds,
                round_id=self.round_id,
            )
        )


LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "numpy", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a stage's numbers depend on."""
    return {name: version(name) for name in LIBRARIES}


def stage_key(name: str, stage_version: int, inputs: dict[str, Any]) -> str:
    """Names a stage's output by all that it depends on."""
    return digest([name, stage_version, inputs, library_versions()])


def link_folder(source: Path, target: Path) -> None:
    """Make `target` hold the files of `source` without a second copy on disk where the file system allows; one that is there stays as it is."""
    if target.exists():
        return

    def place(src: str, dst: str) -> str:
        try:
            Path(dst).hardlink_to(src)
            return dst
        except OSError:
            return shutil.copy2(src, dst)

    with whole_folder(target) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True, copy_function=place)


def append_line(path: Path, value: Any) -> None:
    """Add one JSON line to a log; a torn last line is the worst a kill can leave, and readers skip it."""
    with explained(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")
