"""Answers that stand for something else: what is written is read back, and careless answers are understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.meanings import read_labels, read_number, write_labels, write_number, write_spans

WORDS = {"late_parcel": "late parcel", "billing": "billing", "salt and pepper": "salt and pepper", "a, b": "a, b", "a": "a"}


@given(st.sets(st.sampled_from(sorted(WORDS))))
def test_labels_come_back_in_either_spelling(labels: set[str]) -> None:
    if {"a", "a, b"} <= labels:
        labels = labels - {"a"}  # `a, a, b` is read as it can be
    assert read_labels(write_labels(labels), WORDS) == tuple(sorted(labels))
    assert read_labels(write_labels(WORDS[label] for label in labels), WORDS) == tuple(sorted(labels))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (" Billing and LATE  parcel.", ("billing", "late_parcel")),
        ("- billing\n- late_parcel\n- nonsense", ("billing", "late_parcel")),
        ("none", ()),
        ("", ()),
        ("billing, billing", ("billing",)),
        ("a, b, billing", ("a, b", "billing")),
        ("rebilling", ()),
    ],
)
def test_careless_labels(text: str, labels: tuple[str, ...]) -> None:
    assert read_labels(text, WORDS) == labels


@given(st.floats(-1e9, 1e9).map(lambda value: float(f"{value:.6g}")))
def test_numbers_come_back(value: float) -> None:
    assert read_number(write_number(value)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The score is 3.8 of 5.", 3.8),
        ("3,8", 3.8),
        ("1,200", 1200.0),
        ("-2", -2.0),
        (".5", 0.5),
        ("about four", None),
        ("1e3", 1000.0),
        ("12,345.5", 12345.5),
    ],
)
def test_careless_numbers(text: str, number: float | None) -> None:
    assert read_number(text) == number


def test_how_people_see_them() -> None:
    assert (write_number(5.0), write_number(3.80), write_number(-0.0)) == ("5", "3.8", "0")
    assert write_labels(()) == "none"
    assert write_spans("Ada in Paris", ((0, 3, "person"), (7, 12, "place"))) == "person: Ada; place: Paris"
