"""Requests that were answered: what each cost and how sure the model was; of a sample also what was asked and said, without personal data.

Every answer has a row for as long as an opinion of it is taken, so that its id is known. Texts stand only in rows that were drawn into the
sample. Whoever writes hands texts over redacted; the ledger looks at none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import and_, delete, func, or_, select

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.rows import Message
from tunesmith.ledger.exchange import insert_new
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.tables import requests

Asked = Literal["chat", "text", "label"]
"""A conversation, a text to be continued, a text to be given a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One answer to one request; a request for several answers has several."""

    id: str
    """Of the completion, as the client was told it."""
    choice: int = 0
    """Which of its answers."""
    tenant: str
    key_id: str
    """Empty where the gateway asks for no key."""
    model: str
    """The name it was served under."""
    model_hash: str | None = None
    """Content hash of the model's folder."""
    asker: str | None = None
    """Hash of whose request it was, where the key names its users (`ledger.keys.asker`)."""
    kind: Asked = "chat"
    prompt: tuple[Message, ...] | None = None
    """What was asked, redacted; a text to be continued or labelled as one message of the user. None where texts are not kept."""
    answer: str | None = None
    """What was said, redacted; None where texts are not kept."""
    label: str | None = None
    """The answer of a model that knows labels."""
    confidence: float | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    """From the request's arrival to the answer's end."""
    finish: str | None = None
    """`stop`, `length`, `content_filter`; None where the client left before the end."""
    sampled: bool = False
    """Whether it was drawn to be kept with its texts."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)
        if self.kind not in get_args(Asked):
            raise RecipeError(f"A request's kind can't be '{self.kind}'.{did_you_mean(self.kind, get_args(Asked))}")


class Requests:
    """The requests of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def record(self, records: Sequence[RequestRecord]) -> None:
        """Keep some, all of them or none; one that is known stays as it is."""
        with self._store.writing() as connection:
            insert_new(connection, requests, [_values(record) for record in records], on=("id", "choice"))

    def find(self, id_: str, choice: int = 0) -> RequestRecord | None:
        """The answer of this id; None where it is not known, or no longer."""
        with self._store.reading() as connection:
            found = connection.execute(select(requests).where(requests.c.id == id_, requests.c.choice == choice)).mappings().first()
        return None if found is None else _record(found)

    def list(self, *, sampled: bool | None = None, limit: int | None = None) -> list[RequestRecord]:
        """Requests, newest first: all, or those with texts, or those without."""
        where = () if sampled is None else (requests.c.sampled == sampled,)
        with self._store.reading() as connection:
            found = connection.execute(select(requests).where(*where).order_by(requests.c.number.desc()).limit(limit)).mappings()
            return [_record(row) for row in found]

    def count(self) -> int:
        """How many are kept."""
        with self._store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(requests)).scalar_one())

    def forget(self, *, sampled_before: str, others_before: str) -> int:
        """Delete what is older: of the sample, and of the others; returns how many went. Opinions have texts of their own and stay."""
        c = requests.c
        old = or_(and_(c.sampled.is_(True), c.created < sampled_before), and_(c.sampled.is_(False), c.created < others_before))
        with self._store.writing() as connection:
            return int(connection.execute(delete(requests).where(old)).rowcount)


def told(prompt: Sequence[Message] | None) -> "list[dict[str, str]] | None":
    """A prompt as JSON can hold it."""
    return None if prompt is None else [{"role": turn.role, "content": turn.content} for turn in prompt]


def read(prompt: Sequence[Mapping[str, Any]] | None) -> tuple[Message, ...] | None:
    """The same back again."""
    return None if prompt is None else tuple(Message(str(turn["role"]), str(turn["content"])) for turn in prompt)


def _values(record: RequestRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in RequestRecord.__slots__} | {"prompt": told(record.prompt)}


def _record(row: Mapping[Any, Any]) -> RequestRecord:
    return RequestRecord(**{name: row[name] for name in RequestRecord.__slots__} | {"prompt": read(row["prompt"])})
