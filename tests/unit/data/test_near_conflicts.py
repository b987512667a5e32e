"""The same question answered differently: which rows those are, and which go."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.near import Conflicts
from tunesmith.data.settings.dedup import ConflictAction


def conflicts(rows: list[tuple[int, int]]) -> Conflicts:
    return Conflicts(np.array([group for group, _ in rows], np.int64), np.array([answer for _, answer in rows], np.int64))


ROWS = [(0, 7), (0, 7), (2, 5), (0, 8), (2, 6), (5, 1), (5, 1)]


def test_groups_with_two_answers_are_told_by_ordinal() -> None:
    assert [rows.tolist() for rows in conflicts(ROWS).groups()] == [[0, 1, 3], [2, 4]]


def test_keep_and_ask_drop_none_and_drop_drops_every_row_of_such_a_group() -> None:
    assert not conflicts(ROWS).dropped(ConflictAction.KEEP).any()
    assert not conflicts(ROWS).dropped(ConflictAction.ASK).any()
    assert np.flatnonzero(conflicts(ROWS).dropped(ConflictAction.DROP)).tolist() == [0, 1, 2, 3, 4]


def test_the_majority_stays_and_where_two_lead_all_go() -> None:
    assert np.flatnonzero(conflicts(ROWS).dropped(ConflictAction.MAJORITY)).tolist() == [2, 3, 4]


def test_no_rows_have_no_conflicts() -> None:
    assert not list(conflicts([]).groups())
    assert conflicts([]).dropped(ConflictAction.MAJORITY).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), min_size=6, max_size=40))
def test_each_policy_is_what_counting_by_hand_says(rows: list[tuple[int, int]]) -> None:
    votes = {group: Counter(answer for each, answer in rows if each == group).most_common() for group, _ in rows}
    against = [len(votes[group]) > 1 for group, _ in rows]
    leading = [len(votes[group]) == 1 or votes[group][0][1] > votes[group][1][1] for group, _ in rows]
    stays = [leads and votes[group][0][0] == answer for leads, (group, answer) in zip(leading, rows, strict=True)]
    found = conflicts(rows)
    assert found.against().tolist() == found.dropped(ConflictAction.DROP).tolist() == against
    assert found.dropped(ConflictAction.MAJORITY).tolist() == [not stay for stay in stays]
