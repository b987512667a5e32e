"""Group terms: whole words and phrases, letter case aside, and nothing inside other words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.data.audit.lists import BUILTIN
from tunesmith.data.audit.terms import Terms, terms_of, words_of
from tunesmith.data.settings.audit import AuditConfig

EVERY = terms_of(BUILTIN, {})


def named(text: str, terms: Terms = EVERY) -> set[tuple[str, str]]:
    return {terms.names[place] for place in terms.groups([text])}


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("My WIFE lost her card.", {("gender", "female")}),
        ("The heritage of the mansion", set()),
        ("a black card and a white wall", set()),
        ("Black women, and African-American men.", {("ethnicity", "black"), ("gender", "female"), ("gender", "male")}),
        ("an African American and an American", {("ethnicity", "black"), ("ethnicity", "american")}),
        ("black men black men", {("ethnicity", "black"), ("gender", "male")}),
        ("non-binary people", {("gender", "nonbinary")}),
        ("go straight on", set()),
        ("“Muslims” said she", {("religion", "muslim"), ("gender", "female")}),
        ("an old bill", set()),
        ("", set()),
    ],
)
def test_what_is_named(text: str, groups: set[tuple[str, str]]) -> None:
    assert named(text) == groups


def test_every_term_of_every_list_is_found_and_gives_its_group() -> None:
    for category, groups in BUILTIN.items():
        for group, terms in groups.items():
            assert all((category, group) in named(f"Here: {term}!") for term in terms)


def test_ones_own_terms_are_added_to_a_list_or_make_one() -> None:
    terms = terms_of(["age"], {"age": {"old": ["Über-70"]}, "region": {"north": ["up north"]}})
    assert named("Die über-70 kamen von up  north", terms) == {("age", "old"), ("region", "north")}
    assert named("she", terms) == set()


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=80))
def test_words_are_the_same_by_table_and_by_pattern(text: str) -> None:
    assert words_of(text) == words_of(text + " é")[:-1]


def test_terms_without_a_letter_are_refused() -> None:
    with pytest.raises(ValidationError, match="each term a letter or digit"):
        AuditConfig(lists={"x": {"y": ["!!"]}})


def test_references_must_name_what_is_counted_and_sum_to_one() -> None:
    with pytest.raises(ValidationError, match="nothing that is counted"):
        AuditConfig(reference={"region": {"north": 0.5, "south": 0.5}})
    with pytest.raises(ValidationError, match=r"sum to 0\.9"):
        AuditConfig(groups=("region",), reference={"region": {"north": 0.4, "south": 0.5}})
