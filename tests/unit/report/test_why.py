"""The section on reasons: words coloured by share, never by colour alone; nothing in a row can act; what failed is not coloured."""

import re
from typing import Any

import pytest

from tunesmith.core.errors import MachineError
from tunesmith.report.card import card
from tunesmith.report.shape import read_report
from tunesmith.report.why import LONGEST, why

HOSTILE = '<img src=x onerror=alert(1)>" style="color:red\u202e'


def report(**changes: Any) -> dict[str, Any]:
    one = {
        "row_id": "r1",
        "right": False,
        "reference": "green",
        "answer": HOSTILE,
        "confidence": 0.9,
        "figure": HOSTILE,
        "words": [["very", 2.0], [" ", None], [HOSTILE, -1.0], [" ", None], ["so", 0.1]],
        "blank": -1.0,
        "whole": 0.1,
        "missed": 0.012,
        "fails": None,
        "toward": [{"row_id": HOSTILE, "answer": HOSTILE, "text": HOSTILE, "value": 1.0, "duplicate": True}],
    }
    explained = {"sentences": ["One wrong answer."], "rows": [one | changes], "suspects": one["toward"]}
    return {"schema": 1, "round": {"id": "x"}, "explained": explained}


def section(page: str) -> str:
    found = re.search(r'<section id="why".*?</section>', page, re.DOTALL)
    assert found is not None
    return found.group()


def test_words_have_the_tone_of_their_share_of_the_strongest() -> None:
    view = why(read_report(report()))
    assert view is not None
    assert [word.tone for word in view.groups[0][1][0].words] == ["p5", "", "m3", "", ""]


def test_nothing_in_a_row_can_act_on_the_page() -> None:
    page = section(card(report()))
    assert "<img" not in page and 'style="' not in page and "\u202e" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert 'class="m3" title="-1.00"' in page


def test_what_speaks_against_is_underlined_too_and_kept_in_print() -> None:
    page = card(report())
    assert re.search(r"\.why \.m5 \{[^}]*underline", page) and not re.search(r"\.why \.p5 \{[^}]*underline", page)
    assert re.search(r"\.why span, pre \{ -webkit-print-color-adjust: exact", page)


def test_a_row_that_is_not_attributable_says_so_and_has_no_colour() -> None:
    page = section(card(report(fails="Not attributable: they miss it by 40%.")))
    assert "Not attributable: they miss it by 40%." in page
    assert not re.search(r'class="[pm][1-5]"', page)


def test_a_long_text_is_cut_and_what_the_rest_did_is_told() -> None:
    page = section(card(report(words=[["short ", 1.0], ["x" * LONGEST, 3.0]])))
    assert "1,500 more characters, with 75% of what words did" in page


def test_a_report_without_the_look_has_no_section_and_a_misshapen_one_is_refused() -> None:
    assert 'id="why"' not in card({"schema": 1, "round": {"id": "x"}})
    with pytest.raises(MachineError, match=r"explained\.rows"):
        card(report(words="no list"))
