"""A model made by a recipe, and had again from its folder: a round does so once, and each of its twins once more.

Training goes on where it was stopped, in a folder of its own; what is made of it is left to whoever keeps it (`Stages`).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunesmith.chat.render import Renderer
from tunesmith.core.files import make_folder, write_json
from tunesmith.core.progress import Listener
from tunesmith.evaluate.ready import load_ready
from tunesmith.evaluate.written import Sure
from tunesmith.models.load import load_base
from tunesmith.models.package import Bundle, save_model
from tunesmith.pipeline.evaluation import Sides, answerer
from tunesmith.pipeline.looks.look import Tuned
from tunesmith.pipeline.material import Material
from tunesmith.pipeline.of_many import OfMany
from tunesmith.pipeline.training import SNAPSHOTS, TrainingRun, training_report
from tunesmith.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """All that one training takes."""

    recipe: Recipe
    renderer: Renderer
    material: Material
    bundle: Callable[[str], Bundle]
    """What the model needs to answer as it is evaluated, by the method that was decided on."""
    listen: Listener
    of_many: OfMany | None = None
    """Where it is one of many."""

    def into(self, out: Path, working: Path) -> None:
        """Train in the folder `working`, or go on there, and put `model/` and training.json into the empty folder `out`."""
        base = load_base(self.recipe.base, seed=self.recipe.seed)  # as it was pretrained: training changes the one it is given
        run = TrainingRun(make_folder(working), self.recipe, base, self.renderer, self.material, self.listen, self.of_many)
        model = run.run()
        (out / "model").mkdir()
        save_model(out / "model", model, base.tokenizer, self.bundle(run.decisions.method))
        write_json(out / "training.json", training_report(run))
        if (working / SNAPSHOTS).is_dir():
            shutil.copytree(working / SNAPSHOTS, out / SNAPSHOTS)


def had_again(folder: Path, sides: Sides, recipe: Recipe, sure: Sure | None = None, *, twins: bool = False) -> Tuned:
    """A trained model, as whoever loads it from its folder has it. Raises as `load_bundle` does."""
    ready = load_ready(folder, twins=twins)
    return Tuned(ready.model, ready.renderer, ready.bundle, answerer(ready.model, ready.renderer, sides, recipe, sure))
