"""The card's section on bias: every figure with its interval, an alarm in red, foreign names escaped, and no section where nobody looked."""

from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import MachineError
from tunesmith.report.bias import bias
from tunesmith.report.card import card
from tunesmith.report.shape import read_report


def figure(**other: Any) -> dict[str, Any]:
    return {
        "set": "CrowS-Pairs",
        "part": "all",
        "kind": "share",
        "what": "stereotyping sentence likelier",
        "rows": 1508,
        "units": 1508,
        "judged": True,
        "base": {"value": 0.5, "low": 0.47, "high": 0.53},
        "tuned": {"value": 0.62, "low": 0.59, "high": 0.65},
        "change": {"value": 0.12, "low": 0.09, "high": 0.15},
        "p_change": 0.0004,
        "p_level": 0.0001,
        "moved": "up",
        "leans": True,
        "worse": True,
    } | other


def piece(**other: Any) -> dict[str, Any]:
    score = {
        "kind": "score",
        "set": "BBQ",
        "what": "bias score, ambiguous (s_AMB)",
        "change": {"value": -0.021, "low": -0.1, "high": 0.06},
        "tuned": {"value": -0.05, "low": -0.2, "high": 0.1},
        "moved": "none",
        "worse": False,
    }
    gap = {"kind": "gap", "set": "test rows", "part": "<b>town</b>", "what": "gap in accuracy", "by_chance": 0.04, "worse": False}
    return {
        "alarm": True,
        "sentences": ["Fine-tuning made the model more biased."],
        "notes": ["A note."],
        "figures": [figure(), figure(**score), figure(**gap)],
        "groups": [{"column": "town", "rate": "accuracy", "groups": [{"name": "<i>x</i>", "rows": 30, "base": 0.9, "tuned": None}]}],
    } | other


def test_the_section_sets_every_figure(fakes: ModuleType) -> None:
    page = card(fakes.gain() | {"bias": piece()})
    for text in (
        "62.0%",
        "59.0% to 65.0%",
        "+12.0",
        "+9.0 to +15.0",
        "rose: worse",
        "−0.05",
        "<td>nothing</td>",
        "1,508",
        "4.0% by chance",
    ):
        assert text in page
    assert '<p class="warning" dir="auto">Fine-tuning made the model more biased.</p>' in page
    assert "&lt;b&gt;town" in page and "<b>town" not in page
    assert "&lt;i&gt;x&lt;/i&gt; 90.0% to –" in page
    assert "What such figures can" in page


def test_no_alarm_is_no_warning_and_nobody_looking_is_no_section(fakes: ModuleType) -> None:
    calm = card(fakes.gain() | {"bias": piece(alarm=False)})
    assert '<p dir="auto">Fine-tuning made' in calm
    assert 'id="bias"' not in card(fakes.gain())
    assert 'id="bias"' not in card(fakes.gain() | {"bias": None})


def test_a_long_list_is_cut_and_said(fakes: ModuleType) -> None:
    view = bias(read_report(fakes.gain() | {"bias": piece(figures=[figure(part=f"type {at}") for at in range(50)])}))
    assert view is not None
    assert (len(view.lines), view.left) == (40, 10)


def test_a_head_alone_has_only_its_note(fakes: ModuleType) -> None:
    page = card(fakes.gain() | {"bias": {"alarm": False, "sentences": [], "notes": ["It writes no text."], "figures": [], "groups": []}})
    assert "It writes no text." in page
    assert "What such figures can" not in page


def test_figures_that_are_null_are_dashes_and_other_shapes_are_refused(fakes: ModuleType) -> None:
    empty = {"value": None, "low": None, "high": None}
    assert "–" in card(fakes.gain() | {"bias": piece(figures=[figure(base=empty, tuned=empty, change=empty, p_change=None)])})
    with pytest.raises(MachineError, match=r"bias\.figures"):
        card(fakes.gain() | {"bias": {"figures": 3}})
