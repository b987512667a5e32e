"""Weights & Biases: online where WANDB_API_KEY is set; else a record in `training/wandb`, sent later with `wandb sync`.

Only the numbers and settings handed over are kept: no console output, code, git state, host or packages. W&B's own
process writes the record, the last of it when this one ends. A server that does not answer costs the run half a minute
when it begins, or a minute when it ends.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tunesmith.pipeline.trackers import Setting

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

PROJECT = "tunesmith"


class WandB:
    """One run, its id made of the round's."""

    LIBRARY: ClassVar[str] = "wandb"

    def __init__(self, run: "Run", held: dict[str, int], anew: "Callable[[], WandB] | None" = None) -> None:
        """`anew`: begins the record again, where that can be done."""
        self._run, self.held, self._anew = run, held, anew

    @classmethod
    def open(cls, folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Self:
        """As `Tracker.open`.

        Of two offline records with one id, the one sent last replaces the other: a continued run therefore begins its
        record anew, and `held` is empty. Online the run is resumed.
        """
        import wandb

        folder = folder.resolve()
        online = bool(os.environ.get("WANDB_API_KEY"))
        run_id = hashlib.blake2b(run_name.encode(), digest_size=8).hexdigest()
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        if not online:
            for earlier in (folder / "wandb").glob(f"offline-run-*-{run_id}"):
                shutil.rmtree(earlier)
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run_id,
            name=run_name,
            dir=str(folder),
            config=dict(settings),
            mode="online" if online else "offline",
            resume="allow" if online else None,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_code=True,
                disable_git=True,
                save_code=False,
                host="",
                username="",
                email="",
                init_timeout=30,
                finish_timeout=60,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )
        summary: Any = run.summary
        held = dict.fromkeys(summary.keys(), run.starting_step - 1) if run.resumed else {}
        return cls(run, held, None if online else lambda: cls.open(folder, run_name, settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker.log`. W&B closes a step when the next begins; values that come later for it are given at once with it."""
        self._run.log(dict(values), step=step)

    def go_back(self, step: int) -> None:
        """As `Tracker.go_back`. A record offline is begun anew; online no step can be taken back: the first attempt stays, and the summary tells."""
        if self._anew is None:
            self._run.summary.update({"went_back_to_step": step})
            return
        self._run.finish()
        fresh = self._anew()
        self._run, self.held = fresh._run, fresh.held

    def close(self) -> None:
        """As `Tracker.close`."""
        self._run.finish()
