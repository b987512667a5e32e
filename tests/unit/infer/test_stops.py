"""Text ends exactly before a stop, wherever tokens begin and end, and the ids say the text."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tunesmith.core.errors import RecipeError
from tunesmith.embedded import base_path
from tunesmith.infer.generate import Wanted, answers
from tunesmith.infer.stops import Stops
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

CPU = torch.device("cpu")


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(base_path())


@given(text=st.text("abé€ \n🙂the", max_size=40), stops=st.lists(st.text("abé€ \n🙂the", min_size=1, max_size=4), min_size=1, max_size=3))
def test_text_is_cut_before_the_earliest_stop_and_ids_say_the_same(text: str, stops: list[str]) -> None:
    ids = tokenizer().encode(text, add_special_tokens=False)
    said, kept = Stops(tokenizer(), tuple(stops)).cut(ids)
    place = min((text.find(stop) for stop in stops if stop in text), default=len(text))
    assert said == text[:place]
    assert tokenizer().decode(kept, skip_special_tokens=True) == said


@given(text=st.text("ab the\né", min_size=1, max_size=30), stop=st.text("ab the\né", min_size=1, max_size=5))
def test_a_stop_is_seen_at_the_token_that_completes_it(text: str, stop: str) -> None:
    ids = tokenizer().encode(text, add_special_tokens=False)
    stops = Stops(tokenizer(), (stop,))
    seen = [length for length in range(1, len(ids) + 1) if stops.reached(ids[:length])]
    expected = [length for length in range(1, len(ids) + 1) if stop in tokenizer().decode(ids[:length])]
    assert seen[:1] == expected[:1]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    made: Any = load_base(BaseConfig(path=str(tiny_base))).model
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


PROMPTS = [[5, 6, 7, 8, 9, 10], [300, 301], [5, 6, 7, 40]]


def test_generation_stops_where_its_free_text_would_have_been_cut(model: Any) -> None:
    free = answers(model, PROMPTS, Wanted(end_ids=(), max_new_tokens=24, tokenizer=tokenizer()), device=CPU)
    for (whole,) in free:
        assert whole.text is not None
        middle = len(whole.text) // 2
        for stop in (whole.text[middle : middle + 3], whole.text[middle : middle + 9]):  # within a token, and over several
            wanted = Wanted(end_ids=(), max_new_tokens=24, tokenizer=tokenizer(), stops=(stop,))
            found = answers(model, PROMPTS, wanted, device=CPU)
            for (one,), (other,) in zip(found, free, strict=True):
                assert other.text is not None
                assert one.text == other.text.split(stop)[0]
                assert tokenizer().decode(one.ids, skip_special_tokens=True) == one.text
                assert one.made == other.made[: len(one.made)]
                assert one.ended == ("stop" if stop in other.text else "length")
                assert len(one.made) < 24 or one.ended == "length"


def test_an_end_token_is_of_what_was_made_and_not_of_the_answer(model: Any) -> None:
    ((free,),) = answers(model, PROMPTS[:1], Wanted(end_ids=(), max_new_tokens=6, tokenizer=tokenizer()), device=CPU)
    end = free.made[3]
    ((found,),) = answers(model, PROMPTS[:1], Wanted(end_ids=(end,), max_new_tokens=6, tokenizer=tokenizer()), device=CPU)
    length = free.made.index(end)
    assert found.made == free.made[: length + 1]
    assert found.ids == free.made[:length]
    assert found.ended == "end"


def test_a_stop_that_is_a_control_token_ends_as_one(model: Any) -> None:
    ((free,),) = answers(model, PROMPTS[:1], Wanted(end_ids=(), max_new_tokens=6, tokenizer=tokenizer()), device=CPU)

    class Marked:
        """The tokenizer, with the third token that will be made a control token."""

        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer(), name)

        def get_added_vocab(self) -> dict[str, int]:
            return {"<|done|>": free.made[2]}

    wanted = Wanted(end_ids=(), max_new_tokens=6, tokenizer=Marked(), stops=("<|done|>",))
    ((found,),) = answers(model, PROMPTS[:1], wanted, device=CPU)
    assert (found.ended, found.made) == ("end", free.made[:3])


def test_log_probabilities_are_the_models_own(model: Any) -> None:
    found = answers(model, PROMPTS, Wanted(end_ids=(), max_new_tokens=5, logps=True), device=CPU)
    for prompt, (one,) in zip(PROMPTS, found, strict=True):
        logps = torch.log_softmax(model(torch.tensor([[*prompt, *one.made]])).logits[0].detach(), dim=-1)
        expected = [float(logps[len(prompt) - 1 + place, token]) for place, token in enumerate(one.made)]
        assert one.logps == pytest.approx(expected, abs=1e-4)


def test_edges_are_refused_or_empty(model: Any) -> None:
    with pytest.raises(RecipeError, match="A stop string is empty"):
        Wanted(end_ids=(), max_new_tokens=1, tokenizer=tokenizer(), stops=("",))
    with pytest.raises(ValueError, match="hand over the tokenizer"):
        Wanted(end_ids=(), max_new_tokens=1, stops=("a",))
    with pytest.raises(ValueError, match="without tokens"):
        answers(model, [[]], Wanted(end_ids=(), max_new_tokens=1), device=CPU)
    ((none,),) = answers(model, [[5]], Wanted(end_ids=(), max_new_tokens=0), device=CPU)
    assert (none.made, none.ended) == ((), "length")
