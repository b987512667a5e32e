"""Sketches: counts that add up, and from which nothing of one answer can be told."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.sketch import BOXES, LEAST, Frame, Sketch, box_of, frame_of, plain_frame, quantile_edges

TEXTS = [
    f"{opening} {thing} {colour}"
    for opening in ("I want the", "they sold my")
    for thing in ("car", "boat", "hat")
    for colour in ("red", "blue", "green")
]
FRAME = frame_of(TEXTS * 3, [at / 20 for at in range(20)], [], ("red", "blue"))


def test_each_answer_falls_into_one_bin_of_every_variable() -> None:
    bins = FRAME.of_text("I want the zeppelin") + FRAME.of_answer("red", "red", 0.5)
    names = [one.name for one in FRAME.variables]
    at = [max(name for name in range(len(names)) if FRAME.starts[names[name]] <= one) for one in bins]
    assert sorted(at) == list(range(len(names)))


def test_a_label_nobody_knew_falls_beside_the_others() -> None:
    start = FRAME.starts["label"]
    assert [FRAME.of_answer("x", label, None) for label in ("red", "blue", "violet")] == [[start], [start + 1], [start + 2]]


def test_words_that_training_rows_did_not_hold_are_noticed() -> None:
    variable = next(one for one in FRAME.variables if one.name == "unknown")
    start = FRAME.starts["unknown"]
    known, strange = FRAME.of_text("I want the red car"), FRAME.of_text("quantum flux inverter kaputt")
    assert min(one for one in known if start <= one) == start
    assert start + variable.bins - 1 in strange


def test_a_frame_comes_back_from_json_as_it_was_and_holds_no_word() -> None:
    text = json.dumps(FRAME.to_json())
    again = Frame.from_json(json.loads(text))
    assert again.id == FRAME.id and again.of_text("they sold my boat") == FRAME.of_text("they sold my boat")
    assert not [word for word in ("want", "sold", "boat", "green") if word in text]


@pytest.mark.parametrize("damage", [{"known": "AAAA"}, {"variables": [{}]}, {"directions": {"count": 3, "values": "AAAA"}}])
def test_a_damaged_frame_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Frame.from_json(FRAME.to_json() | damage)


def test_the_same_rows_give_the_same_frame() -> None:
    assert frame_of(TEXTS * 3, [at / 20 for at in range(20)], [], ("red", "blue")).id == FRAME.id


@given(st.lists(st.tuples(st.integers(0, BOXES - 1), st.integers(0, 9)), max_size=400))
def test_whatever_is_kept_stands_for_ten_answers_and_none_is_lost(answers: list[tuple[int, int]]) -> None:
    frame = plain_frame(("a", "b"))
    sketch = Sketch.empty(frame.bins)
    for box, length in answers:
        sketch.count(box, [length])
    folded = sketch.folded(frame.variables[0].bins)
    if folded is None:
        assert 0 < len(answers) < LEAST
        return
    held = np.concatenate(folded.counts).sum(axis=1)
    assert all(count == 0 or count >= LEAST for count in held)
    assert held.sum() == len(answers)


@given(st.integers(1, 300), st.integers(1, 300))
def test_two_days_added_are_all_that_was_counted(first: int, second: int) -> None:
    frame = plain_frame(None)
    days = []
    for count in (first, second):
        day = Sketch.empty(frame.bins)
        for at in range(count):
            day.count(at % BOXES, frame.of_text("x" * at))
        days.append(day.folded(frame.variables[0].bins))
    kept = [day for day in days if day is not None]
    if len(kept) == 2:
        both = kept[0] + kept[1]
        assert both.units_UK.sum() == first + second
        again = Sketch.from_json(json.loads(json.dumps(both.to_json())), frame.bins)
        assert sorted(map(tuple, again.units_UK.tolist())) == sorted(map(tuple, both.units_UK.tolist()))


def test_counts_that_fit_no_frame_are_refused() -> None:
    for value in ([[[1, 2, 3]]], [[[-1] * 4]], [[["x"] * 4]], [[[1], [2, 3]]]):
        with pytest.raises(ValueError):
            Sketch.from_json(value, 4)


def test_a_users_answers_share_a_box_and_nameless_ones_go_by_their_text() -> None:
    assert box_of("key ann", "one") == box_of("key ann", "two")
    assert box_of("", "one") == box_of("", "one")
    assert len({box_of("", f"text {at}") for at in range(500)}) == BOXES


def test_edges_part_values_alike_and_repeat_none() -> None:
    assert quantile_edges(list(range(100)), 4) == (24.0, 49.0, 74.0)
    assert quantile_edges([1.0] * 50, 10) == ()
