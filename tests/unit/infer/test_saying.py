"""What is said while an answer is made is a beginning of the answer, always."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.infer.saying import Saying
from tunesmith.infer.stops import Stops
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

TEXTS = st.text(st.sampled_from("ab \n.é€🙂END"), max_size=120)


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return load_base(BaseConfig(path=str(tiny_base))).tokenizer


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, stops=st.lists(st.sampled_from(["END", "\n\n", "b.", "🙂"]), max_size=2))
def test_pieces_make_up_the_answer_and_nothing_said_is_taken_back(tokenizer: Any, text: str, stops: list[str]) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    whole, _ = Stops(tokenizer, tuple(stops)).cut(ids)
    whole = whole.strip()
    saying, said = Saying(tokenizer, stops), ""
    for token in ids:
        said += saying.more(token)
        assert whole.startswith(said)
    said += saying.rest(whole)
    assert said == whole


def test_text_comes_as_soon_as_it_is_certain(tokenizer: Any) -> None:
    ids = tokenizer.encode("one two three four five", add_special_tokens=False)
    saying = Saying(tokenizer, ["STOP"])
    heard = [saying.more(token) for token in ids]
    assert "".join(heard) == "one two three four five"
    assert sum(bool(piece) for piece in heard) > 3


def test_half_a_character_and_half_a_stop_are_held_back(tokenizer: Any) -> None:
    saying = Saying(tokenizer, ["END."])
    for token in tokenizer.encode("a EN", add_special_tokens=False):
        saying.more(token)
    assert saying.said == "a"
    more = "".join(saying.more(token) for token in tokenizer.encode("Dless", add_special_tokens=False))
    assert more == " ENDless"
    smile = Saying(tokenizer)
    for token in tokenizer.encode("🙂", add_special_tokens=False)[:-1]:
        assert smile.more(token) == ""
