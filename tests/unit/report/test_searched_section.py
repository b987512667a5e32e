"""What the card says of a search: what it gained, what mattered, how it went; nothing in it can act; few trials draw nothing false."""

from types import ModuleType
from typing import Any

import pytest

from tunesmith.report.card import card
from tunesmith.report.search_charts import _span
from tunesmith.report.search_part import SearchPart
from tunesmith.report.searched import searched
from tunesmith.report.shape import part_of, read_report

NAMES = ("train.learning_rate", "method.head_dropout")


def piece(**changed: Any) -> dict[str, Any]:
    values = [0.5, 0.7, 0.4, None, 0.8, 0.65]
    trials = [
        {
            "number": number,
            "settings": {NAMES[0]: 10.0**-number, NAMES[1]: number % 2 / 10},
            "value": value,
            "pruned": number == 2,
            "steps": 8,
        }
        for number, value in enumerate(values)
    ]
    made: dict[str, Any] = {
        "id": "s-1",
        "measure": "accuracy",
        "compared": {"name": "accuracy", "less_is_better": False, "sentence": "Trials are compared by accuracy on the select rows."},
        "count": 6,
        "steps": 48,
        "seconds": 60.0,
        "stopped": "all 6 trials were made.",
        "trials": trials,
        "finalists": [{"number": 4, "values": [0.8, 0.7], "mean": 0.75, "spread": 0.07}],
        "best": 4,
        "importance": {NAMES[0]: 0.9, NAMES[1]: 0.1},
        "importance_note": "The settings explain 91%.",
        "as_it_was": {"value": 0.5},
        "gain": {"difference": 0.1, "low": 0.02, "high": 0.18, "value": 0.5, "ours": 0.6, "outcome": "gain"},
        "sentence": "On test the recipe that was found is better in accuracy by 10.0 points than the recipe as it was.",
    }
    return made | changed


def test_the_section_tells_the_gain_what_mattered_and_the_best_trials(fakes: ModuleType) -> None:
    report = fakes.gain() | {"search": piece()}
    view = searched(read_report(report))
    assert view is not None and view.gained and view.unknown == 1
    assert ("Accuracy on test", "60.0%") in view.facts and ("Accuracy on test, of the recipe as it was", "50.0%") in view.facts
    assert ("Accuracy on select, of the recipe as it was", "50.0%") in view.facts
    assert ("Trials", "6, 1 of them ended early") in view.facts
    assert [(row.name, row.share, row.found) for row in view.mattered] == [(NAMES[0], "90%", "0.0001"), (NAMES[1], "10%", "0")]
    assert [(row.number, row.value, row.seeds, row.chosen) for row in view.rows][:2] == [
        ("4", "80.0", "75.0 \u00b1 7.0", True),
        ("1", "70.0", "\u2013", False),
    ]
    assert [row.number for row in view.rows][-1] == "2", "ended early: after those that went to their end"
    assert view.history is not None and "The best so far goes from 50 to 80." in view.history
    assert view.coordinates is not None and "5 trials as lines across train.learning_rate, method.head_dropout" in view.coordinates
    page = card(report)
    assert 'href="#searched"' in page and "All 6 trials were made." in page
    assert "the value that the trial was chosen for, which flatters" in page


def test_less_is_better_where_losses_were_compared(fakes: ModuleType) -> None:
    compared = {"name": "loss", "less_is_better": True, "sentence": "Trials are compared by the validation loss."}
    view = searched(read_report(fakes.gain() | {"search": piece(compared=compared, best=2)}))
    assert view is not None and view.head == "Validation loss"
    assert [row.number for row in view.rows] == ["2", "0", "5", "1", "4"]


def test_no_gain_is_said_in_warning_and_values_from_a_recipe_cannot_act(fakes: ModuleType) -> None:
    trials = [
        {"number": number, "settings": {"train.<b>": f"<script>{number}</script>"}, "value": 0.1 * number, "pruned": False, "steps": 1}
        for number in range(4)
    ]
    gain = {"difference": 0.01, "low": -0.1, "high": 0.1, "value": 0.5, "ours": 0.51, "outcome": "no gain shown"}
    report = fakes.gain() | {"search": piece(trials=trials, best=3, gain=gain, importance={"train.<b>": 1.0}, finalists=[])}
    view = searched(read_report(report))
    assert view is not None and not view.gained
    page = card(report)
    assert "<script>" not in page and "train.<b>" not in page and "&lt;script&gt;3" in page


@pytest.mark.parametrize("count", [1, 2])
def test_few_trials_draw_no_lines_across_settings(fakes: ModuleType, count: int) -> None:
    trials = piece()["trials"][:count]
    view = searched(read_report(fakes.gain() | {"search": piece(trials=trials, best=0, finalists=[], importance={}, gain=None)}))
    assert view is not None and view.coordinates is None and view.mattered == []
    assert (view.history is None) is (count == 1)


def test_a_card_of_a_round_that_no_search_chose_says_nothing_of_one(fakes: ModuleType) -> None:
    assert 'id="searched"' not in card(fakes.gain() | {"search": None})


def test_trials_that_are_all_but_alike_are_drawn_so_and_nothing_is_said_to_gather(fakes: ModuleType) -> None:
    trials = [
        {"number": number, "settings": {NAMES[0]: 10.0**-number}, "value": 0.333 + 0.001 * (number == 2), "pruned": False, "steps": 1}
        for number in range(5)
    ]
    alike = piece(trials=trials, best=2, finalists=[], importance={}, importance_note="Too few trials to tell.", as_it_was={"value": 0.333})
    report = fakes.gain() | {"search": alike}
    found = part_of(read_report(report), "search", SearchPart)
    assert found is not None
    assert _span(found, found.metric) == pytest.approx((30.85, 35.85))
    page = card(report)
    assert "Thick: the one that was chosen." in page and "Where dark lines gather" not in page
    assert "Where dark lines gather" in card(fakes.gain() | {"search": piece()})
