"""Keys: what they may do, how they end, and that no secret is kept."""

import sqlite3
from pathlib import Path

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.keys import asker, expiry, new_user_secret, told
from tunesmith.ledger.ledger import Ledger


def test_the_holder_of_a_secret_is_found_and_nobody_else(ledger: Ledger) -> None:
    first, secret = ledger.keys.create("shop", ["chat"], tenant="a", requests_per_minute=5)
    second, other = ledger.keys.create("train", ["train", "chat", "train"])
    assert ledger.keys.holder(secret) == first and ledger.keys.holder(other) == second
    assert second.scopes == ("train", "chat") and first.requests_per_minute == 5
    wrong = [secret[:-1], secret + "x", "", "ts-", f"ts-{first.id}-", secret.replace("ts-", "TS-"), f"ts-{first.id}-{other[12:]}", "\ud800"]
    assert [ledger.keys.holder(one) for one in wrong] == [None] * len(wrong)


def test_a_secret_stands_nowhere_in_the_database(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        _, secret = ledger.keys.create("shop", ["chat"])
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        held = "\n".join(connection.iterdump())
    assert "shop" in held and secret not in held and secret[12:] not in held


def test_a_revoked_key_and_an_expired_one_open_nothing(ledger: Ledger) -> None:
    revoked, secret = ledger.keys.create("one", ["chat"])
    _, late = ledger.keys.create("two", ["chat"], expires="2020-01-01T00:00:00Z")
    _, fresh = ledger.keys.create("three", ["chat"], expires=expiry(1))
    ended = ledger.keys.revoke(revoked.id)
    assert ended.revoked and ledger.keys.revoke(revoked.id) == ended
    assert ledger.keys.holder(secret) is None and ledger.keys.holder(late) is None
    assert ledger.keys.holder(fresh) is not None
    assert [one.usable for one in ledger.keys.list()] == [False, False, True]


def test_admin_may_do_everything_and_others_what_they_were_given(ledger: Ledger) -> None:
    admin, _ = ledger.keys.create("boss", ["admin"])
    chat, _ = ledger.keys.create("app", ["chat"])
    assert [admin.may(scope) for scope in ("chat", "feedback", "train", "admin")] == [True] * 4  # type: ignore[arg-type]
    assert [chat.may(scope) for scope in ("chat", "feedback", "train", "admin")] == [True, False, False, False]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x", ["chats"]), "Did you mean 'chat'?"),
        (("x", []), "without a scope"),
        ((" ", ["chat"]), "name is empty"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(ledger: Ledger, arguments: tuple[str, list[str]], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        ledger.keys.create(*arguments)
    assert ledger.keys.list() == []


def test_a_key_is_believed_on_its_users_only_where_somebody_said_so(ledger: Ledger) -> None:
    plain, _ = ledger.keys.create("shop", ["chat"])
    own, secret = ledger.keys.create("app", ["chat"], user_secret=new_user_secret())
    other, _ = ledger.keys.create("app 2", ["chat"], user_secret=new_user_secret())
    assert asker(plain, "ann") is None and asker(own, None) is None and asker(own, "") is None
    assert asker(own, "ann") == asker(own, "ann") != asker(own, "bob") and asker(own, "ann") != asker(other, "ann")
    assert len(asker(own, "ann") or "") == 32 and asker(own, "\ud800")
    assert told(own)["names_users"] and not told(plain)["names_users"] and str(own.user_secret) not in str(told(own)) + repr(own)
    rotated, _ = ledger.keys.rotate(own.id)
    assert asker(rotated, "ann") == asker(own, "ann") and ledger.keys.holder(secret) is None
    on = ledger.keys.let_name_users(plain.id, True, who="user:ann")
    assert on.names_users and ledger.keys.let_name_users(plain.id, True) == on == ledger.keys.list()[0]
    off = ledger.keys.let_name_users(plain.id, False, who="user:ann")
    assert not off.names_users and ledger.keys.let_name_users(plain.id, True).user_secret != on.user_secret
    noted = [(one.action, one.who, one.what["names_users"]) for one in ledger.audit.list() if one.action == "key.users"]
    assert noted == [("key.users", "user:ann", True), ("key.users", "user:ann", False), ("key.users", "user:unknown", True)]
    assert str(on.user_secret) not in str(ledger.audit.list()) and ledger.audit.broken() is None
    with pytest.raises(RecipeError, match="There is no key 'abc'"):
        ledger.keys.let_name_users("abc", True)


def test_limits_and_days_have_bounds(ledger: Ledger) -> None:
    for limit in ("requests_per_minute", "tokens_per_minute"):
        with pytest.raises(RecipeError, match="must be 1 or more"):
            ledger.keys.create("x", ["chat"], **{limit: 0})
    for days in (0, -1, 1e9, float("nan")):
        with pytest.raises(RecipeError, match="can't expire"):
            expiry(days)
    with pytest.raises(RecipeError, match="There is no key 'abc'"):
        ledger.keys.revoke("abc")
