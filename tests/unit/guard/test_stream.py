"""A filter says the same however its text is cut, and never says a character of what it must keep back."""

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.anonymise.findings import KINDS
from tunesmith.guard.finding import BEHIND, Finding, Rule
from tunesmith.guard.rules.classifier import ClassifierRule
from tunesmith.guard.rules.lexicon import LexiconRule
from tunesmith.guard.rules.personal import PersonalRule
from tunesmith.guard.rules.topics import PatternRule
from tunesmith.guard.stream import Filter
from tunesmith.score.lexicon import Lexicon, Term

TERMS = Lexicon.of([Term(text) for text in ("zorgle", "blue moon", "one two three", "red-hat", "bass", "blue moon rises")])
LEXICON = LexiconRule(TERMS, Finding(0, 0, "lexicon", "redact", "[x]"))
PATTERN = PatternRule(
    (re.compile(r"\bab\w{1,6}z\b|q{2,5}", re.IGNORECASE), re.compile(r"moon .{0,9}!")), 15, Finding(0, 0, "topic.t", "redact", "[t]")
)
PERSONAL = PersonalRule(dict.fromkeys(KINDS, "redact"))
CLASSIFIER = ClassifierRule(lambda texts: [float("vile" in text) for text in texts], 0.5, "redact", "[c]")
RULES: dict[str, Rule] = {"lexicon": LEXICON, "pattern": PATTERN, "personal": PERSONAL, "classifier": CLASSIFIER}

WORDS = """zorgle z0rgl3 z.o.r.g.l.e z o r g l e zo\u200brgle ZORGLEEEE zorgles z*rgle blue moon rises one two three red hat red-hat bass b a s s
abcz abcdefz qq qqqqqqq vile I a x - * . , ! ? ... ' \u0301 \u200b @ ü ¼ ﷺ aﬁ 1 12 ann@example.com +44 20 7946 0958 Mary Jones
my name is Peter call me on 555-0142 lives at 12 High Street, born on 3 May 1980, password: hunter2x! 4111 1111 1111 1111
The weather was fine and nothing else happened all day long. Really! And then? Mr. St. No. 5. -----BEGIN RSA PRIVATE KEY----- MIIE
-----END RSA PRIVATE KEY-----"""
LONGER = ("my name is Peter Parker", "+44 20 7946 0958", "12 High Street, Springfield, IL 62704")
fragments = st.sampled_from([*WORDS.split(), *LONGER, " ", "\u00a0", "    ", "\n", "\n\n", ". ", "\t"])
mixed = st.lists(st.tuples(fragments, st.sampled_from(["", " ", " ", " ", "\n", ". "])), max_size=40).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)
BEGINNINGS = ("blue moon", "blue moon rises", "one two three", "one two", "red hat", "z o r g l e", "z o r", "a", "blue")
begun = st.lists(st.sampled_from(BEGINNINGS), max_size=5).map(" ".join)
"""Nearly nothing but beginnings of terms."""
texts = mixed | begun | st.text(alphabet="ab zqé.-*\u200b\n@1", max_size=60)
cuts = st.lists(st.floats(0, 1), max_size=12)


def pieces(text: str, cut: list[float]) -> list[str]:
    places = sorted({0, len(text), *(round(one * len(text)) for one in cut)})
    return [text[start:end] for start, end in pairwise(places)]


def said(rules: list[Rule], parts: list[str]) -> tuple[list[str], Filter]:
    made = Filter(rules)
    out = [made.more(part) for part in parts]
    return [*out, made.rest()], made


def expected(rules: list[Rule], text: str) -> tuple[str, str | None]:
    """The whole text, told by another way: found all at once, what overlaps taken together."""
    found = sorted(
        (one for rule in rules for one in rule.find(text) if one.action != "mark"), key=lambda one: (one.start, -one.end, one.rule)
    )
    groups: list[list[Finding]] = []
    for one in found:
        if groups and one.start < max(other.end for other in groups[-1]):
            groups[-1].append(one)
        else:
            groups.append([one])
    parts, here = [], 0
    for group in groups:
        parts.append(text[here : group[0].start])
        blocking = [one for one in group if one.action == "block"]
        if blocking:
            return "".join(parts), blocking[0].rule
        parts.append(group[0].instead)
        here = max(one.end for one in group)
    return "".join([*parts, text[here:]]), None


@pytest.mark.parametrize("name", RULES)
@given(text=texts, share=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_text_may_be_cut_where_a_rule_says_it_is_settled(name: str, text: str, share: float) -> None:
    rule = RULES[name]
    place = rule.settled(text[: round(share * len(text))])
    behind = rule.find(text[place:], text[max(0, place - BEHIND) : place])
    moved = [Finding(one.start + place, one.end + place, one.rule, one.action, one.instead) for one in behind]
    assert [*rule.find(text[:place]), *moved] == rule.find(text)


@given(text=texts, cut=cuts, chosen=st.sets(st.sampled_from(sorted(RULES)), min_size=1))
@settings(max_examples=200, deadline=None)
def test_what_is_said_does_not_hang_on_the_cuts_and_nothing_unwanted_is_ever_out(text: str, cut: list[float], chosen: set[str]) -> None:
    rules = [RULES[name] for name in sorted(chosen)]
    whole, blocked = expected(rules, text)
    out, made = said(rules, pieces(text, cut))
    assert "".join(out) == whole and made.blocked is blocked is None
    assert made.changed == bool([one for rule in rules for one in rule.find(text)])


@given(text=texts, cut=cuts, data=st.data())
@settings(max_examples=200, deadline=None)
def test_where_a_rule_blocks_what_stands_before_is_said_and_nothing_after(text: str, cut: list[float], data: st.DataObject) -> None:
    def acting(rule: str) -> Rule:
        action = data.draw(st.sampled_from(["block", "redact", "mark"]))
        found = {
            "lexicon": LexiconRule(TERMS, Finding(0, 0, "lexicon", action, "[x]")),
            "pattern": PatternRule(PATTERN.patterns, 15, Finding(0, 0, "topic.t", action, "[t]")),
            "personal": PersonalRule(dict.fromkeys(KINDS, action)),
        }
        return found[rule]  # type: ignore[return-value]

    rules = [acting(name) for name in ("lexicon", "pattern", "personal")]
    whole, blocked = expected(rules, text)
    out, made = said(rules, pieces(text, cut))
    assert ("".join(out), made.blocked) == (whole, blocked)
    at_once = Filter(rules)
    assert at_once.rest(text) == whole and at_once.counts == made.counts


def test_every_single_cut_of_a_sentence_keeps_a_planted_word_back() -> None:
    text = "So it is z.o.r.g.l.e, or z 0 r g l e, a BLUE\u200b  moon and a zórgle."
    for size in range(1, len(text)):
        out, _ = said([LEXICON], [text[start : start + size] for start in range(0, len(text), size)])
        assert "".join(out) == "So it is [x], or [x], a [x] and a [x]."


def test_in_plain_prose_a_lexicon_keeps_back_the_word_under_way_and_no_more() -> None:
    text = "Once upon some time there was one rake, and it was new. It never came."
    made, so_far = Filter([LEXICON]), ""
    for place, letter in enumerate(text, 1):
        so_far += made.more(letter)
        word = text[:place].split(" ")[-1] if not text[:place].endswith(" ") else ""
        kept = text[len(so_far) : place]
        assert kept == word or kept.startswith("one ")  # "one two three" is a term
    assert so_far + made.rest() == text
    for begun, kept in (
        ("see a", "a"),
        ("see a ", "a "),
        ("see a r", "a r"),
        ("see a rake ", ""),
        ("a blue ", "blue "),
        ("blue moon ", "blue moon "),
    ):
        assert begun == Filter([LEXICON]).more(begun) + kept


def test_personal_data_lags_by_a_sentence_and_is_told_by_its_kind() -> None:
    first = "We spoke about the garden for an hour and it was very good fun. "
    assert len(first) == 64
    text = first + "Then she wrote to ann@example.com and called +44 20 7946 0958 at noon. After that nothing happened."
    made = Filter([PERSONAL])
    out = [made.more(letter) for letter in text]
    assert "".join(out[: len(first) + 1]) == first and not "".join(out[len(first) + 1 : len(first) + 60])
    whole = "".join(out) + made.rest()
    assert whole == text.replace("ann@example.com", "[EMAIL]").replace("+44 20 7946 0958", "[PHONE]")
    assert made.counts == Counter({"personal.email": 1, "personal.phone": 1})


def test_a_number_is_known_by_the_sentence_before_it() -> None:
    asked = "You wanted to know on which number you can reach me by phone? "
    assert len(asked) >= 60
    for cut in range(len(asked) + 20):
        text = asked + "It is 78 651 450. Bye."
        out, made = said([PERSONAL], [text[:cut], text[cut:]])
        assert "".join(out) == asked + "It is [PHONE]. Bye." and made.blocked is None


def test_a_key_in_a_block_is_kept_back_to_its_end() -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\n" + "\n\n".join("MIIEowIBAAKCAQEA7bq" * 3 for _ in range(20)) + "\n-----END RSA PRIVATE KEY-----"
    )
    text = f"Here it is:\n{key}\nKeep it well, my friend, and tell it to nobody else. Bye."
    made = Filter([PERSONAL])
    out = "".join(made.more(letter) for letter in text) + made.rest()
    assert "MIIE" not in out and out.endswith("tell it to nobody else. Bye.")


def test_a_long_text_without_a_place_to_cut_costs_no_more_than_its_length() -> None:
    asked = 0

    class Counting:
        def find(self, text: str, behind: str = "") -> list[Finding]:
            return []

        def settled(self, text: str) -> int:
            nonlocal asked
            asked += len(text)
            return 0

    made = Filter([Counting()])
    assert "".join(made.more("a ") for _ in range(20_000)) == "" and made.rest() == "a " * 20_000
    assert asked < 20 * 40_000
