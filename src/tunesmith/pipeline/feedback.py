"""Feedback from end to end: files into the ledger, what looks wrong set aside, accepted opinions out as files that a recipe reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.core.files import write_jsonl
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.queue import Waiting, queue
from tunesmith.feedback.reading import Unread, read_opinions
from tunesmith.feedback.rows import FORMS, rows_of
from tunesmith.feedback.screening import screen
from tunesmith.pipeline.label_sets import LabelSets

if TYPE_CHECKING:
    from tunesmith.ledger.feedback import FeedbackRecord
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.workspace import Workspace

AT_ONCE = 1000
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file."""

    read: int
    """Opinions in it."""
    new: int
    """Of them, not known before."""
    unread: int
    """Records that make no opinion."""
    why: tuple[str, ...]
    """The first of these, as `line 3: it has no prompt`."""


def import_feedback(ledger: "Ledger", path: str, *, tenant: str = "default", place: "Workspace | None" = None) -> Imported:
    """Put a file's opinions into the ledger, and screen all there are.

    Args:
        ledger: where they are kept.
        path: the file.
        tenant: whose they are.
        place: whose models' labels opinions are held to; None: any label is taken.

    Raises:
        TunesmithError: the file can't be read, or holds no opinion at all.
    """
    before = sum(ledger.feedback.counts().values())
    batch: list[FeedbackRecord] = []
    why: list[str] = []
    read = unread = 0
    for item in read_opinions(path, tenant, (lambda _: None) if place is None else LabelSets(place, ledger).named):
        if isinstance(item, Unread):
            unread += 1
            if len(why) < _MOST_SHOWN:
                why.append(f"line {item.number}: {item.why}")
            continue
        read += 1
        batch.append(item)
        if len(batch) == AT_ONCE:
            ledger.feedback.give(batch)
            batch = []
    if not read:
        raise DataError(f"{path} holds no opinion that can be read ({why[0] if why else 'it is empty'}): correct it and import it again.")
    ledger.feedback.give(batch)
    screen(ledger, ScreenConfig())
    return Imported(read, sum(ledger.feedback.counts().values()) - before, unread, tuple(why))


def waiting(ledger: "Ledger") -> list[Waiting]:
    """The reviewer's queue, screened anew."""
    screen(ledger, ScreenConfig())
    return queue(ledger.feedback.list())


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    files: dict[str, tuple[str, int]]
    """Form -> file, rows."""
    left_out: dict[str, int]
    """Why accepted opinions made no row -> how many."""


def export_feedback(ledger: "Ledger", out: Path, form: str | None = None) -> Exported:
    """Write accepted opinions as rows.

    Args:
        ledger: read only.
        out: `rows.jsonl`. With a form, this file; without, `rows-FORM.jsonl` beside it for each form that has rows.
        form: of `FORMS`.

    Raises:
        RecipeError: no such form.
        DataError: nothing to write.
    """
    if form is not None and form not in FORMS:
        raise RecipeError(f"There is no form '{form}'.{did_you_mean(form, FORMS)}")
    rows, left = rows_of(ledger.feedback.list(states=("accepted",)))
    wanted: Sequence[str] = [form] if form is not None else [name for name, held in rows.items() if held]
    if not wanted or not any(rows[name] for name in wanted):
        of = "" if form is None else f" as {form}"
        raise DataError(f"No accepted opinion can be written{of}: review some with `tunesmith review` first.")
    files = {}
    for name in wanted:
        path = out if form is not None else out.with_name(f"{out.stem}-{name}{out.suffix or '.jsonl'}")
        write_jsonl(path, rows[name])
        files[name] = (str(path), len(rows[name]))
    return Exported(files, left)
