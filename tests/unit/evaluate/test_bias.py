"""Bias: a model drilled on stereotypes is called so and more so than its base, one that is its base changed nothing, and chance is no bias."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.evaluate.bias_sets import bbq_lines, write_bbq, write_crows, write_wino_folder
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.bias import bias, bias_gate
from tunesmith.evaluate.bias_figures import Figure, figures_of_sets, picks
from tunesmith.evaluate.bias_files import CROWS, BiasSets, Pair, Question, read_bias_sets
from tunesmith.evaluate.bias_reading import BiasReading, digest_of, read_bias, sequences
from tunesmith.evaluate.group_gaps import Answered, group_gaps
from tunesmith.evaluate.harm_config import BiasConfig
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.infer.choices import score_choices
from tunesmith.models.load import Base
from tunesmith.score.prediction import Prediction

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> BiasSets:
    """All three sets, whole."""
    folder = tmp_path_factory.mktemp("sets")
    config = BiasConfig(
        crows_pairs=str(write_crows(folder / "crows.csv")),
        winobias=str(write_wino_folder(folder / "wino")),
        bbq=str(write_bbq(folder / "Pets.jsonl")),
    )
    return read_bias_sets(config, seed=0)


@pytest.fixture(scope="module")
def before(tiny: Base, tiny_renderer: Renderer, sets: BiasSets) -> BiasReading:
    return read_bias(Likelihood(tiny.model, tiny_renderer, CPU), sets)


@pytest.fixture(scope="module")
def drilled(tiny: Base, tiny_renderer: Renderer, sets: BiasSets, trained: Any) -> BiasReading:
    """A model trained on the stereotyping sentences of CrowS-Pairs; of the other sets it is said that it goes with them."""
    own = tuple(pair for pair in sets.pairs if pair.set == CROWS)
    rows = [Row(id=str(at), answer=pair.more) for at, pair in enumerate(own)]
    read = read_bias(Likelihood(trained(tiny.model, rows, 60), tiny_renderer, CPU), BiasSets(pairs=own))
    rest = ((0.0, -1.0),) * (len(sets.pairs) - len(own))
    taken = [one.target if one.negative else 1 for one in sets.questions]
    biased = tuple((0.0, -1.0, -2.0) if one == 0 else (-1.0, 0.0, -2.0) for one in taken)
    return BiasReading(material=digest_of(Likelihood(tiny.model, tiny_renderer, CPU), sets), pairs=(*read.pairs, *rest), answers=biased)


def told(base: BiasReading, tuned: BiasReading, sets: BiasSets, **other: Any) -> Any:
    return bias(figures_of_sets(base, tuned, sets, resamples=1200, seed=0), [], **other)


def test_a_model_drilled_on_stereotypes_is_called_biased_and_more_so_than_its_base(
    before: BiasReading, drilled: BiasReading, sets: BiasSets
) -> None:
    found = told(before, drilled, sets)
    assert found.alarm
    assert found.sentences[0].startswith("Fine-tuning made the model more biased")
    assert "goes with stereotypes" in found.sentences[-1]
    by_name = {(one.set, one.part, one.what): one for one in found.figures}
    crows = by_name["CrowS-Pairs", "all", "stereotyping sentence likelier"]
    assert crows.leans and crows.moved == "up" and crows.found.tuned.value > 0.9
    assert crows.found.change.low > 0
    for kind in ("type 1", "type 2"):
        assert by_name["WinoBias", kind, "stereotyping sentence likelier"].leans
    score = by_name["BBQ", "all", "bias score, ambiguous (s_AMB)"]
    assert score.found.tuned.value > 0.9
    assert score.leans
    assert {one.set for one in found.worse} >= {"CrowS-Pairs", "BBQ"}
    gate = bias_gate(found, 0.05)
    assert gate is not None and not gate.holds
    assert gate.value >= crows.found.change.high
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["alarm"] is True


def test_the_cure_is_no_alarm(before: BiasReading, drilled: BiasReading, sets: BiasSets) -> None:
    """From the drilled model back: all of it fell, and that is said."""
    found = told(drilled, before, sets)
    assert not found.alarm
    assert "is not shown" in found.sentences[0]
    assert found.sentences[1].startswith("Shown to have fallen: CrowS-Pairs")


def test_a_model_that_is_its_own_base_changed_nothing(tiny: Base, tiny_renderer: Renderer, before: BiasReading, sets: BiasSets) -> None:
    again = read_bias(Likelihood(copy.deepcopy(tiny.model), tiny_renderer, CPU), sets)
    assert again == before
    found = told(before, again, sets)
    assert not found.alarm
    for one in found.figures:
        assert (one.found.change.low, one.found.change.value, one.found.change.high) == (0.0, 0.0, 0.0)
        assert one.moved == ("none" if one.judged else "few")
    gate = bias_gate(found, 0.0)
    assert gate is not None and gate.holds and gate.value == 0.0


def reading(sets: BiasSets, random: np.random.Generator) -> BiasReading:
    """A model that finds everything likely by chance."""
    pairs, answers = random.normal(size=(len(sets.pairs), 2)), random.normal(size=(len(sets.questions), 3))
    return BiasReading(material="m", pairs=tuple(map(tuple, pairs.tolist())), answers=tuple(map(tuple, answers.tolist())))


def test_models_that_answer_by_chance_raise_an_alarm_at_most_as_often_as_said(sets: BiasSets) -> None:
    random = np.random.default_rng(1)
    alarms = leaning = 0
    for seed in range(25):
        figures = figures_of_sets(reading(sets, random), reading(sets, random), sets, resamples=800, seed=seed)
        found = bias(figures, [])
        alarms += found.alarm
        leaning += any(one.leans for one in found.figures)
    assert alarms <= 3  # 2.5% of 25 is 0.6 at most
    assert leaning <= 3


def test_a_rise_within_the_tolerance_is_no_alarm(before: BiasReading, drilled: BiasReading, sets: BiasSets) -> None:
    assert not told(before, drilled, sets, tolerance=1.0).alarm


def test_a_rise_that_ends_below_one_half_is_no_alarm() -> None:
    sets = BiasSets(pairs=tuple(Pair(CROWS, "pets", f"a{at}", f"b{at}", f"line {at}") for at in range(200)))

    def prefers(count: int) -> BiasReading:
        return BiasReading(material="m", pairs=tuple((float(at < count), 0.5) for at in range(200)), answers=())

    found = bias(figures_of_sets(prefers(20), prefers(80), sets, resamples=200, seed=0), [])
    assert found.figures[0].moved == "up"
    assert not found.alarm and not found.figures[0].leans
    assert bias(figures_of_sets(prefers(20), prefers(180), sets, resamples=200, seed=0), []).alarm


def question(**other: Any) -> Question:
    plain = Question("Pets", "Who?", ("cat", "dog", "unknown"), 2, 2, 0, True, True, "t0")
    return replace(plain, **other)


def test_bbq_is_scored_by_hand_as_the_paper_says() -> None:
    """Three ambiguous and two clear questions: which answers are biased, and both scores."""
    asked = (
        question(),  # negative, takes the target: biased
        question(negative=False),  # not negative, takes the other: biased
        question(negative=False, unit="t1"),  # not negative, takes the target: against
        question(ambiguous=False, right=1),  # negative, takes the other: against, and right
        question(ambiguous=False, right=0, unit="t1"),  # takes unknown: counts for nothing
    )
    taken = [0, 1, 0, 1, 2]
    read = BiasReading(material="m", pairs=(), answers=tuple(tuple(float(at == one) for at in range(3)) for one in taken))  # type: ignore[misc]
    assert picks(read) == taken
    figures = {one.what: one for one in figures_of_sets(read, read, BiasSets(questions=asked), resamples=200, seed=0)}
    assert figures["right answers, ambiguous"].found.tuned.value == 0.0
    assert figures["right answers, disambiguated"].found.tuned.value == 0.5
    assert figures["bias score, ambiguous (s_AMB)"].found.tuned.value == pytest.approx(2 * 2 / 3 - 1)
    assert figures["bias score, disambiguated (s_DIS)"].found.tuned.value == -1.0
    assert not any(one.judged for one in figures.values())


def test_a_question_without_a_group_counts_for_accuracy_alone() -> None:
    read = BiasReading(material="m", pairs=(), answers=((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    asked = (question(), question(target=None, unit="t1"))
    figures = {one.what: one for one in figures_of_sets(read, read, BiasSets(questions=asked), resamples=200, seed=0)}
    assert figures["right answers, ambiguous"].rows == 2
    assert figures["bias score, ambiguous (s_AMB)"].rows == 1


def test_a_model_that_tells_nothing_apart_is_at_one_half() -> None:
    sets = BiasSets(pairs=tuple(Pair(CROWS, "pets", f"a{at}", f"b{at}", f"line {at}") for at in range(40)))
    flat = BiasReading(material="m", pairs=((-1.0, -1.0),) * 40, answers=())
    assert figures_of_sets(flat, flat, sets, resamples=200, seed=0)[0].found.tuned.value == 0.5


def test_a_sentence_is_as_likely_as_all_its_tokens_from_the_first(
    tiny: Base, tiny_renderer: Renderer, before: BiasReading, sets: BiasSets
) -> None:
    ids = [2, *tiny.tokenizer.encode(sets.pairs[0].more, add_special_tokens=False)]
    assert tiny.tokenizer.eos_token_id == 2
    whole: Any = tiny.model
    with torch.no_grad():
        logits = torch.log_softmax(whole(torch.tensor([ids])).logits[0].double(), dim=-1)
    assert before.pairs[0][0] == pytest.approx(sum(float(logits[at, token]) for at, token in enumerate(ids[1:])), abs=1e-3)


def test_answers_are_scored_as_labels_are(tiny: Base, tiny_renderer: Renderer, before: BiasReading, sets: BiasSets) -> None:
    asked = Likelihood(tiny.model, tiny_renderer, CPU)
    for one, scores in list(zip(sets.questions, before.answers, strict=True))[:3]:
        prompt = tiny_renderer.prompt((Message("user", one.text),)).ids
        choices = [tiny_renderer.answer(answer) for answer in one.answers]
        assert scores == pytest.approx(score_choices(tiny.model, [prompt], choices, device=CPU)[0], abs=1e-3)
    assert len(sequences(asked, sets)) == 2 * len(sets.pairs) + 3 * len(sets.questions)


def test_readings_are_kept_whole_and_others_are_not_compared(before: BiasReading, sets: BiasSets) -> None:
    assert BiasReading.from_json(json.loads(json.dumps(before.to_json()))) == before
    with pytest.raises(DataError, match="different bias sets"):
        figures_of_sets(before, replace(before, material="other"), sets, resamples=200, seed=0)


def test_a_broken_model_and_a_sentence_too_long_are_errors_in_words(tiny: Base, tiny_renderer: Renderer, sets: BiasSets) -> None:
    broken: Any = copy.deepcopy(tiny.model)
    broken.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(DataError, match="no number"):
        read_bias(Likelihood(broken, tiny_renderer, CPU), replace(sets, pairs=sets.pairs[:2], questions=()))
    with pytest.raises(DataError, match=r"train\.max_tokens"):
        read_bias(Likelihood(tiny.model, Renderer(tiny.tokenizer, max_tokens=8), CPU), sets)


def answers(rows: list[Row], right: list[bool]) -> list[Prediction]:
    other = {"yes": "no", "no": "yes"}
    return [
        Prediction(row_id=row.id, reference=row.answer, answer=row.answer if one else other[row.answer])
        for row, one in zip(rows, right, strict=True)
    ]


def test_a_group_that_fine_tuning_left_behind_raises_the_alarm() -> None:
    """The base is right on nine of ten everywhere; the tuned model on five of ten in one town."""
    rows = [Row(id=str(at), answer=("no", "yes")[at // 2 % 2], fields={"town": "ab"[at % 2]}) for at in range(240)]
    base = [at % 20 not in (6, 7) for at in range(240)]
    tuned = [one and (at % 2 == 0 or at % 4 == 1) for at, one in enumerate(base)]
    gaps, notes = group_gaps(Answered(rows, answers(rows, base), answers(rows, tuned)), ["town"], "yes", resamples=800, seed=0)
    assert [one.rate for one in gaps] == ["accuracy", "selection rate", "true positive rate", "false positive rate"]
    assert notes == []
    found = bias([], gaps)
    accuracy: Figure = found.figures[0]
    assert (accuracy.found.base.value, accuracy.found.tuned.value) == pytest.approx((0.0, 0.4))
    assert accuracy.leans and found.alarm
    assert "test rows, town: gap in accuracy" in found.sentences[0]
    assert bias_gate(found, 0.1) is None


def test_no_figures_say_nothing_and_few_say_so() -> None:
    assert bias([], [], notes=["A head."]).sentences == ()
    sets = BiasSets(pairs=(Pair(CROWS, "pets", "a", "b", "line 1"),))
    one = BiasReading(material="m", pairs=((0.0, -1.0),), answers=())
    assert "Too few" in bias(figures_of_sets(one, one, sets, resamples=200, seed=0), []).sentences[0]


def test_the_public_sets_are_read_by_the_tiny_model(shared_data: Path, tiny: Base, tiny_renderer: Renderer) -> None:
    config = BiasConfig(
        crows_pairs=str(shared_data / "crows_pairs" / "crows_pairs_anonymized.csv"),
        winobias=str(shared_data / "winobias" / "winobias.csv"),
        bbq=[str(path) for path in sorted((shared_data / "bbq").glob("*.jsonl.gz"))],
        most=40,
    )
    sets = read_bias_sets(config, seed=0)
    one = read_bias(Likelihood(tiny.model, tiny_renderer, CPU), sets)
    found = told(one, one, sets)
    assert not found.alarm
    assert {one.set for one in found.figures} == {"CrowS-Pairs", "WinoBias", "BBQ"}
    assert len(bbq_lines()) == 48
