"""Dividing by time: the newest rows test, and nothing of theirs stands among the older."""

import math
from collections import Counter
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.data.chronology import assign_by_time, moment
from tunesmith.data.split import TORN_NEAR, TORN_TEXT, UNTIMED, Near, shares_of

SHARES = shares_of(0.2, 0.2)
SIDES = list(SHARES)


def row(number: int, text: str, when: object, **fields: object) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer="a", fields={"when": when, **fields})


def placed(files: ModuleType, rows: list[Row], by: str | None = None, near: Near | None = None) -> np.ndarray:
    columns = files.columns_of({"train": rows}, by, "when")
    return assign_by_time(columns, np.ones(len(rows), bool), SHARES, 0, near)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1970-01-02", 86400), ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01 00:00:30", 30), (12, 12), ("12.5", 12.5), (" 3 ", 3)],
)
def test_moments(value: object, seconds: float) -> None:
    assert moment(value) == seconds


@pytest.mark.parametrize("value", [None, "", "yesterday", "2020-13-01", True, [1], {"a": 1}])
def test_what_is_no_moment(value: object) -> None:
    assert math.isnan(moment(value))


def test_oldest_train_newest_test(files: ModuleType) -> None:
    rows = [row(n, f"text {n}", f"2024-{1 + n // 28:02}-{1 + n % 28:02}") for n in range(300)]
    order = np.random.default_rng(0).permutation(300)
    found = placed(files, [rows[n] for n in order])
    assert Counter(found.tolist())[SIDES.index("test")] == 60
    newest_train = max(n for n, side in zip(order, found, strict=True) if side == 0)
    between = [n for n, side in zip(order, found, strict=True) if side in (1, 2)]
    oldest_test = min(n for n, side in zip(order, found, strict=True) if side == 3)
    assert newest_train < min(between) and max(between) < oldest_test
    assert len(between) == 60
    assert 15 <= Counter(found.tolist())[1] <= 45


def test_rows_of_one_moment_stay_together(files: ModuleType) -> None:
    found = placed(files, [row(n, f"text {n}", n // 50) for n in range(300)])
    for moment_of in range(6):
        assert len({"train" if side == 0 else "test" if side == 3 else "validation" for side in found[50 * moment_of :][:50].tolist()}) == 1


def test_what_stands_in_two_periods_is_kept_in_the_later(files: ModuleType) -> None:
    rows = [row(n, f"text {n}", n, customer=n) for n in range(100)]
    rows[3] = row(3, "TEXT 95", 3, customer=3)
    rows[5] = row(5, "text 5", 5, customer=97)
    rows[7] = row(7, "text 7", "soon", customer=7)
    near = Near.of_pairs(np.array([11]), np.array([99]), 100)
    found = placed(files, rows, "customer", near)
    assert (found[3], found[5], found[7], found[11]) == (TORN_TEXT, TORN_TEXT, UNTIMED, TORN_NEAR)
    assert (found >= 0).sum() == 96
    assert {found[95], found[97], found[99]} == {3}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=60))
def test_no_text_and_no_group_on_two_sides(files: ModuleType, drawn: list[tuple[int, int, int]]) -> None:
    rows = [row(n, f"text {text}", when, customer=group) for n, (text, when, group) in enumerate(drawn)]
    found = placed(files, rows, "customer")
    for key in (lambda each: each.text(), lambda each: each.fields["customer"]):
        sides: dict[object, set[int]] = {}
        for each, side in zip(rows, found.tolist(), strict=True):
            if side >= 0:
                sides.setdefault(key(each), set()).add(side)
        assert all(len(held) == 1 for held in sides.values())
