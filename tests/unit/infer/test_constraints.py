"""Every constrained answer keeps to its constraint, however little the model cares, and what can't be kept to is refused in a sentence."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tunesmith.core.errors import RecipeError
from tunesmith.embedded import base_path
from tunesmith.infer.constraints import Constraint, json_schema, matching, one_of
from tunesmith.infer.generate import Generated, Wanted, answers
from tunesmith.infer.rules import MOST_CLOSING, Guide, Rule, Vocabulary
from tunesmith.infer.sampling import Sampling
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base

CPU = torch.device("cpu")
ORDER = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
    "required": ["name", "size", "count"],
    "additionalProperties": False,
}
NESTED = {
    "$defs": {"node": {"type": "object", "properties": {"v": {"type": "boolean"}, "next": {"$ref": "#/$defs/node"}}, "required": ["v"]}},
    "type": "array",
    "items": {"$ref": "#/$defs/node"},
    "minItems": 2,
}
PROMPTS = [[5, 6, 7, 8, 9, 10], [300, 301], [5, 6, 7, 40]]


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(base_path())


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary(tokenizer(), outputs=4096, end_ids=(2,))


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    made: Any = load_base(BaseConfig(path=str(tiny_base))).model
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


def answered(model: Any, constraint: Constraint, *, most: int = 60, **how: Any) -> list[Generated]:
    rule = vocabulary().rule(constraint)
    wanted = Wanted(end_ids=(2,), max_new_tokens=most, rule=rule, tokenizer=tokenizer(), **how)
    return [one for samples in answers(model, PROMPTS, wanted, device=CPU) for one in samples]


@pytest.mark.parametrize("most", [40, 120])
@pytest.mark.parametrize("schema", [ORDER, NESTED, {"type": "number"}, {"anyOf": [{"type": "null"}, {"type": "array", "items": {}}]}])
def test_every_answer_parses_and_validates(model: Any, schema: dict[str, Any], most: int) -> None:
    found = answered(model, json_schema(schema), most=most, sampling=Sampling(temperature=1.5, samples=3, seed=1))
    found += answered(model, json_schema(json.dumps(schema)), most=most)
    for one in found:
        assert one.text is not None
        jsonschema.validate(json.loads(one.text), schema)
        assert len(one.made) <= most
    assert len({one.text for one in found}) > 3


def test_an_answer_that_runs_on_is_closed_as_late_as_can_be(model: Any) -> None:
    found = answered(
        model, json_schema({"type": "array", "items": {"type": "string"}}), most=30, sampling=Sampling(temperature=2.0, samples=4)
    )
    closed = [one for one in found if one.ended == "closed"]
    assert closed
    assert all(len(one.made) >= 20 for one in closed)


def test_a_closed_answer_is_told_its_own_log_probabilities(model: Any) -> None:
    found = answered(model, matching("[a-z ]{25,}!"), most=40, logps=True)
    assert "closed" in {one.ended for one in found}
    for prompt, one in zip(PROMPTS, found, strict=True):
        logps = torch.log_softmax(model(torch.tensor([[*prompt, *one.made]])).logits[0].detach(), dim=-1)
        expected = [float(logps[len(prompt) - 1 + place, token]) for place, token in enumerate(one.made)]
        assert one.logps == pytest.approx(expected, abs=1e-4)


def test_what_the_model_would_say_anyway_is_said(model: Any) -> None:
    wanted = Wanted(end_ids=(2,), max_new_tokens=8, tokenizer=tokenizer())
    free = [one for (one,) in answers(model, PROMPTS, wanted, device=CPU)]
    bound = answered(model, matching("(?s:.*)"), most=8)
    for one, other in zip(bound, free, strict=True):
        assert other.text is not None
        if "\ufffd" not in other.text:  # bytes that are no text are what the pattern holds back
            assert one.text == other.text


@given(
    labels=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6), min_size=1, max_size=5)
)
def test_a_label_is_a_label_whatever_signs_it_holds(labels: list[str]) -> None:
    rule = vocabulary().rule(one_of(labels))
    for label in labels:
        guide = rule.begin()
        assert all(guide.take(token) for token in (*tokenizer().encode(label, add_special_tokens=False), 2))
    assert tokenizer().decode(rule.completed((), MOST_CLOSING)) in labels


def test_labels_are_chosen_by_the_model_among_them(model: Any) -> None:
    labels = ["top up", "top up failed", "card (lost)", "a|b", "é"]
    found = {one.text for one in answered(model, one_of(labels), sampling=Sampling(temperature=3.0, samples=12))}
    assert found <= set(labels)
    assert len(found) > 2


@pytest.mark.parametrize("pattern", [r"[0-9]{3}-[a-z]*x", r"\d+(\.\d\d)? €", "(ab|cd){3}e?", r"[^a]{40}", r"(.*a){12}"])
def test_every_answer_matches_the_pattern(model: Any, pattern: str) -> None:
    most = max(40, vocabulary().rule(matching(pattern)).fewest)
    for one in answered(model, matching(pattern), most=most, sampling=Sampling(temperature=1.0, samples=2)):
        assert re.fullmatch(pattern, one.text or "", re.DOTALL), one.text


def endless() -> Any:
    held: dict[str, Any] = {"type": "object"}
    held["properties"] = {"a": held}
    return held


def deep(levels: int) -> Any:
    made: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        made = {"items": made}
    return made


HOSTILE: list[tuple[Any, str]] = [
    ({"$ref": "#"}, "No answer that keeps to the JSON schema"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "No answer that keeps to the JSON schema"),
    ({"type": "string", "minLength": 10**6}, "No answer that keeps to the JSON schema"),
    ({"type": "array", "items": {"const": "x" * 50}, "minItems": 10**6}, "JSON schema"),
    (deep(60), "nested deeper than 32"),
    (deep(900), "nested deeper than 32"),
    (endless(), "nested deeper than 32"),
    ("[" * 60_000, "nested deeper than 32"),
    ("[" * 100_000, "100,000 bytes"),
    ({"properties": {f"k{number}": {"type": "string"} for number in range(9000)}}, "bytes"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"not": {"type": "string"}}, "not"),
    ({"type": "strin"}, "Invalid type"),
    ({"$ref": "http://example.com/x"}, "can't be kept to"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "Unsatisfiable"),
    ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ({"type": "string", "pattern": "(a{1000}){1000}"}, "repeats things"),
    ({"x-guidance": {"lenient": True}, "not": {}}, "x-guidance"),
    ({"const": float("nan")}, "can't be written as JSON"),
    ({"const": {1}}, "can't be written as JSON"),
    ("{", "can't be written as JSON"),
    ("[1]", "must be an object"),
]


@pytest.mark.parametrize(("schema", "said"), HOSTILE)
def test_a_hostile_schema_is_refused_in_a_sentence(schema: Any, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        vocabulary().rule(json_schema(schema))
    message = str(refused.value)
    assert said in message
    assert len(message) < 400
    assert "\n" not in message


@pytest.mark.parametrize("pattern", ["(", r"(?=a)b", "(a{1000}){1000}", "a{99999999999999999999}", r"\p{L}{5000,}", "x" * 70_000, r"(a)\1"])
def test_a_hostile_pattern_is_refused_in_a_sentence(pattern: str) -> None:
    with pytest.raises(RecipeError) as refused:
        vocabulary().rule(matching(pattern))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("labels", [[], ["a", ""], [f"label {number}" for number in range(20_000)]])
def test_labels_that_are_none_or_too_many_are_refused(labels: list[str]) -> None:
    with pytest.raises(RecipeError, match="labels"):
        one_of(labels)


def test_too_little_room_is_told_beforehand() -> None:
    rule = vocabulary().rule(matching("[a-z]{50}"))
    assert rule.fewest == 50
    with pytest.raises(RecipeError, match="takes 50 tokens, and max_new_tokens is 49: raise it"):
        Wanted(end_ids=(2,), max_new_tokens=49, rule=rule)
    with pytest.raises(RecipeError, match="choose one"):
        Wanted(end_ids=(2,), max_new_tokens=60, rule=rule, tokenizer=tokenizer(), stops=("a",))


def test_a_parser_that_gives_up_on_the_way_still_leaves_a_whole_answer(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Guide.take
    met: list[int] = []

    def limited(self: Guide, token: int) -> bool:
        met.append(token)
        return taken(self, token) and len(met) % 7 != 0

    monkeypatch.setattr(Guide, "take", limited)
    for one in answered(model, json_schema(ORDER)):
        jsonschema.validate(json.loads(one.text or ""), ORDER)


def test_a_rule_is_not_bent_by_the_answers_before(model: Any) -> None:
    rule = vocabulary().rule(json_schema(ORDER))
    assert isinstance(rule, Rule)
    wanted = Wanted(end_ids=(2,), max_new_tokens=60, rule=rule, tokenizer=tokenizer())
    first, again = (answers(model, PROMPTS, wanted, device=CPU) for _ in range(2))
    assert first == again
