"""What is found in a text: by form, by check digit, by the words around it; and what is left alone."""

import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.anonymise import KINDS, find, masked, scan


def found(text: str, kind: str) -> list[str]:
    """The values of one kind."""
    return [text[one.start : one.end] for one in find(text) if one.kind == kind]


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("Write to o.reilly+news@mail.acme.co.uk, please.", "email", ["o.reilly+news@mail.acme.co.uk"]),
        ("Ring +44 20 7946 0958 or (212) 555-0187 x12.", "phone", ["+44 20 7946 0958", "(212) 555-0187 x12"]),
        ("My mobile is 0171 234 56 78.", "phone", ["0171 234 56 78"]),
        ("Pay with 4111 1111 1111 1111 today.", "card", ["4111 1111 1111 1111"]),
        ("IBAN DE89 3704 0044 0532 0130 00 it is.", "iban", ["DE89 3704 0044 0532 0130 00"]),
        ("Ping 8.8.4.4 and 2606:4700:4700::1111.", "ip", ["8.8.4.4", "2606:4700:4700::1111"]),
        ("See https://acme.io/a?b=c#d, or shop.acme.de/x.", "url", ["https://acme.io/a?b=c#d", "shop.acme.de/x"]),
        ("She was born on 12 March 1985 in a barn.", "birth_date", ["12 March 1985"]),
        ("DOB: 1985-03-12", "birth_date", ["1985-03-12"]),
        ("Deliver to 221 Baker Street, Apt. 4, London.", "address", ["221 Baker Street, Apt. 4, London"]),
        ("Er wohnt in der Hauptstraße 12, 10115 Berlin.", "address", ["Hauptstraße 12, 10115 Berlin"]),
        ("P.O. Box 1234", "address", ["P.O. Box 1234"]),
        ("My ssn is 078-05-1120.", "id", ["078-05-1120"]),
        ("NINO AB 12 34 56 C", "id", ["AB 12 34 56 C"]),
        ("Passport number X1234567 please", "id", ["X1234567"]),
        ("DNI 12345678Z", "id", ["12345678Z"]),
    ],
)
def test_each_kind_is_found_whole_and_at_its_characters(text: str, kind: str, values: list[str]) -> None:
    assert found(text, kind) == values


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is Xqanthe Vuulor and I am late.", ["Xqanthe Vuulor"]),
        ("Dear Margaret, thank you.", ["Margaret"]),
        ("Dr. Ludwig van Dam's office called Anne-Marie.", ["Ludwig van Dam", "Anne-Marie"]),
        ("We saw John F. Kelly. Later Kelly left.", ["John F. Kelly", "Kelly"]),
        ("my name is teresa okafor and i need help", ["teresa okafor"]),
    ],
)
def test_names_are_found_by_lists_and_by_what_introduces_them(text: str, names: list[str]) -> None:
    assert found(text, "person") == names


PLAIN = [
    "The weather was fine, and on Monday we went to Paris by train.",
    "Chapter 12 tells how 300 ships sailed in 1588; see page 45.",
    "Version 1.2.3.4 of the parser runs on 127.0.0.1 at 12:30:45.",
    "It costs $1,234,567.89, which is 25% more than in 2019-2020.",
    "The password must be long, and a token is a piece of text.",
    "May I ask why the price rose? Will it fall in June?",
    "Use std::vector<int> x; then y = a::b(3) in the loop.",
    "Order 1234567890123456 has shipped, said the invoice.",
    "I have 2 dogs, 3 cats and 14 fish in 1 house.",
    "Set a cap of 5000 words for the summary of the report.",
]


@pytest.mark.parametrize("text", PLAIN)
def test_nothing_is_found_where_nothing_personal_is(text: str) -> None:
    assert find(text) == []


def test_a_wrong_check_digit_is_no_card_and_no_account() -> None:
    assert found("Pay with 4111 1111 1111 1112 today.", "card") == []
    assert found("IBAN DE88 3704 0044 0532 0130 00 it is.", "iban") == []


def test_a_finding_of_stricter_form_wins_and_what_it_leaves_of_another_is_still_found() -> None:
    text = "https://bob:hunter22x@db.acme.com/orders"
    assert [(one.kind, one.start, one.end) for one in find(text)] == [("secret", 0, len(text))]


def test_only_the_kinds_asked_for_are_looked_for() -> None:
    assert {one.kind for one in find("Ann Baker, ann@acme.com, 8.8.8.8", ("email",))} == {"email"}


def test_a_report_shows_kinds_and_no_value() -> None:
    assert masked("Mr. Harold Finch wrote from h.finch@acme.com.") == "Mr. [PERSON] wrote from [EMAIL]."
    assert scan(["a@acme.com and b@acme.com", "nothing"]) == {"email": 2}


def secrets() -> list[str]:
    draw = random.Random(9)

    def some(count: int) -> str:
        return "".join(draw.choice(string.ascii_letters + string.digits) for _ in range(count))

    marks = ["gh" + "p_", "np" + "m_", "glp" + "at-", "sk" + "-ant-api03-", "sk" + "_live_"]
    tokens = [mark + some(36) for mark in marks]
    return [*tokens, "-----BEGIN PRIV" + f"ATE KEY-----\n{some(64)}\n-----END PRIV" + "ATE KEY-----"]


@pytest.mark.parametrize("place", range(6))
def test_secrets_are_found_also_inside_code_blocks(place: int) -> None:
    secret = secrets()[place]
    text = f"Run this:\n```\nexport X={secret}\n```\nDone."
    assert secret in "".join(found(text, "secret"))


def test_a_password_given_in_words_is_found_and_talk_of_passwords_is_not() -> None:
    assert found("the password is Tr0ub4dor&3, keep it", "secret") == ["Tr0ub4dor&3"]
    assert found('db_password = "correcthorse99"', "secret") == ["correcthorse99"]
    assert found("the password is wrong again, said the clerk", "secret") == []
    assert found("password = os.environ['PASSWORD']", "secret") == []


@given(st.text(alphabet=st.sampled_from("Ann 0123456789@.-/:,\n()+ABCxyzé'Street"), max_size=120))
@settings(max_examples=150, deadline=None)
def test_findings_are_inside_the_text_in_order_and_apart(text: str) -> None:
    here = 0
    for one in find(text):
        assert here <= one.start < one.end <= len(text)
        assert one.kind in KINDS
        here = one.end


HOSTILE = [
    "1",
    "@",
    "a",
    "A",
    "A.",
    "1 ",
    "A ",
    "a@",
    "(",
    "1-",
    "http://",
    "-",
    "::",
    "'",
    "Aa-",
    "key=",
    "eyJ",
    "sk-",
    "-----BEGIN PRIVATE KEY-----",
    "Street 1 ",
    "1 A ",
    "A, ",
    "Ann: ",
    "12 Rue ",
    ".",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_take_time_that_grows_with_their_length_and_no_faster(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.process_time()
        find(text)
        return time.process_time() - began

    find("warm")
    short, long = (min(seconds(size) for _ in range(3)) for size in (10_000, 40_000))
    assert long < 8 * short + 0.25
