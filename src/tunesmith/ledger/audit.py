"""The audit log: who did what to keys, policies and the server, and when. Entries are only ever added, and never hold a secret or a client's words.

Each entry carries a digest over itself and the digest before it, so that one that was changed or taken out of the middle shows. Who may
write to the database could write all of them anew: keep the last digest somewhere else where that matters. Who is in service stands in
`steps`, which is append-only as well and is not told twice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert, select

from tunesmith.core.login import login_name
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import audit

FIRST = sha256(b"tunesmith audit").hexdigest()
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One entry."""

    number: int
    action: str
    """`key.create`, `key.rotate`, `key.revoke`, `access.denied`, `server.start`, `server.stop`, `policies.change`, ..."""
    who: str
    """`user:NAME` of this machine, `key:ID`, or `server`."""
    what: dict[str, Any]
    """What it was done to, as JSON."""
    created: str
    digest: str
    """SHA-256 over this entry and the digest before it, 64 hex digits."""


class Audit:
    """The audit log of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def note(self, action: str, who: str, what: Mapping[str, Any]) -> None:
        """Add an entry. MachineError where the ledger can't be written."""
        with self._store.writing() as connection:
            noted(connection, action, who, what)

    def list(self, limit: int | None = None) -> list[AuditRecord]:
        """The newest entries, oldest first."""
        with self._store.reading() as connection:
            found = connection.execute(select(audit).order_by(audit.c.number.desc()).limit(limit)).mappings()
            return [AuditRecord(**{name: row[name] for name in AuditRecord.__slots__}) for row in found][::-1]

    def newest(self, action: str) -> AuditRecord | None:
        """The newest entry of an action, however many others came after it; None where there is none."""
        with self._store.reading() as connection:
            found = connection.execute(select(audit).where(audit.c.action == action).order_by(audit.c.number.desc()).limit(1)).mappings()
            return next((AuditRecord(**{name: row[name] for name in AuditRecord.__slots__}) for row in found), None)

    def broken(self) -> int | None:
        """The number of the first entry that does not follow from the one before it; None where all do."""
        before = FIRST
        for entry in self.list():
            if entry.digest != _digest(before, entry.action, entry.who, entry.what, entry.created):
                return entry.number
            before = entry.digest
        return None


def noted(connection: Connection, action: str, who: str, what: Mapping[str, Any]) -> None:
    """Add an entry within a transaction that writes, so that what was done and its record are there together or not at all."""
    take_turn(connection, audit.name)
    before = connection.execute(select(audit.c.digest).order_by(audit.c.number.desc()).limit(1)).scalar() or FIRST
    told, created = json.loads(_storable(json.dumps(dict(what), ensure_ascii=False, allow_nan=False))), now()
    values = {"action": action, "who": _storable(who), "what": told, "created": created}
    connection.execute(insert(audit).values(values | {"digest": _digest(before, action, values["who"], told, created)}))


def operator() -> str:
    """Who runs this process, as entries name them."""
    return f"user:{login_name() or 'unknown'}"


def _digest(before: str, action: str, who: str, what: Mapping[str, Any], created: str) -> str:
    return sha256(json.dumps([before, action, who, dict(what), created], sort_keys=True).encode()).hexdigest()


def _storable(text: str) -> str:
    return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text).replace("\\u0000", "\ufffd")
