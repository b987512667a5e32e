"""The stages that see all rows at once, over a table of keys: dedup, leak, sample; and what counts as the same."""

from collections import Counter
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import DedupConfig
from tunesmith.data.dedup import AGAINST, MINORITY, REPEATS, conflicting, dedup
from tunesmith.data.fold import fold, keys_of, row_key
from tunesmith.data.leak import leak
from tunesmith.data.sample import at_most
from tunesmith.data.waterfall import Ids


def row(number: int | str, text: str, answer: str, **fields: object) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=answer, fields=fields)


def deduped(files: ModuleType, rows: list[Row], **config: object) -> list[str]:
    columns = files.columns_of({"train": rows})
    decision = dedup(columns, np.ones(len(rows), bool), DedupConfig.model_validate(config))
    return [["", *decision.reasons][code] for code in decision.codes_N]


def test_dedup_keeps_the_first_of_each(files: ModuleType) -> None:
    rows = [row(1, "Hello  World", "a"), row(2, "hello world", "A"), row(3, "hello world", "b"), row(4, "hello", "world a")]
    assert deduped(files, rows) == ["", REPEATS, "", ""]
    assert deduped(files, rows, exact=False) == ["", "", "", ""]


def test_rows_that_are_gone_repeat_nothing(files: ModuleType) -> None:
    rows = [row(1, "same", "a"), row(2, "same", "a"), row(3, "same", "a")]
    decision = dedup(files.columns_of({"train": rows}), np.array([False, True, True]), DedupConfig())
    assert decision.codes_N.tolist() == [0, 0, 3]


def test_conflicts_are_found_and_dropped(files: ModuleType) -> None:
    rows = [row(1, "hello", "a"), row(2, "HELLO", "b"), row(3, "bye", "a"), row(4, "bye", "A")]
    columns = files.columns_of({"train": rows})
    assert conflicting(columns, np.ones(4, bool)).tolist() == [True, True, False, False]
    assert deduped(files, rows, conflicts="drop") == [AGAINST, AGAINST, "", REPEATS]
    with pytest.raises(DataError, match=r"2 rows have a prompt .* set data\.dedup\.conflicts to keep, majority or drop"):
        deduped(files, rows, conflicts="ask")
    texts = files.columns_of({"train": [Row(id="1", answer="one"), Row(id="2", answer="two")]})
    assert not conflicting(texts, np.ones(2, bool)).any()


def test_the_answer_given_most_often_wins_and_a_tie_has_no_winner(files: ModuleType) -> None:
    rows = [row(n, "q", answer) for n, answer in enumerate("aab")] + [row(9, "r", "a"), row(10, "r", "b"), row(11, "s", "c")]
    assert deduped(files, rows, conflicts="majority", exact=False) == ["", "", MINORITY, MINORITY, MINORITY, ""]


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("abc")), max_size=30))
def test_contradictions_are_those_that_looking_at_every_pair_finds(files: ModuleType, drawn: list[tuple[str, str]]) -> None:
    rows = [row(n, text, answer) for n, (text, answer) in enumerate(drawn)]
    found = conflicting(files.columns_of({"train": rows}), np.ones(len(rows), bool)).tolist()
    assert found == [any(text == other and answer != there for other, there in drawn) for text, answer in drawn]


def test_a_system_message_does_not_hide_a_repeat() -> None:
    plain = keys_of(row(1, "hello", "a"))
    told = keys_of(Row(id="2", prompt=(Message("system", "S"), Message("user", "Hello ")), answer="b"))
    assert (plain.text, plain.shown) == (told.text, told.shown)
    assert plain.text != keys_of(row(3, "hello you", "a")).text


@given(st.text())
def test_fold_is_done_in_one_pass(text: str) -> None:
    assert fold(f"  {text}\n") == fold(text)


def test_leak_by_text_and_by_group(files: ModuleType) -> None:
    test = [row(1, "Hello", "a", customer=7)]
    train = [row(2, "hello ", "b", customer=1), row(3, "other", "a", customer="7"), row(4, "third", "a", customer=None)]
    columns = files.columns_of({"train": train, "test": test}, "customer")
    decision = leak(columns, columns.of_part("train"), ("test",), "customer")
    assert [["", *decision.reasons][code] for code in decision.codes_N] == [
        "its text also stands in test",
        "its customer also stands in test",
        "",
        "",
    ]
    columns = files.columns_of({"train": train, "test": test})
    assert leak(columns, columns.of_part("train"), ("test",), None).kept().tolist() == [False, True, True, True]


def test_samples_are_seeded_and_in_proportion(files: ModuleType) -> None:
    rows = [row(number, f"t{number}", "common" if number % 10 else "rare") for number in range(200)]
    columns = files.columns_of({"train": rows})

    def kept(seed: int, count: int | None, per_label: int | None = None) -> list[Row]:
        decision = at_most(columns.key, columns.answer, np.ones(200, bool), count=count, seed=seed, per_label=per_label)
        return [rows[place] for place in np.flatnonzero(decision.kept())]

    assert Counter(each.answer for each in kept(1, 50)) == {"common": 45, "rare": 5}
    assert Counter(each.answer for each in kept(1, None, 7)) == {"common": 7, "rare": 7}
    assert len(kept(1, 10, 7)) == 10
    assert kept(1, 50) == kept(1, 50)
    assert kept(1, 50) != kept(2, 50)
    assert {each.id for each in kept(1, 20)} <= {each.id for each in kept(1, 60)}
    assert at_most(columns.key, columns.answer, np.zeros(200, bool), count=5, seed=0).kept().all()


@given(st.lists(st.integers(0, 5), max_size=40))
def test_every_id_is_its_own_and_stays_when_rows_are_appended(content: list[int]) -> None:
    keys = np.array([row_key(row(0, str(number), "a")) for number in content], np.uint64)
    ids, before = Ids.of(keys), Ids.of(keys[: len(keys) // 2])
    assert len({ids[place] for place in range(len(keys))}) == len(keys)
    assert [ids[place] for place in range(len(keys) // 2)] == [before[place] for place in range(len(keys) // 2)]
    seen: Counter[int] = Counter()
    for place, number in enumerate(content):
        seen[number] += 1
        assert ids[place].partition("-")[2] == ("" if seen[number] == 1 else str(seen[number]))
