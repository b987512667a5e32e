"""A style guide's preference rows: its own pairs, the best against the worst of drawn answers, and answers reworded."""

from tunesmith.core.rows import Message
from tunesmith.data.settings.style import StyleGuide
from tunesmith.feedback.style import answer_rows, guide_rows, reworded

GUIDE = StyleGuide.model_validate(
    {
        "rules": {"exclamations": 0, "emoji": False, "greeting": ["Hello"]},
        "pairs": [
            {"instead_of": "at this time", "say": "now"},
            {"instead_of": "very", "say": ""},
            {"prompt": "Where is my rake?", "instead_of": "No idea!", "say": "Hello, it comes on Monday."},
        ],
    }
)
ASKED = (Message("user", "Where is my rake?"),)


def test_a_pair_with_a_prompt_is_a_row_as_it_stands() -> None:
    (row,) = guide_rows(GUIDE)
    assert (row["chosen"], row["rejected"]) == ("Hello, it comes on Monday.", "No idea!")
    assert row["prompt"] == [{"role": "user", "content": "Where is my rake?"}]
    assert row["source"] == "style" and row["breaks"] == "greeting, exclamations"


def test_the_best_of_the_drawn_answers_is_preferred_to_the_worst() -> None:
    made = answer_rows(ASKED, ["It comes soon! :)", "Hello, it comes soon.", "It comes soon.", "Hello, it comes soon."], GUIDE)
    assert [(row["chosen"], row["rejected"], row["made"]) for row in made] == [("Hello, it comes soon.", "It comes soon! :)", "ranked")]
    assert made[0]["breaks"] == "greeting, emoji, exclamations"


def test_answers_that_keep_the_same_rules_make_no_row() -> None:
    assert answer_rows(ASKED, ["Hello, it comes soon.", "Hello, it is on its way.", "", "  "], GUIDE) == []
    assert answer_rows(ASKED, [], GUIDE) == []


def test_a_short_empty_answer_is_not_preferred_for_being_short() -> None:
    long = "It comes soon! We have packed it with care and given it to the courier, who will ring twice."
    assert answer_rows(ASKED, ["Hello.", long], GUIDE) == []


def test_what_the_guide_rewords_is_preferred_reworded() -> None:
    (row,) = answer_rows(ASKED, ["Hello, at this time it is very late."], GUIDE)
    assert (row["chosen"], row["rejected"]) == ("Hello, now it is late.", "Hello, at this time it is very late.")
    assert row["made"] == "reworded" and row["breaks"] == "forbidden"


def test_rewording_takes_whole_words_and_keeps_a_capital() -> None:
    assert reworded("At This  Time: every bakery.", GUIDE.pairs) == "Now: every bakery."
    assert reworded("Not very, very.", GUIDE.pairs) == "Not,."


def test_nothing_between_two_words_is_taken_for_a_pattern() -> None:
    odd = StyleGuide.model_validate({"pairs": [{"instead_of": "a.b (c", "say": r"\1 $&"}]})
    assert reworded("x a.b (c y axb (c", odd.pairs) == r"x \1 $& y axb (c"
