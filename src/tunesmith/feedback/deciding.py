"""A reviewer's decisions: what each key does to the opinion in front, one line or one keystroke at a time."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

from tunesmith.core.errors import RecipeError
from tunesmith.feedback.labels import unknown_label
from tunesmith.feedback.queue import Waiting
from tunesmith.feedback.redact import redacted
from tunesmith.ledger.feedback import ChangedMeanwhile, FeedbackRecord, Kind, Verdict, new_feedback_id

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger

KEYS = "a accept, r reject, s skip, e edit, q quit"


@dataclass(slots=True)
class Reviewed:
    """What a sitting came to."""

    accepted: int = 0
    rejected: int = 0
    edited: int = 0
    skipped: int = 0
    left: int = 0
    """Not looked at."""


@dataclass(slots=True)
class Sitting:
    """One reviewer's way through the queue; every decision is on disk before the next opinion is shown."""

    ledger: "Ledger"
    reviewer: str
    show: Callable[[Waiting, int, int], None]
    """Told the opinion, its place and how many there are."""
    complain: Callable[[str], None]
    labels: Callable[[FeedbackRecord], Sequence[str] | None] = lambda _: None
    """The labels that the model an opinion is about knows; None where its answers are free text."""
    done: Reviewed = field(default_factory=Reviewed)

    def go(self, waiting: Sequence[Waiting], keys: Iterator[str], line: Callable[[], str | None]) -> Reviewed:
        """Review until the queue or the input ends, or q.

        Args:
            waiting: the queue.
            keys: one letter after the other.
            line: reads the text of an edit; None at the end of the input.
        """
        for place, one in enumerate(waiting):
            if not self._shown(one, (place + 1, len(waiting)), keys, line):
                self.done.left = len(waiting) - place
                break
        return self.done

    def _shown(self, one: Waiting, place: tuple[int, int], keys: Iterator[str], line: Callable[[], str | None]) -> bool:
        """Show an opinion, and again where it was changed before the reviewer decided; False where the reviewer goes."""
        while True:
            self.show(one, *place)
            try:
                return self._decided(one.record, keys, line)
            except ChangedMeanwhile as changed:
                self.complain(str(changed))
                one = replace(one, record=self.ledger.feedback.find(one.record.id), why="changed meanwhile")

    def _decided(self, record: FeedbackRecord, keys: Iterator[str], line: Callable[[], str | None]) -> bool:
        """Take keys until one decides; False where the reviewer goes."""
        for key in keys:
            if key == "q":
                return False
            if key == "s":
                self.done.skipped += 1
                return True
            if key in ("a", "r"):
                self._plain(record, accepted=key == "a")
                return True
            if key == "e":
                text = line()
                if text is None:
                    return False
                if self._edited(record, text):
                    return True
            else:
                self.complain(f"{KEYS}.")
        return False

    def _plain(self, record: FeedbackRecord, *, accepted: bool) -> None:
        known = self.labels(record)
        why = unknown_label(record.value, known) if accepted and record.kind == "label" and known is not None else None
        if why is not None:
            self.complain(f"Accepted, and yet no round will learn it: {why}.")
        self.ledger.feedback.review(Verdict(record.id, "accepted" if accepted else "rejected"), self.reviewer, shown=record)
        self.done.accepted += accepted
        self.done.rejected += not accepted

    def _edited(self, record: FeedbackRecord, text: str) -> bool:
        """Put the reviewer's own correction or label beside the opinion, accepted; the opinion itself is rejected and stays as it was given."""
        if not text.strip():
            self.complain("The text is empty: press e again and give the right answer.")
            return False
        known = self.labels(record)
        if known is not None:
            text = text.strip()
            if (why := unknown_label(text, known)) is not None:
                self.complain(f"Nothing was kept, for {why}: press e again and give one of its labels.")
                return False
        kind: Kind = record.kind if record.kind in ("label", "correction", "preference") else "correction"
        kind = kind if known is None else "label"
        own = replace(
            record,
            id=new_feedback_id(),
            key_id=f"review:{self.reviewer}",
            asker=None,
            kind=kind,
            value=text if kind == "label" else redacted(text),
            other=None,
            state="accepted",
            reviewer=self.reviewer,
            reason=f"edited from {record.id}",
        )
        self.ledger.feedback.review(Verdict(record.id, "rejected", f"edited as {own.id}"), self.reviewer, [own], shown=record)
        self.done.edited += 1
        return True


def letters(lines: TextIO) -> Iterator[str]:
    """The first letter of each line; empty lines count for nothing."""
    while line := lines.readline():
        if line.strip():
            yield line.strip()[0].lower()


@contextmanager
def single_keys(terminal: TextIO) -> Iterator[Iterator[str]]:
    """Keystrokes as they come, without Enter; the terminal is as it was afterwards. RecipeError where it can't be had."""
    try:
        import termios
        import tty
    except ImportError:  # no POSIX terminal
        yield letters(terminal)
        return
    try:
        before = termios.tcgetattr(terminal)
    except termios.error as error:
        raise RecipeError("The terminal can't be read key by key: pipe the keys in, a line each.") from error

    def pressed() -> Iterator[str]:
        while True:
            tty.setcbreak(terminal, termios.TCSADRAIN)  # its default throws away what was typed ahead, and waits for more
            try:
                key = terminal.read(1)
            finally:
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            if not key or key == "\x04":
                return
            if key.strip():
                yield key.lower()

    try:
        yield pressed()
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def next_line(lines: TextIO) -> Callable[[], str | None]:
    """Reads one line; None at the end."""

    def read() -> str | None:
        if lines.isatty():
            print("right answer: ", end="", file=sys.stderr, flush=True)
        line = lines.readline()
        return line.rstrip("\r\n") if line else None

    return read
