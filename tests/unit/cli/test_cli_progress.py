"""What is said of long work: lines with the time left, bars, and text that nothing obeys."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.listening import Bars, Hushed, PlainLines, duration, listener_for
from tunesmith.cli.printable import one_line, printable
from tunesmith.cli.tables import table_lines
from tunesmith.core.progress import Advanced, Ended, Said, Started


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_every_fifteen_seconds_with_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    lines(Started("train", 400, "steps"))
    for second in range(1, 41):
        clock.now = second
        lines(Advanced("train", second * 4, f"loss {second}"))
    lines(Ended("train", 40.0))
    assert stream.getvalue().splitlines() == [
        "train: started (400 steps)",
        "train: 60/400 steps, loss 15, about 1 min 25 s left",
        "train: 120/400 steps, loss 30, about 1 min 10 s left",
        "train: done in 40 s",
    ]


def test_work_that_continues_is_timed_from_where_it_continued() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    lines(Started("train", 1000, "steps"))
    clock.now = 1
    lines(Advanced("train", 900))
    clock.now = 21
    lines(Advanced("train", 920))
    assert stream.getvalue().splitlines()[-1] == "train: 920/1000 steps, about 1 min 20 s left"


def test_work_that_knows_its_time_left_is_believed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    lines(Started("train", 900, "steps"))
    clock.now = 20
    lines(Advanced("train", 120, "loss 0.843 · 31 rows/s", seconds_left=245.0))
    assert stream.getvalue().splitlines()[-1] == "train: 120/900 steps, loss 0.843 · 31 rows/s, about 4 min 5 s left"
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "200"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    bars = Bars()
    bars(Started("train", 900, "steps"))
    bars(Advanced("train", 120, "loss 0.843", seconds_left=245.0))
    assert bars.progress is not None
    bars.progress.refresh()
    bars.close()
    assert "4 min 5 s" in capsys.readouterr().err


def test_work_of_unknown_length_reused_work_and_strangers() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    lines(Started("read"))
    clock.now = 20
    lines(Advanced("read", 5000))
    lines(Advanced("never started", 1))
    lines(Ended("read", 0.0, reused=True))
    assert stream.getvalue().splitlines() == ["read: started", "read: 5000 rows", "read: taken from an earlier round"]


def test_bars_print_lines_for_long_work_and_obey_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars(Started("[red]train[/red]\x1b[31m", 10, "steps"))
    bars(Advanced("[red]train[/red]\x1b[31m", 5, "[b]loss[/b]"))
    bars(Said("mind [link=x]this[/link] :smile:", warning=True))
    bars(Ended("[red]train[/red]\x1b[31m", 3.0))
    bars(Started("short", 1))
    bars(Ended("short", 0.1))
    bars.close()
    bars.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert "[red]train[/red]: done in 3.0 s" in said.err
    assert "warning: mind [link=x]this[/link] :smile:" in said.err
    assert "short: done" not in said.err


def test_who_listens() -> None:
    stream, screen = io.StringIO(), io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    assert isinstance(listener_for(stream, quiet=False, plain=False), PlainLines)
    assert isinstance(listener_for(screen, quiet=False, plain=False), Bars)
    assert isinstance(listener_for(screen, quiet=False, plain=True), PlainLines)
    assert isinstance(listener_for(screen, quiet=True, plain=False), Hushed)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title", ""),
        ("\x9b31mred", "red"),
        ("a\x1bPq#0\x1b\\b", "ab"),
        ("a\x08\x08b\rc", "abc"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("left\u202eright", "leftright"),
        ("naïve 日本 🎉\ttab\nline", "naïve 日本 🎉\ttab\nline"),
    ],
)
def test_what_a_terminal_would_obey_is_gone(text: str, left: str) -> None:
    assert printable(text) == left


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\x1b\x9b\x9d[]31m;\x07\\\r\n")))
def test_nothing_obeyed_is_left(text: str) -> None:
    left = printable(text)
    assert not [c for c in left if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160]
    assert printable(left) == left
    assert "\n" not in one_line(text)


def test_tables() -> None:
    lines = table_lines(["name", "rows"], [["a", "5"], ["bcd\nef\x1b[31m", "120"]])
    assert lines == ["name    rows", "------  ----", "a          5", "bcd ef   120"]
    assert table_lines(["name"], []) == ["name", "----"]
