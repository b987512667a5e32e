"""Rows through the stage: what is replaced, what stays, and that stand-ins are consistent and nobody's."""

import json
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Changed, Kept, Message, Row
from tunesmith.data.anonymise import Anonymiser, Finding, MapFile, anonymise, find
from tunesmith.data.anonymise.draws import Draws, stands_in
from tunesmith.data.anonymise.money import luhn
from tunesmith.data.anonymise.pseudonyms import Pseudonyms
from tunesmith.data.settings.anonymise import KIND_OF, AnonymiseConfig

TAGS = AnonymiseConfig(**dict.fromkeys(KIND_OF, "tag"))
SHOWN = AnonymiseConfig(**{name: "pseudonym" for name in KIND_OF if name != "secrets"})
LETTER = (
    "Dear Margaret Holloway,\nyour card 4111 1111 1111 1111 and account GB82 WEST 1234 5698 7654 32 are safe. Ring +44 20 7946 0958, "
    "write to margaret.holloway@acme.co.uk, or see https://acme.co.uk/m/holloway from 81.2.69.160. Your SSN 078-05-1120 stays.\n"
    "We visit you at 221 Baker Street, London NW1 6XE.\nYours, Holloway"
)


def row(text: str, answer: str = "", **more: object) -> Row:
    return Row(id="r1", prompt=(Message("user", text),), answer=answer, **more)


def written(text: str, config: AnonymiseConfig = SHOWN, seed: int = 1) -> str:
    return Anonymiser(config, seed).apply(row(text))[0].text()


def test_one_outcome_a_row_in_order_and_counts_by_kind() -> None:
    anonymiser = Anonymiser(TAGS, 1)
    outcomes = list(anonymise([row("Mail me: a@acme.com"), row("Nothing here."), row("Call Margaret Holloway.")], anonymiser))
    assert [type(outcome) for outcome in outcomes] == [Changed, Kept, Changed]
    assert [outcome.row.text() for outcome in outcomes] == ["Mail me: [EMAIL]", "Nothing here.", "Call [PERSON]."]
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Changed)} == {"personal data replaced"}
    assert anonymiser.counts == {"email": 1, "person": 1}
    assert [outcome.row.id for outcome in outcomes] == ["r1"] * 3


def test_nothing_of_a_value_is_left() -> None:
    for config in (TAGS, SHOWN, AnonymiseConfig()):
        after = written(LETTER, config)
        for part in ("Margaret", "Holloway", "holloway", "4111", "WEST", "7946", "acme", "81.2", "078-05", "Baker", "NW1", "221"):
            assert part not in after


@pytest.mark.parametrize("config", [TAGS, SHOWN, AnonymiseConfig()])
def test_a_second_pass_changes_nothing_more(config: AnonymiseConfig) -> None:
    once = written(LETTER, config)
    assert written(once, config) == once
    assert written(once, config, seed=2) == once


@given(st.text(alphabet=st.sampled_from("Ann Bob Kelly 0123456789@.-/:,\n()+xyz'Street"), max_size=100))
@settings(max_examples=100, deadline=None)
def test_tags_are_found_by_no_rule(text: str) -> None:
    once = written(text, TAGS)
    assert "[" in once or once == text
    assert find(" ".join(f"[{kind.upper()}]" for kind in KIND_OF.values())) == []


def test_the_same_person_stays_the_same_person() -> None:
    after = written("Margaret Holloway met John Carver. Holloway's dog bit CARVER, said Margaret.")
    first, last = after.split()[:2]
    assert after.count(last) == 2
    assert f"{last}'s dog" in after
    assert after.endswith(f"said {first}.")
    assert written("Dear Margaret, hello.") == f"Dear {first}, hello."
    assert written("Dear Margaret, hello.", seed=2) != f"Dear {first}, hello."


def test_a_mail_address_carries_its_persons_stand_in() -> None:
    after = written("Margaret Holloway writes as margaret.holloway@acme.com")
    first, last = after.split()[:2]
    assert re.search(rf"{first}\.{last}@\w+\.example\.org".lower(), after)


def test_no_two_known_names_share_a_stand_in() -> None:
    from tunesmith.data.anonymise.names import FIRST, LAST, known_words

    draws = Draws(b"k" * 32)
    names = [word for word, flags in known_words().items() if flags & (FIRST | LAST) and not stands_in(word)]
    drawn = {draws.word(name) for name in names[::7]}
    assert len(drawn) == len(names[::7])
    assert not drawn & {name for name in names if known_words()[name] & FIRST}


def test_stand_ins_keep_the_shape_and_are_nobodys() -> None:
    stand_ins = Pseudonyms(b"k" * 32)
    card = stand_ins.of("card", "4111 1111 1111 1111")
    assert re.fullmatch(r"0000 \d{4} \d{4} \d{4}", card)
    assert luhn(card.replace(" ", ""))
    assert re.fullmatch(r"GB00 [A-Z]{4} \d{4} \d{4} \d{4} \d{2}", stand_ins.of("iban", "GB82 WEST 1234 5698 7654 32"))
    assert re.fullmatch(r"\+44 00 0\d{3} \d{4}", stand_ins.of("phone", "+44 20 7946 0958"))
    assert re.fullmatch(r"\(000\) \d{3}-\d{4}", stand_ins.of("phone", "(212) 555-0187"))
    assert re.fullmatch(r"000-\d{2}-\d{4}", stand_ins.of("id", "078-05-1120"))
    assert re.fullmatch(r"198\.1[89]\.\d+\.\d+", stand_ins.of("ip", "8.8.8.8"))
    assert stand_ins.of("ip", "2606:4700::1111").startswith("2001:db8:")
    assert re.fullmatch(r"https://www\.\w+\.example\.org/\w+", stand_ins.of("url", "https://www.acme.com/jo/holloway"))
    assert re.fullmatch(r"\d{2} [A-Z][a-z]+ 198[3-7]", stand_ins.of("birth_date", "12 March 1985"))
    assert re.fullmatch(r"[A-Z][a-z]+ van [A-Z][a-z]+-[A-Z][a-z]+", stand_ins.of("person", "Ludwig van Dam-Smith"))
    assert re.fullmatch(r"\d{3} [A-Z][a-z]+ Street, [A-Z][a-z]+", stand_ins.of("address", "221 Baker Street, London"))
    with pytest.raises(KeyError):
        stand_ins.of("secret", "x")


@given(st.from_regex(r"(?:\+[0-9]{1,2} )?\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}", fullmatch=True))
@settings(max_examples=60, deadline=None)
def test_digits_stand_where_digits_stood(value: str) -> None:
    after = Pseudonyms(b"k" * 32).of("phone", value)
    assert re.sub(r"\d", "9", after) == re.sub(r"\d", "9", value)
    assert Pseudonyms(b"k" * 32).of("phone", after) == after


def test_labels_are_never_rewritten_and_other_answers_are() -> None:
    labelled = row("I am Margaret Holloway.", answer="Margaret Holloway")
    assert Anonymiser(TAGS, 1, labels=True).apply(labelled)[0].answer == "Margaret Holloway"
    assert Anonymiser(TAGS, 1).apply(labelled)[0].answer == "[PERSON]"
    several = row("Write to a@acme.com", answer="mail", labels=("mail", "a@acme.com"))
    changed = Anonymiser(TAGS, 1).apply(several)[0]
    assert (changed.labels, changed.answer, changed.text()) == (("mail", "a@acme.com"), "mail", "Write to [EMAIL]")


def test_spans_move_with_their_text() -> None:
    text = "Today Margaret Holloway paid 30 euros to a@acme.com in full."
    marks = ((6, 23, "who"), (29, 37, "sum"), (41, 51, "to"), (52, 59, "how"))
    changed = Anonymiser(TAGS, 1).apply(row(text, answer="x", tags=marks))[0]
    assert changed.tags is not None
    assert [(changed.text()[start:end], label) for start, end, label in changed.tags] == [
        ("[PERSON]", "who"),
        ("30 euros", "sum"),
        ("[EMAIL]", "to"),
        ("in full", "how"),
    ]


def test_the_worse_answer_and_the_other_columns_are_masked_too() -> None:
    changed = Anonymiser(TAGS, 1, apart={"label"}).apply(
        row(
            "Hello",
            "yes",
            rejected="ask a@acme.com",
            fields={"name": "Vuulor Xqanthe", "n": 3, "label": "b@acme.com", "deep": [{"ip": "8.8.8.8"}]},
        )
    )[0]
    assert changed.rejected == "ask [EMAIL]"
    assert changed.fields == {"name": "[PERSON]", "n": 3, "label": "b@acme.com", "deep": [{"ip": "[IP]"}]}


def test_a_column_that_rows_are_grouped_by_keeps_its_groups() -> None:
    anonymiser = Anonymiser(TAGS, 1, grouped={"customer"})
    first, again, other = (
        anonymiser.apply(row("x", fields={"customer": mail}))[0].fields["customer"] for mail in ("a@acme.com", "a@acme.com", "b@acme.com")
    )
    assert first == again != other
    assert "acme" not in first + other


def test_a_models_findings_are_joined_to_those_of_the_rules() -> None:
    def recogniser(texts: list[str]) -> list[list[Finding]]:
        return [[Finding(text.index("zug"), text.index("zug") + 3, "person", 0.9)] if "zug" in text else [] for text in texts]

    assert Anonymiser(TAGS, 1, recogniser=recogniser).apply(row("i met zug at a@acme.com"))[0].text() == "i met [PERSON] at [EMAIL]"


def test_the_map_is_its_owners_alone_and_holds_each_pair_once(tmp_path: Path) -> None:
    place = tmp_path / "map.jsonl"
    with MapFile(place, tmp_path / "prepared") as map_file:
        Anonymiser(SHOWN, 1, map_file=map_file).apply(row("a@acme.com, a@acme.com and b@acme.com"))
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert [line["value"] for line in lines] == ["a@acme.com", "b@acme.com"]
    with pytest.raises(RecipeError, match="never written over"):
        MapFile(place, tmp_path / "prepared")
    with pytest.raises(RecipeError, match="outside"):
        MapFile(tmp_path / "prepared" / "map.jsonl", tmp_path / "prepared")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing to anonymise"):
        AnonymiseConfig(**dict.fromkeys(KIND_OF, "keep"))
    with pytest.raises(ValidationError):
        AnonymiseConfig(secrets="pseudonym")
    with pytest.raises(ValidationError, match="map"):
        AnonymiseConfig(**dict.fromkeys(KIND_OF, "tag"), map="/tmp/x")
    with pytest.raises(RecipeError, match="16"):
        Anonymiser(TAGS, 1, key=b"short")
