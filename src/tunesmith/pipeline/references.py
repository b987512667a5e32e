"""What a model's traffic is held against: sketches of its own held-out rows and of its answers to them, kept beside the model as `watch.json`.

Held-out rows stand for the training set: they were drawn from the same rows, while training rows may be augmented, balanced, and known by
heart. What the frame needs (edges, known words, directions) comes from training rows. A file holds counts of at least ten rows each, a bit
for hashes of words that several rows hold, and sixteen directions; no word, no row. Making one takes about a second for 4,000 rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import read_json, read_jsonl, write_json
from tunesmith.core.rows import Row
from tunesmith.score.prediction import Prediction
from tunesmith.score.sketch import Frame, Sketch, box_of, frame_of

if TYPE_CHECKING:
    from tunesmith.data.dataset import Dataset
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.workspace import Workspace

NAME = "watch.json"
SCHEMA = 1
MOST_ROWS = 4000
WATCHED_TASKS = ("classify", "generate")
"""Tasks that are asked as they are trained: a question in, a label or a text out."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A frame, and the held-out rows in it."""

    frame: Frame
    sketch: Sketch | None
    """None where there are too few rows to tell of."""

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"schema": SCHEMA, "frame": self.frame.to_json(), "counts": None if self.sketch is None else self.sketch.to_json()}


def reference_of(
    dataset: "Dataset", answers: Sequence[Prediction], labels: Sequence[str] | None, groups: Mapping[str, str] | None = None
) -> Reference | None:
    """Make one; None where the task is not watched, or there are no rows to hold traffic against.

    Args:
        dataset: training rows give the frame, all others are counted in it.
        answers: the model's, to test rows.
        labels: those it knows, where it answers with one.
        groups: row id -> whose it is, where rows come in groups.
    """
    train = [row.text() for row in _some(dataset.sides["train"])]
    held = [row for side in ("select", "calibrate", "test") for row in dataset.sides[side]]
    if str(dataset.task) not in WATCHED_TASKS or len(train) < 2 or not held:
        return None
    sure = [one.confidence for one in answers if one.confidence is not None]
    frame = frame_of(train, sure, [one.answer for one in answers], labels)
    said = {one.row_id: one for one in answers}
    sketch = Sketch.empty(frame.bins)
    for row in _some(held):
        box = box_of((groups or {}).get(row.id, ""), row.text())
        sketch.count(box, frame.of_text(row.text()))
        if row.id in said:
            one = said[row.id]
            sketch.count(box, frame.of_answer(one.answer, one.answer if labels else None, one.confidence))
    return Reference(frame, sketch.folded(frame.variables[0].bins))


def _some(rows: Sequence[Row]) -> list[Row]:
    """At most `MOST_ROWS`, spread evenly."""
    step = max(1.0, len(rows) / MOST_ROWS)
    return [rows[int(at * step)] for at in range(min(len(rows), MOST_ROWS))]


def keep_reference(folder: Path, dataset: "Dataset", answers: Sequence[Prediction], by: str | None, labels: Sequence[str] | None) -> None:
    """Make a model's and keep it beside it.

    Args:
        folder: the model's.
        dataset: what it was trained and tested on.
        answers: its own, to test rows.
        by: the column whose values are whose rows are, if any.
        labels: those it knows.
    """
    groups = None
    if by is not None:
        sides = ("select", "calibrate", "test")
        groups = {row.id: str(row.fields[by]) for side in sides for row in dataset.sides[side] if row.fields.get(by) is not None}
    made = reference_of(dataset, answers, labels, groups)
    if made is not None:
        write_json(folder / NAME, made.to_json())


def read_reference(folder: Path) -> Reference | None:
    """A model's; None where it has none, or one that can't be read."""
    try:
        value = read_json(folder / NAME)
        if value["schema"] != SCHEMA:
            return None
        frame = Frame.from_json(value["frame"])
        return Reference(frame, None if value["counts"] is None else Sketch.from_json(value["counts"], frame.bins))
    except (TunesmithError, KeyError, TypeError, ValueError, AttributeError):
        return None


def found_reference(place: "Workspace", ledger: "Ledger", folder: Path) -> Reference | None:
    """A model's; of an older round it is made now, from its dataset and its saved answers, where both are still there."""
    found = read_reference(folder)
    if found is not None or folder.resolve().parent.parent != place.rounds.resolve():
        return found
    with suppress(TunesmithError, OSError):
        _make_for_round(place, ledger, folder)
    return read_reference(folder)


def _make_for_round(place: "Workspace", ledger: "Ledger", folder: Path) -> None:
    from tunesmith.data.dataset import read_dataset
    from tunesmith.recipe import load_recipe

    round_folder = folder.resolve().parent
    record = ledger.round(round_folder.name)
    found = sorted(place.datasets.glob(f"{(record.dataset_hash or 'none')[:16]}-*"))
    if found:
        answers = [Prediction.from_json(value) for value in read_jsonl(round_folder / "predictions" / "tuned.jsonl")]
        by = load_recipe(round_folder / "recipe.yaml").data.split.by
        keep_reference(folder, read_dataset(found[0]), answers, by, read_json(folder / "tunesmith.json")["labels"])
