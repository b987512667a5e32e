"""The verdict in a terminal: right figures, no colour where there is no terminal, no code from a row."""

from io import StringIO
from types import ModuleType

import pytest
from rich.console import Console

from tunesmith.core.errors import MachineError
from tunesmith.report.judged import gates
from tunesmith.report.shape import read_report
from tunesmith.report.terminal import verdict_lines, verdict_text


def test_figures_stand_beside_their_system(fakes: ModuleType) -> None:
    lines = verdict_text(fakes.gain()).splitlines()
    few_shot = next(index for index, line in enumerate(lines) if line.startswith("Base, 4 examples"))
    assert lines[few_shot].split() == ["Base,", "4", "examples", "55.0", "48.7", "+27.3", "301.4", "48.3"]
    assert "49.4 to 60.6" in lines[few_shot + 1]
    assert "+21.8 to +32.8" in lines[few_shot + 1]
    assert any("gate calibration_error: does not hold" in line for line in lines)
    assert lines[0].startswith("Fine-tuning earned its place")


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits(fakes: ModuleType, width: int) -> None:
    for report in (fakes.gain(), fakes.no_gain(), fakes.generation()):
        text = verdict_text(report, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text and "ms per" in text and "answer" in text  # nor is the last column cut


@pytest.mark.parametrize("width", [80, 100])
def test_every_line_of_figures_has_its_name_where_costs_stand_too(fakes: ModuleType, width: int) -> None:
    report = fakes.gain()
    for system in report["systems"]:
        system["cost_per_1000"] = 0.0000123
    report["verdict"]["costs"] = {"currency": "EUR"}
    text = verdict_text(report, width)
    for system in report["systems"]:
        assert system["name"].split()[0] in text
    assert max(map(len, text.splitlines())) <= width and "…" not in text


def test_rows_send_no_codes_and_no_markup(fakes: ModuleType) -> None:
    out = StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=100).print(verdict_lines(fakes.hostile()))
    printed = out.getvalue()
    assert "\x07" not in printed
    assert "\x1b[31m" not in printed
    assert "\u202e" not in printed
    assert "]8;" not in printed
    assert "[link=x]click[/link]" in printed
    assert "\x1b" not in verdict_text(fakes.hostile())


def test_a_worn_test_set_is_said_here_too(fakes: ModuleType) -> None:
    assert "! This test set has been opened 11 times" in verdict_text(fakes.no_gain())


def test_a_gate_that_nobody_measured_says_so(fakes: ModuleType) -> None:
    report = fakes.gain()
    report["verdict"]["gates"] = [{"name": "calibration_error", "bound": 0.0, "value": None, "holds": False}]
    assert "gate calibration_error: does not hold (bound 0.0000, not measured)" in verdict_text(report)
    assert [(row.value, row.holds) for row in gates(read_report(report))] == [("not measured", False)]


def test_little_is_enough() -> None:
    assert verdict_text({"schema": 1, "round": {"id": "r-0"}}).strip() == ""
    with pytest.raises(MachineError, match="schema 7"):
        verdict_lines({"schema": 7})
