"""What a search gained: the model of the recipe as it was answers the same test rows, in the round's one opening of them.

A round that a search chose holds `search.json` in its folder, put there before it began. Costs one pass of that model over the test
rows, and over the `calibrate` rows where answers are calibrated; its training was the search's.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.core.files import make_folder, read_json, read_jsonl
from tunesmith.pipeline.evaluation import score_tuned
from tunesmith.pipeline.held import hold
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.pipeline.making import had_again
from tunesmith.score.measures import Measure, measure
from tunesmith.score.paired import Comparison, compare
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples, units

CHOSEN_BY = "search.json"
"""In a round's folder: the search that chose its recipe."""
ANSWERS = "looks/search"
"""In a round's folder: what the recipe as it was answers."""
AS_IT_WAS = "the recipe as it was"


def look_at_search(given: Looking) -> Found | None:
    """The gain over the recipe as it was; nothing of a round that no search chose."""
    file = given.folder / CHOSEN_BY
    if not file.exists():
        return None
    told: dict[str, Any] = read_json(file)
    by, defaults = measure(given.metric), told["as_it_was"]
    ours = by.of(given.answers)
    model = Path(defaults["model"]) if defaults["model"] is not None else None
    theirs = None if model is None or not model.is_dir() else _answers(given, model, defaults.get("training", str(model)))
    found = None if theirs is None else _compared(given, by, theirs)
    gain = None if found is None or theirs is None else asdict(found) | {"outcome": _outcome(found), "value": by.of(theirs), "ours": ours}
    sentence = _sentence(told, by, found, gone=model is not None and theirs is None)
    chosen = f"Its settings were chosen by a search of {told['count']} trials on rows that do not judge it."
    piece = {name: value for name, value in told.items() if name != "as_it_was"} | {
        "as_it_was": {"value": defaults["value"]},
        "measure": given.metric,
        "gain": gain,
        "sentence": sentence,
    }
    return Found(piece=piece, alarm=sentence, public=f"{chosen} {sentence}")


def _answers(given: Looking, model: Path, of: str) -> list[Prediction]:
    """Of the recipe as it was, on test, corrected as the round's own are, in their order."""
    from tunesmith.pipeline.calibrating import calibration_of, corrected  # which is a look itself, and imports this package

    hold(given.folder, "as it was", of, (ANSWERS,))  # a round that goes on may have been begun by another search
    out, recipe = make_folder(given.folder / ANSWERS), given.recipe
    answered = out / "test.jsonl"
    if not answered.exists():
        tuned = had_again(model, given.sides, recipe).answerer
        rows = given.dataset.sides["calibrate"]
        found = calibration_of(tuned, rows, given.metric, recipe, out / "calibrate.jsonl", given.groups("calibrate"), given.listen)
        corrected(answered, lambda: score_tuned(tuned, given.sides, given.listen, who=AS_IT_WAS), found)
    by_id = {one.row_id: one for one in map(Prediction.from_json, read_jsonl(answered))}
    return [by_id[one.row_id] for one in given.answers]


def _compared(given: Looking, by: Measure, theirs: list[Prediction]) -> Comparison | None:
    ids = [one.row_id for one in given.answers]
    drawn = Resamples(rows=len(ids), count=given.recipe.evaluate.resamples, seed=given.recipe.seed, groups=units(ids, given.groups("test")))
    return compare(by, given.answers, theirs, drawn)


def _outcome(found: Comparison) -> str:
    return "gain" if found.is_gain else "loss" if found.is_loss else "no gain shown"


def _sentence(told: Mapping[str, Any], by: Measure, found: Comparison | None, *, gone: bool) -> str:
    """What the search was worth."""
    if gone:
        return "What the search gained can't be told: the model of the recipe as it was is gone."
    if told["as_it_was"]["diverged"]:
        return f"What the search gained can't be told: the recipe as it was can't be trained. {told['as_it_was']['diverged']}"
    if told["as_it_was"]["model"] is None:
        return f"Of {told['count']} trials none did better on the select rows than the recipe as it was, which is therefore kept."
    if found is None:
        return f"What the search gained can't be told: the answers don't hold what {by.title} is told from."
    points = " points" if by.scale == 100.0 else ""
    size = f"in {by.title} by {by.shown_difference(abs(found.difference), unit=False)}{points}"
    told_as, end = f"differs in {by.title} by {_signed(by, found.difference)}{points} from", "no gain is shown."
    if found.is_gain:
        told_as, end = f"is better {size} than", "a gain."
    elif found.is_loss:
        told_as, end = f"is worse {size} than", "a loss, so keep the recipe as it was."
    ends = f"95% interval {_signed(by, found.low)} to {_signed(by, found.high)}"
    return f"On test the recipe that was found {told_as} the recipe as it was ({ends}): {end}"


def _signed(by: Measure, value: float) -> str:
    """An improvement, whichever way the measure runs; 0 without a sign."""
    written = by.shown_difference(value, unit=False)
    if float(written) == 0:
        return written.lstrip("-")
    return f"+{written}" if value > 0 else written
