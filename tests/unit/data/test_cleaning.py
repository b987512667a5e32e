"""The stages between reading and dividing: normalise, fill, instruct."""

import csv
import gzip
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.rows import Changed, Dropped, Kept, Message, Row
from tunesmith.data.config import NormaliseConfig
from tunesmith.data.fill import fill
from tunesmith.data.instruct import instruct
from tunesmith.data.normalise import normalise

LABELLED = {"text": "message", "label": "intent"}


def row(number: int | str, text: str, answer: str, **fields: object) -> Row:
    return Row(id=str(number), prompt=(Message("user", text),), answer=answer, fields=fields)


def cleaned(text: str, **config: bool | str) -> str:
    (outcome,) = normalise([row(1, text, "a")], NormaliseConfig(**config))
    return outcome.row.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafÃ© â€“ naÃ¯ve", "café – naïve"),
        ("plain – café", "plain – café"),
        ("  a   b \n\n\n\n c  ", "a b\n\n c"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x1b[31mred\x1b[0m\x07b\x00c", "aredbc"),
        ("\ufeffa\u200bb\u202ec", "abc"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("def f():\n    return  1", "def f():\n    return 1"),
        ("see   this\n```\nx  =  1\n\n\n\ny\n```\nand   that", "see this\n```\nx  =  1\n\n\n\ny\n```\nand that"),
        ("tab\tstays", "tab\tstays"),
        ("tom &amp; jerry&#39;s &quot;caf&eacute;&quot;&nbsp;&#128514;", 'tom & jerry\'s "café" 😂'),
        ("cafe\u0301", "café"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert cleaned(text) == expected


def test_normalise_can_be_switched_off() -> None:
    text = "  cafÃ©\x07 &amp; e\u0301 "
    assert cleaned(text, fix_encoding=False, white_space=False, control_characters=False, html=False, unicode_form="none") == text
    text = "  cafÃ©\x07  "
    assert cleaned(text, white_space=False, control_characters=False) == "  café\x07  "


def test_normalise_tells_what_it_did() -> None:
    before = Row(id="1", prompt=(Message("system", "S "), Message("user", "q")), answer="cafÃ©", rejected="b  c")
    (outcome,) = normalise([before], NormaliseConfig())
    assert isinstance(outcome, Changed)
    assert outcome.reason == "white space, encoding repaired"
    assert (outcome.row.id, outcome.row.answer, outcome.row.rejected) == ("1", "café", "b c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Great film.<br /><br />Loved it.", "Great film.\n\nLoved it."),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div class=\"x\">a <b>bold</b> <a href='u'>word</a></div>", "a bold word"),
        ("before<!-- note -->after", "beforeafter"),
        ("&amp;amp;lt;3 and &lt;3", "<3 and <3"),
        ("a &lt; b", "a < b"),
        ("soft&shy;hyphen &#8203;zero", "softhyphen zero"),
    ],
)
def test_remains_of_html_go(text: str, expected: str) -> None:
    assert cleaned(text) == expected
    assert cleaned(text, html=False) == text


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d, x<b and y>z",
        "vector<b> and Map<i> of <name>, <unk>, <s>, </s> or <file_photo>",
        "```\n<p>&amp;</p>\n```",
        "write `&lt;` or `<br>` there",
        "how do I use the <br> tag?",
        "what does &nbsp; do in HTML",
        "<!DOCTYPE html>\n<p>Hi</p>",
        "<script>x()</script><p>Hi</p>",
        "<table><tr><th>1</th><td>1</td></tr></table><ul><li>2</li></ul>",
        "int sum = 0;\nint *p = &copy;\nreturn *p;",
        "scanf(&sum; &int; &T;",
        "AT&T R&D Q&A; &unknownname;",
        "&lt;br&gt; was escaped so that it is read",
        "<br>",
    ],
)
def test_what_may_be_meant_stays(text: str) -> None:
    assert cleaned(text) == text


def test_a_row_about_html_keeps_the_markup_of_all_its_texts() -> None:
    asked = row(1, "Write a line break in HTML, such as <br>", "a<br>b &amp; c")
    (outcome,) = normalise([asked], NormaliseConfig())
    assert isinstance(outcome, Kept)
    (outcome,) = normalise([row(1, "Write two lines", "a<br>b &amp; c")], NormaliseConfig())
    assert outcome.row.answer == "a\nb & c"


def test_a_label_is_written_alike_in_every_row_whatever_its_text_is_about() -> None:
    rows = [row(1, "lab work", "R&amp;D"), row(2, "which HTML tag is <br>", "R&amp;D")]
    outcomes = list(normalise(rows, NormaliseConfig(), labelled=True))
    assert [outcome.row.answer for outcome in outcomes] == ["R&D", "R&D"]
    assert outcomes[1].row.text() == "which HTML tag is <br>"
    many = [Row(id=str(at), prompt=each.prompt, answer="R&amp;D", labels=("R&amp;D",)) for at, each in enumerate(rows)]
    assert [outcome.row.labels for outcome in normalise(many, NormaliseConfig())] == [("R&D",), ("R&D",)]


@pytest.mark.parametrize("unit", ["<!--", "<br ", "&amp;", '<p a="', "`", " a=b", "&lt;`a`", "<b>", "&#8203;", "```\n"])
def test_hostile_markup_takes_no_longer_than_its_length(unit: str) -> None:
    started = time.thread_time()
    cleaned("<b a=b" + unit * 20_000 + "<br>")
    assert time.thread_time() - started < 5


def tagged(text: str, word: str) -> Row:
    start = text.index(word)
    return Row(id="1", prompt=(Message("user", text),), answer="x", tags=((start, start + len(word), "name"),))


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("Tom &amp; <b>Ada</b> Love", "Ada", "Ada"),
        ("x &#39;&#39; Jos&eacute; y", "Jos&eacute;", "José"),
        ("<br>Ada", "Ada", "Ada"),
        ("a  b e\u0301e\u0301 Rene\u0301 z", "Rene\u0301", "René"),
        ("\u1100\u1161\u11a8 and \u1112\u1161\u11ab", "\u1112\u1161\u11ab", "한"),
        ("<p>cafe\u0301 &amp;  Ada</p>", "Ada", "Ada"),
    ],
)
def test_spans_move_with_their_words(text: str, word: str, expected: str) -> None:
    (outcome,) = normalise([tagged(text, word)], NormaliseConfig())
    assert outcome.row.tags is not None
    ((start, end, _),) = outcome.row.tags
    assert outcome.row.text()[start:end] == expected
    assert outcome.row.answer == f"name: {expected}"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["&amp;", "<br>", "<b>", "</b>", "e\u0301", "Ada", " ", "\x07", "  ", "`", "&#39;", "é", "\n"]), max_size=14),
    st.lists(st.sampled_from(["&lt;", "x", "<!-- c -->", " ", "e\u0301"]), max_size=8),
)
def test_a_marked_word_is_found_again_wherever_it_goes(before: list[str], after: list[str]) -> None:
    text = "".join(before) + "|ZQ|" + "".join(after)
    (outcome,) = normalise([tagged(text, "ZQ")], NormaliseConfig())
    assert outcome.row.tags is not None
    ((start, end, _),) = outcome.row.tags
    assert outcome.row.text()[start:end] == "ZQ"


def test_nfkc_is_for_those_who_ask() -> None:
    assert cleaned("ﬁne １２") == "ﬁne １２"
    assert cleaned("ﬁne １２", unicode_form="NFKC") == "fine 12"


def test_clean_rows_pass_as_the_very_objects_they_were() -> None:
    rows = [row(1, "how do i activate my card?", "activate_my_card"), row(2, "naïve café – 😂", "b")]
    assert all(outcome.row is given for outcome, given in zip(normalise(rows, NormaliseConfig()), rows, strict=True))


def test_tweets_lose_their_entities_and_code_stays(shared_data: Path) -> None:
    with gzip.open(shared_data / "hate_offensive" / "labeled_data.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row(number, line["tweet"], line["class"]) for number, line in enumerate(csv.DictReader(file))]
    entity = re.compile("&(?:amp|lt|gt|quot|#[0-9]+);")
    before = sum(bool(entity.search(each.text())) for each in rows)
    after = sum(bool(entity.search(outcome.row.text())) for outcome in normalise(rows, NormaliseConfig(), labelled=True))
    assert before > 6000
    assert after <= 5
    with gzip.open(shared_data / "instructions_alpaca_demo" / "alpaca_en_demo.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    written = [row(number, line["instruction"], line["output"]) for number, line in enumerate(lines)]
    assert not [outcome for outcome in normalise(written, NormaliseConfig()) if isinstance(outcome, Changed) and "HTML" in outcome.reason]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_white_space_and_control_characters_are_done_in_one_pass(text: str) -> None:
    once = cleaned(text, fix_encoding=False)
    assert cleaned(once, fix_encoding=False) == once
    assert not any(ord(mark) < 32 and mark not in "\t\n" for mark in once)


def test_fill_names_the_column() -> None:
    rows = [row(1, "a", "b"), row(2, " ", "b"), row(3, "a", ""), row(4, "", "")]
    outcomes = list(fill(rows, LABELLED))
    assert [type(outcome) for outcome in outcomes] == [Kept, Dropped, Dropped, Dropped]
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Dropped)] == [
        "message is missing",
        "intent is missing",
        "message is missing",
    ]
    pair = Row(id="5", prompt=(Message("user", "q"),), answer="same", rejected="same")
    raw = Row(id="6", answer="text")
    assert isinstance(next(iter(fill([pair], {"chosen": "chosen", "rejected": "rejected"}))), Dropped)
    assert isinstance(next(iter(fill([raw], {"text": "body"}))), Kept)
    assert isinstance(next(iter(fill([Row(id="7", answer=" ")], {"text": "body"}))), Dropped)


def test_instruct_leaves_rows_that_have_one() -> None:
    rows = [row(1, "a", "b"), Row(id="2", prompt=(Message("system", "own"), Message("user", "a")), answer="b"), Row(id="3", answer="raw")]
    outcomes = list(instruct(rows, "Be brief."))
    assert [type(outcome) for outcome in outcomes] == [Changed, Kept, Kept]
    assert outcomes[0].row.prompt[0] == Message("system", "Be brief.")
