"""Balance: the proportions that are promised, to the row."""

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Changed, Dropped, Kept, Message, Outcome, Row
from tunesmith.data.augment.augment import Added
from tunesmith.data.balance import Balance, BalanceFacts, balance
from tunesmith.data.config import Task
from tunesmith.data.settings.balance import BalanceConfig


def row(number: int, label: str, group: str, weight: float = 1.0) -> Row:
    text = {"he": "he called", "she": "she called"}.get(group, "someone called")
    return Row(id=f"{number:016x}", prompt=(Message("user", text),), answer=label, fields={"group": group}, weight=weight)


def biased(count: int = 400) -> list[Row]:
    draw = Random(3)
    rows = []
    for number in range(count):
        group = draw.choice(["he", "she", "she"])
        label = "yes" if draw.random() < (0.7 if group == "he" else 0.2) else "no"
        rows.append(row(number, label, group, draw.choice([0.5, 1.0, 3.0])))
    return rows


def facts_of(rows: list[Row], config: BalanceConfig, task: Task = Task.CLASSIFY, seed: int = 5) -> Balance:
    facts = BalanceFacts(config, task, seed)
    for each in rows:
        facts.add(each)
    return facts.result()


def ran(rows: list[Row], task: Task = Task.CLASSIFY, **settings: object) -> list[Outcome | Added]:
    config = BalanceConfig.model_validate(settings)
    return list(balance(rows, config, facts_of(rows, config, task), 5))


def left(outcomes: list[Outcome | Added]) -> list[Row]:
    return [outcome.row for outcome in outcomes if not isinstance(outcome, Dropped)]


def weighted_rates(rows: list[Row], label: str) -> dict[str, float]:
    good: dict[str, float] = defaultdict(float)
    whole: dict[str, float] = defaultdict(float)
    for each in rows:
        group = str(each.fields["group"])
        whole[group] += each.weight
        good[group] += each.weight * (each.answer == label)
    return {group: good[group] / whole[group] for group in whole}


@pytest.mark.parametrize("by", [{"group": "group"}, {"terms": "gender"}])
def test_reweighing_makes_the_weighted_rate_equal_in_all_groups(by: dict[str, str]) -> None:
    rows = biased()
    before = weighted_rates(rows, "yes")
    assert before["he"] - before["she"] > 0.3
    made = left(ran(rows, method="reweigh", **by))
    after = weighted_rates(made, "yes")
    overall = sum(each.weight for each in rows if each.answer == "yes") / sum(each.weight for each in rows)
    assert after["he"] == pytest.approx(overall, abs=1e-9)
    assert after["she"] == pytest.approx(overall, abs=1e-9)
    assert sum(each.weight for each in made) == pytest.approx(sum(each.weight for each in rows))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.floats(0.01, 100, allow_nan=False)), min_size=9, max_size=60).map(
        lambda drawn: [*drawn, *((group, label, 1.0) for group in "abc" for label in "xyz")]
    )
)
def test_rates_are_equal_whatever_the_rows_while_every_group_has_every_label(drawn: list[tuple[str, str, float]]) -> None:
    rows = [row(number, label, group, weight) for number, (group, label, weight) in enumerate(drawn)]
    made = left(ran(rows, method="reweigh", group="group"))
    for label in "xyz":
        rates = weighted_rates(made, label)
        assert max(rates.values()) - min(rates.values()) < 1e-9


def test_a_label_that_a_group_never_has_is_named() -> None:
    rows = [row(1, "yes", "a"), row(2, "no", "a"), row(3, "no", "b")]
    assert facts_of(rows, BalanceConfig(method="reweigh", group="group")).missing == (("b", "yes"),)


def test_reweighing_balanced_rows_changes_none() -> None:
    rows = [row(number, "yes" if number % 2 else "no", "ab"[number // 2 % 2]) for number in range(40)]
    assert ran(rows, method="reweigh", group="group") == [Kept(each) for each in rows]


def skewed() -> list[Row]:
    return [row(number, "rare" if number % 10 == 0 else "common", "ab"[number % 2]) for number in range(500)]


def test_downsampling_keeps_exactly_the_stated_ratio_and_drops_for_one_reason() -> None:
    outcomes = ran(skewed(), method="downsample", ratio=3)
    assert Counter(each.answer for each in left(outcomes)) == {"rare": 50, "common": 150}
    assert len({outcome.reason for outcome in outcomes if isinstance(outcome, Dropped)}) == 1


def test_one_stray_label_does_not_empty_the_set() -> None:
    rows = [*skewed(), row(9999, "stray", "a")]
    assert Counter(each.answer for each in left(ran(rows, method="downsample"))) == {"rare": 50, "common": 50, "stray": 1}


def test_upsampling_repeats_rows_as_marked_copies_up_to_the_stated_ratio() -> None:
    outcomes = ran(skewed(), method="upsample", ratio=2)
    assert Counter(each.answer for each in left(outcomes)) == {"rare": 225, "common": 450}
    copies = [outcome.row for outcome in outcomes if isinstance(outcome, Added)]
    assert all(each.id.startswith(f"{each.fields['copy_of']}~") for each in copies)
    assert len({each.id for each in left(outcomes)}) == 675
    per_row = Counter(str(each.fields["copy_of"]) for each in copies)
    assert set(per_row.values()) == {3, 4}


def test_copies_are_bounded() -> None:
    rows = [row(number, "rare" if number == 0 else "common", "a") for number in range(100)]
    assert Counter(each.answer for each in left(ran(rows, method="upsample", most_copies=4))) == {"rare": 5, "common": 99}


def test_with_a_group_every_pair_of_group_and_label_is_balanced() -> None:
    rows = biased()
    made = left(ran(rows, method="downsample", group="group"))
    assert len(set(Counter((each.fields["group"], each.answer) for each in made).values())) == 1


def test_what_becomes_of_a_row_does_not_depend_on_order() -> None:
    rows = skewed()
    turned = list(reversed(rows))
    for settings in ({"method": "downsample", "ratio": 2}, {"method": "upsample", "ratio": 3}):
        assert {each.id for each in left(ran(rows, **settings))} == {each.id for each in left(ran(turned, **settings))}


def test_every_row_has_one_outcome_in_order() -> None:
    for method in ("downsample", "upsample", "reweigh"):
        outcomes = [outcome for outcome in ran(biased(), method=method, group="group") if not isinstance(outcome, Added)]
        assert [outcome.row.id for outcome in outcomes] == [each.id for each in biased()]
        assert all(isinstance(outcome, (Kept, Changed, Dropped)) for outcome in outcomes)


def test_written_answers_are_balanced_by_group_alone() -> None:
    rows = [row(number, f"answer {number}", "a" if number % 5 == 0 else "b") for number in range(100)]
    made = left(ran(rows, Task.GENERATE, method="downsample", group="group"))
    assert Counter(str(each.fields["group"]) for each in made) == {"a": 20, "b": 20}


def test_tasks_without_labels_are_answered_in_one_sentence() -> None:
    with pytest.raises(RecipeError, match="has none: name a group"):
        BalanceFacts(BalanceConfig(method="upsample"), Task.GENERATE, 0)
    with pytest.raises(RecipeError, match="downsample or upsample by a group"):
        BalanceFacts(BalanceConfig(method="reweigh", group="group"), Task.REGRESS, 0)
