"""TensorBoard: event files in the round's folder, `training/tensorboard`. Look at them with `tensorboard --logdir`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from tunesmith.pipeline.trackers import Setting

FLUSH_SECONDS = 15


class TensorBoard:
    """A curve for each value. The settings are a table under Text."""

    LIBRARY: ClassVar[str] = "tensorboard"

    def __init__(self, writer: Any, held: dict[str, int]) -> None:
        self._writer, self.held = writer, held

    @classmethod
    def open(cls, folder: Path, run_name: str, settings: Mapping[str, Setting]) -> Self:
        """As `Tracker.open`; a continued run adds a file, after reading what the others hold."""
        place = folder / "tensorboard"
        held = _held(place) if place.is_dir() else {}
        writer = import_module("torch.utils.tensorboard").SummaryWriter(str(place), flush_secs=FLUSH_SECONDS)
        if not held:
            lines = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
            writer.add_text("settings", f"| setting | {run_name} |\n| --- | --- |\n{lines}", 0)
            writer.flush()
        return cls(writer, held)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """As `Tracker.log`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def go_back(self, step: int) -> None:
        """As `Tracker.go_back`: the mark of a session that begins anew, past which TensorBoard shows none of the earlier ones' later steps."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._writer.flush()
        self._writer.file_writer.add_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)), step + 1)
        self._writer.flush()
        self.held = {name: min(last, step) for name, last in self.held.items()}

    def close(self) -> None:
        """As `Tracker.close`."""
        self._writer.close()


def _held(place: Path) -> dict[str, int]:
    """The last step of each value over all event files, those abandoned left out; a record that a kill tore is too."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, int] = {}
    for file in sorted(place.glob("*tfevents*")):
        for event in EventFileLoader(str(file)).Load():
            if event.HasField("session_log"):
                found = {name: min(last, event.step - 1) for name, last in found.items()}
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    found[value.tag] = max(found.get(value.tag, -1), event.step)
    return found
