"""Which of the base's prompts costs are held against: the one that did best on `select`."""

from typing import Any

import pytest

from tunesmith.pipeline.evaluation import best_prompt


def tried(*values: tuple[int, float]) -> dict[str, Any]:
    return {"tried": [{"k": k, "form": "plain", "value": value} for k, value in values]}


@pytest.mark.parametrize(
    ("values", "metric", "best"),
    [
        ([(0, 0.8), (0, 0.5), (1, 0.6), (4, 0.7)], "accuracy", "zero-shot"),
        ([(0, 0.5), (0, 0.6), (1, 0.7), (4, 0.55)], "accuracy", "few-shot"),
        ([(0, 0.7), (4, 0.7)], "accuracy", "zero-shot"),  # the cheaper of equals
        ([(0, 1.2), (2, 0.9)], "mae", "few-shot"),  # less is better
        ([(0, 0.3)], "accuracy", "zero-shot"),
        ([], "perplexity", None),
    ],
)
def test_the_best_on_select_is_found_whichever_way_the_measure_runs(values: list[tuple[int, float]], metric: str, best: str | None) -> None:
    assert best_prompt(tried(*values), metric) == best
