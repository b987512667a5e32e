"""How answers are made goes through JSON with the model, and makes the same answers when it comes back."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tunesmith.core.errors import RecipeError
from tunesmith.embedded import base_path
from tunesmith.infer.decoding import Decoding
from tunesmith.infer.generate import answers, generate
from tunesmith.infer.sampling import Sampling

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 10, 11]]
decodings = st.builds(
    Decoding,
    sampling=st.builds(
        Sampling,
        temperature=st.floats(0, 5, allow_nan=False),
        top_p=st.floats(0.1, 1),
        top_k=st.integers(0, 50),
        seed=st.integers(0, 2**62),
    ),
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(base_path())


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    shape: Any = LlamaConfig
    config = shape(
        vocab_size=4160, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=512
    )
    made: Any = LlamaForCausalLM(config)  # wider than its tokenizer
    return made.eval()


@given(decodings)
def test_it_comes_back_from_json_as_it_was(decoding: Decoding) -> None:
    assert Decoding.from_json(json.loads(json.dumps(decoding.to_json()))) == decoding


def test_nothing_asked_is_plain_and_makes_the_greedy_answers(model: Any, tokenizer: Any) -> None:
    decoding = Decoding()
    assert decoding.plain
    wanted = decoding.wanted(model, tokenizer, end_ids=(2,), max_new_tokens=8)
    made = answers(model, PROMPTS, wanted, device=CPU)
    assert [list(one[0].made) for one in made] == generate(model, PROMPTS, end_ids=[2], max_new_tokens=8, device=CPU)


@pytest.mark.parametrize(
    ("kind", "keeps_to", "holds"),
    [
        ("choices", ["red", "blue"], lambda text: text in ("red", "blue")),
        ("regex", "[0-9]{3}", lambda text: len(text) == 3 and text.isdigit()),
        (
            "json_schema",
            {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
            lambda text: "a" in json.loads(text),
        ),
    ],
)
def test_a_constraint_holds_for_a_model_wider_than_its_tokenizer(model: Any, tokenizer: Any, kind: Any, keeps_to: Any, holds: Any) -> None:
    decoding = Decoding(kind=kind, keeps_to=keeps_to)
    assert not decoding.plain
    again = Decoding.from_json(json.loads(json.dumps(decoding.to_json())))
    wanted = again.wanted(model, tokenizer, end_ids=(2,), max_new_tokens=24)
    for (one,) in answers(model, PROMPTS, wanted, device=CPU):
        assert holds(tokenizer.decode(one.ids, skip_special_tokens=True))


def test_the_same_seed_draws_the_same_answers(model: Any, tokenizer: Any) -> None:
    def drawn(seed: int) -> Any:
        wanted = Decoding(sampling=Sampling(temperature=2.0, seed=seed)).wanted(model, tokenizer, end_ids=(2,), max_new_tokens=8)
        return answers(model, PROMPTS, wanted, device=CPU)

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"temperature": "hot"},
        Decoding().to_json() | {"temperature": True},
        Decoding().to_json() | {"temperature": -1},
        Decoding().to_json() | {"top_k": 1.5},
        Decoding().to_json() | {"stop": [""]},
        Decoding().to_json() | {"stop": "x"},
        Decoding().to_json() | {"kind": "grammar"},
    ],
)
def test_what_was_stored_and_can_not_be_meant_is_refused(odd: Any) -> None:
    with pytest.raises(RecipeError):
        Decoding.from_json(odd)


@pytest.mark.parametrize(("kind", "keeps_to"), [("json_schema", "{"), ("json_schema", 5), ("regex", 5), ("choices", 5), ("choices", [5])])
def test_a_stored_constraint_of_another_kind_is_refused(model: Any, tokenizer: Any, kind: Any, keeps_to: Any) -> None:
    with pytest.raises(RecipeError):
        Decoding(kind=kind, keeps_to=keeps_to).constraint()
