"""Parts of the training rows: each within the next, labels in proportion, groups whole."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.shares import FEWEST, nested_parts


def rows_of(labels: list[str]) -> list[Row]:
    return [Row(id=f"r{place}", prompt=(Message("user", str(place)),), answer=label) for place, label in enumerate(labels)]


@given(
    labels=st.lists(st.sampled_from("abc"), min_size=40, max_size=150),
    shares=st.lists(st.floats(0.1, 0.9), min_size=2, max_size=4, unique=True),
    seed=st.integers(0, 99),
)
def test_each_part_lies_in_the_next_and_keeps_the_order_of_the_rows(labels: list[str], shares: list[float], seed: int) -> None:
    rows = rows_of(labels)
    parts = nested_parts(rows, shares, seed=seed)
    sizes = [len(part) for part in parts]
    assert sizes == sorted(set(sizes))
    assert {round(share * len(rows)) for share in shares if round(share * len(rows)) >= FEWEST} == set(sizes)
    for small, large in pairwise([*parts, rows]):
        assert small == [row for row in large if row in small]
    assert parts == nested_parts(rows, shares, seed=seed)


@given(labels=st.lists(st.sampled_from("aaab"), min_size=60, max_size=200), share=st.floats(0.2, 0.8))
def test_each_label_keeps_its_share_to_a_row(labels: list[str], share: float) -> None:
    counted = Counter(labels)
    [part] = nested_parts(rows_of(labels), [share], seed=3)
    for label, count in Counter(row.answer for row in part).items():
        assert abs(count - share * counted[label]) <= 1.5


@given(sizes=st.lists(st.integers(1, 6), min_size=40, max_size=60), share=st.floats(0.3, 0.7))
def test_groups_are_never_divided(sizes: list[int], share: float) -> None:
    groups = [f"g{place}" for place, size in enumerate(sizes) for _ in range(size)]
    rows = rows_of(["a"] * len(groups))
    [part] = nested_parts(rows, [share], seed=1, groups=dict(zip([row.id for row in rows], groups, strict=True)))
    whole, kept = Counter(groups), Counter(groups[int(row.id[1:])] for row in part)
    assert all(kept[name] == whole[name] for name in kept)
    assert round(share * len(rows)) <= len(part) < share * len(rows) + 6.5


def test_parts_too_small_to_say_anything_are_left_out() -> None:
    rows = rows_of(["a", "b"] * 25)
    assert [len(part) for part in nested_parts(rows, [0.1, 0.5, 0.501, 0.999], seed=1)] == [25]


def test_another_seed_takes_other_rows() -> None:
    rows = rows_of(["a", "b"] * 50)
    assert nested_parts(rows, [0.3], seed=1) != nested_parts(rows, [0.3], seed=2)
