"""Why the tuned model answered so: words that moved it, training rows that are alike in its eyes, rows that taught it.

Wrong answers, the most confident first, and as many right ones. What was found of each row, and at each checkpoint, is kept in the
round's folder, so that a killed round goes on where it was. Costs a backward pass a step and row, and a forward pass over the
training rows for each checkpoint.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tunesmith.core.errors import MachineError
from tunesmith.core.files import make_folder, read_json, write_json
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Advanced, Ended, Started
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.evaluate.alike import cosines, near_duplicate, states_of
from tunesmith.evaluate.heads import HeadAnswerer
from tunesmith.evaluate.reasons import Explainer, Reason, blank_of
from tunesmith.models.heads import Headed
from tunesmith.pipeline.evaluation import errors_to_read
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.pipeline.looks.teaching import Taught, taught
from tunesmith.score.prediction import Prediction

NOT_TOLD = {
    Task.TEXT: "Nothing is explained: raw text has no answers.",
    Task.PREFER: "Nothing is explained: preferences are told between two answers, and attributions are of one.",
    Task.TAG: "Nothing is explained: each token of a text has an answer of its own.",
}
WORK = "explain answers"
SHOWN = 600
"""Characters of a training row's text that report.json holds."""
SUSPECTS = 10
"""Training rows that moved the model most to have their own answer are listed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer to explain."""

    row: Row
    answered: Prediction
    right: bool


def look_at_reasons(given: Looking) -> Found | None:
    """Some answers with their words and their teachers; nothing where the recipe doesn't ask."""
    config = given.recipe.evaluate.explain
    if not config.enabled:
        return None
    refused = NOT_TOLD.get(Task(given.sides.task))
    if refused is not None:
        return Found(piece={"sentences": [refused], "rows": [], "suspects": []}, public=refused)
    return Found(piece=_Look(given).piece())  # all of it is texts of rows: none of it is public


def shown_of(answers: Sequence[Prediction], rows: Sequence[Row], most: int, *, seed: int) -> list[Shown]:
    """The answers to explain: the wrong ones that teach most, then as many right ones drawn by the seed, in order of id."""
    by_id, answered = {row.id: row for row in rows}, {one.row_id: one for one in answers}
    wrong = [error["row_id"] for error in errors_to_read(answers, rows, most)]
    right = sorted(one.row_id for one in answers if one.answer.strip() == one.reference.strip())
    drawn = np.random.default_rng(derive_seed(seed, "explain")).permutation(len(right))[:most]
    chosen = [(name, False) for name in wrong] + [(right[place], True) for place in sorted(drawn)]
    return [Shown(by_id[name], answered[name], is_right) for name, is_right in chosen]


class _Look:
    """One look with what its parts share."""

    def __init__(self, given: Looking) -> None:
        self.given, self.config = given, given.recipe.evaluate.explain
        self.shown = shown_of(given.answers, given.sides.test, self.config.rows, seed=given.recipe.seed)
        train = given.sides.train
        order = np.random.default_rng(derive_seed(given.recipe.seed, "explain-train")).permutation(len(train))
        self.trained = [train[place] for place in sorted(order[: self.config.train_rows])]
        self.by_id = {row.id: row for row in self.trained}
        self.folder = make_folder(given.folder / "looks" / "explained")

    def piece(self) -> dict[str, Any]:
        started = time.monotonic()
        self.given.listen(Started(WORK, len(self.shown)))
        reasons = []
        for done, one in enumerate(self.shown, 1):
            reasons.append(self._reason(one))
            self.given.listen(Advanced(WORK, done))
        alike = self._alike()
        lessons = self._taught()
        self.given.listen(Ended(WORK, time.monotonic() - started))
        rows = [
            self._told(one, reason, near, lessons, place)
            for place, (one, reason, near) in enumerate(zip(self.shown, reasons, alike, strict=True))
        ]
        return {
            "sentences": self._sentences(reasons, lessons),
            "tolerance": self.config.tolerance,
            "checkpoints": [] if lessons is None else list(lessons.checkpoints),
            "rows": rows,
            "suspects": [] if lessons is None else [self._row(name, value) for name, value in lessons.hardest(SUSPECTS)],
        }

    @cached_property
    def explainer(self) -> Explainer:
        tuned = self.given.tuned
        model = tuned.model.to(self.given.device).eval()
        blank_D = blank_of(model, tuned.renderer, self.given.sides.train, self.given.device)
        return Explainer(model, tuned.renderer, self.given.device, self._labels, self.config, blank_D)

    @property
    def _labels(self) -> tuple[str, ...] | None:
        """Labels that answers are chosen from; None where they are generated."""
        chosen = self.given.sides.task == Task.CLASSIFY or isinstance(self.given.tuned.model, Headed)
        return self.given.sides.labels if chosen else None

    def room(self, row: Row) -> int:
        """Tokens that were left free for the answer."""
        answerer = self.given.tuned.answerer
        if isinstance(answerer, HeadAnswerer):
            return 0
        return answerer.room(row) if self._labels else min(answerer.room(row), answerer.renderer.max_tokens // 2)

    def _reason(self, one: Shown) -> Reason:
        name = digest([one.row.id, one.answered.answer, self.config.steps, self.config.tolerance, self.config.answer_tokens])[:16]

        def make() -> Reason:
            return self.explainer.reason(one.row, one.answered, room=self.room(one.row))

        found: Reason = kept(self.folder / f"words-{name}.json", Reason, make)
        return found

    def _alike(self) -> list[list[dict[str, Any]]]:
        """The training rows nearest to each shown one."""
        if not self.config.nearest or not self.shown:
            return [[] for _ in self.shown]
        name = digest([[one.row.id for one in self.shown], [row.id for row in self.trained], self.config.nearest])[:16]
        found = kept(self.folder / f"nearest-{name}.json", list[list[tuple[str, float]]], self._nearest)
        return [
            [self._row(name, value, beside=one.row) for name, value in near if name in self.by_id]
            for one, near in zip(self.shown, found, strict=True)
        ]

    def _nearest(self) -> list[list[tuple[str, float]]]:
        tuned, device = self.given.tuned, self.given.device
        model = tuned.model.to(device).eval()
        prompts = [
            [tuned.renderer.prompt(row.prompt, room=self.room(row)).ids for row in rows]
            for rows in ([one.row for one in self.shown], self.trained)
        ]
        asked, trained = (states_of(model, some, device) for some in prompts)
        similar = cosines(asked, trained)
        best = np.argsort(-similar, axis=1, kind="stable")[:, : self.config.nearest]
        return [[(self.trained[place].id, float(line[place])) for place in places] for line, places in zip(similar, best, strict=True)]

    def _taught(self) -> Taught | None:
        if not self.config.influence or not self.shown:
            return None
        answered = [(one.row, one.answered, self.room(one.row)) for one in self.shown]
        return taught(self.given, self.trained, answered, self.folder)

    def _told(self, one: Shown, reason: Reason, near: list[dict[str, Any]], lessons: Taught | None, place: int) -> dict[str, Any]:
        toward, against = ([], []) if lessons is None else lessons.pushed(place, self.config.pushed)
        return {
            "row_id": one.row.id,
            "right": one.right,
            "reference": one.answered.reference,
            "answer": one.answered.answer,
            "confidence": one.answered.confidence,
            **asdict(reason),
            "nearest": near,
            "toward": [self._row(name, value, beside=one.row) for name, value in toward],
            "against": [self._row(name, value, beside=one.row) for name, value in against],
        }

    def _row(self, name: str, value: float, beside: Row | None = None) -> dict[str, Any]:
        """A training row as it is shown."""
        row = self.by_id[name]
        text = row.text() if row.prompt else ""
        alike = beside is not None and near_duplicate(text, beside.text())
        return {"row_id": name, "answer": row.answer[:SHOWN], "text": text[:SHOWN], "value": value, "duplicate": alike}

    def _sentences(self, reasons: Sequence[Reason], lessons: Taught | None) -> list[str]:
        whole = sum(reason.fails is None for reason in reasons)
        wrong = sum(not one.right for one in self.shown)
        made = [f"{wrong} wrong and {len(self.shown) - wrong} right answers on test are explained."]
        if whole < len(reasons):
            made.append(f"Of {len(reasons) - whole} the words are not coloured, as they could not be attributed; each says why.")
        if len(self.trained) < len(self.given.sides.train):
            made.append(f"{len(self.trained)} of {len(self.given.sides.train)} training rows were looked through, drawn at random.")
        return made + ([] if lessons is None else [lessons.sentence])


def kept(path: Path, kind: Any, make: Callable[[], Any]) -> Any:
    """A value from a file where it was made before and is whole, else made now and kept."""
    adapter = TypeAdapter(kind)
    if path.exists():
        try:
            return adapter.validate_python(read_json(path))
        except (MachineError, ValidationError):  # damaged: what it held can be made again
            path.unlink(missing_ok=True)
    made = make()
    write_json(path, adapter.dump_python(made, mode="json"))
    return made
