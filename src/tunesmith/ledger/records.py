"""What the ledger takes and gives: plain frozen records. Standard library only, so that any room may name them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from tunesmith.core.errors import RecipeError, did_you_mean

Status = Literal["running", "done", "failed", "diverged"]
"""Where a round stands. `done` is final; the other three may be continued."""


def now() -> str:
    """UTC, ISO 8601, to the second: `2026-11-21T02:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_time(name: str, value: str | None) -> None:
    """RecipeError where a time is not ISO 8601 in UTC."""
    if value is None:
        return
    try:
        offset = datetime.fromisoformat(value).utcoffset()
    except ValueError:
        offset = None
    if offset != timedelta(0):
        raise RecipeError(f"{name} is '{value}': the ledger keeps times in UTC, written as 2026-11-21T02:00:00Z.")


def check_status(status: str) -> None:
    """RecipeError where `status` is none of the four."""
    if status not in get_args(Status):
        raise RecipeError(f"A round's status can't be '{status}'.{did_you_mean(status, get_args(Status))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """An immutable set of rows."""

    id: str
    """Hash of its content."""
    path: str
    task: str
    counts: Mapping[str, Any] = field(default_factory=dict)
    """Rows by side, or whatever else of it can be counted."""
    parent: str | None = None
    """The dataset it was made from."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One execution of a recipe."""

    id: str
    identity: str
    """Hash over recipe, data and base. Rounds made with --again share it."""
    recipe: Mapping[str, Any]
    recipe_hash: str
    base_hash: str | None = None
    dataset_hash: str | None = None
    """Unknown until the data is prepared."""
    status: Status = "running"
    continued: int = 0
    """How many times an unfinished execution was taken up again."""
    created: str = field(default_factory=now)
    finished: str | None = None
    seconds: float | None = None
    verdict: Mapping[str, Any] | None = None
    error: str | None = None
    """Why it failed or diverged, in a sentence."""

    def __post_init__(self) -> None:
        check_status(self.status)
        check_time("created", self.created)
        check_time("finished", self.finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A finished stage and where its output lies."""

    key: str
    """Hash of all that its output depends on."""
    name: str
    version: int
    inputs: Mapping[str, Any]
    output_path: str
    output_hash: str
    seconds: float
    round_id: str | None = None
    """The round that ran it; None outside any round."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactRecord:
    """Content at a place: a model, a report, predictions."""

    content_hash: str
    kind: str
    path: str
    bytes: int
    round_id: str | None = None
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` was made from `parent`; both are content hashes."""

    child: str
    parent: str
    relation: str
    """What the parent was to it: `prepared from`, `trained on`, `tuned from`."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """Something that content was made from, directly or over others."""

    hash: str
    distance: int
    """Edges between it and the content asked about, by the shortest way; at least 1."""
    relation: str
    """What it was to `child`."""
    child: str
    """The next step from it towards the content asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRecord:
    """A figure of one system on one side of the data, with its 95% interval where one was taken."""

    round_id: str
    system: str
    name: str
    side: str
    value: float | None
    """None where unknown; a number that is not finite is refused."""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for part in ("value", "low", "high"):
            figure = getattr(self, part)
            if figure is not None and not math.isfinite(figure):
                raise RecipeError(f"{part} of {self.name} for {self.system} on {self.side} is {figure}: it takes a finite number, or None.")


@dataclass(frozen=True, slots=True)
class TestOpening:
    """A round has looked at a test set."""

    __test__ = False  # its name makes pytest take it for a test class

    test_set_hash: str
    round_id: str
    created: str
