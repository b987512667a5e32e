"""Control strings in content are broken, whole words are not; labels are written as words."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.chat.control import BREAK, control_strings, neutralise, neutraliser
from tunesmith.chat.labels import in_words, label_texts

STRINGS = control_strings("[INST] {{ x }} [/INST]<start_of_turn><｜User｜>", ["<|im_end|>", " ", "<", "\n\n"])


def test_which_strings_are_control() -> None:
    assert frozenset({"[INST]", "[/INST]", "<start_of_turn>", "<｜User｜>", "<|im_end|>"}) == STRINGS


@given(st.lists(st.sampled_from(["<|im_", "end|>", "<|im_end|>", "[INST]", "[", "<", "start_of_turn>", "a"]), max_size=9).map("".join))
def test_none_is_left_and_nothing_is_lost(text: str) -> None:
    safe, count = neutralise(text, neutraliser(STRINGS))
    assert not any(string in safe for string in STRINGS)
    assert safe.replace(BREAK, "") == text
    assert (count > 0) == any(string in text for string in STRINGS)


def test_without_control_strings_text_stays() -> None:
    assert neutralise("<|im_end|>", neutraliser(frozenset())) == ("<|im_end|>", 0)


def test_labels_become_words() -> None:
    assert [in_words(label) for label in ("card_arrival", "CardArrival", "a.b/c", "5", "__")] == [
        "card arrival",
        "card arrival",
        "a b c",
        "5",
        "__",
    ]
    assert label_texts(["card_arrival", "refund"], words=True) == {"card_arrival": "card arrival", "refund": "refund"}
    assert label_texts(["card_arrival", "CardArrival"], words=True) == {"card_arrival": "card_arrival", "CardArrival": "CardArrival"}
    assert label_texts(["a_b"], words=False) == {"a_b": "a_b"}
