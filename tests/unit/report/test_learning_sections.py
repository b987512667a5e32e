"""What the card says of twins: points and what is foretold, each seed's verdict; nothing where nobody asked; nothing in it can act."""

from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import MachineError
from tunesmith.report.card import card
from tunesmith.report.learning import curve, over_seeds
from tunesmith.report.shape import read_report
from tunesmith.report.terminal import verdict_text

CURVE: dict[str, Any] = {
    "measure": "accuracy",
    "outcome": "rising",
    "sentence": "More data would help: about 1,200 rows would bring more.",
    "points": [
        {"rows": rows, "value": {"value": value, "low": value - 0.05, "high": value + 0.05}, "twin": rows < 600}
        for rows, value in ((60, 0.4), (300, 0.55), (600, 0.612))
    ],
    "ahead": [
        {"rows": 1200, "value": {"value": 0.66, "low": 0.6, "high": 0.71}, "gain": {"value": 0.048, "low": 0.01, "high": 0.09}},
        {"rows": 2400, "value": {"value": None}, "gain": {}},
    ],
    "fitted": [[60, 0.41], [600, 0.6], [2400, 0.7]],
    "notes": ["<b>1 part</b> was left out."],
}
SEEDS: dict[str, Any] = {
    "measure": "accuracy",
    "sentence": "Over 2 seeds accuracy is 60.0%, 50.0% to 70.0%; a gain in 1 of 2 only, so another seed would have had another verdict.",
    "runs": [
        {"name": "the round's own", "value": 0.612, "gain": {"value": 0.2, "low": 0.1, "high": 0.3, "p_value": 1e-5}, "outcome": "gain"},
        {"name": "seed 2", "value": 0.5, "gain": {"value": 0.01, "low": -0.1, "high": 0.1}, "outcome": "no gain shown"},
    ],
}


def test_points_and_what_is_foretold_stand_in_a_table_and_a_picture(fakes: ModuleType) -> None:
    report = fakes.gain() | {"learning_curve": CURVE}
    view = curve(read_report(report))
    assert view is not None and view.picture is not None
    assert [(row.rows, row.kind, row.value, row.gain) for row in view.rows] == [
        ("60", "twin", "40.0", ""),
        ("300", "twin", "55.0", ""),
        ("600", "this round's model", "61.2", ""),
        ("1,200", "foretold", "66.0", "+4.8 points"),
        ("2,400", "foretold", "\u2013", "\u2013"),
    ]
    assert "60 rows 40.0%, 300 rows 55.0%, 600 rows 61.2%; foretold: 1,200 rows 66.0%" in view.picture
    page = card(report)
    assert 'href="#learning-curve"' in page and "<b>1 part</b>" not in page and "&lt;b&gt;1 part" in page


def test_each_seed_has_its_line_and_a_split_is_marked(fakes: ModuleType) -> None:
    view = over_seeds(read_report(fakes.gain() | {"over_seeds": SEEDS}))
    assert view is not None and view.split
    assert [(row.name, row.value, row.gain, row.holds) for row in view.rows] == [
        ("the round's own", "61.2", "+20.0 points", True),
        ("seed 2", "50.0", "+1.0 points", False),
    ]
    assert view.rows[1].p == "\u2013"
    assert "What other seeds gave" in card(fakes.gain() | {"over_seeds": SEEDS})


def test_a_card_without_twins_says_nothing_of_them(fakes: ModuleType) -> None:
    page = card(fakes.gain() | {"learning_curve": None, "over_seeds": None})
    assert "learning-curve" not in page and "over-seeds" not in page


def test_a_section_of_another_form_is_refused_in_a_sentence(fakes: ModuleType) -> None:
    with pytest.raises(MachineError, match=r"learning_curve\.points"):
        card(fakes.gain() | {"learning_curve": CURVE | {"points": "many"}})


def test_a_note_of_the_verdict_stands_in_the_terminal(fakes: ModuleType) -> None:
    report = fakes.gain()
    report["verdict"]["notes"] = [SEEDS["sentence"]]
    assert "Over 2 seeds accuracy is 60.0%, 50.0% to 70.0%" in " ".join(verdict_text(report).split())


def test_planted_secrets_stand_in_a_table_by_how_often_they_were_seen(fakes: ModuleType) -> None:
    groups = [
        {"repeats": 0, "after": [1.0, 2.0], "mean_before": 1.4, "mean_after": 1.5, "first": 0},
        {"repeats": 16, "after": [7.0, 8.0], "mean_before": None, "mean_after": 7.5, "first": 1},
    ]
    held = {"alarm": True, "alarms": 1, "sentences": ["Learned.", "Calm."], "canaries": {"groups": groups, "bound": 8.0}}
    page = card(fakes.gain() | {"memorisation": held})
    assert "nowhere" in page and "16 times" in page and ">7.5<" in page and ">1.4<" in page
    assert page.count('class="warning" dir="auto">Learned.') == 1 and 'class="warning" dir="auto">Calm.' not in page
