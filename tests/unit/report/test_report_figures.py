"""Numbers as people read them."""

import pytest

from tunesmith.report import figures
from tunesmith.report.figures import metric_of
from tunesmith.report.shape import Estimate


def test_a_fraction_is_written_in_percent_and_its_difference_in_points() -> None:
    accuracy = metric_of("accuracy")
    assert (accuracy.head, accuracy.write(0.823), accuracy.points) == ("Accuracy, %", "82.3", " points")
    assert [accuracy.write_difference(value) for value in (0.21, -0.0381, 0.0, -0.0001, None)] == [
        "+21.0",
        "\u22123.8",
        "0.0",
        "0.0",
        "\u2013",
    ]
    assert accuracy.write_range(Estimate(value=0.5, low=0.45, high=0.55)) == "45.0 to 55.0"
    assert accuracy.write_range(Estimate(value=0.5, low=None, high=0.55)) == ""


def test_a_column_lines_up() -> None:
    perplexity = metric_of("perplexity", [Estimate(value=18.24), Estimate(value=6.1), None, Estimate(value=None)])
    assert perplexity.less_is_better
    assert [perplexity.write(value) for value in (18.24, 6.1)] == ["18.2", "6.1"]


def test_names_of_measures() -> None:
    assert [metric_of(key).name for key in ("macro_f1", "chrf", "rougeL", "my_own")] == ["Macro F1", "chrF", "ROUGE-L", "My own"]
    assert "\u202e" not in metric_of("turned\u202e").name


@pytest.mark.parametrize(
    ("part", "of", "said"),
    [
        (0, 10, "0%"),
        (1, 2000, "<0.1%"),
        (1, 200, "0.5%"),
        (15, 200, "7.5%"),
        (1, 2, "50%"),
        (1999, 2000, "99%"),
        (5, 5, "100%"),
        (1, 0, "\u2013"),
    ],
)
def test_share(part: int, of: int, said: str) -> None:
    assert figures.share(part, of) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0.4 s"), (59.99, "1 min"), (212.4, "3 min 32 s"), (3600, "1 h"), (5025, "1 h 24 min"), (None, "\u2013")]
)
def test_duration(seconds: float | None, said: str) -> None:
    assert figures.duration(seconds) == said


def test_other_figures() -> None:
    assert [figures.decimal(value) for value in (0, 0.4567, 4.567, -45.67, 4567.8, 0.00012)] == [
        "0.0",
        "0.457",
        "4.57",
        "\u221245.7",
        "4,567.8",
        "1.20e\u221204",
    ]
    assert [figures.milliseconds(value) for value in (0.812, 0.0118, 0.0002)] == ["812", "11.8", "0.20"]
    assert [figures.memory(value) for value in (812.4, 1423)] == ["812 MiB", "1.39 GiB"]
    assert [figures.parameters(value) for value in (6951168, 147456, 1_240_000_000, 12)] == ["6.95 M", "147 k", "1.24 G", "12"]
    assert figures.moment("2026-11-21T02:00:00Z") == "21 November 2026, 02:00 UTC"
    assert figures.moment("yesterday") == "yesterday"
    assert figures.p_value(0.0005) == "p\u00a0<\u00a00.001"
    assert figures.p_value(0.39) == "p\u00a0=\u00a00.39"
    assert (figures.median([3, 1, 2]), figures.median([4, 1, 2, 3])) == (2.0, 2.5)
