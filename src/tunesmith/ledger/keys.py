"""API keys: who may do what. A key's secret is shown once and never kept; the ledger holds its SHA-256.

A secret is `ts-ID-` and 256 random bits, so a fast hash is enough: there is nothing to guess. Looking one up goes by its ID, and what
follows is compared in constant time, against something always, so that an unknown ID takes no shorter. A rotated key stays itself (its ID,
tenant, limits, opinions) under a new secret; its former one may go on for a while.
"""

import hmac
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Literal, Protocol, get_args

from sqlalchemy import Connection, insert, select, update

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.tables import keys

Scope = Literal["chat", "feedback", "train", "admin"]
"""`chat`: models answer; `feedback`: say what answers are worth; `train`: files and fine-tuning jobs; `admin`: all of these, of its own
tenant alone, and what concerns the server."""
_NOBODY = sha256(b"no key has this hash").hexdigest()
MOST_OVERLAP = 366 * 86_400
"""Seconds that a former secret may go on."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Writer(Protocol):
    """What opens transactions."""

    def reading(self) -> AbstractContextManager[Connection]:
        """One that only reads."""

    def writing(self) -> AbstractContextManager[Connection]:
        """One that writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key without its secret."""

    id: str
    """8 hex digits; the second part of the secret."""
    name: str
    """For people."""
    hash: str
    """SHA-256 of the whole secret, 64 hex digits."""
    tenant: str
    """Whose files, jobs, answers and feedback it sees."""
    scopes: tuple[str, ...]
    requests_per_minute: int | None = None
    """None: unlimited."""
    tokens_per_minute: int | None = None
    policy: str | None = None
    """Name of the filters that its answers pass; None: the server's own."""
    created: str = field(default_factory=now)
    expires: str | None = None
    revoked: str | None = None
    former_hash: str | None = None
    """Of the secret before the last rotation."""
    former_until: str | None = None
    """So long it is taken beside the new one."""
    user_secret: str | None = field(default=None, repr=False)
    """What the names of its users are hashed with; None: what its requests say of users is not believed."""

    def __post_init__(self) -> None:
        for name in ("created", "expires", "revoked", "former_until"):
            check_time(name, getattr(self, name))
        for scope in self.scopes:
            if scope not in get_args(Scope):
                raise RecipeError(f"Scope '{scope}' is unknown.{did_you_mean(scope, get_args(Scope))}")
        if not self.scopes:
            raise RecipeError("A key without a scope may do nothing: name one or more of chat, feedback, train, admin.")
        for name in ("requests_per_minute", "tokens_per_minute"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise RecipeError(f"{name} is {limit}, and must be 1 or more: leave it out for no limit.")

    def may(self, scope: Scope) -> bool:
        """Whether the key has a scope."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def names_users(self) -> bool:
        """Whether it is trusted to tell its users apart."""
        return self.user_secret is not None

    @property
    def usable(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or self.expires > now())


def expiry(days: float | None) -> str | None:
    """The moment so many days from now; RecipeError where it lies in the past or beyond what a calendar holds."""
    if days is None:
        return None
    if not 0 < days <= 36_500:
        raise RecipeError(f"A key can't expire in {days:g} days: give more than 0 and at most 36500.")
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Keys:
    """The keys of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        tenant: str = "default",
        expires: str | None = None,
        who: str = "user:unknown",
        **limits: int | str | None,
    ) -> tuple[KeyRecord, str]:
        """Make a key; returns it with its secret, which can't be had again.

        Args:
            name: for people.
            scopes: what it may do.
            tenant: whose things it sees.
            expires: when it ends; None: never.
            who: makes it, for the audit log.
            limits: `requests_per_minute`, `tokens_per_minute`, `policy`; `user_secret` (`new_user_secret`) where it names its users.

        Raises:
            RecipeError: an unknown scope, no scope, a limit below 1, an empty name or tenant.
        """
        for what, text in (("name", name), ("tenant", tenant)):
            if not text.strip():
                raise RecipeError(f"A key's {what} is empty: give one, so that people know whose it is.")
        identity = secrets.token_hex(4)
        secret = _new_secret(identity)
        record = KeyRecord(
            id=identity, name=name, hash=_hash(secret), tenant=tenant, scopes=tuple(dict.fromkeys(scopes)), expires=expires,
            **limits,  # type: ignore[arg-type]
        )  # fmt: skip
        with self._store.writing() as connection:
            connection.execute(insert(keys).values(_values(record)))
            self._note(connection, "key.create", who, record)
        return record, secret

    def list(self) -> list[KeyRecord]:
        """Every key, oldest first."""
        with self._store.reading() as connection:
            return [_record(row) for row in connection.execute(select(keys).order_by(keys.c.number)).mappings()]

    def any(self) -> bool:
        """Whether a key was ever made, revoked ones included."""
        with self._store.reading() as connection:
            return connection.execute(select(keys.c.number).limit(1)).first() is not None

    def revoke(self, identity: str, *, who: str = "user:unknown") -> KeyRecord:
        """End a key now; one that was revoked before stays so. RecipeError where there is none."""
        with self._store.writing() as connection:
            before = self._known(connection, identity)
            if before.revoked is not None:
                return before
            ended = replace(before, revoked=now())
            connection.execute(update(keys).where(keys.c.id == identity).values(revoked=ended.revoked))
            self._note(connection, "key.revoke", who, ended)
            return ended

    def rotate(
        self, identity: str, *, overlap_seconds: float = 0, expires: str | None = None, who: str = "user:unknown"
    ) -> tuple[KeyRecord, str]:
        """Give a key a new secret; returns it with that, which can't be had again.

        Args:
            identity: the key's id, which it keeps with all else.
            overlap_seconds: so long the former secret is taken, too; the one before that ends now.
            expires: when the key ends; None: as before.
            who: does so, for the audit log.

        Raises:
            RecipeError: there is no such key, or it is revoked or expired.
        """
        if not 0 <= overlap_seconds <= MOST_OVERLAP:
            raise RecipeError(f"The former secret can't go on for {overlap_seconds:g} s: give between 0 and {MOST_OVERLAP // 86_400} days.")
        secret = _new_secret(identity)
        with self._store.writing() as connection:
            before = self._known(connection, identity)
            if not before.usable:
                raise RecipeError(f"Key {identity} is revoked or expired, and a new secret would not open it: make another key.")
            until = (datetime.now(UTC) + timedelta(seconds=overlap_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
            kept = {"former_hash": before.hash, "former_until": until} if overlap_seconds else {"former_hash": None, "former_until": None}
            rotated = replace(before, hash=_hash(secret), expires=expires or before.expires, **kept)
            connection.execute(update(keys).where(keys.c.id == identity).values(_values(rotated)))
            self._note(connection, "key.rotate", who, rotated)
        return rotated, secret

    def let_name_users(self, identity: str, trusted: bool, *, who: str = "user:unknown") -> KeyRecord:
        """Believe a key's word on who its users are, or no longer; what is so already stays. RecipeError where there is no such key.

        Whoever is trusted anew begins with new hashes: users of before are strangers then.
        """
        with self._store.writing() as connection:
            before = self._known(connection, identity)
            if before.names_users == trusted:
                return before
            changed = replace(before, user_secret=new_user_secret() if trusted else None)
            connection.execute(update(keys).where(keys.c.id == identity).values(user_secret=changed.user_secret))
            self._note(connection, "key.users", who, changed)
            return changed

    def _known(self, connection: Connection, identity: str) -> KeyRecord:
        found = connection.execute(select(keys).where(keys.c.id == identity)).mappings().first()
        if found is None:
            known = connection.execute(select(keys.c.id)).scalars().all()
            raise RecipeError(f"There is no key '{identity}'.{did_you_mean(identity, known)}")
        return _record(found)

    def _note(self, connection: Connection, action: str, who: str, key: KeyRecord) -> None:
        from tunesmith.ledger.audit import noted

        noted(connection, action, who, told(key))

    def holder(self, secret: str) -> KeyRecord | None:
        """The usable key with this secret; None where there is none."""
        parts = secret.split("-", 2)
        identity = parts[1] if len(parts) == 3 and parts[0] == "ts" else ""
        with self._store.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.id == identity)).mappings().first()
        found, given = None if row is None else _record(row), _hash(secret)
        right = hmac.compare_digest(given, _NOBODY if found is None else found.hash)
        former = hmac.compare_digest(given, _NOBODY if found is None or found.former_hash is None else found.former_hash)
        if found is None or not found.usable:
            return None
        return found if right or (former and found.former_until is not None and found.former_until > now()) else None


def told(key: KeyRecord) -> dict[str, object]:
    """A key for people and programs: without its secrets and their hashes."""
    hidden = ("hash", "former_hash", "user_secret")
    shown = {name: getattr(key, name) for name in KeyRecord.__slots__ if name not in hidden}
    return shown | {"scopes": list(key.scopes), "names_users": key.names_users}


def new_user_secret() -> str:
    """32 random hex digits."""
    return secrets.token_hex(16)


def asker(key: KeyRecord, user: str | None) -> str | None:
    """Hash of a key's user, 32 hex digits: keyed BLAKE2b, so that it is good for this key alone. None where nobody is named, or the key is
    not trusted to name anybody.
    """
    if not user or key.user_secret is None:
        return None
    return blake2b(user.encode("utf-8", "replace"), digest_size=16, key=key.user_secret.encode()).hexdigest()


def seconds_of(duration: str) -> float:
    """`24h`, `30m`, `90s`, `7d` or a number of seconds, in seconds. RecipeError for anything else."""
    number, unit = (duration[:-1], duration[-1]) if duration[-1:] in _UNITS else (duration, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        raise RecipeError(f"'{duration[:40]}' is no length of time: write 24h, 30m, 90s or 7d.") from None
    if not 0 <= seconds < float("inf"):
        raise RecipeError(f"'{duration[:40]}' is no length of time: write 24h, 30m, 90s or 7d.")
    return seconds


def _new_secret(identity: str) -> str:
    return f"ts-{identity}-{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _values(record: KeyRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in KeyRecord.__slots__} | {"scopes": list(record.scopes)}


def _record(row: "object") -> KeyRecord:
    values = dict(row)  # type: ignore[call-overload]
    return KeyRecord(**{name: values[name] for name in KeyRecord.__slots__} | {"scopes": tuple(values["scopes"])})
