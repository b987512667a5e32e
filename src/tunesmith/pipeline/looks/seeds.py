"""What other seeds would have given: twins of the round on the same rows. Costs a training for each."""

from dataclasses import replace

from tunesmith.core.files import read_json
from tunesmith.core.seeds import derive_seed
from tunesmith.evaluate.seeds import OverSeeds
from tunesmith.evaluate.verdict import Judgement, judge
from tunesmith.pipeline.evaluation import systems_of
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction

OWN = "the round's own"


def look_at_seeds(given: Looking) -> Found | None:
    """Each seed's model judged as the round's own is; nothing where the recipe asks for one seed."""
    count = given.recipe.evaluate.seeds
    if count == 1:
        return None
    judged = {OWN: _judged(given, given.answers)}
    diverged = []
    for number in range(2, count + 1):
        name = f"seed {number}"
        answers = given.twins.answers(name, seed=derive_seed(given.recipe.seed, "twin", number))
        if answers is None:
            diverged.append(name)
        else:
            judged[name] = _judged(given, answers)
    found = OverSeeds(measure=measure(given.metric), judged=judged, diverged=tuple(diverged))
    return Found(piece=found.to_json(), alarm=found.sentence, public=found.sentence)


def _judged(given: Looking, answers: list[Prediction]) -> Judgement:
    """A seed's model against the round's baselines, by the deciding measure."""
    recipe, few_shot = given.recipe, read_json(given.baselines / "few_shot.json")
    *others, own = systems_of(given.baselines, given.folder / "predictions" / "tuned.jsonl", few_shot)
    return judge(
        [*others, replace(own, predictions=answers)],
        task=given.dataset.task,
        metrics=[given.metric],
        resamples=recipe.evaluate.resamples,
        seed=recipe.seed,
        gates=recipe.gates,
        groups=given.groups("test"),
    )
