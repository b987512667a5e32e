"""Twins of a round: its recipe trained once more, on other rows or from another seed, to be measured and for nothing else.

A twin costs a training of its rows and whatever is measured. It decides for itself what a round decides before step 1 (threads, and
the rate where it is to be found), and trains for the same epochs: a tenth of the rows takes a tenth of the steps, as a round on these
rows would. A killed round goes on in the middle of a twin.

What is kept of a twin is its figures, as the output of a stage that later rounds take up; its weights are deleted once it is measured.
While they lie on disk, in the round's `twins` folder, they are marked as a twin's (`Bundle.twin`), so that nothing takes them for a
model. Training that diverges fails no round: the twin is then kept as one that did.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DivergedError
from tunesmith.core.files import make_folder, mend_folder, read_json, read_jsonl, whole_folder, write_json
from tunesmith.core.hashing import digest, digest_folder
from tunesmith.core.progress import Event, Listener, Said
from tunesmith.core.rows import Row
from tunesmith.data.dataset import Dataset
from tunesmith.evaluate.explain_config import ExplainConfig
from tunesmith.ledger.records import ArtefactRecord, Edge
from tunesmith.pipeline.calibrating import calibration_of, corrected
from tunesmith.pipeline.datasets import groups_of
from tunesmith.pipeline.evaluation import Sides, score_tuned
from tunesmith.pipeline.looks.look import Tuned
from tunesmith.pipeline.making import Making, had_again
from tunesmith.pipeline.workspace import Stages
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

TWIN_VERSION = 1
KIND = "twin"
"""Of its artefact in the ledger, where a round's own has `model`."""

Measuring = Callable[[Tuned, Path], None]
"""Measures a twin and writes its figures into a folder, each file whole; what an execution that was killed wrote lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Trains and measures the twins of one round."""

    making: Making
    """The round's own training."""
    inputs: Mapping[str, Any]
    """All that the round's own training depends on, by name."""
    folder: Path
    """Where they are made, in the round's folder."""
    dataset: Dataset
    judged: Sides
    metric: str
    """The measure that decides."""
    stages: Stages

    def answers(self, name: str, *, rows: Sequence[Row] | None = None, seed: int | None = None) -> list[Prediction] | None:
        """A twin's answers to the test rows, corrected as the round's own are; None where its training diverged.

        They belong to the round's one opening of the test set, like the answers of any of its systems.
        """
        recipe, dataset = self.making.recipe, self.dataset
        settings = recipe.evaluate.model_dump(mode="json", include={"max_new_tokens", "calibrate", "decoding"})

        def measure(twin: Tuned, out: Path) -> None:
            groups = groups_of(dataset, "calibrate", recipe.data.split.by)
            listen = _by_name(self.making.listen, name)
            found = calibration_of(twin.answerer, dataset.sides["calibrate"], self.metric, recipe, out / "calibrate.jsonl", groups, listen)
            corrected(out / "test.jsonl", lambda: score_tuned(twin.answerer, self.judged, listen), found)

        out = self.measured(name, measure, asks=settings | {"by": recipe.data.split.by}, rows=rows, seed=seed)
        return None if out is None else [Prediction.from_json(value) for value in read_jsonl(out / "test.jsonl")]

    def measured(
        self, name: str, measure: Measuring, *, asks: Mapping[str, Any], rows: Sequence[Row] | None = None, seed: int | None = None
    ) -> Path | None:
        """The folder of a twin's figures, made now or taken up; None where its training diverged.

        Args:
            name: of the twin, for people; letters, digits and spaces.
            measure: what is measured.
            asks: what the figures depend on beside the twin, as JSON values.
            rows: what it trains on; the round's own rows where absent.
            seed: of its training, which draws the order of rows and whatever starts at random; the round's own where absent.
        """
        chosen = self.making.material.train if rows is None else rows
        seed = self.making.recipe.seed if seed is None else seed
        inputs = dict(self.inputs) | {"twin seed": seed, "rows": digest([row.id for row in chosen]), "asks": dict(asks)}
        working = self.folder / f"{name.replace(' ', '-')}-{digest(inputs)[:8]}"

        def make(out: Path) -> None:
            self._make(name, self._making(name, chosen, seed), measure, working, out)
            write_json(out / "twin.json", read_json(out / "twin.json") | {"name": name, "seed": seed, "rows": len(chosen)})

        out = self.stages.folder(f"twin {name}", TWIN_VERSION, inputs, make)
        shutil.rmtree(working, ignore_errors=True)  # the weights with it: its figures are what was wanted of it
        self._tell_ledger(out)
        return None if read_json(out / "twin.json")["diverged"] else out

    def _making(self, name: str, rows: Sequence[Row], seed: int) -> Making:
        """The round's training with these rows and this seed, shown to no tracker, its model marked."""
        own = self.making
        untracked = own.recipe.train.model_copy(update={"track": []})
        unexplained = own.recipe.evaluate.model_copy(update={"explain": ExplainConfig()})  # it keeps no snapshots
        return replace(
            own,
            recipe=own.recipe.model_copy(update={"seed": seed, "train": untracked, "evaluate": unexplained}),
            material=replace(own.material, train=rows),
            bundle=lambda method: replace(own.bundle(method), twin=name, base_seed=seed),
            listen=_by_name(own.listen, name),
        )

    def _make(self, name: str, making: Making, measure: Measuring, working: Path, out: Path) -> None:
        """Train it where that is not done yet, measure it, and put its figures into `out`."""
        made = working / "made"
        mend_folder(made)
        if not made.is_dir():
            try:
                with whole_folder(made) as temporary:
                    making.into(temporary, working / "training")
            except DivergedError as error:
                making.listen(Said(f"{error} It is left out.", warning=True))
                write_json(out / "twin.json", {"diverged": str(error)})
                return
        figures = make_folder(working / "figures")
        measure(had_again(made / "model", self.judged, self.making.recipe, twins=True), figures)
        shutil.copytree(figures, out, dirs_exist_ok=True)
        shutil.copy2(made / "training.json", out)
        write_json(out / "twin.json", {"diverged": None, "model": digest_folder(made / "model")})

    def _tell_ledger(self, out: Path) -> None:
        """Its figures as an artefact of its own kind, with what it was made from."""
        found = digest_folder(out)
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        ledger = self.stages.ledger
        ledger.record_artefact(ArtefactRecord(content_hash=found, kind=KIND, path=str(out), bytes=size, round_id=self.stages.round_id))
        ledger.record_edges([Edge(found, str(self.inputs["base"]), "tuned from"), Edge(found, self.dataset.id, "trained on")])


def _by_name(listen: Listener, name: str) -> Listener:
    """Tells of a twin's work under its name, so that it is not taken for the round's."""

    def told(event: Event) -> None:
        if isinstance(event, Said):
            listen(replace(event, text=f"Twin ({name}): {event.text}"))
        else:
            listen(replace(event, work=f"twin {name}: {event.work}"))

    return told


def trainings(recipe: Recipe) -> int:
    """How often a round trains: for its model and for each twin, as the recipe asks."""
    return 1 + sum(count for count, _, _ in _asked(recipe))


def trainings_told(recipe: Recipe) -> str | None:
    """How often a round trains, and how much longer that takes, in a sentence; None where it trains once."""
    asked = [one for one in _asked(recipe) if one[0]]
    if not asked:
        return None
    parts = ", ".join(words for _, _, words in asked)
    times = 1 + sum(share for _, share, _ in asked)
    return f"{trainings(recipe)} trainings in all, about {times:.2g} times the work of one: the round's own; {parts}."


def _asked(recipe: Recipe) -> list[tuple[int, float, str]]:
    """Twins of each kind: how many, how many trainings of all rows they amount to, and in words."""
    asked, others = recipe.evaluate, recipe.evaluate.seeds - 1
    shares = sorted(asked.learning_curve.shares) if asked.learning_curve.enabled else []
    planted = int(asked.memorisation is not None and asked.memorisation.canaries is not None)
    parts = ", ".join(f"{share:.3g}" for share in (100 * one for one in shares))
    return [
        (len(shares), sum(shares), f"{len(shares)} twins on {parts}% of the rows"),
        (others, float(others), f"{others} from other seeds"),
        (planted, float(planted), "1 with canaries"),
    ]
