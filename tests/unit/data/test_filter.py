"""Rows not worth learning from: what each rule finds, and that ordinary sets lose nothing."""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Changed, Dropped, Kept, Message, Outcome, Row
from tunesmith.data.config import Task
from tunesmith.data.filter import FilterCount, Suspicions, filter_rows, rules_of
from tunesmith.data.filter.answers import Endings, breaks_off, refuses
from tunesmith.data.filter.frequent import Frequent
from tunesmith.data.filter.labels import nearest
from tunesmith.data.filter.shape import prints, repeats
from tunesmith.data.settings.fill import FillConfig
from tunesmith.data.settings.filter import FilterConfig, RepeatsRule, TruncatedRule

PROSE = (
    "The river ran past the mill and under the old stone bridge, where children threw sticks on one side and ran to see them come "
    "out on the other. Nobody in the village could say who had built it, or when, but everyone agreed that it would stand longer "
    "than the church."
)


def row(number: int, text: str, answer: str) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=answer)


def pairs(*made: tuple[str, str]) -> list[Row]:
    return [row(number, text, answer) for number, (text, answer) in enumerate(made)]


def ran(rows: list[Row], task: Task = Task.GENERATE, labels: tuple[str, ...] = (), **config: Any) -> tuple[list[Outcome], Suspicions]:
    settings, suspicions = FilterConfig(**config), Suspicions()
    count = FilterCount(settings, task, labels)
    for each in rows:
        count.add(each)
    return list(filter_rows(rows, rules_of(settings, task, count.result(), labels), suspicions)), suspicions


def dropped(outcomes: list[Outcome]) -> dict[int, str]:
    return {int(outcome.row.id): outcome.reason for outcome in outcomes if isinstance(outcome, Dropped)}


def test_only_rows_that_print_nothing_go_by_default_and_the_rest_is_counted() -> None:
    rows = pairs(
        ("\u200d\u2060", "a reply"), ("a question", "\u200d"), ("Say it: " + PROSE, "I'm sorry, but I can't help with that."), ("?", "!")
    )
    outcomes, suspicions = ran(rows)
    assert dropped(outcomes) == {0: "nothing in it prints", 1: "nothing in it prints"}
    assert suspicions.samples == {"refusal": [2], "too_short": [3]}
    assert (
        suspicions.notes()[0]
        == "data.filter.refusal would drop 1 rows (the answer is a refusal): set its action to drop for that, or to off"
    )
    outcomes, suspicions = ran(rows, empty={"action": "count"}, refusal={"action": "drop"}, too_short={"action": "off"})
    assert dropped(outcomes) == {2: "the answer is a refusal"}
    assert suspicions.counts == {"empty": 2}


def test_too_short_and_too_long() -> None:
    rows = pairs(("hi", "yes"), ("a question", "no"), ("a question", "y" * 300), ("q" * 300, "yes"))
    outcomes, _ = ran(rows, too_short={"action": "drop", "answer": 3}, too_long={"action": "drop", "text": 200, "answer": 200})
    assert dropped(outcomes) == {0: "too short", 1: "too short", 2: "too long", 3: "too long"}
    labelled, _ = ran(rows[:2], Task.CLASSIFY, too_short={"action": "drop", "text": 1, "answer": 50})
    assert not dropped(labelled), "a label is never too short"


def test_a_text_that_goes_round_in_circles_is_found_and_prose_is_not() -> None:
    rule = RepeatsRule()
    assert repeats("I am sure that it is so. " * 20, rule)
    assert repeats("ha " * 60, rule)
    assert not repeats(PROSE, rule)
    assert not repeats("ha " * 30, rule), "too short to tell"
    half = " ".join(f"word{number}" for number in range(50))
    assert not repeats(half, RepeatsRule(share=0.49))
    assert repeats(f"{half} {half}", RepeatsRule(share=0.48)), "47 of 97 runs"
    assert not repeats(f"{half} {half}", RepeatsRule(share=0.49))


def test_an_echo_is_found_and_an_answer_is_not() -> None:
    rows = pairs((PROSE, PROSE), (PROSE, PROSE.upper()), (PROSE, PROSE.replace("church", "chapel")), (PROSE, PROSE[:120]), ("yes", "yes"))
    outcomes, _ = ran(rows, echo={"action": "drop"})
    assert dropped(outcomes) == dict.fromkeys((0, 1, 2), "the answer only repeats the prompt")


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that request.",
        "I cannot assist with this.",
        "As an AI language model, I don't have personal opinions.",
        "Sorry, I won't provide instructions for that.",
        "I\u2019m unable to help you there.",
    ],
)
def test_refusals_are_found(answer: str) -> None:
    assert refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I can't believe it's not butter.",
        "I'm sorry for your loss. Here is what to do next: call the bank.",
        "Sorry about the delay! Your parcel arrives on Monday.",
        "As an AI assistant, I can help you with that.",
        "She said: I cannot help you.",
        "You cannot provide two names here.",
        "I will not be there on Monday, so please hand it to my neighbour.",
    ],
)
def test_answers_that_only_sound_like_refusals_are_not(answer: str) -> None:
    assert not refuses(answer)


def test_answers_that_break_off_are_found_where_most_end() -> None:
    rule, usual = TruncatedRule(), Endings(ended_share=0.95)
    cut = PROSE[: PROSE.index("it would stand")].rstrip()
    assert breaks_off(cut, rule, usual)
    assert not breaks_off(cut, rule, Endings(ended_share=0.5)), "where answers often end without a mark, it tells nothing"
    assert breaks_off("Run this:\n```python\nprint(1)", rule, Endings())
    assert breaks_off("Call the office in the old town on the first floor (room", rule, Endings())
    for whole in (
        PROSE,
        PROSE + " 😂",
        "Run:\n```\nx\n```",
        "42",
        "Oslo",
        "1. eggs\n2. milk and some bread",
        PROSE[:-1] + '."',
        "Good #day",
    ):
        assert not breaks_off(whole, rule, usual), whole


def test_answers_cut_at_one_length_are_found() -> None:
    cut = [(f"Question {number}?", (PROSE * 3 + f"{number}")[number : number + 400]) for number in range(10)]
    whole = [(f"Question {number}?", PROSE[: 100 + number]) for number in range(90)]
    outcomes, _ = ran(pairs(*cut, *whole), truncated={"action": "drop"})
    assert set(dropped(outcomes)) >= set(range(10))
    assert dropped(outcomes).keys() <= set(range(10)), "the others have no common end to miss"


def test_lines_that_stand_in_many_rows_are_boilerplate() -> None:
    footer = "This message and its attachments are confidential and meant for their addressee alone."
    mixed = [("q", f"{footer}\nAnswer number {number}") for number in range(30)]
    ends = [("q", f"Case {number} of the {number * 7919}th kind. {footer} {footer}") for number in range(30)]
    plain = [("q", f"{number} {PROSE} {number}") for number in range(240)]
    outcomes, _ = ran(pairs(*mixed, *plain), boilerplate={"action": "drop"})
    assert dropped(outcomes) == dict.fromkeys(range(30), "mostly lines that stand in many rows")
    outcomes, _ = ran(pairs(*ends, *plain[:20]), boilerplate={"action": "drop", "text_share": 0.2})
    assert set(dropped(outcomes)) == set(range(30))
    outcomes, _ = ran(pairs(*mixed[:19], *plain), boilerplate={"action": "drop"})
    assert not dropped(outcomes), "nineteen rows are too few"


def test_rows_in_another_language_go_and_short_ones_stay() -> None:
    german = "Der Fluss lief an der Mühle vorbei und unter der alten Brücke hindurch, wo Kinder Stöcke hineinwarfen."
    french = "La rivière passait devant le moulin et sous le vieux pont de pierre, où les enfants jetaient des bâtons."
    rows = pairs((PROSE, PROSE), (german, "ja"), (french, "oui"), (PROSE, french), ("très bien", "oui"), ("```\n" + french + "\n```", "x"))
    outcomes, _ = ran(rows, languages=["en", "de"])
    assert dropped(outcomes) == dict.fromkeys((2, 3), "not in a wanted language")
    assert not dropped(ran(rows)[0])
    with pytest.raises(RecipeError, match="'xx' is no language"):
        ran(rows, languages=["xx"])


LABELS = ("card_arrival", "card_linking", "lost_card")


def test_a_label_outside_the_set_stops_with_the_nearest_named() -> None:
    rows = pairs(("a text", "card_arrival"), ("a text", "card_arival"), ("a text", "card_arival"), ("a text", "Lost card"))
    with pytest.raises(DataError) as told:
        ran(rows, Task.CLASSIFY, LABELS)
    assert "'card_arival' (2 rows; nearest: 'card_arrival'), 'Lost card' (1 rows; nearest: 'lost_card')" in str(told.value)
    assert not dropped(ran(rows, Task.CLASSIFY)[0])


def test_labels_are_mapped_dropped_or_counted_as_asked() -> None:
    rows = pairs(("a text", "card_arrival"), ("a text", "card_arival"), ("a text", "Lost card"), ("a text", "weather"))
    outcomes, _ = ran(rows, Task.CLASSIFY, LABELS, label={"action": "map"})
    assert [outcome.row.answer for outcome in outcomes[:3]] == ["card_arrival", "card_arrival", "lost_card"]
    assert [type(outcome) for outcome in outcomes] == [Kept, Changed, Changed, Dropped]
    assert dropped(ran(rows, Task.CLASSIFY, LABELS, label={"action": "drop"})[0]).keys() == {1, 2, 3}
    outcomes, suspicions = ran(rows, Task.CLASSIFY, LABELS, label={"action": "count"})
    assert (dropped(outcomes), suspicions.counts["label"]) == ({}, 3)
    many = Row(id="9", prompt=(Message("user", "text"),), answer="x", labels=("Lost card", "lost_card"))
    (outcome,) = ran([many], Task.MULTILABEL, LABELS, label={"action": "map"})[0]
    assert (outcome.row.labels, outcome.row.answer) == (("lost_card",), "lost_card")


def test_the_nearest_label_does_not_depend_on_the_order_of_the_set() -> None:
    assert nearest("Card-Arrival", LABELS) == ("card_arrival", 1.0)
    assert nearest("ab", ("aa", "bb")) == nearest("ab", ("bb", "aa"))


@given(st.lists(st.sampled_from("abcdefgh"), max_size=300), st.integers(1, 6))
def test_counts_are_never_too_high_and_at_most_so_much_too_low(keys: list[str], room: int) -> None:
    held: Frequent[str] = Frequent(room)
    for key in keys:
        held.add(key)
    for key, count in Counter(keys).items():
        assert count - len(keys) / (room + 1) <= held[key] <= count
    assert sum(1 for _ in held.items()) <= room


@pytest.mark.parametrize(("text", "shown"), [("", False), ("\u200d \u0301", False), ("😂", True), ("?", True), ("  a", True), ("中", True)])
def test_what_prints(text: str, shown: bool) -> None:
    assert prints(text) is shown


def test_one_outcome_a_row_in_order_whatever_comes() -> None:
    hostile = pairs(
        ("(" * 5000, ")" * 5000), ("a\x00b", "=cmd()"), ("\ud800", "\udfff" * 100), ("x" * 50_000, "y " * 50_000), ("`" * 999, "```" * 999)
    )
    outcomes, _ = ran(hostile, languages=["en"], boilerplate={"action": "drop"}, repeats={"action": "drop"}, truncated={"action": "drop"})
    assert [outcome.row.id for outcome in outcomes] == [each.id for each in hostile]


def test_public_sets_lose_nothing_by_default_and_next_to_nothing_is_suspected(shared_data: Path) -> None:
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        bank = pairs(*((line["text"], line["category"]) for line in csv.DictReader(file)))
    outcomes, suspicions = ran(bank, Task.CLASSIFY)
    assert (len(dropped(outcomes)), suspicions.counts) == (0, {})
    with gzip.open(shared_data / "instructions_alpaca_demo" / "alpaca_en_demo.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    outcomes, suspicions = ran(pairs(*((line["instruction"], line["output"]) for line in lines)))
    assert not dropped(outcomes)
    assert suspicions.counts["truncated"] <= 15
    assert 10 <= suspicions.counts["refusal"] <= 30
    assert suspicions.counts.total() <= 45


@pytest.mark.parametrize("nothing", ["", "  ", "nan", "NULL", "none", "-"])
def test_labels_that_are_missing_are_not_outside_the_set(nothing: str) -> None:
    rows = pairs(
        *((f"message {number}", "ab"[number % 2]) for number in range(96)), *((f"message {number}", nothing) for number in range(4))
    )
    count = FilterCount(FilterConfig(), Task.CLASSIFY, ("a", "b"))
    for each in rows:
        count.add(each)
    assert count.result().strange == ()


def test_a_word_for_nothing_that_many_rows_carry_is_a_label_and_outside_the_set() -> None:
    parts = [FilterCount(FilterConfig(), Task.CLASSIFY, ("a", "b")) for _ in range(2)]
    for number in range(100):
        parts[number % 2].add(row(number, f"message {number}", "None" if number < 6 else "a"))
    parts[0].merge(parts[1])
    assert parts[0].result().strange == (("None", 6),)


def test_what_is_missing_is_what_fill_says() -> None:
    count = FilterCount(FilterConfig(), Task.CLASSIFY, ("a",), FillConfig(missing=("nichts",), missing_labels=()))
    for number, label in enumerate(["Nichts", "nan", "none", "", "a"]):
        count.add(row(number, f"message {number}", label))
    assert count.result().strange == (("nan", 1), ("none", 1))


def test_a_set_of_labels_that_is_missing_is_not_outside_the_set() -> None:
    count = FilterCount(FilterConfig(), Task.MULTILABEL, ("a", "b"))
    for number, labels in enumerate([(), ("nan",), ("a", "b"), ("a", "c")]):
        count.add(Row(id=str(number), prompt=(Message("user", "x"),), answer=", ".join(labels), labels=labels))
    assert count.result().strange == (("c", 1),)
