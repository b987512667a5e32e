"""The audit log: a chain that shows what was changed, whoever writes at once."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import update

from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.tables import audit


def test_entries_come_back_as_they_were_noted_and_follow_from_one_another(ledger: Ledger) -> None:
    for at in range(3):
        ledger.audit.note(
            "server.start", "user:ann", {"port": at, "models": ["ü", "NUL \0", "half \ud800"], "deep": {"none": None, "x": 0.1}}
        )
    entries = ledger.audit.list()
    assert [one.what["port"] for one in entries] == [0, 1, 2] and entries[0].what["models"] == ["ü", "NUL \ufffd", "half \ufffd"]
    assert ledger.audit.broken() is None and [one.what["port"] for one in ledger.audit.list(limit=2)] == [1, 2]
    newest = ledger.audit.newest("server.start")
    assert newest is not None and newest.what["port"] == 2 and ledger.audit.newest("server.stop") is None


def test_many_that_write_at_once_make_one_chain(ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda at: ledger.audit.note("access.denied", "nobody", {"at": at}), range(24)))
    assert sorted(one.what["at"] for one in ledger.audit.list()) == list(range(24)) and ledger.audit.broken() is None


def test_an_entry_that_was_changed_or_taken_out_is_found(ledger: Ledger) -> None:
    for at in range(4):
        ledger.audit.note("key.create", "user:ann", {"at": at})
    number = ledger.audit.list()[2].number
    with ledger.writing() as connection:
        connection.execute(update(audit).where(audit.c.number == number).values(who="user:bob"))
    assert ledger.audit.broken() == number
    with ledger.writing() as connection:
        connection.execute(audit.delete().where(audit.c.number == number))
    assert ledger.audit.broken() == number + 1
