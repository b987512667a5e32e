"""Nothing in shown text can act, and nothing can hide."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.report.text import for_terminal, label, one_line, passage, visible

STRANGE = st.text(alphabet=st.characters(codec=None) | st.sampled_from("\x1b\x9b\u202e\u2066\u200b\x00\u0301\t\n["), max_size=60)


def test_plain_text_is_left_alone() -> None:
    for text in ("Where is my parcel?", "two\nlines", "Łódź, naïve, 日本語, עברית", "نامه\u200cای", "👩\u200d🔧 <b>&amp;"):
        assert visible(text) == text


def test_what_turns_or_hides_is_written_out() -> None:
    assert visible("refund\u202edrawer") == "refund⟨U+202E⟩drawer"
    assert visible("\u200brefund") == "⟨U+200B⟩refund"
    assert visible("\x1b[31m") == "⟨U+001B⟩[31m"
    assert visible("\ud800\x00\x00\x00") == "⟨U+D800⟩⟨U+0000 x3⟩"
    assert visible("a\r\nb\tc") == "a\nb    c"


def test_marks_cannot_climb_over_other_lines() -> None:
    shown = visible("a" + "\u0316" * 60)
    assert shown == "a" + "\u0316" * 4 + "⟨U+0316 x56⟩"


@given(STRANGE)
def test_nothing_hidden_is_left(text: str) -> None:
    left = {
        c
        for c in visible(text)
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE")
    }
    assert left <= {"\n"}
    visible(text).encode("utf-8")


@given(STRANGE)
def test_a_terminal_gets_one_line_without_controls(text: str) -> None:
    shown = for_terminal(text)
    assert not any(unicodedata.category(c) == "Cc" for c in shown)


def test_escape_codes_are_taken_out_whole() -> None:
    assert for_terminal("\x1b[1;31mred\x1b[0m \x1b]0;owned\x07title \x1b]8;;http://x\x1b\\link\x9b2J") == "red title link"
    assert for_terminal("[bold]urgent[/bold]") == "[bold]urgent[/bold]"


def test_lengths() -> None:
    assert one_line("a  b\n c") == "a b c"
    assert one_line("w" * 200, 20) == "w" * 19 + "…"
    assert one_line("w" * 20, 20) == "w" * 20
    assert label("") == "(empty)"
    assert passage("abcdef", 4) == ("abcd", 2)
    assert passage("abcd", 4) == ("abcd", 0)
