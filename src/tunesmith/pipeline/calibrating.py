"""Calibration as a step of a round: the tuned model answers the `calibrate` rows, and what corrects its confidences goes with it.

From then on its answers are the corrected ones: on test, and wherever the model is loaded from. Costs one pass over those rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tunesmith.core.files import read_jsonl, write_json
from tunesmith.core.progress import Listener
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.evaluate.calibration import Calibration, applied, calibrate
from tunesmith.evaluate.systems import Answerer, Answers, own_prompt
from tunesmith.evaluate.verdict import Gate
from tunesmith.evaluate.written import Sure
from tunesmith.models.package import load_bundle
from tunesmith.pipeline.evaluation import saved
from tunesmith.pipeline.looks.look import Found
from tunesmith.recipe import Recipe
from tunesmith.score.calibration import Figures, figures
from tunesmith.score.chances import chances_of
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import units
from tunesmith.score.text import exact

FEWEST = 50
"""Fewer rows than this say too little of how far a confidence can be believed."""


def sure_of(recipe: Recipe, task: Task, metric: str, rows: int) -> Sure | None:
    """What a written answer's confidence is made from; None where it would not be calibrated: nobody asks, no answer is right or
    wrong by the deciding measure, or rows are too few."""
    config = recipe.evaluate.calibrate
    if not config.enabled or task is not Task.GENERATE or measure(metric).right is None or rows < FEWEST:
        return None
    seed = derive_seed(recipe.seed, "agreement")  # not that of the answers, or one sample would be the answer itself
    return Sure(samples=config.samples, temperature=config.temperature, seed=seed, numbers=metric == "numeric_match")


def unmeasurable(recipe: Recipe, rows: int) -> str | None:
    """Why so many `calibrate` rows can't tell `gates.calibration_error`; None where they can, or nobody asks."""
    if recipe.gates.calibration_error is None or rows >= FEWEST:
        return None
    return (
        f"gates.calibration_error bounds calibrated confidences, and there are {rows} calibrate rows, where {FEWEST} are needed: "
        "give more rows or a larger data.split.validation, or remove the gate."
    )


def calibration_of(
    tuned: Answers, rows: Sequence[Row], metric: str, recipe: Recipe, path: Path, groups: Mapping[str, str] | None, listen: Listener
) -> Calibration | None:
    """What corrects the tuned model's confidences in its labels, or in what it writes; None where nobody asks, answers are neither
    labels nor right or wrong, or rows are too few.

    Args:
        tuned: the model; written answers are calibrated where it has confidence in them (`sure_of`).
        rows: the `calibrate` side.
        metric: the measure that decides, by which written answers are right.
        recipe: the recipe.
        path: where its answers to those rows are kept, so that a round that goes on doesn't ask again.
        groups: row id -> group, where rows belong together.
        listen: told how it goes.
    """
    if not recipe.evaluate.calibrate.enabled or len(rows) < FEWEST or not isinstance(tuned, Answerer):
        return None
    config, right = recipe.evaluate.calibrate, measure(metric).right or exact
    if tuned.labels is None and tuned.sure is None:
        return None
    answers = saved(path, lambda: tuned.answer(rows, own_prompt, work="calibrate", listen=listen))
    if tuned.sure is None:
        return calibrate(answers, config, seed=recipe.seed, groups=_units(answers, groups))
    if right(answers) is None:  # a reference without a number
        return None
    found = calibrate(answers, config, seed=recipe.seed, groups=_units(answers, groups), right=right)
    return replace(found, sentences=(tuned.sure.sentence, *found.sentences))


def keep_with_model(folder: Path, calibration: Calibration | None, sure: Sure | None = None) -> None:
    """Put a calibration into the model's `tunesmith.json`, without what was measured, and what the confidence it corrects is made from."""
    told = None if calibration is None else replace(calibration, measured=None).to_json()
    made = None if calibration is None or sure is None else sure.to_json()
    write_json(folder / "tunesmith.json", asdict(replace(load_bundle(folder), calibration=told, sureness=made)))


def corrected(path: Path, make: Callable[[], list[Prediction]], calibration: Calibration | None) -> list[Prediction]:
    """The tuned model's answers, corrected where there is a calibration; what it said before stands beside them as `uncorrected.jsonl`."""
    if calibration is None:
        return saved(path, make)
    before = saved(path.with_name("uncorrected.jsonl"), make)
    return saved(path, lambda: applied(before, calibration))


def found_on_test(
    calibration: Calibration | None, answers: Path, metric: str, groups: Mapping[str, str] | None, bound: float | None
) -> Found | None:
    """The report's `calibration`: what was done on `calibrate`, and figures on test before and after; None where nothing was calibrated.

    `bound` is `gates.calibration_error`: the upper end of the error on test must not pass it.
    """
    if calibration is None:
        return None
    after, before = (_figures(answers.with_name(name), metric, groups) for name in (answers.name, "uncorrected.jsonl"))
    if after is None or before is None:
        return Found(piece=calibration.to_json() | {"test": None}, public=" ".join(calibration.sentences) or None)
    value = after.to_json()["ece_high"]
    gates = () if bound is None else (Gate(name="calibration_error", bound=bound, value=value, holds=value <= bound),)
    return Found(
        piece=calibration.to_json() | {"test": {"before": before.to_json(), "after": after.to_json()}},
        gates=gates,
        public=" ".join([*calibration.sentences, f"Calibration error on test {100 * after.ece:.1f} points."]),
    )


def _figures(path: Path, metric: str, groups: Mapping[str, str] | None) -> Figures | None:
    answers = [Prediction.from_json(value) for value in read_jsonl(path)]
    chances = chances_of(answers, right=measure(metric).right or exact)
    return None if chances is None else figures(chances, _units(answers, groups))


def _units(answers: Sequence[Prediction], groups: Mapping[str, str] | None) -> list[str] | None:
    """The group of each answer."""
    return units([one.row_id for one in answers], groups)
