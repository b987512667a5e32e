"""What fine-tuning through the API needs: files, jobs, the bases they may start from, and the shelf of models they made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tunesmith.ledger.jobs import Jobs
from tunesmith.serve.aside import Aside
from tunesmith.serve.file_store import FileStore
from tunesmith.serve.shelf import Shelf


def epoch(time: str) -> int:
    """A time of the ledger as OpenAI tells times: seconds since 1970."""
    return int(datetime.fromisoformat(time).timestamp())


@dataclass(frozen=True, slots=True)
class Tuning:
    """All of it."""

    store: FileStore
    jobs: Jobs
    bases: Sequence[str]
    """Names of the allow-list."""
    shelf: Shelf
    folder: Path
    """Where jobs have a folder each, by id."""
    aside: Aside = field(default_factory=lambda: Aside(name="tuning"))
    """Where its routes wait for the ledger."""
