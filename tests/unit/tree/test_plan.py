"""The planner against a definition by brute force: no torch, no model."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.tree.choices import build_trie, plan_choices
from tunesmith.tree.plan import Pass, Sequence_, answer_only, plan, shared_length

token = st.integers(1, 3)


@st.composite
def rows(draw: st.DrawFn) -> list[Sequence_]:
    made = []
    for ids in draw(st.lists(st.lists(token, min_size=1, max_size=9), min_size=1, max_size=7)):
        weights = [0.0, *draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(ids) - 1, max_size=len(ids) - 1))]
        made.append(Sequence_(tuple(ids), tuple(weights)))
    return made + draw(st.lists(st.sampled_from(made), max_size=2))


def context(one: Pass, place: int) -> list[int]:
    """What a token sees, itself included, in order of depth: the row so far, if the plan is right."""
    width = one.ids_BT.shape[1]
    if one.ends_T is None:
        line, column = divmod(place, width)
        return [int(token) for token in one.ids_BT[line, : column + 1]]
    seen = [j for j in range(width) if j <= place < one.ends_T[j]]
    assert [int(one.positions_BT[0, j]) for j in seen] == list(range(len(seen)))
    return [int(one.ids_BT[0, j]) for j in seen]


def supervised(one: Pass) -> list[tuple[int, tuple[int, ...], int, float]]:
    """(row, what it is predicted from, the token, its weight) of everything supervised."""
    return [
        (int(row), tuple(context(one, int(one.from_P[place]))), int(target), float(weight))
        for row, place, target, weight in zip(one.row_S, one.place_S, one.target_S, one.weight_S, strict=True)
    ]


@settings(deadline=None)
@given(rows=rows(), budget=st.integers(1, 40), layout=st.sampled_from(["tree", "apart", "padded"]), data=st.data())
def test_every_supervised_token_once_from_its_own_row(rows: list[Sequence_], budget: int, layout: Any, data: st.DataObject) -> None:
    units = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    passes = plan(rows, token_budget=budget, layout=layout, units=units)
    expected = [
        (number, row.ids[:place], row.ids[place], row.weights[place])
        for number, row in enumerate(rows)
        for place in range(1, len(row.ids))
        if row.weights[place]
    ]
    assert sorted(item for one in passes for item in supervised(one)) == sorted(expected)
    assert sorted(int(row) for one in passes for row in one.rows_R) == list(range(len(rows)))
    for one in passes:
        paths = np.split(one.path_N, np.cumsum(one.lengths_R)[:-1])
        for row, path, last in zip(one.rows_R, paths, one.last_R, strict=True):
            assert tuple(context(one, int(last))) == rows[row].ids
            assert tuple(one.ids_BT.reshape(-1)[path]) == rows[row].ids
            assert path[-1] == last
        if one.ends_T is None:
            assert (one.positions_BT == list(range(one.ids_BT.shape[1]))).all()
    if units is not None:
        whereabouts = [{units[row] for row in one.rows_R} for one in passes]
        assert sum(len(found) for found in whereabouts) == len(set(units)), "a unit is spread over passes"
    elif layout != "padded":
        assert all(one.tokens <= budget or len({rows[row].ids for row in one.rows_R}) == 1 for one in passes)


@given(rows=rows())
def test_one_tree_computes_every_prefix_once(rows: list[Sequence_]) -> None:
    (one,) = plan(rows, token_budget=10**6)
    prefixes = {row.ids[:length] for row in rows for length in range(1, len(row.ids) + 1)}
    assert one.tokens == len(prefixes)
    assert {tuple(context(one, place)) for place in range(one.tokens)} == prefixes


@given(rows=rows())
def test_rows_apart_share_and_pad_nothing(rows: list[Sequence_]) -> None:
    (one,) = plan(rows, token_budget=10**6, layout="apart")
    assert one.tokens == sum(len(row.ids) for row in rows)


@settings(deadline=None)
@given(
    prompts=st.lists(st.lists(token, min_size=1, max_size=6), min_size=1, max_size=5),
    choices=st.lists(st.lists(token, min_size=1, max_size=4), min_size=1, max_size=4),
    budget=st.integers(1, 60),
)
def test_choices_hang_under_every_prompt(prompts: list[list[int]], choices: list[list[int]], budget: int) -> None:
    trie = build_trie(choices)
    assert len(trie.ids_N) == len({tuple(choice[:length]) for choice in choices for length in range(1, len(choice))}), (
        "only what is read from"
    )
    passes = plan_choices(prompts, trie, token_budget=budget)
    expected = [
        (n * len(choices) + c, (*prompt, *choice[:place]), token)
        for n, prompt in enumerate(prompts)
        for c, choice in enumerate(choices)
        for place, token in enumerate(choice)
    ]
    assert sorted(item[:3] for one in passes for item in supervised(one)) == sorted(expected)
    assert sorted(int(row) for one in passes for row in one.rows_R) == list(range(len(prompts)))
    for one in passes:
        assert one.tokens <= budget or len(one.rows_R) == 1
        for row, last in zip(one.rows_R, one.last_R, strict=True):
            assert context(one, int(last)) == prompts[row]


def test_edges() -> None:
    assert plan([], token_budget=8) == []
    assert shared_length((1, 2, 3), (1, 2)) == 2
    assert answer_only([1, 2, 3], 1, 0.5) == Sequence_((1, 2, 3), (0.0, 0.5, 0.5))
    for wrong in (
        lambda: plan([Sequence_((), ())], token_budget=8),
        lambda: build_trie([[]]),
        lambda: plan_choices([[]], build_trie([[1]]), token_budget=8),
    ):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError("not refused")
