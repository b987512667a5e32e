"""Next rounds in the ledger: one open at a time, with what it uses, ended once."""

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.nexts import NextRecord, Use


def record(name: str, line: str = "champion") -> NextRecord:
    return NextRecord(id=name, line=line, champion="r-1", champion_hash="h", after_step=1, why="200 new opinions")


def test_one_is_open_at_a_time_in_each_line_and_ends_once(ledger: Ledger) -> None:
    rounds = ledger.next_rounds
    rounds.begin(record("n-1"), [Use("fb-1", "x"), Use("fb-2", "y")])
    rounds.begin(record("n-2", "other"), [])
    with pytest.raises(RecipeError, match="is open: finish it"):
        rounds.begin(record("n-3"), [Use("fb-3", "z")])
    assert rounds.uses("n-3") == [] and rounds.uses("n-1") == [Use("fb-1", "x"), Use("fb-2", "y")]
    rounds.tell_round("n-1", "r-2")
    rounds.end("n-1", "promoted", "better", {"gain": 0.1})
    rounds.end("n-1", "refused", "no")
    rounds.tell_round("n-1", "r-9")
    (ended,) = rounds.list("champion")
    assert (ended.state, ended.why, ended.found, ended.round_id) == ("promoted", "better", {"gain": 0.1}, "r-2")
    assert rounds.open("champion") is None and rounds.open("other") == rounds.list("other")[0]
    rounds.begin(record("n-3"), [Use("fb-3", "z")])
    assert [one.id for one in rounds.list("champion")] == ["n-1", "n-3"]


def test_states_that_are_none_are_refused() -> None:
    with pytest.raises(RecipeError, match="can't be 'done'"):
        NextRecord(id="n", line="l", champion="c", champion_hash="h", after_step=0, state="done")  # type: ignore[arg-type]
