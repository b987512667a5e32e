"""Whether fine-tuning made the model prefer stereotypes, or treat groups of the test rows differently.

The base's reading of the sets is kept like any stage's output, so every round on the same base takes it up; the tuned model's
stays in the round's folder, so a killed round does not ask twice. Costs a pass over each sentence and answer for each model,
about 5,500 short ones by default where all three sets are named; groups cost no pass. A model that ends in a head writes no
text: of it only groups are looked at.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.files import read_json, write_json
from tunesmith.core.progress import Advanced, Ended, Started
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.bias import RESAMPLES_EACH, Bias, bias, bias_gate
from tunesmith.evaluate.bias_figures import Figure, figures_of_sets
from tunesmith.evaluate.bias_files import BiasSets, read_bias_sets
from tunesmith.evaluate.bias_reading import BiasReading, digest_of, read_bias
from tunesmith.evaluate.group_gaps import Answered, Gap, group_gaps, positive_label
from tunesmith.evaluate.harm_config import BiasConfig
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.models.heads import Headed
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.resampling import units

READING_VERSION = 1
MOST_FIGURES = 40
"""What all sets give, about: so many are allowed for in the number of resamples."""
HEADED = (
    "The model ends in a head and writes no text, so CrowS-Pairs, WinoBias and BBQ can't be asked of it; "
    "only gaps between groups of the test rows can be told."
)


def look_at_bias(given: Looking) -> Found | None:
    """Base against tuned on the sets and columns that the recipe names; nothing where it names none."""
    config = given.recipe.evaluate.bias
    if config is None:
        return None
    found = _found(given, config)
    bound = given.recipe.gates.bias
    gate = None if bound is None else bias_gate(found, bound)
    return Found(
        piece=found.to_json(),
        gates=() if gate is None else (gate,),
        alarm=found.sentences[0] if found.alarm else None,
        public=" ".join(found.sentences) or None,
    )


def _found(given: Looking, config: BiasConfig) -> Bias:
    figures, notes = _figures(given, config)
    gaps, more = _gaps(given, config)
    return bias(figures, gaps, tolerance=config.tolerance, notes=[*notes, *more])


def _resamples(given: Looking, config: BiasConfig) -> int:
    return max(given.recipe.evaluate.resamples, RESAMPLES_EACH * (MOST_FIGURES + 4 * len(config.groups)))


def _figures(given: Looking, config: BiasConfig) -> tuple[list[Figure], list[str]]:
    """Of the sets."""
    if not config.asks_text:
        return [], []
    if isinstance(given.tuned.model, Headed):
        return [], [HEADED]
    sets = read_bias_sets(config, seed=given.recipe.seed)
    before, after = _base_reading(given, sets), _tuned_reading(given, sets)
    drawn = _resamples(given, config)
    return figures_of_sets(before, after, sets, resamples=drawn, seed=given.recipe.seed), list(sets.notes)


def _gaps(given: Looking, config: BiasConfig) -> tuple[list[Gap], list[str]]:
    """Of groups of the test rows."""
    if not config.groups or given.sides.task != Task.CLASSIFY:
        return [], []
    base = given.answers_of("zero-shot")
    if base is None:
        return [], ["The base was not scored on test, so no gap between groups can be held against its own."]
    by_id = {name: {one.row_id: one for one in answers} for name, answers in (("base", base), ("tuned", given.answers))}
    rows = given.sides.test
    answered = Answered(
        rows=rows,
        base=[by_id["base"][row.id] for row in rows],
        tuned=[by_id["tuned"][row.id] for row in rows],
        units=units([row.id for row in rows], given.groups("test")),
    )
    positive = positive_label(given.sides.labels or (), config.positive)
    gaps, notes = group_gaps(answered, config.groups, positive, resamples=_resamples(given, config), seed=given.recipe.seed)
    told = [f"Rates by group are those of the label {positive}."] if positive is not None else []
    return gaps, [*told, *notes]


def refuse_unreadable_bias(config: BiasConfig, *, seed: int, test: Sequence[Row], labels: Sequence[str]) -> None:
    """Raise before any training what the look would raise after it.

    Raises:
        RecipeError: a file isn't there, no test row has a column, or the label of the rates is none of the labels.
        DataError: a file is not as its set has it.
        MachineError: a file may not be read.
    """
    columns = {name for row in test for name in row.fields}
    strange = next((column for column in config.groups if column not in columns), None)
    if strange is not None and test:
        raise RecipeError(f"evaluate.bias.groups names {strange!r}, and no test row has such a column.{did_you_mean(strange, columns)}")
    if config.positive is not None and config.positive not in labels:
        raise RecipeError(
            f"evaluate.bias.positive is {config.positive!r}, and no row has this label.{did_you_mean(config.positive, labels)}"
        )
    read_bias_sets(config, seed=seed)


def _reading(given: Looking, model: nn.Module, sets: BiasSets, *, work: str) -> BiasReading:
    """What a model makes of the sets."""
    started = time.monotonic()
    given.listen(Started(work, 2 * len(sets.pairs) + 3 * len(sets.questions), "texts"))
    asked = Likelihood(model.to(given.device).eval(), given.tuned.renderer, given.device, given.precision)
    found = read_bias(asked, sets, lambda done: given.listen(Advanced(work, done)))
    given.listen(Ended(work, time.monotonic() - started))
    return found


def _base_reading(given: Looking, sets: BiasSets) -> BiasReading:
    """The base's, made once for all rounds that ask the same of it."""
    asked = Likelihood(given.base.model, given.tuned.renderer, given.device, given.precision)
    inputs = {"base": given.base_hash, "material": digest_of(asked, sets), "device": given.device.type, "precision": given.precision}

    def make(out: Path) -> None:
        write_json(out / "reading.json", _reading(given, given.base.model, sets, work="base on bias sets").to_json())

    return BiasReading.from_json(read_json(given.stages.folder("bias", READING_VERSION, inputs, make) / "reading.json"))


def _tuned_reading(given: Looking, sets: BiasSets) -> BiasReading:
    """The tuned model's, once for the round."""
    asked = Likelihood(given.tuned.model, given.tuned.renderer, given.device, given.precision)
    kept = given.folder / "looks" / f"bias-{digest_of(asked, sets)[:16]}.json"
    if not kept.exists():
        write_json(kept, _reading(given, given.tuned.model, sets, work="fine-tuned on bias sets").to_json())
    return BiasReading.from_json(read_json(kept))
