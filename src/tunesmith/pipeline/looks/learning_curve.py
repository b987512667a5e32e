"""Whether more rows would help: twins of the round on parts of its rows, beside the round's own model. Costs a training for each."""

from collections.abc import Sequence

from tunesmith.core.progress import Said
from tunesmith.core.rows import Row
from tunesmith.evaluate.learning_curve import learning_curve
from tunesmith.evaluate.shares import FEWEST, nested_parts
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples, units


def look_at_learning_curve(given: Looking) -> Found | None:
    """The curve; nothing where the recipe doesn't ask, or no part of the rows was large enough or came to an end."""
    recipe, train = given.recipe, given.sides.train
    asked = recipe.evaluate.learning_curve
    if not asked.enabled:
        return None
    parts = nested_parts(train, asked.shares, seed=recipe.seed, groups=given.groups("train"))
    notes = _left_out(len(asked.shares) - len(parts))
    answered: dict[int, Sequence[Prediction]] = {}
    for part in parts:
        answers = _answers(given, part)
        if answers is None:
            notes.append(f"Training on {len(part):,} rows diverged: that point is left out.")
        else:
            answered[len(part)] = answers
    if not answered:
        given.listen(Said(" ".join(["There is no learning curve.", *notes]), warning=True))
        return None
    found = learning_curve(measure(given.metric), answered | {len(train): given.answers}, _drawn(given), notes)
    return Found(piece=found.to_json(), alarm=found.sentence, public=found.sentence)


def _left_out(count: int) -> list[str]:
    return [f"{count} of the parts asked for hold fewer than {FEWEST} rows, or as many as another: left out."] if count else []


def _answers(given: Looking, part: Sequence[Row]) -> list[Prediction] | None:
    """A twin's answers on test, in the order of the round's own; None where its training diverged."""
    found = given.twins.answers(f"{len(part)} rows", rows=part)
    if found is None:
        return None
    by_id = {one.row_id: one for one in found}
    return [by_id[one.row_id] for one in given.answers]


def _drawn(given: Looking) -> Resamples:
    """Resamples of the test rows, groups together."""
    groups, ids = given.groups("test"), [one.row_id for one in given.answers]
    return Resamples(rows=len(ids), count=given.recipe.evaluate.resamples, seed=given.recipe.seed, groups=units(ids, groups))
