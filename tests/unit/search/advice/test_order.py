"""Hard requirements rule out with a sentence; what is left is ordered by named criteria, so that every place can be explained."""

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.data.config import Task
from tunesmith.recipe.machine import Machine
from tunesmith.search.advice.order import Option, least_ms, nothing_left, ordered, reasons, refusals, small_will_do
from tunesmith.search.advice.rows import Floor, RowsLook
from tunesmith.search.advice.wishes import Wishes

Make = Callable[..., Option]
Look = Callable[..., RowsLook]


@pytest.mark.parametrize(
    ("changed", "wish", "told"),
    [
        ({"context": 512}, {"context": 1000}, "it reads 512 tokens at once, and 1,000 are asked for"),
        ({"parameters": 10**9}, {"max_size": 2 * 10**9}, "its weights are 4 GB, and 2 GB may be"),
        ({"licence": "llama3"}, {"licences": ("mit",)}, "its licence is llama3"),
        ({"licence": None}, {"licences": ("mit",)}, "its card tells no licence"),
        ({"answer_ms": 12.0}, {"latency_ms": 10.0}, "one answer takes 12 ms at the very least on a CPU with 16 GB, and 10 ms may be"),
        ({"memory": 2 * 10**10, "fits": False}, {}, "training takes 20 GB, and a CPU with 16 GB has 16 GB"),
        ({"cut": 0.2, "tokens_p95": 3000}, {}, "20% of the rows are longer than its context of 2,048 tokens, and a round takes 5% at most"),
    ],
)
def test_each_requirement_rules_out_by_itself(
    option: Make, machine: Machine, changed: dict[str, Any], wish: dict[str, Any], told: str
) -> None:
    assert refusals(option(licence="mit"), Wishes(**wish), machine) == []
    found = refusals(option(**{"licence": "mit"} | changed), Wishes(**wish), machine)
    assert len(found) == 1
    assert found[0].told.startswith(told)
    assert found[0].times > 1


def test_a_base_without_a_licence_passes_where_unknown_ones_may(option: Make, machine: Machine) -> None:
    assert refusals(option(licence=None), Wishes(licences=("mit", "unknown")), machine) == []


def test_a_latency_that_is_not_known_rules_nothing_out(option: Make, machine: Machine) -> None:
    assert refusals(option(answer_ms=None), Wishes(latency_ms=0.001), machine) == []


def test_bfloat16_halves_what_size_counts(option: Make, machine: Machine) -> None:
    wishes = Wishes(max_size=3 * 10**9)
    assert [refusals(option(parameters=10**9, dtype=dtype), wishes, machine) == [] for dtype in ("float32", "bfloat16")] == [False, True]


def test_the_least_time_of_an_answer_is_arithmetic(option: Make, machine: Machine) -> None:
    one = option()
    expected = 1000 * 2 * one.base.body * (40 - 4) / 100e9
    assert least_ms(one.base, one.way, one.reading, machine, Task.CLASSIFY) == pytest.approx(expected)
    text = option(head="tokens")
    reading_all = 1000 * 4 * 4 * one.base.parameters / 20e9  # four tokens, four bytes a weight, 20 GB/s
    assert least_ms(text.base, text.way, text.reading, machine, Task.GENERATE) == pytest.approx(expected + reading_all)


def test_where_only_memory_refuses_the_nearest_is_named_with_the_change(option: Make, machine: Machine) -> None:
    near = option(path="near", memory=2 * 10**10, fits=False, change="train.token_budget: 256 would fit (14.0 GiB of 14.9)")
    far = option(path="far", memory=9 * 10**10, fits=False)
    out = [(one, refusals(one, Wishes(), machine)) for one in (far, near)]
    error = nothing_left(out, machine)
    assert isinstance(error, MachineError)
    assert "The nearest is near (a head, all weights learn): training takes 20 GB" in str(error)
    assert "train.token_budget: 256 would fit" in str(error)


def test_what_no_base_keeps_to_is_named(option: Make, machine: Machine) -> None:
    wishes = Wishes(context=100_000)
    error = nothing_left([(one, refusals(one, wishes, machine)) for one in (option(context=2048), option(path="b", context=8192))], machine)
    assert isinstance(error, RecipeError)
    assert "No base here keeps to what is asked of context" in str(error)
    assert "The nearest is b" in str(error)


def test_requirements_that_contradict_one_another_are_called_so(option: Make, machine: Machine) -> None:
    """One base is small enough and the other reads enough; none does both."""
    wishes = Wishes(max_size=10**9, context=8192)
    small, wide = option(path="small", context=2048), option(path="wide", context=32768, parameters=10**9)
    error = nothing_left([(one, refusals(one, wishes, machine)) for one in (small, wide)], machine)
    assert isinstance(error, RecipeError)
    assert "Each of context and size can be kept to, but by no base all together" in str(error)


def test_rows_too_long_for_every_base_are_said_to_be(option: Make, machine: Machine) -> None:
    one = option(cut=1.0, tokens_p95=9000)
    assert "The rows are too long for every base here" in str(nothing_left([(one, refusals(one, Wishes(), machine))], machine))


ORDERS = [
    ({"cut": 0.0}, {"cut": 0.02}, "its context holds more of the rows"),
    ({"per_token": 4.0}, {"per_token": 1.5}, "its tokenizer knows the words better"),
    ({"pieces": 0.0}, {"pieces": 0.3}, "its tokenizer knows the words better"),
    ({"method": "full"}, {"method": "features"}, "more was measured of such a way"),
    ({"head": "class"}, {"head": "tokens"}, "more was measured of such a way"),
    ({"parameters": 80_000_000}, {"parameters": 7_000_000}, "the larger one"),
    ({"seconds": 10.0}, {"seconds": 11.0}, "the faster one to train"),
]


@pytest.mark.parametrize(("better", "worse", "criterion"), ORDERS)
def test_each_criterion_decides_where_those_before_it_are_equal(
    option: Make, look: Look, better: dict[str, Any], worse: dict[str, Any], criterion: str
) -> None:
    first, second = option(path="z", **better), option(path="a", **worse)
    for given in permutations([first, second]):
        ranked = ordered(given, look())
        assert [one.base.path for one, _ in ranked] == ["z", "a"]
        assert f"it stands before the next as {criterion}." in reasons(ranked)[0]


def test_an_earlier_criterion_is_not_outweighed_by_all_later_ones(option: Make, look: Look) -> None:
    cut = option(path="cut", cut=0.02, parameters=90_000_000, seconds=1.0)
    whole = option(path="whole", parameters=1_000_000, seconds=1e6, method="features")
    assert [one.base.path for one, _ in ordered([cut, whole], look())] == ["whole", "cut"]


def test_the_smaller_base_leads_where_words_alone_tell_most_labels(option: Make, look: Look) -> None:
    sure = look(floor=Floor(value=0.9, low=0.85, high=0.94, commonest=0.1, rows=300, trained_on=1000))
    pair = [option(path="big", parameters=80_000_000), option(path="small", parameters=7_000_000)]
    assert [ordered(pair, one)[0][0].base.path for one in (look(), sure)] == ["big", "small"]
    assert small_will_do(sure)
    assert not small_will_do(look(words=200, floor=sure.floor))


def test_bases_of_nearly_one_size_are_not_told_apart_by_it(option: Make, look: Look) -> None:
    """Half as many weights again is no reason: time decides."""
    slow, fast = option(path="slow", parameters=24_000_000, seconds=50.0), option(path="fast", parameters=20_000_000, seconds=40.0)
    assert ordered([slow, fast], look())[0][0].base.path == "fast"


def test_a_time_that_is_not_known_comes_last_and_is_no_number_in_json(option: Make, look: Look) -> None:
    ranked = ordered([option(path="unknown", seconds=None), option(path="known", seconds=1e9)], look())
    assert [one.base.path for one, _ in ranked] == ["known", "unknown"]
    assert math.isinf(ranked[1][1][-1].place)


def test_a_base_whose_needs_are_not_known_stays_and_says_so_behind_the_others(option: Make, look: Look, machine: Machine) -> None:
    unknown = option(path="unknown", memory=None, seconds=None, architecture=None, parameters=90_000_000)
    assert refusals(unknown, Wishes(), machine) == []
    ranked = ordered([unknown, option(path="known")], look())
    assert [one.base.path for one, _ in ranked] == ["known", "unknown"]
    assert "what training takes of memory and time is not known" in reasons(ranked)[1]
    never = refusals(option(memory=None, seconds=None, fits=False, parameters=10**10), Wishes(), machine)
    assert [one.told for one in never] == ["its weights alone take 40 GB, and a CPU with 16 GB has 16 GB"]
    assert isinstance(nothing_left([(unknown, never)], machine), MachineError)


def test_what_is_common_to_all_is_no_reason(option: Make, look: Look) -> None:
    ranked = ordered([option(path="a", seconds=1.0), option(path="b", seconds=2.0)], look())
    assert "1.40 tokens a word" not in reasons(ranked)[0]
    assert "1.40 tokens a word" in reasons(ranked[:1])[0]
