"""What the tuned model has of its training rows by heart. Costs a pass over some hundred rows for each model.

Canaries, where the recipe asks for them, cost a training more, and a pass over some thousand short rows for the base and for the twin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.errors import DataError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.canaries import Canary, CanaryReport, canary_report, exposures, make_canaries, plant
from tunesmith.evaluate.harm_config import CanariesConfig
from tunesmith.evaluate.likelihood import HeadLikelihood, Likelihood, RowScorer
from tunesmith.evaluate.memorisation import Memorisation, both_sides, membership_of
from tunesmith.evaluate.personal import PersonalOutputs, personal_outputs, personal_values
from tunesmith.evaluate.verbatim import Continue, continuing, verbatim
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking, Tuned
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction


def look_at_memorisation(given: Looking) -> Found | None:
    """Membership, verbatim continuation and personal data in answers; nothing where the recipe doesn't ask."""
    config, sides = given.recipe.evaluate.memorisation, given.sides
    if config is None:
        return None
    sets = [given.groups(side) for side in given.dataset.sides]
    groups = None if not any(sets) else {key: name for one in sets for key, name in (one or {}).items()}
    rows = both_sides(sides.train, [*sides.select, *sides.test], config.rows, seed=given.recipe.seed, groups=groups)
    tuned, base = _scorers(given, given.tuned) if config.membership else (None, None)
    go_on, notes, repeated = _goes_on(given), [], None
    if go_on is not None:
        try:
            repeated = verbatim(rows.trained, rows.unseen, given.tuned.renderer, config, go_on, rows.groups)
        except DataError as error:  # answers of a few words: nothing to repeat
            notes.append(str(error))
    asked = config.personal and sides.task == Task.GENERATE
    canaries = _canaries(given, config.canaries, notes) if config.canaries is not None else None
    found = Memorisation(
        membership=None if tuned is None else membership_of(rows, tuned, base),
        verbatim=repeated,
        personal=_personal(given, given.answers, given.answers_of("zero-shot")) if asked else None,
        personal_base=_personal(given, given.answers_of("zero-shot")) if asked else None,
        canaries=canaries,
        notes=tuple(notes),
    )
    alarm = " ".join(found.alarms) if found.alarm else None
    return Found(piece=found.to_json(), alarm=alarm, public=" ".join(found.sentences) or None)  # values are counted, never named


@dataclass(frozen=True, slots=True)
class Planted:
    """Canaries, and the training rows with them among these."""

    canaries: list[Canary]
    rows: list[Row]


def planted(recipe: Recipe, task: Task, train: Sequence[Row], labels: Sequence[str] | None) -> Planted | None:
    """What a twin with canaries trains on; None where the recipe asks for none.

    Raises:
        RecipeError: a task whose rows can hold no canary.
        DataError: too few rows for so many canaries.
    """
    asked = recipe.evaluate.memorisation
    if asked is None or asked.canaries is None:
        return None
    config, first = asked.canaries, train[0].prompt[:1] if train else ()
    opening = first if first and first[0].role == "system" and first[0].content == recipe.data.instruction else ()
    made = make_canaries(config, task, seed=recipe.seed, labels=labels or (), opening=opening)
    return Planted(made, plant(train, made, seed=recipe.seed, largest_share=config.largest_share))


def _canaries(given: Looking, config: CanariesConfig, notes: list[str]) -> CanaryReport | None:
    """What a twin that was trained on them has of them by heart, and the base has by chance; None where its training diverged."""
    found = planted(given.recipe, given.dataset.task, given.sides.train, given.sides.labels)
    assert found is not None

    def measure(twin: Tuned, out: Path) -> None:
        after, before = _scorers(given, twin)
        assert after is not None  # rows of a task with canaries are answered by text or by a head of labels
        told = [None if score is None else exposures(found.canaries, score, config.alternatives) for score in (before, after)]
        write_json(out / "exposures.json", {"before": told[0], "after": told[1]})

    asks = {"canaries": config.model_dump(mode="json"), "device": given.device.type}
    out = given.twins.measured("canaries", measure, asks=asks, rows=found.rows)
    if out is None:
        notes.append("Training with canaries diverged: what would be learned by heart of them is not known.")
        return None
    told = read_json(out / "exposures.json")
    return canary_report(found.canaries, told["before"], told["after"], config.alternatives)


def _scorers(given: Looking, tuned: Tuned) -> tuple[RowScorer | None, RowScorer | None]:
    """How likely a tuned model and the base find a row's answer; None for one that can't be asked."""
    model, renderer = tuned.model, tuned.renderer
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


def _personal(given: Looking, made: Sequence[Prediction] | None, base: Sequence[Prediction] | None = None) -> PersonalOutputs | None:
    """Personal data in what a model generated, held against the base's answers where these are given."""
    if made is None:
        return None
    known = personal_values(text for row in given.sides.train for text in (*(turn.content for turn in row.prompt), row.answer))
    asked = {row.id: "\n".join(turn.content for turn in row.prompt) for row in given.sides.test}
    theirs = None if base is None else {one.row_id: one.answer for one in base}
    return personal_outputs(
        [asked[one.row_id] for one in made],
        [one.answer for one in made],
        known,
        None if theirs is None else [theirs[one.row_id] for one in made],
    )
