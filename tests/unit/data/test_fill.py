"""Missing values: a policy a field, nothing silent."""

from collections.abc import Iterable
from typing import Any

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row
from tunesmith.data.fill import FillCount, FillFacts, check_fill, fill, needs_facts
from tunesmith.data.settings.fill import FillConfig

LABELLED = {"text": "message", "label": "intent"}


def row(number: int, text: str, answer: str, **fields: Any) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=answer, source=f"rows.csv:{number}", fields=fields)


def counted(rows: Iterable[Row], config: FillConfig, mapping: dict[str, str]) -> FillFacts:
    count = FillCount(mapping, config)
    for each in rows:
        count.add(each)
    return count.result()


def filled(rows: list[Row], mapping: dict[str, str] = LABELLED, **config: Any) -> list[Outcome]:
    settings = FillConfig(**config)
    return list(fill(rows, mapping, settings, counted(rows, settings, mapping)))


def reasons(outcomes: list[Outcome]) -> list[str]:
    return ["" if isinstance(outcome, Kept) else outcome.reason for outcome in outcomes]


@pytest.mark.parametrize("word", ["", "  ", "nan", "NaN", "NULL", "<NA>", "#N/A", " null "])
def test_what_says_nothing_is_missing_wherever_it_stands(word: str) -> None:
    assert reasons(filled([row(1, word, "a"), row(2, "x", word)])) == ["message is missing", "intent is missing"]
    assert reasons(list(fill([row(1, word, "a")], LABELLED))) == ["message is missing"]


def test_only_a_whole_value_is_missing() -> None:
    assert reasons(filled([row(1, "nan bread, null and none", "nan bread"), row(2, "none", "a"), row(3, "-", "b")])) == ["", "", ""]


def test_a_label_none_that_many_rows_carry_is_a_label_and_a_rare_one_is_missing() -> None:
    usual = [row(at, "x", "a") for at in range(96)]
    assert {*reasons(filled([*usual, *(row(at, "x", "None") for at in range(5))]))} == {""}
    assert reasons(filled([*usual, *(row(at, "x", "None") for at in range(4))]))[-4:] == ["intent is missing"] * 4
    many = [row(at, "x", "a") for at in range(995)]
    assert reasons(filled([*many, *(row(at, "x", "none") for at in range(6))]))[-1] == "intent is missing"
    assert reasons(list(fill([row(1, "x", "none")], LABELLED))) == [""]


def test_an_answer_in_words_may_be_none() -> None:
    mapping = {"prompt": "question", "completion": "reply"}
    assert reasons(filled([row(1, "how many?", "None"), row(2, "how many?", "nan")], mapping)) == ["", "reply is missing"]


def test_a_constant_is_written_and_told() -> None:
    (outcome,) = filled([row(1, "x", "")], fields={"label": {"constant": "other"}})
    assert isinstance(outcome, Changed)
    assert (outcome.row.answer, outcome.row.id, outcome.reason) == ("other", "1", "intent filled with a constant")
    (outcome,) = filled([row(1, "", "a")], fields={"message": {"constant": "(no text)"}})
    assert outcome.row.text() == "(no text)"


def test_a_value_comes_from_another_column_or_the_row_goes() -> None:
    rows = [row(1, "x", "", old="refund"), row(2, "x", "", old=None), row(3, "x", "", old=" N/A ")]
    outcomes = filled(rows, fields={"label": {"from": "old"}})
    assert outcomes[0].row.answer == "refund"
    assert reasons(outcomes) == ["intent filled from old", "intent is missing, and so is old", "intent is missing, and so is old"]


def test_the_most_frequent_label_and_the_most_frequent_value_within_a_label() -> None:
    rows = [row(1, "x", "a", land="no"), row(2, "x", "a", land="no"), row(3, "x", "a", land="de"), row(4, "x", "a", land=None)]
    rows += [row(5, "x", "b", land="de"), row(6, "x", "b", land="nan"), row(7, "x", "c", land=float("nan")), row(8, "x", "", land="de")]
    outcomes = filled(rows, fields={"land": "most_frequent", "label": "most_frequent"})
    assert [outcome.row.fields["land"] for outcome in outcomes] == ["no", "no", "de", "no", "de", "de", "de", "de"]
    assert outcomes[-1].row.answer == "a"
    assert outcomes[3] == Changed(outcomes[3].row, "fill", "land filled with the commonest")


def test_other_columns_may_be_empty_unless_named() -> None:
    assert reasons(filled([row(1, "x", "a", land=None)])) == [""]
    assert reasons(filled([row(1, "x", "a", land=None)], fields={"land": "drop"})) == ["land is missing"]


def test_ask_stops_and_says_how_many_where_and_what_can_be_done() -> None:
    rows = [row(at, "secret words", "" if at % 2 else "a") for at in range(20)]
    with pytest.raises(DataError) as told:
        filled(rows, default="ask")
    message = str(told.value)
    assert "10 rows have no intent (rows.csv:1, rows.csv:3, rows.csv:5, rows.csv:7, rows.csv:9, ...)" in message
    assert all(policy in message for policy in ("drop", "constant", "from", "most_frequent", "data.fill.fields.label"))
    assert "secret" not in message
    assert reasons(filled([row(1, "x", "a")], default="ask")) == [""]


def test_numbers_and_sets_of_labels_are_written_as_such() -> None:
    number = Row(id="1", prompt=(Message("user", "x"),), answer="")
    (outcome,) = filled([number], {"text": "t", "value": "score"}, fields={"value": {"constant": 2.5}})
    assert (outcome.row.value, outcome.row.answer) == (2.5, "2.5")
    (outcome,) = filled([number], {"text": "t", "labels": "tags"}, fields={"labels": {"constant": "other"}})
    assert (outcome.row.labels, outcome.row.answer) == (("other",), "other")
    lame = Row(id="1", prompt=(Message("user", "x"),), answer="", fields={"old": "many"})
    assert reasons(filled([lame], {"text": "t", "value": "score"}, fields={"value": {"from": "old"}})) == ["score is missing"]


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"lable": "drop"}, "Did you mean 'label'?"),
        ({"label": {"from": "intent"}}, "has a role of its own"),
        ({"label": {"from": "nowhere"}}, "isn't there"),
        ({"text": "most_frequent"}, "most_frequent is for labels"),
    ],
)
def test_policies_that_cannot_be_are_refused(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(RecipeError) as told:
        check_fill(FillConfig(fields=fields), LABELLED, ["message", "intent", "land"])
    assert part in str(told.value)


def test_policies_that_can_be_are_not() -> None:
    fields = {"intent": "most_frequent", "text": {"from": "land"}, "land": {"constant": "de"}}
    check_fill(FillConfig(fields=fields), LABELLED, ["message", "intent", "land"])
    assert needs_facts(FillConfig(fields=fields))
    assert not needs_facts(FillConfig())
    with pytest.raises(RecipeError):
        check_fill(FillConfig(fields={"value": {"constant": "many"}}), {"text": "t", "value": "v"}, ["t", "v"])
    with pytest.raises(RecipeError):
        check_fill(FillConfig(fields={"spans": {"constant": "x"}}), {"text": "t", "spans": "s"}, ["t", "s"])


def test_facts_hold_no_more_than_their_room() -> None:
    config = FillConfig(fields={"land": "most_frequent"})
    rows = (row(at, "x", "a", land="no" if at % 3 else f"v{at}") for at in range(30_000))
    facts = counted(rows, config, LABELLED)
    assert facts.commonest["land", "a"] == "no"
    assert len(facts.commonest) <= 2
