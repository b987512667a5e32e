"""Rules of a style guide: each is told apart by what keeps it and what breaks it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.score.intervals import intervals
from tunesmith.score.measures import NAMES, measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples
from tunesmith.score.style import _SENTENCE_END, RULES, Said, Style, grade, syllables

GUIDE = Style(
    sentence_words=14,
    answer_words=60,
    forbidden=("at this time", "rma"),
    must_have=("order",),
    greeting=("Dear customer", "Hello"),
    sign_off=("Kind regards",),
    tone="formal",
    emoji=False,
    exclamations=0,
    passive=0,
    address=True,
    speaker="we",
    reading_grade=8.0,
)
GOOD = "Hello Mrs. Vane,\n\nWe have your order here. We send it to you on Monday, before 9 a.m.\n\nKind regards,\nMossgate Garden Supplies"
BROKEN = {
    "sentences": GOOD.replace("We send it", "We send it, as we said on the phone when you called us last week about the rake,"),
    "length": GOOD.replace("on Monday", "on Monday. " + "Please wait for it at your door. " * 8),
    "forbidden": GOOD.replace("here", "here at  this time"),
    "must_have": GOOD.replace("order", "parcel"),
    "greeting": GOOD.replace("Hello Mrs. Vane", "Good day, hello"),
    "sign_off": GOOD.replace("Kind regards", "Yours"),
    "tone": GOOD.replace("We have your", "We've your"),
    "emoji": GOOD.replace("here.", "here 🙂."),
    "exclamations": GOOD.replace("here.", "here!"),
    "passive": GOOD.replace("We send it to you", "It will be sent to you"),
    "address": GOOD.replace("your ", "the ").replace("to you", "out"),
    "speaker": GOOD.replace("We send", "I send"),
    "reading_level": GOOD.replace(
        "here.", "here. Notification regarding international transportation documentation necessitates administrative authorisation."
    ),
}
"""Rule -> the good answer, changed so that it breaks that rule."""


def test_an_answer_that_keeps_all_rules_scores_one() -> None:
    assert GUIDE.rules == list(RULES) and GUIDE.broken(GOOD) == [] and GUIDE.score(GOOD) == 1


@pytest.mark.parametrize("rule", RULES)
def test_an_answer_that_breaks_a_rule_is_told_by_that_rule_alone(rule: str) -> None:
    assert GUIDE.broken(BROKEN[rule]) == [rule]
    assert GUIDE.score(BROKEN[rule]) == pytest.approx((len(RULES) - 1) / len(RULES))


def test_an_answer_without_a_word_keeps_nothing() -> None:
    assert GUIDE.score("") == GUIDE.score(" \n!?") == 0 and GUIDE.broken("...") == list(RULES)
    assert Style().score("") == 0 and Style().score("yes") == 1 and Style().rules == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The parcel was sent on Monday.", "Your money has been paid back.", "It will be delivered by noon.", "The form is not filled in.",
        "The rake was carefully packed.", "You're being charged twice.", "They got caught.", "The order is now being made.",
    ],
)  # fmt: skip
def test_the_passive_is_found(sentence: str) -> None:
    assert Style(passive=0).broken(sentence) == ["passive"] and Style(passive=1).broken(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "We sent the parcel on Monday.", "I am tired of this.", "You are interested in rakes.", "The shop is located in Bath.",
        "We were happy to help.", "It is red.", "He has been here.", "You are supposed to be at home.", "That is used to dig.", "We are going.",
    ],
)  # fmt: skip
def test_the_active_is_not_taken_for_it(sentence: str) -> None:
    assert Style(passive=0).broken(sentence) == []


def test_forbidden_words_are_whole_words_in_any_case() -> None:
    style = Style(forbidden=("use", "in order to"))
    assert style.broken("USE it.") == style.broken("We dig IN ORDER\nto plant.") == ["forbidden"]
    assert style.broken("Useful, in orderly fashion; we used it to.") == []


def test_smileys_of_characters_are_emoji_and_times_are_not() -> None:
    style = Style(emoji=False)
    assert [style.broken(text) for text in ("Thanks :)", "Thanks ;-)", "Great ❤️", "Yes 👍🏽")] == [["emoji"]] * 4
    assert [style.broken(text) for text in ("At 8:30 (or 9:00).", "A: yes, B: no", "See http://a.example/b", "3 : 4")] == [[]] * 4


def test_the_eighth_step_of_a_list_is_no_smiley_and_signs_in_boxes_are_emoji() -> None:
    style = Style(emoji=False)
    assert style.broken("7) Open it.\n8) Close it.") == style.broken("Ring at 8 | or at (8) or 8/9") == []
    assert style.broken("Sure 8-)") == style.broken("Fine \U0001f197 then") == ["emoji"]


def test_sentences_end_at_line_breaks_and_long_runs_of_blanks_are_read_once() -> None:
    assert Said.of("One two \n\n three. Four").sentences == ("One two", "three.", "Four")
    pattern = _SENTENCE_END.pattern.partition("|")[2]
    assert pattern == r"\n"  # a part that may begin at every blank and needs something behind them all would be read from each of them
    assert Said.of("a" + " " * 300_000 + "b").words == ("a", "b")


def test_a_plain_tone_refuses_stiff_words_and_a_formal_one_loose_ones() -> None:
    assert Style(tone="plain").broken("Please utilise the form.") == ["tone"] and Style(tone="plain").broken("It's ok.") == []
    assert Style(tone="formal").broken("It’s here.") == Style(tone="formal").broken("Cool, thanks.") == ["tone"]
    assert Style(tone="formal").broken("Ann's rake, the dogs' bowl, o'clock.") == []


def test_reading_level_is_the_published_formula() -> None:
    said = Said.of("The cat sat on the mat.")
    assert grade(said) == pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)
    assert [syllables(word) for word in ("rake", "table", "parcel", "documentation", "the", "free")] == [1, 2, 2, 5, 1, 1]


@given(st.text(max_size=200))
def test_any_text_gets_a_score_between_none_and_all_of_the_rules(text: str) -> None:
    assert 0 <= GUIDE.score(text) <= 1 and set(GUIDE.broken(text)) <= set(RULES)
    assert GUIDE.score(text) == 1 - len(GUIDE.broken(text)) / len(RULES)


def answers(style: Style, *texts: str) -> list[Prediction]:
    return [Prediction(row_id=str(n), reference="", answer=text, kept=style.kept(text)) for n, text in enumerate(texts)]


def test_measures_tell_each_rules_share_and_all_of_them_together() -> None:
    style = replace(Style(), emoji=False, exclamations=0)
    told = answers(style, "Yes.", "Yes!", "Yes :)", "No! :)")
    names = ("style", "style_all", "style_emoji", "style_exclamations", "style_greeting")
    assert {name: measure(name).of(told) for name in names} == {
        "style": 0.5, "style_all": 0.25, "style_emoji": 0.5, "style_exclamations": 0.5, "style_greeting": None,
    }  # fmt: skip
    found = intervals([measure(name) for name in names], told, Resamples(rows=4, count=200))
    assert all(one.low <= one.value <= one.high for one in found.values() if one is not None) and found["style_greeting"] is None


def test_answers_that_were_held_against_nothing_have_no_style() -> None:
    bare = [Prediction(row_id="1", reference="", answer="Yes.")]
    assert all(measure(name).of(bare) is None for name in NAMES if name.startswith("style"))
    assert {f"style_{rule}" for rule in RULES} | {"style", "style_all"} == {name for name in NAMES if name.startswith("style")}
