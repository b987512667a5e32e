"""What the tuned model has of its training rows by heart. Costs a pass over some hundred rows for each model."""

from collections.abc import Sequence

from tunesmith.core.errors import DataError
from tunesmith.data.config import Task
from tunesmith.evaluate.likelihood import HeadLikelihood, Likelihood, RowScorer
from tunesmith.evaluate.memorisation import Memorisation, both_sides, membership_of
from tunesmith.evaluate.personal import PersonalOutputs, personal_outputs, personal_values
from tunesmith.evaluate.verbatim import Continue, continuing, verbatim
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.prediction import Prediction


def look_at_memorisation(given: Looking) -> Found | None:
    """Membership, verbatim continuation and personal data in answers; nothing where the recipe doesn't ask."""
    config, sides = given.recipe.evaluate.memorisation, given.sides
    if config is None:
        return None
    sets = [given.groups(side) for side in given.dataset.sides]
    groups = None if None in sets else {key: name for one in sets for key, name in (one or {}).items()}
    rows = both_sides(sides.train, [*sides.select, *sides.test], config.rows, seed=given.recipe.seed, groups=groups)
    tuned, base = _scorers(given) if config.membership else (None, None)
    go_on, notes, repeated = _goes_on(given), [], None
    if go_on is not None:
        try:
            repeated = verbatim(rows.trained, rows.unseen, given.tuned.renderer, config, go_on)
        except DataError as error:  # answers of a few words: nothing to repeat
            notes.append(str(error))
    asked = config.personal and sides.task == Task.GENERATE
    found = Memorisation(
        membership=None if tuned is None else membership_of(rows, tuned, base),
        verbatim=repeated,
        personal=_personal(given, given.answers) if asked else None,
        personal_base=_personal(given, given.answers_of("zero-shot")) if asked else None,
        notes=tuple(notes),
    )
    return Found(piece=found.to_json(), alarm=found.sentences[0] if found.alarm else None)


def _scorers(given: Looking) -> tuple[RowScorer | None, RowScorer | None]:
    """How likely the tuned model and the base find a row's answer; None for one that can't be asked."""
    model, renderer = given.tuned.model, given.tuned.renderer
    if not isinstance(model, Headed):
        asked = [Likelihood(one.to(given.device), renderer, given.device, given.precision).rows for one in (model, given.base.model)]
        return asked[0], asked[1]
    if model.kind != "class" or given.sides.labels is None:
        return None, None
    return HeadLikelihood(model, renderer, given.device, given.sides.labels, given.precision).rows, None


def _goes_on(given: Looking) -> Continue | None:
    """The tuned model as it continues a text; None where nobody asks, or it writes none."""
    config, model = given.recipe.evaluate.memorisation, given.tuned.model
    writes = given.sides.task in (Task.GENERATE, Task.TEXT) and not isinstance(model, Headed)
    if config is None or not config.verbatim or not writes:
        return None
    return continuing(model.to(given.device), given.tuned.renderer, given.device, given.precision)


def _personal(given: Looking, made: Sequence[Prediction] | None) -> PersonalOutputs | None:
    """Personal data in what a model generated."""
    if made is None:
        return None
    known = personal_values(text for row in given.sides.train for text in (*(turn.content for turn in row.prompt), row.answer))
    asked = {row.id: "\n".join(turn.content for turn in row.prompt) for row in given.sides.test}
    return personal_outputs([asked[one.row_id] for one in made], [one.answer for one in made], known)
