"""What a person sees of long work: bars with the time left on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from tunesmith.cli.printable import one_line
from tunesmith.core.progress import Advanced, Ended, Event, Said, Started

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 15.0
"""A plain line at most this often for one piece of work."""
_TOLD_SECONDS = 2.0
"""Shorter work leaves no line behind where bars are shown."""


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _said(event: Said) -> str:
    return f"warning: {one_line(event.text)}" if event.warning else one_line(event.text)


def _ended(event: Ended) -> str:
    how = "taken from an earlier round" if event.reused else f"done in {duration(event.seconds)}"
    return f"{one_line(event.work)}: {how}"


class Hushed:
    """Warnings only."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        if isinstance(event, Said) and event.warning:
            print(_said(event), file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class _Work:
    """One piece of work under way."""

    total: int | None
    unit: str
    told_at: float
    first_at: float | None = None
    first_done: int = 0


class PlainLines:
    """A line when work begins, one every fifteen seconds with the time left, one when it ends."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.works: dict[str, _Work] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self.works[event.work] = _Work(event.total, event.unit, told_at=self.clock())
                extent = f" ({event.total} {event.unit})" if event.total is not None else ""
                self._print(f"{one_line(event.work)}: started{extent}")
            case Advanced():
                self._advanced(event)
            case Ended():
                self.works.pop(event.work, None)
                self._print(_ended(event))
            case Said():
                self._print(_said(event))

    def close(self) -> None:
        """Nothing is held."""

    def _advanced(self, event: Advanced) -> None:
        work, now = self.works.get(event.work), self.clock()
        if work is None:
            return
        if work.first_at is None:
            # Work that continues after an interruption starts far along: the pace is measured from here, not from zero.
            work.first_at, work.first_done = now, event.done
        if now - work.told_at < _LINE_SECONDS:
            return
        work.told_at = now
        of = f"/{work.total}" if work.total is not None else ""
        note = f", {one_line(event.note)}" if event.note else ""
        left = self._left(work, event.done, now) if event.seconds_left is None else f", about {duration(event.seconds_left)} left"
        self._print(f"{one_line(event.work)}: {event.done}{of} {work.unit}{note}{left}")

    @staticmethod
    def _left(work: _Work, done: int, now: float) -> str:
        if work.total is None or work.first_at is None or done <= work.first_done or now <= work.first_at:
            return ""
        pace = (done - work.first_done) / (now - work.first_at)
        return f", about {duration((work.total - done) / pace)} left"

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


class Bars:
    """A bar for each piece of work under way, with the time left; a line for each that took more than two seconds."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        progress = self._shown()
        match event:
            case Started():
                self.tasks[event.work] = progress.add_task(one_line(event.work), total=event.total, unit=event.unit, note="", left=None)
            case Advanced():
                if event.work in self.tasks:
                    progress.update(self.tasks[event.work], completed=event.done, note=one_line(event.note), left=event.seconds_left)
            case Ended():
                if event.work in self.tasks:
                    progress.remove_task(self.tasks.pop(event.work))
                if event.seconds >= _TOLD_SECONDS or event.reused:
                    self._print(_ended(event))
            case Said():
                self._print(_said(event))

    def close(self) -> None:
        """Take the bars away, so that what follows is printed below them."""
        if self.progress is not None:
            for task in self.tasks.values():
                self.progress.remove_task(task)
            self.tasks.clear()
            self.progress.stop()
            self.progress = None

    def _shown(self) -> Progress:
        """Rich is imported at the first event: a command that says nothing does not pay for it."""
        if self.progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.text import Text

            class Left(TimeRemainingColumn):
                """The work's own word on the time left, where it has one."""

                def render(self, task: Task) -> Text:
                    left = task.fields["left"]
                    return super().render(task) if left is None else Text(duration(left), style="progress.remaining")

            self.progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("left", markup=False),
                Left(compact=True),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True, highlight=False, emoji=False),
                transient=True,
            )
            self.progress.start()
        return self.progress

    def _print(self, line: str) -> None:
        self._shown().console.print(line, markup=False, highlight=False, soft_wrap=True)


Ear = Hushed | PlainLines | Bars


def listener_for(stream: TextIO, *, quiet: bool, plain: bool) -> Ear:
    """Bars where a person watches, lines where a file or a pipe does."""
    if quiet:
        return Hushed(stream)
    return PlainLines(stream) if plain or not stream.isatty() else Bars()
