"""`check`: rows shown as the model will see them, and what a hostile row can't do."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.cli import console
from tunesmith.cli.preflight import row_lines

Call = Callable[..., Any]
PROMPT = [("<s>", False, True), ("Where is my ", False, False), ("order?\n", False, False)]
PIECES = [*PROMPT, ("ord", True, False), ("er", True, False), ("</s>", True, True)]


def test_supervised_tokens_stand_between_brackets() -> None:
    assert row_lines(PIECES, colour=False) == ["    <s>Where is my order?", "    ⟦order</s>⟧"]


def test_supervised_tokens_are_bold_green() -> None:
    assert row_lines(PIECES, colour=True) == ["    \x1b[2m<s>\x1b[0mWhere is my order?", "    \x1b[1;32morder</s>\x1b[0m"]


def test_a_colour_does_not_run_over_a_line_break() -> None:
    assert row_lines([("a\nb", True, False)], colour=True) == ["    \x1b[1;32ma\x1b[0m", "    \x1b[1;32mb\x1b[0m"]


@pytest.mark.parametrize("colour", [True, False])
def test_a_row_can_neither_colour_nor_bracket(colour: bool) -> None:
    hostile = [("\x1b[1;32mfake", False, False), ("\x1b", False, False), ("[31mred ⟦x⟧ [bold]y[/bold]\u202e\x9b2J", False, False)]
    shown = "\n".join(row_lines(hostile, colour=colour))
    assert "\x1b" not in shown and "\x9b" not in shown and "\u202e" not in shown
    assert "[bold]y[/bold]" in shown
    assert "fakered" in shown
    if not colour:
        assert "⟦" not in shown and "⟧" not in shown


def _found(pipeline: Any, **how: Any) -> None:
    pipeline.found = type(pipeline.found)(**how)


def test_check_shows_rows_facts_and_notes(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    rows = [SimpleNamespace(row_id=f"{number}", pieces=PIECES) for number in range(3)]
    facts = {"rows": {"train": 1400, "test": 300}, "longest_row": "61 tokens", "own_template": True}
    _found(pipeline, examples=rows, facts=facts, notes=["the task is classify"], warnings=["few \x1b[31mrows"])
    said = tunesmith_command("check", recipe)
    assert said.code == 0
    assert said.out.count("⟦order</s>⟧") == 3
    assert "rows          1,400 train, 300 test" in said.out
    assert "longest row   61 tokens" in said.out
    assert "own template  yes" in said.out
    assert "note: the task is classify" in said.out
    assert "warning: few rows" in said.out
    assert "Nothing stands in the way" in said.out


def test_check_refuses(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    _found(pipeline, problems=["row 3 has nothing to learn", "label 'x' is absent from train"])
    said = tunesmith_command("check", recipe)
    assert said.code == 3
    assert said.err.splitlines() == ["error: row 3 has nothing to learn", "error: label 'x' is absent from train"]
    as_json = tunesmith_command("check", recipe, "--json")
    assert (as_json.code, as_json.err) == (3, "")
    assert json.loads(as_json.out)["problems"][0] == "row 3 has nothing to learn"


def test_json_holds_no_terminal_escapes(tunesmith_command: Call, pipeline: Any, recipe: str) -> None:
    _found(pipeline, notes=["\x1b[31m \x9b2J"])
    said = tunesmith_command("check", recipe, "--json")
    assert said.out.isascii() and said.out.rstrip("\n").isprintable()
    assert json.loads(said.out)["notes"] == ["\x1b[31m \x9b2J"]


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = SimpleNamespace(isatty=lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert console.Console(screen, as_json=False, quiet=True).colour  # type: ignore[arg-type]
    assert not console.Console(screen, as_json=True, quiet=True).colour  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not console.Console(screen, as_json=False, quiet=True).colour  # type: ignore[arg-type]
