"""Dividing: in proportion, no text or group on two sides, and nothing moves when rows are appended."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.data.fold import keys_of, row_key
from tunesmith.data.split import SIDES, TORN_NEAR, TORN_TEXT, Near, assign, crossing, rows_needed, shares_of, split
from tunesmith.data.table import Table

SHARES = shares_of(0.15, 0.15)


def row(number: int, text: str, label: str = "", customer: object = None) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=label, fields={"customer": customer})


def placed(rows: list[Row], seed: int = 0, by: str | None = None, near: Near | None = None) -> np.ndarray:
    table = Table(by, stratified=True)
    table.add(rows, [keys_of(row) for row in rows], range(len(rows)), [row_key(row) for row in rows], 0)
    return assign(table.columns(), np.ones(len(rows), bool), SHARES, seed, near)


def sides(rows: list[Row], seed: int = 0, by: str | None = None) -> list[str | None]:
    return [list(SHARES)[place] if place >= 0 else None for place in placed(rows, seed, by)]


Rows = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("aaabbc"), st.integers(0, 12) | st.none()), max_size=150)


def made(drawn: list[tuple[int, str, int | None]]) -> list[Row]:
    return [row(number, f"text {text}", label, customer) for number, (text, label, customer) in enumerate(drawn)]


@settings(max_examples=60, deadline=None)
@given(Rows, Rows, st.integers(0, 5), st.sampled_from([None, "customer"]))
def test_appending_rows_moves_none(
    present: list[tuple[int, str, int | None]], more: list[tuple[int, str, int | None]], seed: int, by: str | None
) -> None:
    before = sides(made(present), seed, by)
    assert sides(made(present + more), seed, by)[: len(present)] == before


@settings(max_examples=60, deadline=None)
@given(Rows, st.integers(0, 5), st.sampled_from([None, "customer"]))
def test_no_text_and_no_group_on_two_sides(drawn: list[tuple[int, str, int | None]], seed: int, by: str | None) -> None:
    rows = made(drawn)
    of_text, of_group = defaultdict(set), defaultdict(set)
    for each, side in zip(rows, sides(rows, seed, by), strict=True):
        if side is not None:
            of_text[each.text()].add(side)
            of_group[each.fields["customer"]].add(side)
        else:
            assert by is not None
    assert all(len(found) == 1 for found in of_text.values())
    if by is not None:
        assert all(len(found) == 1 for group, found in of_group.items() if group is not None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("aaaabbbccd"), min_size=1, max_size=400), st.integers(0, 20))
def test_every_label_is_divided_in_proportion_at_every_length(labels: list[str], seed: int) -> None:
    rows = [row(number, f"text {number}", label) for number, label in enumerate(labels)]
    held: Counter[tuple[str, str]] = Counter()
    met: Counter[str] = Counter()
    for each, side in zip(rows, sides(rows, seed), strict=True):
        assert side is not None
        if not met[each.answer]:
            assert side == "train"
        met[each.answer] += 1
        held[each.answer, side] += 1
        for other in SIDES:
            due = SHARES[other] * met[each.answer]
            assert held[each.answer, other] <= due + 1 + 0.02 * SHARES[other] * (met[each.answer] + 1)
            assert held[each.answer, other] >= due - 3.1 - 0.02 * due


def test_no_side_of_any_label_falls_two_texts_behind() -> None:
    for seed in range(20):
        rows = [row(number, f"text {number}", "aaab"[number * 7 % 4]) for number in range(200)]
        held: Counter[tuple[str, str | None]] = Counter()
        met: Counter[str] = Counter()
        for each, side in zip(rows, sides(rows, seed), strict=True):
            met[each.answer] += 1
            held[each.answer, side] += 1
            assert all(held[each.answer, other] > SHARES[other] * met[each.answer] * 0.98 - 1.7 for other in SIDES)


@pytest.mark.parametrize("labels", [1, 2, 5, 13])
def test_enough_rows_fill_every_side(labels: int) -> None:
    rows = [row(number, f"text {number}", f"label {number % labels}") for number in range(rows_needed(SHARES))]
    for seed in range(50):
        assert set(sides(rows, seed)) == set(SIDES)


def test_the_seed_matters_and_the_hash_holds_when_rows_are_shuffled() -> None:
    rows = [row(number, f"text {number}", "only") for number in range(1000)]
    first = dict(zip((each.id for each in rows), sides(rows), strict=True))
    turned = dict(zip((each.id for each in reversed(rows)), sides(rows[::-1]), strict=True))
    other = dict(zip((each.id for each in rows), sides(rows, 1), strict=True))
    assert sum(first[key] != turned[key] for key in first) < 250
    assert sum(first[key] != other[key] for key in first) > 350


def test_appending_a_fifth_moves_none_and_keeps_the_shares() -> None:
    rows = [row(number, f"text {number}", f"label {number % 7}") for number in range(600)]
    before, after = sides(rows[:500]), sides(rows)
    assert after[:500] == before
    assert Counter(after)["test"] == pytest.approx(90, abs=8)


def test_a_text_of_two_groups_on_two_sides_is_dropped_where_it_comes_later() -> None:
    rows = [row(number, f"text {number}", "a", customer=number) for number in range(40)]
    found = sides(rows, by="customer")
    on_train, on_test = found.index("train"), found.index("test")
    bridge = row(40, f"text {on_train}", "a", customer=on_test)
    again = sides([*rows, bridge], by="customer")
    assert again == [*found, None]
    decision = split(placed([*rows, bridge], by="customer"))
    assert decision.codes_N.tolist() == [0] * 40 + [1]


def pairs(*found: tuple[int, int], count: int) -> Near:
    return Near.of_pairs(np.array([one for one, _ in found], np.int64), np.array([other for _, other in found], np.int64), count)


def test_a_row_goes_where_the_one_it_resembles_went() -> None:
    rows = [row(number, f"text {number}", "a") for number in range(200)]
    near = pairs(*((number, number + 100) for number in range(100)), count=200)
    found = placed(rows, near=near)
    assert (found[:100] == found[100:]).all()
    assert crossing(near, found) == 0
    assert crossing(near, placed(rows)) > 20
    assert Counter(found.tolist())[0] == pytest.approx(140, abs=16)


def test_a_row_that_resembles_rows_on_two_sides_is_dropped() -> None:
    rows = [row(number, f"text {number}", "a") for number in range(41)]
    alone = placed(rows[:40])
    near = pairs((int(np.flatnonzero(alone == 0)[0]), 40), (int(np.flatnonzero(alone == 3)[0]), 40), count=41)
    found = placed(rows, near=near)
    assert found[:40].tolist() == alone.tolist()
    assert found[40] == TORN_NEAR
    assert split(found).codes_N[40] == 2
    assert crossing(near, found) == 0
    assert TORN_TEXT not in found


def test_a_chain_through_the_whole_set_is_how_it_is_written() -> None:
    rows = [row(number, f"text {number}", "a") for number in range(1000)]
    near = pairs(*((number, number + 1) for number in range(999)), count=1000)
    found = placed(rows, near=near)
    assert (found >= 0).all()
    assert set(Counter(found.tolist())) == {0, 1, 2, 3}
    assert Counter(found.tolist())[3] == pytest.approx(150, abs=60)
    assert 10 < crossing(near, found) < 60  # it goes in pieces of twenty rows, then of a twentieth of those met


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.integers(0, 3))
def test_near_duplicates_in_small_chains_never_cross_and_appending_moves_none(drawn: list[tuple[int, int]], seed: int) -> None:
    rows = [row(number, f"text {number}", "ab"[number % 2]) for number in range(240)]
    near = pairs(*{(min(pair), max(pair)) for pair in drawn if pair[0] != pair[1]}, count=240)
    found = placed(rows, seed, near=near)
    if Counter(found.tolist())[TORN_NEAR] == 0 and len(drawn) < 19:
        assert crossing(near, found) == 0
    few = pairs(*{(min(pair), max(pair)) for pair in drawn if pair[0] != pair[1]}, count=170)
    assert placed(rows[:170], seed, near=few).tolist() == found[:170].tolist()


def test_shares_of_what_was_supplied_are_not_divided_off() -> None:
    assert shares_of(None, 0.2) == {"train": 0.8, "test": 0.2}
    assert shares_of(None, None) == {"train": 1.0}
    assert sum(shares_of(0.1, None).values()) == pytest.approx(1.0)
