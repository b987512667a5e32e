"""Terms are found in disguise and left alone inside other words; the terms here are harmless, or made up."""

import csv
import hashlib
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.score.lexicon import Hit, Lexicon, Term, masked, normal_forms
from tunesmith.score.obfuscation import worded

TERMS = ("zorgle", "bass", "shell", "kip", "pelis", "tart", "blue moon", "red-hat", "snell")
LEXICON = Lexicon.of([Term(text, "planted") for text in TERMS])
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(ord("a"), ord("z") + 1)})


def found(text: str) -> list[str]:
    return [text[hit.start : hit.end] for hit in LEXICON.find(text)]


@pytest.mark.parametrize(
    "written",
    [
        "zorgle", "ZoRGLe", "z0rgl3", "zorgleeee", "zzzorgle", "z o r g l e", "z.o.r.g.l.e", "z-o-r-g-l-e", "z_o_r_g_l_e", "z  o  r  g  l  e",
        "zo.rg.le", "z*rgle", "z-orgle", "zórglè", "zo\u200brg\u00adle", "ｚｏｒｇｌｅ", "𝓏𝑜𝓇𝑔𝓁𝑒", "zоrgle", "zorgles", "_zorgle_", "#zorgle",
        "zorgle's", "zorgle!!!", "@zorgle", "b@ss", "ba$$", "bassss", "she11", "k!p", "kiiip", "blue moon",
        "BLUE\nMOON", "bluemoon", "blue-moon", "b1ue m00n", "red-hat", "red hat", "redhat", "blue moons", "zorg1e",
    ],
)  # fmt: skip
def test_a_term_is_found_in_disguise(written: str) -> None:
    assert len(LEXICON.find(f"so it is {written} now")) == 1


@pytest.mark.parametrize(
    "innocent",
    [
        "bassoon", "embassy", "Shelley", "she'll", "she’ll come", "shells" + "hock", "skip", "kipper", "the pel is mine", "start", "tartan", "A11",
        "she ll", "sheell", "kiip", "bas", "as s", "g r b a s s", "blue, bright and full moon", "red", "hat", "the bl.ue thing", "1,000", "54321",
        "smart", "snelling", "s k i p", "pel. Is", "my pel.is", "C++", "2*3", "@start", "", "!!!", "- - -",
    ],
)  # fmt: skip
def test_innocent_words_are_left_alone(innocent: str) -> None:
    assert found(innocent) == []


disguises = st.sampled_from(["case", "wide", "invisible", "spelled", "leet", "said often", "accent"])


@given(st.sampled_from(["zorgle", "pelis", "tart"]), disguises, st.data())
def test_each_disguise_alone_is_seen_through_and_its_place_is_told(term: str, disguise: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(term) - 1))
    mark = data.draw(st.sampled_from([" ", ".", "-", "_", "/", " - "]))
    written = {
        "case": term[:at] + term[at:].upper(),
        "wide": term.translate(WIDE),
        "invisible": "\u200b".join(term),
        "spelled": mark.join(term),
        "leet": term.translate(str.maketrans("oias", "014$" if term != "pelis" else "0!4$")),
        "said often": term[:at] + term[at] * data.draw(st.integers(3, 30)) + term[at + 1 :],
        "accent": unicodedata.normalize("NFC", term[: at + 1] + "\u0301" + term[at + 1 :]),
    }[disguise]
    before = data.draw(st.sampled_from(["", "well, ", "ﬁne: ", "İstanbul, "]))
    hits = LEXICON.find(f"{before}{written} here")
    assert [(hit.start, hit.end) for hit in hits] == [(len(before), len(before) + len(written))]


@given(st.text(max_size=60))
def test_any_text_is_read_and_places_lie_within_it(text: str) -> None:
    hits = LEXICON.find(text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    assert all(earlier.end <= later.start for earlier, later in pairwise(hits))
    assert all(0 <= word.start < word.end <= len(text) for word in worded(text).words)


@given(st.lists(st.text(alphabet="zorgle bas@$1.", min_size=1, max_size=12), min_size=1, max_size=5))
def test_a_term_is_found_by_itself(terms: list[str]) -> None:
    kept = [term for term in terms if any(map(str.isalpha, term))]
    if kept:
        lexicon = Lexicon.of([Term(term) for term in kept if len(term.split()) <= 8])
        forms = [form for term in kept for form in normal_forms(term)]
        assert all(lexicon.find(form) for form in forms)


def test_a_hashed_term_is_found_like_a_plain_one() -> None:
    hashed = Lexicon.of([Term("sha256:" + hashlib.sha256(b"zorgle").hexdigest(), "strong")])
    for written in ("zorgle", "Z0RGLE", "z o r g l e", "zorgles"):
        assert [(hit.severity, hit.end - hit.start) for hit in hashed.find(written)] == [("strong", len(written))]
    assert hashed.find("zorgl zorglet") == []


def test_the_longer_of_two_terms_that_overlap_is_told() -> None:
    lexicon = Lexicon.of([Term("blue"), Term("blue moon", "rare")])
    assert lexicon.find("a blue moon, blue") == [Hit(2, 11, "rare", "b*******"), Hit(13, 17, "", "b***")]


def test_terms_of_a_severity_alone() -> None:
    lexicon = Lexicon.of([Term("blue", "mild"), Term("red", "strong")])
    assert [hit.severity for hit in lexicon.only(["strong"]).find("blue red")] == ["strong"]
    with pytest.raises(DataError, match="knows: mild, strong"):
        lexicon.only(["severe"])


@pytest.mark.parametrize(
    ("terms", "words"), [([], "no term"), (["!!"], "neither letter"), (["a " * 9], "9 words"), (["sha256:ab"], "64 hex")]
)
def test_what_is_no_term_is_refused(terms: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Lexicon.of([Term(text) for text in terms])


def test_a_mask_gives_the_first_letter_alone() -> None:
    assert (masked("z.o-rgle"), masked("$$"), masked("x" * 100)) == ("z*****", "*", "x" + "*" * 20)


@pytest.mark.parametrize("text", ["a" * 200_000, "a " * 30_000, "a.b" * 20_000, "aaa" + "abbb" * 50_000, "a*" * 30_000, "$" * 100_000])
def test_a_hostile_text_is_read_in_time_that_grows_with_it(text: str) -> None:
    assert LEXICON.find(text) == []


def test_on_real_comments_it_finds_more_than_plain_words_do_and_flags_few_clean_ones(shared_data: Path) -> None:
    with (shared_data / "profanity_surge" / "profanity_en.csv").open(encoding="utf-8", newline="") as file:
        lexicon = Lexicon.of([Term(row["text"], row["severity_description"]) for row in csv.DictReader(file)])
    with (shared_data / "toxicity_surge" / "toxicity_en.csv").open(encoding="utf-8", newline="") as file:
        rows = [(bool(lexicon.find(row["text"])), row["is_toxic"] == "Toxic") for row in csv.DictReader(file)]
    right, flagged, toxic = sum(hit and bad for hit, bad in rows), sum(hit for hit, _ in rows), sum(bad for _, bad in rows)
    assert right / flagged > 0.86 and right / toxic > 0.32
