"""Files that tenants gave to train on, and the results they got back: what is known of each. Its bytes lie in the workspace, under its id.

A file's name is for people: nothing on disk is called so. What a method returned from is written; bytes are put in place before their
record is made and removed after it, so that a record always has its bytes, and what a kill leaves is bytes nobody knows.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import delete, func, insert, select

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import files

Purpose = Literal["fine-tune", "fine-tune-results"]
ExampleForm = Literal["chat", "preference"]
"""What lines hold: `chat`: conversations to learn; `preference`: a preferred and another answer to one prompt."""


class QuotaError(RecipeError):
    """A tenant has as much of something as it may have."""


def new_file_id() -> str:
    """`file-` and 24 random hex digits."""
    return f"file-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file without its bytes."""

    id: str = field(default_factory=new_file_id)
    tenant: str
    key_id: str
    """Who sent it; empty where no key was needed."""
    name: str
    """As the client calls it; for people."""
    purpose: Purpose = "fine-tune"
    form: ExampleForm | None = None
    """Of a file to train on: what its lines hold."""
    rows: int | None = None
    bytes: int
    content_hash: str
    """SHA-256, 64 hex digits."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)
        if self.purpose not in get_args(Purpose):
            raise RecipeError(f"A file's purpose can't be '{self.purpose}': it is fine-tune or fine-tune-results.")


class Files:
    """The files of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def keep(self, record: FileRecord, *, most: int | None = None, most_bytes: int | None = None) -> FileRecord:
        """Keep a file's record, in place of one of the same id.

        Args:
            record: of bytes that are in place.
            most: files to train on that its tenant may have; None: any number.
            most_bytes: bytes of these.

        Raises:
            QuotaError: its tenant would have more.
        """
        c = files.c
        with self._store.writing() as connection:
            take_turn(connection, files.name)
            connection.execute(delete(files).where(c.id == record.id, c.tenant == record.tenant))
            held = select(func.count(), func.coalesce(func.sum(c.bytes), 0)).where(c.tenant == record.tenant, c.purpose == "fine-tune")
            number, size = connection.execute(held).one()
            if most is not None and number >= most:
                raise QuotaError(f"There are {number:,} files, as many as may be: delete some, then send this one again.")
            if most_bytes is not None and size + record.bytes > most_bytes:
                mib = most_bytes / 2**20
                raise QuotaError(f"The files would take more than the {mib:,.0f} MiB they may: delete some, then send this one again.")
            connection.execute(insert(files).values(_values(record)))
        return record

    def find(self, tenant: str, identity: str) -> FileRecord | None:
        """A tenant's file; None where it has none of this id."""
        with self._store.reading() as connection:
            found = connection.execute(select(files).where(files.c.id == identity, files.c.tenant == tenant)).mappings().first()
        return None if found is None else _record(found)

    def list(
        self, tenant: str, *, purpose: str | None = None, limit: int = 100, after: str = "", newest_first: bool = True
    ) -> list[FileRecord]:
        """A tenant's files in order of time, those behind the one with id `after`."""
        c = files.c
        where = [c.tenant == tenant] + ([c.purpose == purpose] if purpose is not None else [])
        if after:
            place = select(c.number).where(c.id == after, c.tenant == tenant).scalar_subquery()
            where.append(c.number < place if newest_first else c.number > place)
        order = c.number.desc() if newest_first else c.number
        with self._store.reading() as connection:
            return [_record(row) for row in connection.execute(select(files).where(*where).order_by(order).limit(limit)).mappings()]

    def forget(self, tenant: str, identity: str) -> bool:
        """Remove a tenant's record; whether there was one."""
        with self._store.writing() as connection:
            return bool(connection.execute(delete(files).where(files.c.id == identity, files.c.tenant == tenant)).rowcount)


def _values(record: FileRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FileRecord.__slots__}


def _record(row: Mapping[Any, Any]) -> FileRecord:
    return FileRecord(**{name: row[name] for name in FileRecord.__slots__})
