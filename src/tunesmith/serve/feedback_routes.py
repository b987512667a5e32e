"""`/v1/feedback`: what people say of answers, by completion id.

An opinion is on disk before the client is told so. Another tenant's completion does not exist for whoever asks.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tunesmith.feedback.redact import redacted_opinion
from tunesmith.feedback.telling import shown
from tunesmith.ledger.feedback import FeedbackRecord, Kind, Opinions
from tunesmith.ledger.keys import KeyRecord, asker
from tunesmith.ledger.requests import RequestRecord
from tunesmith.serve.aside import Aside
from tunesmith.serve.refusals import Refusal, wrong

if TYPE_CHECKING:
    from tunesmith.serve.app import Gateway

MOST_TEXT = 32_768
MOST_COMMENT = 4096
MOST_LABEL = 512
_MOST_KEYS = 10_000
_GONE = "check the id; opinions are taken of your own answers, and for a time."
Id = Annotated[str, Field(min_length=1, max_length=128)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _one_of(*names: str) -> ConfigDict:
    """For the schema: exactly one of these is there and not null."""
    one_each: list[Any] = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]
    return ConfigDict(json_schema_extra={"oneOf": one_each})


class Preferred(_Body):
    """The better answer: another of ours, or a text."""

    model_config = _one_of("completion_id", "text")

    completion_id: Id | None = None
    choice: int = Field(default=0, ge=0, le=4096)
    text: str | None = Field(default=None, min_length=1, max_length=MOST_TEXT)

    @model_validator(mode="after")
    def _one_of_them(self) -> "Preferred":
        if (self.completion_id is None) == (self.text is None):
            raise ValueError("preferred is a completion_id or a text: send one of the two")
        return self


class FeedbackRequest(_Body):
    """`POST /v1/feedback`: one opinion of one answer."""

    model_config = _one_of("thumbs", "correction", "preferred", "label", "comment")

    completion_id: Id
    choice: int = Field(default=0, ge=0, le=4096)
    """`index` of the choice, or of the text that was given a label."""
    thumbs: Literal["up", "down"] | None = None
    correction: str | None = Field(default=None, min_length=1, max_length=MOST_TEXT)
    preferred: Preferred | None = None
    label: str | None = Field(default=None, min_length=1, max_length=MOST_LABEL)
    comment: str | None = Field(default=None, min_length=1, max_length=MOST_COMMENT)
    user: str | None = None
    """Whose opinion it is, where that is another than who asked; kept as a hash, and of keys that name their users alone."""
    safety_identifier: str | None = None
    """The same by its newer name."""

    @property
    def kind(self) -> Kind:
        """Which opinion it is. Refusal where it is none, or several."""
        kinds: dict[Kind, Any] = {
            "thumbs": self.thumbs, "correction": self.correction, "preference": self.preferred, "label": self.label, "comment": self.comment,
        }  # fmt: skip
        said = [kind for kind, value in kinds.items() if value is not None]
        if len(said) != 1:
            raise wrong("thumbs", "Send one of thumbs, correction, preferred, label and comment with each request.")
        return said[0]


@dataclass(slots=True)
class Flow:
    """So many opinions a minute from each key, as a bucket that fills up steadily."""

    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _left: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: str) -> None:
        """Count one. Refusal (429) where the allowance is used up."""
        with self._lock:
            now = self.clock()
            left, at = self._left.pop(key, (float(self.per_minute), now))
            left = min(float(self.per_minute), left + (now - at) * self.per_minute / 60)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > _MOST_KEYS:
                self._left.popitem(last=False)
        if left < 1:
            seconds = max(1, round((1 - left) * 60 / self.per_minute + 0.5))
            message = f"This key may give {self.per_minute:,} opinions a minute, and has: come again in {seconds} s."
            raise Refusal(429, message, "rate_limit_exceeded", headers={"Retry-After": str(seconds)})


def _not_kept() -> Refusal:
    message = "The ledger is locked, full or out of reach, and your opinion could not be kept: send it again later."
    return Refusal(503, message, "not_kept", headers={"Retry-After": "5"})


def feedback_routes(app: FastAPI, gateway: "Gateway", opinions: Opinions) -> None:
    """Add the routes."""
    flow, aside = Flow(gateway.config.feedback_per_minute), Aside(name="feedback", refusal=_not_kept)

    @app.post("/v1/feedback")
    async def give(body: FeedbackRequest, key: Annotated[KeyRecord, Depends(gateway.may("feedback"))]) -> dict[str, Any]:
        flow.take(key.id)
        return shown(await aside.run(lambda: _give(gateway, opinions, body, key)))

    @app.get("/v1/feedback")
    async def given(
        key: Annotated[KeyRecord, Depends(gateway.may("feedback"))],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str, Query(max_length=64)] = "",
    ) -> dict[str, Any]:
        found = await aside.run(lambda: opinions.list(tenant=key.tenant, key_id=key.id, limit=limit + 1, after=after))
        data = [shown(record) for record in found[:limit]]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return {"object": "list", "data": data, "has_more": len(found) > limit} | ends


def _give(gateway: "Gateway", opinions: Opinions, body: FeedbackRequest, key: KeyRecord) -> FeedbackRecord:
    kind = body.kind
    about = _answered(gateway, key, body.completion_id, body.choice, "completion_id")
    value, other = _value(gateway, key, body, about)
    _check_kind(gateway, kind, value, about)
    told = FeedbackRecord(
        tenant=key.tenant,
        key_id=key.id,
        completion_id=about.id,
        choice=about.choice,
        kind=kind,
        value=value,
        other=other,
        model=about.model,
        model_hash=about.model_hash,
        asker=_asker(body, key, about),
        asked=about.kind,
        prompt=about.prompt,
        answer=about.answer,
        confidence=about.confidence,
        flagged=about.finish == "content_filter",
    )
    return opinions.give([redacted_opinion(told) if other is None else told])[0]


def _asker(body: FeedbackRequest, key: KeyRecord, about: RequestRecord) -> str | None:
    """Whose opinion it is: who is named, else who asked, where the same key asked; what another key said of its users is not this one's word."""
    named = asker(key, body.safety_identifier or body.user)
    return named or (about.asker if key.names_users and about.key_id == key.id else None)


def _answered(gateway: "Gateway", key: KeyRecord, completion: str, choice: int, field_name: str) -> RequestRecord:
    """The answer that is meant. Refusal (404) where this tenant has none of that id."""
    found = gateway.kept.find(completion, choice)
    if found is None or found.tenant != key.tenant:
        raise Refusal(404, f"There is no completion of this id with choice {choice}: {_GONE}", "completion_not_found", field_name)
    return found


def _value(gateway: "Gateway", key: KeyRecord, body: FeedbackRequest, about: RequestRecord) -> tuple[str, str | None]:
    """What is said, and of a preference between two of our answers the other's id."""
    if body.preferred is None:
        return str(body.thumbs or body.correction or body.label or body.comment), None
    if body.preferred.text is not None:
        return body.preferred.text, None
    assert body.preferred.completion_id is not None
    other = _answered(gateway, key, body.preferred.completion_id, body.preferred.choice, "preferred.completion_id")
    if (other.id, other.choice) == (about.id, about.choice):
        raise wrong("preferred", "An answer can't be preferred to itself: name another one.")
    if about.prompt is None or other.prompt is None or other.answer is None:
        raise wrong("preferred", "The words of these answers are no longer known: send the preferred one as preferred.text.")
    if other.prompt != about.prompt:
        raise wrong("preferred", "The two completions answer different prompts, and can't be compared: send two of one prompt.")
    return other.answer, f"{other.id} {other.choice}"


def _check_kind(gateway: "Gateway", kind: Kind, value: str, about: RequestRecord) -> None:
    """A model of labels is corrected by a label it knows, one that writes by a text."""
    if about.label is None:
        if kind == "label":
            raise wrong("label", "This answer is a text and no label: send a correction.")
        return
    if kind in ("correction", "preference"):
        raise wrong("correction", "This answer is a label: send the right one as label.")
    served = gateway.backends.get(about.model)
    labels = None if served is None else served.facts.get("labels")
    if kind == "label" and labels is not None and value not in labels:
        raise wrong("label", f"The model '{about.model}' has no such label: it knows {', '.join(labels[:20])}.")
