"""What several seeds say together: a gain in each, in some, in none."""

import json

from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.seeds import OverSeeds
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction


def answers(right: int) -> list[Prediction]:
    return [Prediction(row_id=str(place), reference="ab"[place % 2], answer="ab"[(place + (place >= right)) % 2]) for place in range(100)]


def judged(right: int) -> Judgement:
    systems = [
        System(key="zero-shot", name="Base, zero-shot", kind="baseline", predictions=answers(50)),
        System(key="tuned", name="Fine-tuned", kind="tuned", predictions=answers(right)),
    ]
    return judge(systems, task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=GatesConfig())


def over(*rights: int, diverged: tuple[str, ...] = ()) -> OverSeeds:
    names = ["the round's own", *(f"seed {number}" for number in range(2, 1 + len(rights)))]
    return OverSeeds(measure=measure("accuracy"), judged=dict(zip(names, map(judged, rights), strict=True)), diverged=diverged)


def test_a_gain_in_each_seed_is_said_with_the_spread() -> None:
    found = over(70, 72, 74)
    assert found.sentence == "Over 3 seeds accuracy is 72.0%, 67.0% to 77.0%; a gain in each."
    assert found.rounds.values == (0.70, 0.72, 0.74)


def test_a_gain_that_hangs_on_the_seed_is_said() -> None:
    assert over(70, 52, 51).gains == 1
    assert "a gain in 1 of 3 only, so another seed would have had another verdict" in over(70, 52, 51).sentence
    assert over(52, 51).sentence.endswith("; a gain in none.")


def test_seeds_that_diverged_are_counted_apart() -> None:
    found = over(70, 72, diverged=("seed 3",))
    assert found.sentence.endswith("a gain in each; training diverged from 1 more.")
    alone = over(70, diverged=("seed 2",))
    assert alone.sentence == "Only one seed came to an end; a gain in each; training diverged from 1 more."
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["diverged"] == ["seed 3"] and [run["outcome"] for run in told["runs"]] == ["gain", "gain"]
