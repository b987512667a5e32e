"""The account: every row that came in is counted at each stage, and what became of it is told at the end."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Changed, Dropped, Kept, Outcome, Row
from tunesmith.data.formats import BadLine
from tunesmith.data.waterfall import Account, Ids

SIDES = ("train", "test")


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def rows(count: int, file: str = "f.jsonl") -> list[Row]:
    return [Row(id="", answer=f"text {number}", source=f"{file}:{number + 1}") for number in range(count)]


def outcomes(some: list[Row], fates: list[int]) -> Iterator[Outcome]:
    """0: kept, 1 and 2: dropped for that reason, 3 and 4: changed for that reason."""
    for row, fate in zip(some, fates, strict=True):
        if fate == 0:
            yield Kept(row)
        elif fate < 3:
            yield Dropped(row, stage="s", reason=f"reason {fate}")
        else:
            yield Changed(replace(row, answer=row.answer + "!"), stage="s", reason=f"reason {fate}")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), max_size=30), st.integers(1, 8))
def test_every_row_is_counted_at_every_stage_and_its_end_is_told(
    tmp_path_factory: pytest.TempPathFactory, fates: list[list[int]], step: int
) -> None:
    account = Account(tmp_path_factory.mktemp("account"))
    some = rows(len(fates))
    expected: list[tuple[str, str, list[tuple[str, str]]]] = []
    for each in fates:
        changes: list[tuple[str, str]] = []
        end = ("", "")
        for number, fate in enumerate(each):
            if fate in (1, 2):
                end = (f"stage {number}", f"reason {fate}")
                break
            changes += [(f"stage {number}", f"reason {fate}")] * (fate > 2)
        expected.append((*end, changes))
    for start in range(0, len(some), step):
        on, places = (
            some[start : start + step],
            account.enter(some[start : start + step], range(start, start + len(some[start : start + step]))),
        )
        left: list[int] = list(places)
        for number in range(3):
            left, on = account.follow(f"stage {number}", left, on, outcomes(on, [fates[place][number] for place in left]))
    made = list(account.fates(np.where([end[0] == "" for end in expected], 0, -1).astype(np.int8), SIDES, account.ids())) if some else []
    assert [(fate["stage"], fate["reason"], [(c["stage"], c["reason"]) for c in fate["changes"]]) for fate in made] == expected
    assert [fate["fate"] for fate in made] == ["dropped" if end[0] else "train" for end in expected]
    lines = account.fate_lines(np.where([end[0] == "" for end in expected], 0, -1).astype(np.int8), SIDES, account.ids()) if some else []
    assert list(lines) == [json.dumps(fate) + "\n" for fate in made]
    came = len(fates)
    for stage in account.stages():
        assert sum(stage["reasons"].values()) == stage["dropped"]
        assert sum(stage["changes"].values()) == stage["changed"] <= stage["kept"]
        if stage["stage"] != "read":
            assert stage["kept"] + stage["dropped"] == came
        came = stage["kept"]


def test_places_count_on_across_files_and_sources_are_told_back(account: Account) -> None:
    assert account.enter(rows(2, "a:b.jsonl"), [5, 6]) == range(2)
    assert account.enter(rows(3, "c.jsonl"), [7, 8, 9]) == range(2, 5)
    told = account.fates(np.zeros(5, np.int8), SIDES, account.ids())
    assert [fate["source"] for fate in told] == ["a:b.jsonl:1", "a:b.jsonl:2", "c.jsonl:1", "c.jsonl:2", "c.jsonl:3"]
    assert account.stages()[0] == {"stage": "read", "kept": 5, "changed": 0, "dropped": 0, "reasons": {}, "changes": {}}


def test_a_decision_ends_rows_by_its_codes(account: Account) -> None:
    account.enter(rows(5), range(5))
    account.decide("dedup", np.array([0, 2, 4]), np.array([0, 1, 2], np.uint8), ("again", "nearly"))
    account.untouched("dedup", 2)
    assert account.stages()[-1] == {
        "stage": "dedup",
        "kept": 3,
        "changed": 0,
        "dropped": 2,
        "reasons": {"again": 1, "nearly": 1},
        "changes": {},
    }
    told = list(account.fates(np.array([0, 1, -1, 0, -1], np.int8), SIDES, account.ids()))
    assert [(fate["fate"], fate["reason"]) for fate in told] == [
        ("train", ""),
        ("test", ""),
        ("dropped", "again"),
        ("train", ""),
        ("dropped", "nearly"),
    ]


def test_rows_that_are_made_are_told_apart_from_those_that_came(account: Account) -> None:
    account.enter(rows(2), range(2))
    account.untouched("augment", 2)
    account.added("augment", 3)
    assert account.stages()[-1]["kept"] == 5
    assert account.stages()[-1]["added"] == 3


def test_the_commonest_reasons_come_first(account: Account) -> None:
    assert account.why() == "none was read"
    some = rows(3)
    account.follow("s", account.enter(some, range(3)), some, outcomes(some, [2, 1, 2]))
    assert account.why() == "reason 2: 2 rows; reason 1: 1 rows"


def test_what_could_not_be_read_is_set_aside_to_the_letter_for_its_owner_alone(account: Account) -> None:
    lines = [BadLine(3, "not UTF-8", 'a "\\xff" \u2028 \n b', "f.jsonl"), BadLine(9, "not valid JSON", "", "g.jsonl")]
    account.bad(lines)
    account.enter(rows(1), [1])
    assert list(account.quarantine) == lines
    assert len(account.quarantine) == 2
    assert account.quarantine.path.stat().st_mode & 0o777 == 0o600
    told = list(account.fates(np.array([0], np.int8), SIDES, account.ids()))
    assert [(fate["id"], fate["source"], fate["fate"], fate["reason"]) for fate in told[1:]] == [
        (None, "f.jsonl:3", "quarantined", "not UTF-8"),
        (None, "g.jsonl:9", "quarantined", "not valid JSON"),
    ]
    assert account.stages()[0]["dropped"] == 2
    lines = list(account.fate_lines(np.array([0], np.int8), SIDES, account.ids()))
    assert list(map(json.loads, lines)) == told


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3) | st.just(2**64 - 1), max_size=40))
def test_ids_are_unique_and_count_equal_rows_in_order(keys: list[int]) -> None:
    ids = Ids.of(np.array(keys, np.uint64))
    found = [ids[place] for place in range(len(keys))]
    assert len(set(found)) == len(found)
    met: dict[int, int] = {}
    for key, told in zip(keys, found, strict=True):
        met[key] = met.get(key, 0) + 1
        assert told == (f"{key:016x}" if met[key] == 1 else f"{key:016x}-{met[key]}")


def test_no_row_read_is_no_trouble(account: Account) -> None:
    assert list(account.fates(np.zeros(0, np.int8), SIDES, account.ids())) == []
