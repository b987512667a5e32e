"""JSON answers: what is JSON, what only looks like it, and how many fields are held."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.structured import DEEPEST, LARGEST, NotJSON, field_share, fields, read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": 1} and more',
        'Here it is: {"a": 1}',
        '```json\n{"a": 1}\n```',
        "NaN",
        '{"a": Infinity}',
        "-Infinity",
        '{"a": 1, "a": 1}',
        '[{"b": {"a": 1, "a": 2}}]',
        "\ufeff{}",
        '{"a": // note\n1}',
        "[" * 1_000_000,
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '"' + "a" * LARGEST + '"',
        "1e" + "9" * 5000,
        '"' + "\\" * 900_001,
    ],
)
def test_what_is_no_json_that_all_programs_read_alike_is_refused(text: str) -> None:
    with pytest.raises(NotJSON):
        read_json(text)


@pytest.mark.parametrize("text", ["1", "null", ' {"a": [1, "}]{["]} ', '"\\"["', "[" * DEEPEST + "]" * DEEPEST, "1e400", "9" * 10_000])
def test_what_is_json_is_valid(text: str) -> None:
    read_json(text)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_an_answer_that_says_the_same_holds_every_field(value: object) -> None:
    plain, spread = json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False, sort_keys=True)
    assert field_share(spread, plain) == 1.0
    assert field_share(f"```json\n{spread}\n```", plain) == 1.0


@settings(max_examples=100, deadline=None)
@given(JSON, JSON)
def test_the_share_is_that_of_the_fields_in_common(ours: object, theirs: object) -> None:
    answer, reference = fields(read_json(json.dumps(ours))), fields(read_json(json.dumps(theirs)))
    common = sum(repr(answer.get(path, "absent")) == repr(value) for path, value in reference.items())
    assert field_share(json.dumps(ours), json.dumps(theirs)) == pytest.approx(common / len(reference))


def test_nested_fields_count_one_each_under_their_paths() -> None:
    reference = '{"name": "Ada", "born": {"year": 1815, "place": "London"}, "tags": ["x", "y"], "more": {}}'
    assert len(fields(read_json(reference))) == 6
    answer = '{"name": "Ada", "born": {"year": 1815.0, "place": "Paris"}, "tags": ["y", "x"], "more": {}, "extra": 1}'
    assert field_share(answer, reference) == pytest.approx(3 / 6)
    assert field_share("not JSON", reference) == 0.0


@pytest.mark.parametrize(
    ("answer", "same"), [("1.0", True), ("1e0", True), ("10e-1", True), ("true", False), ('"1"', False), ("[1]", False)]
)
def test_equal_is_of_equal_kind(answer: str, same: bool) -> None:
    assert field_share(answer, "1") == float(same)


def test_numbers_beyond_floats_are_still_told_apart() -> None:
    assert field_share("1e400", "1e500") == 0.0
    assert field_share("10e399", "1e400") == 1.0
    assert field_share("9007199254740993", "9007199254740992") == 0.0
    assert field_share("-0.0", "0") == 1.0


def test_the_measures() -> None:
    rows = [
        Prediction(row_id=str(n), reference='{"a": 1, "b": 2}', answer=text)
        for n, text in enumerate(['{"a": 1, "b": 2}', '{"a": 1}', "oops", '```\n{"b": 2}\n```'])
    ]
    assert measure("json_valid").of(rows) == 0.5
    assert measure("json_fields").of(rows) == pytest.approx((1 + 0.5 + 0 + 0.5) / 4)
    assert measure("json_fields").of([*rows, Prediction(row_id="x", reference="{", answer="{}")]) is None
