"""What answers cost beside what they bring: planted truths, each called what it is."""

from typing import Any

import numpy as np
import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.price_config import PricesConfig, TokenPrice
from tunesmith.evaluate.verdict import Judgement, System, judge
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction

ROWS = 1000
NAMES = {"zero-shot": "Base, zero-shot", "few-shot": "Base, few-shot (k = 4)", "tuned": "Fine-tuned", "champion": "Champion (r-1)"}
KINDS = {"tuned": "tuned", "linear": "floor"}


def system(key: str, right: int, prompt_tokens: int = 60, seconds: float = 0.01) -> System:
    """Right on exactly the first rows: of two systems the better one is right wherever the other is."""
    made = [
        Prediction(
            row_id=f"r{n}",
            reference="abc"[n % 3],
            answer="abc"[n % 3] if n < right else "abc"[(n + 1) % 3],
            prompt_tokens=0 if key == "linear" else prompt_tokens,
            answer_tokens=0 if key == "linear" else 5,
            seconds=seconds,
        )
        for n in range(ROWS)
    ]
    return System(key=key, name=NAMES.get(key, key), kind=KINDS.get(key, "baseline"), predictions=made)  # type: ignore[arg-type]


def judged(systems: list[System], prices: PricesConfig | None = None, training_seconds: float | None = None, **more: Any) -> Judgement:
    options: dict[str, Any] = {"metrics": ["accuracy"], "resamples": 200, "seed": 0, "gates": GatesConfig()} | more
    return judge(systems, task=Task.CLASSIFY, prices=prices, training_seconds=training_seconds, **options)


def tokens(base: float, tuned: float, **more: Any) -> PricesConfig:
    """Prices of a million tokens, prompts and answers alike."""
    return PricesConfig(base=TokenPrice(prompt=base, answer=base), tuned=TokenPrice(prompt=tuned, answer=tuned), **more)


def test_each_system_is_charged_by_what_is_stated_for_it() -> None:
    systems = [system("zero-shot", 300), system("few-shot", 500, 300), system("linear", 400), system("champion", 500), system("tuned", 700)]
    report = judged(systems, tokens(1.0, 2.0, hour=3.6)).to_json()
    costs = {one["key"]: one["cost_per_1000"] for one in report["systems"]}
    assert costs == pytest.approx({"zero-shot": 0.065, "few-shot": 0.305, "linear": 0.01, "champion": 0.13, "tuned": 0.13})
    assert report["verdict"]["costs"]["currency"] == "EUR" and report["verdict"]["costs"]["training"] is None
    by_hour = judged(systems, PricesConfig(hour=3.6, currency="USD")).to_json()
    assert [one["cost_per_1000"] for one in by_hour["systems"]] == pytest.approx([0.01] * 5)
    without_hour = judged(systems, tokens(1.0, 2.0)).to_json()
    assert next(one for one in without_hour["systems"] if one["key"] == "linear")["cost_per_1000"] is None


def test_without_prices_nothing_is_said_of_costs() -> None:
    found = judged([system("few-shot", 500, 300), system("tuned", 700)], training_seconds=60.0)
    report = found.to_json()
    assert report["verdict"]["costs"] is None and all(one["cost_per_1000"] is None for one in report["systems"])
    assert not [note for note in found.notes if "cost" in note or "price" in note]


def test_a_gain_that_is_dearer_than_what_right_answers_cost_is_not_worth_its_price() -> None:
    """50 points to 52: a right answer for 0.61 thousandths by the prompt; each of the 2 points more for 16."""
    found = judged([system("few-shot", 500, 300), system("tuned", 520)], tokens(1.0, 10.0))
    assert found.outcome == "gain"
    assert found.sentence.startswith("Fine-tuning beat the base, and the gain is not worth its price: accuracy 52.0% against 50.0%")
    (note,) = [note for note in found.notes if "each right answer" in note]
    assert note.startswith("The tuned model costs 0.650 EUR per 1,000 answers against 0.305: each right answer more than few-shot (k = 4)")
    assert "costs 0.0172 EUR" in note  # (0.65 - 0.305) / 1000 / 0.02 = 0.01725
    assert note.endswith("where a right answer by few-shot (k = 4) costs 0.000610: the gain is not worth its price.")


@pytest.mark.parametrize(("worth", "end"), [(1.0, "is worth its price"), (0.0001, "is not worth its price"), (0.0172, "can't be told")])
def test_what_a_right_answer_is_worth_decides_where_it_is_stated(worth: float, end: str) -> None:
    found = judged([system("few-shot", 500, 300), system("tuned", 520)], tokens(1.0, 10.0, right_answer=worth))
    (note,) = [note for note in found.notes if "one is worth" in note]
    assert note.endswith(f"{end}.")
    assert ("not worth its price" in found.sentence) == (end == "is not worth its price")


def of_prompts(few_shot: int, best: str | None, **more: Any) -> Judgement:
    """Zero-shot is right on 80% at 0.051 for 1,000 answers, few-shot asks 20 times the tokens, the tuned model is right on 85% at 0.204."""
    prices = PricesConfig(base=TokenPrice(prompt=1, answer=0), tuned=TokenPrice(prompt=4, answer=0), **more)
    systems = [system("zero-shot", 800, 51), system("few-shot", few_shot, 1000), system("tuned", 850, 51)]
    return judged(systems, prices, best_prompt=best)


def test_a_dear_prompt_that_is_worse_makes_no_gain_worth_its_price() -> None:
    found = of_prompts(700, "zero-shot")
    assert found.outcome == "gain"
    assert found.sentence.startswith("Fine-tuning beat the base, and the gain is not worth its price")
    assert found.to_json()["verdict"]["costs"]["against"] == "zero-shot"
    (note,) = [note for note in found.notes if "per 1,000 answers" in note]
    assert note.startswith("The tuned model costs 0.204 EUR per 1,000 answers against 0.0510: each right answer more than zero-shot gives")
    assert not [note for note in found.notes if "costs less" in note]


def test_the_prompt_that_did_best_on_select_is_priced_whatever_test_says() -> None:
    found = of_prompts(790, "few-shot")
    assert found.to_json()["verdict"]["costs"]["against"] == "few-shot"
    assert "The tuned model does better than few-shot (k = 4) and costs less: 0.204 EUR per 1,000 answers against 1.00." in found.notes
    unknown = of_prompts(790, None)
    assert unknown.to_json()["verdict"]["costs"]["against"] is None and not [note for note in unknown.notes if "answers against" in note]


def test_worse_answers_never_pay_training_back() -> None:
    systems = [system("few-shot", 700, 300), system("tuned", 500)]
    found = judged(systems, tokens(1.0, 1.0, hour=1.2), training_seconds=600.0)
    assert "few-shot (k = 4) does better" in found.sentence
    assert "Training cost 0.200 EUR (10 min of its steps)." in found.notes
    assert not [note for note in found.notes if "paid" in note]
    assert found.to_json()["verdict"]["costs"]["pays_after"] is None


def test_a_gain_at_a_fair_price_earns_its_place() -> None:
    found = judged([system("few-shot", 300, 300), system("tuned", 900)], tokens(1.0, 5.0))
    assert found.sentence.startswith("Fine-tuning earned its place")
    assert any(note.endswith("the gain is worth its price.") for note in found.notes)


def test_better_and_cheaper_is_said() -> None:
    found = judged([system("few-shot", 500, 300), system("tuned", 700)], tokens(1.0, 1.0))
    assert "The tuned model does better than few-shot (k = 4) and costs less: 0.0650 EUR per 1,000 answers against 0.305." in found.notes


def test_a_few_shot_prompt_whose_lead_is_not_worth_its_price() -> None:
    """The prompt is right two times more in a hundred, and costs twenty times as much."""
    found = judged([system("few-shot", 520, 1300), system("tuned", 500, 60)], tokens(1.0, 1.0))
    assert found.outcome == "no gain shown"
    (note,) = [note for note in found.notes if "each right answer" in note]
    assert note.startswith(("Few-shot (k = 4) costs 1.30 EUR", "Few-shot (k = 4) costs 1.31 EUR"))
    assert note.endswith("where a right answer by the tuned model costs 0.000130: the gain is not worth its price.")


def test_a_prompt_that_does_better_and_costs_no_more_is_said() -> None:
    found = judged([system("zero-shot", 600), system("tuned", 500)], tokens(1.0, 1.0))
    assert any(note.startswith("Zero-shot does better than the tuned model and costs no more") for note in found.notes)


def test_where_neither_is_better_the_shorter_prompt_is_told() -> None:
    found = judged([system("few-shot", 500, 300), system("tuned", 501, 60)])
    assert (
        "The tuned model is not shown to differ from few-shot (k = 4), and its prompts are 5.0 times shorter (60 tokens against 300)."
        in found.notes
    )
    priced = judged([system("few-shot", 500, 300), system("tuned", 501, 60)], tokens(1.0, 1.0))
    assert any(note.endswith("(60 tokens against 300); it costs 0.0650 EUR per 1,000 answers against 0.305.") for note in priced.notes)
    dear = judged([system("few-shot", 500, 300), system("tuned", 501, 60)], tokens(1.0, 9.0))
    assert any(note.endswith("prompting is the cheaper way.") for note in dear.notes)
    alike = judged([system("zero-shot", 500), system("tuned", 501)])
    assert not [note for note in alike.notes if "shown to differ" in note]


def test_where_the_test_set_is_too_small_nothing_is_called_alike() -> None:
    few = [
        System(key=one.key, name=one.name, kind=one.kind, predictions=one.predictions[490:506])
        for one in (system("few-shot", 500, 300), system("tuned", 501, 60))
    ]
    found = judged(few, tokens(1.0, 1.0))
    assert "too few to tell" in found.sentence and not [note for note in found.notes if "shown to differ" in note]


def test_training_pays_for_itself_after_so_many_answers_or_never() -> None:
    systems = [system("few-shot", 500, 300), system("tuned", 700)]
    found = judged(systems, tokens(1.0, 1.0, hour=1.2), training_seconds=600.0)
    costs = found.to_json()["verdict"]["costs"]
    assert costs["training"] == pytest.approx(0.2) and costs["against"] == "few-shot"
    assert costs["pays_after"] == 834  # 0.2 / 0.00024 = 833.3
    assert any("against the prompts of few-shot (k = 4) it has paid for itself after 834 answers." in note for note in found.notes)
    never = judged(systems, tokens(1.0, 9.0, hour=1.2), training_seconds=600.0)
    assert never.to_json()["verdict"]["costs"]["pays_after"] is None
    assert any("is never paid back" in note for note in never.notes)


def test_shares_of_no_right_answers_have_no_price_each() -> None:
    found = judged([system("few-shot", 500, 300), system("tuned", 520)], tokens(1.0, 10.0), metrics=["macro_f1"])
    assert any("does better than few-shot (k = 4) and costs more" in note for note in found.notes)
    assert found.outcome == "gain"
    assert "not worth" not in found.sentence


def test_a_champion_that_does_better_is_not_called_a_harm_of_training() -> None:
    found = judged([system("zero-shot", 300), system("champion", 700), system("tuned", 500)])
    assert found.best_baseline == "champion" and found.outcome == "no gain shown"
    assert found.sentence.startswith("No gain shown, Champion (r-1) does better: accuracy 50.0% against 70.0%")


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({}, "nothing says what base and tuned costs"),
        ({"base": {"prompt": 1, "answer": 1}}, "nothing says what tuned costs: state prices.hour"),
        ({"hour": -1}, "evaluate.prices.hour is -1; it must be greater than 0"),
        ({"hour": 1, "curency": "EUR"}, "evaluate.prices.curency is not a setting. Did you mean 'currency'?"),
    ],
)
def test_prices_that_say_too_little_are_refused(prices: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        Recipe.model_validate({"data": {"path": "x"}, "evaluate": {"prices": prices}})
    assert said in str(refused.value)


def test_prices_are_found_from_rows_of_any_order() -> None:
    """Costs are means over rows: shuffling these changes nothing."""
    systems = [system("few-shot", 500, 300), system("tuned", 700)]
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = [System(key=s.key, name=s.name, kind=s.kind, predictions=[s.predictions[i] for i in order]) for s in systems]
    one, two = (judged(found, tokens(1.0, 2.0)).to_json()["systems"] for found in (systems, shuffled))
    assert [s["cost_per_1000"] for s in one] == pytest.approx([s["cost_per_1000"] for s in two])
