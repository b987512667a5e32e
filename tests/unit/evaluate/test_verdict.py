"""Planted truths: the verdict must find what was put there, and nothing else."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import binom

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.measures import resolve
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.score.prediction import Prediction

LABELS = 5


def answers(reference: Sequence[int], answer: Sequence[int]) -> list[Prediction]:
    return [
        Prediction(row_id=f"row{i}", reference=f"label {a}", answer=f"label {b}", prompt_tokens=40, answer_tokens=2, seconds=0.01)
        for i, (a, b) in enumerate(zip(reference, answer, strict=True))
    ]


def system(key: str, reference: np.ndarray, answer: np.ndarray) -> System:
    kind = {"tuned": "tuned", "linear": "floor"}.get(key, "baseline")
    names = {"zero-shot": "Base, zero-shot", "few-shot": "Base, few-shot (k = 4)", "linear": "TF-IDF + logistic regression"}
    return System(key=key, name=names.get(key, "Fine-tuned"), kind=kind, predictions=answers(reference, answer))  # type: ignore[arg-type]


def right_on(random: np.random.Generator, reference: np.ndarray, share: float) -> np.ndarray:
    """Answers with exactly that share right, on random rows; the others wrong."""
    answer = (reference + random.integers(1, LABELS, len(reference))) % LABELS
    chosen = random.permutation(len(reference))[: round(share * len(reference))]
    answer[chosen] = reference[chosen]
    return answer


def verdict(rows: int, shares: Mapping[str, float], *, seed: int = 0, metrics: Sequence[str] = ("accuracy",), **more: object) -> Judgement:
    random = np.random.default_rng(seed)
    reference = random.integers(0, LABELS, rows)
    systems = [system(key, reference, right_on(random, reference, share)) for key, share in shares.items()]
    options = {"resamples": 400, "seed": 0, "gates": GatesConfig(), **more}
    return judge(systems, task=Task.CLASSIFY, metrics=metrics, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_ten_points_on_five_hundred_rows_are_a_gain(metric: str) -> None:
    found = verdict(500, {"zero-shot": 0.5, "few-shot": 0.6, "tuned": 0.7}, metrics=[metric])
    assert found.outcome == "gain"
    assert found.best_baseline == "few-shot"
    assert found.gain.difference == pytest.approx(0.1, abs=0.02)
    assert found.sentence.startswith("Fine-tuning earned its place: ")


def test_the_sentence_holds_the_figures() -> None:
    found = verdict(1000, {"zero-shot": 0.2, "few-shot": 0.61, "tuned": 0.841})
    gain = found.gain
    assert found.sentence == (
        "Fine-tuning earned its place: accuracy 84.1% against 61.0% for the best baseline, few-shot (k = 4): "
        f"a gain of 23.1 points (95% interval {100 * gain.low:.1f} to {100 * gain.high:.1f})."
    )
    assert 0.18 < gain.low < 0.21 < 0.25 < gain.high < 0.28


def test_shuffled_labels_show_no_gain() -> None:
    """Two systems that know nothing, many times over: a gain at most as often as promised."""
    gains, trials = 0, 120
    for seed in range(trials):
        random = np.random.default_rng(seed)
        reference = random.integers(0, LABELS, 100)
        shuffled = [system(key, reference, random.permutation(reference)) for key in ("zero-shot", "few-shot", "tuned")]
        found = judge(shuffled, task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=seed, gates=GatesConfig())
        gains += found.outcome == "gain"
    assert gains <= binom.ppf(0.999, trials, 0.025)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "exact_match", "chrf"])
def test_identical_predictions_show_no_gain_and_it_is_said(metric: str) -> None:
    random = np.random.default_rng(1)
    reference = random.integers(0, LABELS, 300)
    answer = right_on(random, reference, 0.7)
    found = judge(
        [system("zero-shot", reference, answer), system("tuned", reference, answer)],
        task=Task.CLASSIFY, metrics=[metric], resamples=300, seed=0, gates=GatesConfig(),
    )  # fmt: skip
    assert found.outcome == "no gain shown"
    assert found.gain.p_value == 1.0
    assert found.sentence.startswith("No gain shown: ")
    assert any("the same as those of zero-shot on every row" in note for note in found.notes)


def test_a_model_that_only_loses_to_a_better_prompt_was_not_made_worse() -> None:
    found = verdict(500, {"zero-shot": 0.45, "few-shot": 0.86, "tuned": 0.45})
    assert found.sentence.startswith("No gain shown, few-shot (k = 4) does better: accuracy 45.0% against 86.0%")


def test_where_nothing_beats_a_constant_no_floor_is_recommended() -> None:
    found = verdict(200, {"zero-shot": 0.2, "majority": 0.4, "linear": 0.37, "tuned": 0.26})
    assert not any("prefer it" in note or "use it instead" in note for note in found.notes)
    assert any(note.startswith("No system does better than") and "these texts may not tell" in note for note in found.notes)
    told = verdict(200, {"zero-shot": 0.2, "majority": 0.4, "linear": 0.6, "tuned": 0.5})
    assert not any(note.startswith("No system does better") for note in told.notes)


def test_worse_is_said() -> None:
    found = verdict(500, {"zero-shot": 0.7, "tuned": 0.5})
    assert found.outcome == "no gain shown"
    assert "fine-tuning made it worse: accuracy 50.0% against 70.0%" in found.sentence
    assert "a loss of 20.0 points (95% interval 1" in found.sentence


def test_perfect_and_always_wrong() -> None:
    found = verdict(100, {"zero-shot": 0.0, "tuned": 1.0})
    assert found.outcome == "gain"
    assert found.systems[1].metrics["accuracy"].low < 0.98  # type: ignore[union-attr]
    assert found.gain.low < 1.0
    wrong = verdict(100, {"zero-shot": 1.0, "tuned": 0.0})
    assert wrong.outcome == "no gain shown" and "worse" in wrong.sentence
    both = verdict(100, {"zero-shot": 0.0, "tuned": 0.0})
    assert both.outcome == "no gain shown"
    assert verdict(100, {"zero-shot": 1.0, "tuned": 1.0}).outcome == "no gain shown"


@pytest.mark.parametrize("shares", [(0.25, 0.75), (0.0, 1.0), (1.0, 0.0)])
def test_eight_rows_are_too_few_to_tell(shares: tuple[float, float]) -> None:
    found = verdict(8, {"zero-shot": shares[0], "tuned": shares[1]})
    assert found.outcome == "no gain shown"
    assert "8 test rows are too few to tell" in found.sentence


def test_a_small_gain_on_few_rows_says_how_many_would_do() -> None:
    found = verdict(60, {"zero-shot": 0.5, "tuned": 0.55})
    assert found.outcome == "no gain shown"
    assert "60 test rows are too few to tell" in found.sentence
    assert any("test rows would show it four times in five" in note for note in found.notes)


def test_plenty_of_rows_and_no_difference_is_no_gain_without_excuses() -> None:
    found = verdict(2000, {"zero-shot": 0.6, "tuned": 0.605})
    assert found.sentence.startswith("No gain shown: accuracy 60.5% against 60.0%")


def test_every_baseline_must_be_beaten() -> None:
    """The tuned model beats the best by many rows that differ one way, and not another that differs in few."""
    reference = np.zeros(400, dtype=int)
    tuned, few, zero = (np.ones(400, dtype=int) for _ in range(3))
    tuned[:300] = 0
    few[:280] = 0
    zero[20:300] = 0
    zero[300:] = 0
    zero[20:125] = 1
    assert (zero == 0).sum() < (few == 0).sum()
    found = judge(
        [system("zero-shot", reference, zero), system("few-shot", reference, few), system("tuned", reference, tuned)],
        task=Task.CLASSIFY, metrics=["accuracy"], resamples=300, seed=0, gates=GatesConfig(),
    )  # fmt: skip
    assert found.best_baseline == "few-shot" and found.gain.is_gain
    assert found.outcome == "no gain shown"
    assert "for a baseline it is not shown to beat, zero-shot" in found.sentence


@pytest.mark.parametrize(
    ("floor", "words"), [(0.9, "does better than"), (0.7, "does as well as"), (0.69, "not shown to beat"), (0.3, None)]
)
def test_a_floor_that_does_as_well_is_advised_and_decides_nothing(floor: float, words: str | None) -> None:
    found = verdict(400, {"zero-shot": 0.4, "linear": floor, "tuned": 0.7})
    assert found.outcome == "gain"
    advice = [note for note in found.notes if "TF-IDF" in note]
    assert len(advice) == (words is not None)
    assert words is None or words in advice[0]


def test_a_floor_whose_interval_alone_would_show_a_gain_is_told_with_its_p() -> None:
    found = verdict(100, {"zero-shot": 0.2, "linear": 0.58, "tuned": 0.7}, seed=11, metrics=["macro_f1"])
    against = next(one.against for one in found.systems if one.system.key == "linear")
    assert against is not None and against.low > 0 and not against.is_gain
    (advice,) = [note for note in found.notes if "TF-IDF" in note]
    assert "not shown to beat" in advice and f"for the tuned, p = {against.p_value:.2g})" in advice
    (plain,) = [note for note in verdict(400, {"zero-shot": 0.4, "linear": 0.69, "tuned": 0.7}).notes if "TF-IDF" in note]
    assert "not shown to beat" in plain and "p = " not in plain


def test_gates_bound_the_lower_end() -> None:
    shares = {"zero-shot": 0.5, "tuned": 0.7}
    open_gate = verdict(500, shares, gates=GatesConfig(gain=0.1)).gates[0]
    assert open_gate.holds and open_gate.value == verdict(500, shares).gain.low
    shut = verdict(500, shares, gates=GatesConfig(gain=0.2)).gates[0]
    assert not shut.holds
    assert verdict(500, shares).gates == ()


def test_the_json_is_the_reports() -> None:
    found = verdict(200, {"zero-shot": 0.5, "linear": 0.6, "tuned": 0.7}, metrics=resolve(Task.CLASSIFY), gates=GatesConfig(gain=0.01))
    value = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(value) == {"verdict", "systems", "confusion"}
    assert set(value["verdict"]) == {"outcome", "sentence", "metric", "best_baseline", "gain", "notes", "gates", "costs"}
    assert set(value["verdict"]["gain"]) == {"value", "low", "high", "p_value"}
    assert value["verdict"]["gates"][0]["name"] == "gain"
    assert [one["key"] for one in value["systems"]] == ["zero-shot", "linear", "tuned"]
    zero, _, tuned = value["systems"]
    assert set(zero["metrics"]) == set(resolve(Task.CLASSIFY))
    assert zero["rows"] == 200 and zero["prompt_tokens"] == 40.0 and zero["seconds_per_answer"] == pytest.approx(0.01)
    assert tuned["against"] is None and set(zero["against"]) == {"difference", "low", "high", "p_value", "test"}
    assert sum(map(sum, value["confusion"]["counts"])) == 200
    assert value["confusion"]["labels"] == [f"label {index}" for index in range(LABELS)]


def test_rows_are_matched_by_id_whatever_their_order() -> None:
    random = np.random.default_rng(3)
    reference = random.integers(0, LABELS, 100)
    one, other = answers(reference, right_on(random, reference, 0.5)), answers(reference, right_on(random, reference, 0.9))

    def outcome(first: list[Prediction]) -> Judgement:
        systems = [
            System(key="zero-shot", name="Base, zero-shot", kind="baseline", predictions=first),
            System(key="tuned", name="Fine-tuned", kind="tuned", predictions=other),
        ]
        return judge(systems, task=Task.CLASSIFY, metrics=["accuracy", "mcc"], resamples=200, seed=0, gates=GatesConfig())

    assert outcome(one).to_json() == outcome(one[::-1]).to_json()
    with pytest.raises(DataError, match=r"different rows \(1 differ, row99 first\)"):
        outcome(one[:-1])
    with pytest.raises(DataError, match="a row twice"):
        outcome([*one, one[0]])
    with pytest.raises(DataError, match="another reference on 1 rows, row0 first"):
        outcome([Prediction(row_id="row0", reference="else", answer="x"), *one[1:]])


def test_calls_that_make_no_sense_are_refused() -> None:
    reference = np.zeros(30, dtype=int)
    tuned, zero = system("tuned", reference, reference), system("zero-shot", reference, reference)
    options = {"task": Task.CLASSIFY, "metrics": ["accuracy"], "resamples": 200, "seed": 0, "gates": GatesConfig()}
    for systems in ([tuned], [zero], [tuned, tuned, zero], [zero, zero, tuned]):
        with pytest.raises(RecipeError):
            judge(systems, **options)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="Did you mean 'accuracy'"):
        judge([zero, tuned], **{**options, "metrics": ["acuracy"]})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="log-probabilities"):
        judge([zero, tuned], **{**options, "metrics": ["perplexity"]})  # type: ignore[arg-type]
    empty = [System(key=key, name=key, kind=kind, predictions=[]) for key, kind in (("zero-shot", "baseline"), ("tuned", "tuned"))]  # type: ignore[arg-type]
    with pytest.raises(DataError, match="No test row"):
        judge(empty, **options)  # type: ignore[arg-type]


def test_groups_widen_and_are_told() -> None:
    random = np.random.default_rng(4)
    reference = np.zeros(300, dtype=int)
    tuned = np.repeat((random.random(30) < 0.35).astype(int), 10)
    zero = np.repeat((random.random(30) < 0.5).astype(int), 10)
    systems = [system("zero-shot", reference, zero), system("tuned", reference, tuned)]
    groups = {f"row{index}": str(index // 10) for index in range(300)}
    options = {"task": Task.CLASSIFY, "metrics": ["accuracy"], "resamples": 400, "seed": 0, "gates": GatesConfig()}
    blind, aware = judge(systems, **options), judge(systems, groups=groups, **options)  # type: ignore[arg-type]
    assert aware.gain.high - aware.gain.low > 2 * (blind.gain.high - blind.gain.low)
    assert any("300 test rows come in 30 groups" in note for note in aware.notes)
    assert "30 groups of test rows are too few to tell" in aware.sentence


def test_faults_are_noted() -> None:
    reference = np.arange(100) % LABELS
    constant = judge(
        [system("zero-shot", reference, reference), system("tuned", reference, np.zeros(100, dtype=int))],
        task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=GatesConfig(),
    )  # fmt: skip
    assert any("one and the same answer to all 100 rows" in note for note in constant.notes)
    astray = judge(
        [system("zero-shot", reference, reference), system("tuned", reference, np.where(np.arange(100) < 7, 99, reference))],
        task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=GatesConfig(),
    )  # fmt: skip
    assert any(note.startswith("7 of 100 answers of the tuned model are no label") for note in astray.notes)
    one_label = judge(
        [system("zero-shot", reference * 0, reference), system("tuned", reference * 0, reference * 0)],
        task=Task.CLASSIFY, metrics=["accuracy"], resamples=200, seed=0, gates=GatesConfig(),
    )  # fmt: skip
    assert any("All test rows have one label" in note for note in one_label.notes)


def test_text_is_judged_by_its_own_measures() -> None:
    random = np.random.default_rng(6)
    said = [" ".join(random.choice(["where", "is", "my", "card", "now", "please"], 8)) for _ in range(60)]

    def told(key: str, keep: float, logprob: float) -> System:
        rows = [
            Prediction(
                row_id=str(i), reference=text, answer=" ".join(w if random.random() < keep else "what" for w in text.split()),
                reference_logprob=logprob - random.random(), reference_tokens=9,
            )
            for i, text in enumerate(said)
        ]  # fmt: skip
        return System(key=key, name=key, kind="tuned" if key == "tuned" else "baseline", predictions=rows)

    systems = [told("zero-shot", 0.4, -12.0), told("tuned", 0.9, -6.0)]
    for metric in ("rougeL", "bleu", "chrf", "perplexity"):
        found = judge(systems, task=Task.GENERATE, metrics=[metric, "exact_match"], resamples=300, seed=0, gates=GatesConfig())
        assert found.outcome == "gain", metric
        assert found.confusion is None
        assert found.gain.difference > 0
    assert "perplexity 2." in found.sentence and "points" not in found.sentence
