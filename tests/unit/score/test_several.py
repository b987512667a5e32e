"""Holm's correction is that of the book; what rows are drawn by never mixes up a group with a lone row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.resampling import units
from tunesmith.score.several import holm


def test_holms_correction_is_that_of_the_book() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([], 0) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_goes_step_by_step(p_values: list[float]) -> None:
    adjusted = holm(p_values, len(p_values))
    rejected: set[int] = set()
    for place, which in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if p_values[which] * (len(p_values) - place) > 0.05:
            break
        rejected.add(which)
    assert {at for at, p in enumerate(adjusted) if p <= 0.05} == rejected


def test_hypotheses_that_make_no_claim_count_too() -> None:
    assert holm([0.001], 100) == [pytest.approx(0.1)]


@given(
    st.lists(st.sampled_from(["a", "b", "row a", "group a"]), unique=True),
    st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=6)),
)
def test_two_rows_are_one_unit_only_where_they_share_a_group(ids: list[str], groups: dict[str, str]) -> None:
    names = units(ids, groups)
    assert units(ids, None) is None and names is not None and len(names) == len(ids)
    for one, name in zip(ids, names, strict=True):
        for other, its in zip(ids, names, strict=True):
            assert (name == its) is (one == other or (one in groups and other in groups and groups[one] == groups[other]))
