"""Where each token of a rendered prompt stands in the row's text: for every kind of template, and whatever rendering did to the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tunesmith.chat.places import Placed, place
from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.embedded import base_path
from tunesmith.score.spans import reachable, spans_of, token_tags

TEXT = "Ada Lovelace lives at 12 Rue Descartes, Paris ‒ naïve café, 日本."
TRIMMED = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|stop|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
UPPER = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return AutoTokenizer.from_pretrained(base_path())


def renderer(tokenizer, template: str | None = None, max_tokens: int = 256) -> Renderer:  # type: ignore[no-untyped-def]
    made = Renderer(tokenizer, max_tokens=max_tokens)
    if template is not None:
        made.template = template
    return made


def row(text: str, system: str | None = None) -> Row:
    before = (Message("system", system),) if system is not None else ()
    return Row(id="r", prompt=(*before, Message("user", text)), answer="none")


def covered(placed: Placed, text: str) -> str:
    """The text put together again from what its tokens stand for."""
    marks = [" "] * len(text)
    for bounds in placed.offsets_T:
        if bounds is not None:
            marks[slice(*bounds)] = text[slice(*bounds)]
    return "".join(marks)


@pytest.mark.parametrize("template", [None, TRIMMED])
@pytest.mark.parametrize("text", [TEXT, f"  {TEXT}\n ", "a", "user", "qzx"])
def test_every_character_has_its_token_and_the_ids_are_those_of_the_prompt(tokenizer, template: str | None, text: str) -> None:  # type: ignore[no-untyped-def]
    made = renderer(tokenizer, template)
    one = row(text, "Find the names, user: a.")
    placed = place(made, one)
    assert placed.ids == made.prompt(one.prompt).ids
    assert len(placed.offsets_T) == len(placed.ids)
    assert covered(placed, text).split() == text.split()
    assert sum(bounds is None for bounds in placed.offsets_T) >= 5  # instruction and template stand for none of it


def test_a_text_that_the_instruction_quotes_is_found_in_its_own_place(tokenizer) -> None:  # type: ignore[no-untyped-def]
    placed = place(renderer(tokenizer), row("Paris", "Say Paris, Paris or Paris."))
    alone = [index for index, bounds in enumerate(placed.offsets_T) if bounds is not None]
    system = place(renderer(tokenizer), row("Berlin", "Say Paris, Paris or Paris."))
    assert alone[0] == next(index for index, bounds in enumerate(system.offsets_T) if bounds is not None)


def test_a_broken_control_string_moves_nothing_after_it(tokenizer) -> None:  # type: ignore[no-untyped-def]
    control = next(token for token in tokenizer.get_added_vocab() if len(token.strip()) > 3)
    text = f"Ask {control} of Ada {control} Lovelace"
    placed = place(renderer(tokenizer), row(text))
    assert placed.neutralised == 2
    span = (text.index("Ada"), text.index("Ada") + 3, "person")
    assert reachable(text, placed.offsets_T, [span]) == (span,)
    assert covered(placed, text) == text


def test_what_is_cut_has_no_token_and_the_rest_keeps_its_place(tokenizer) -> None:  # type: ignore[no-untyped-def]
    text = " ".join(f"word{number}" for number in range(60)) + " Ada Lovelace"
    placed = place(renderer(tokenizer, max_tokens=64), row(text))
    assert placed.cut_tokens > 0 and len(placed.ids) <= 64
    span = (text.index("Ada"), len(text), "person")
    assert reachable(text, placed.offsets_T, [(0, 5, "word"), span]) == (span,)


def test_a_template_that_rewrites_texts_is_refused(tokenizer) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="doesn't write the text of row r as it stands"):
        place(renderer(tokenizer, UPPER), row(TEXT))


def test_a_row_without_a_user_is_refused(tokenizer) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="no user message"):
        place(renderer(tokenizer), Row(id="r", prompt=(Message("system", "x"),), answer="y"))


_RENDERER = Renderer(AutoTokenizer.from_pretrained(base_path()), max_tokens=256)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab cé日<|>\n", min_size=1, max_size=30).filter(str.strip))
def test_offsets_never_overlap_and_miss_nothing(text: str) -> None:
    placed = place(_RENDERER, row(text))
    assert covered(placed, text).split() == text.split()
    starts = [bounds[0] for bounds in placed.offsets_T if bounds is not None]
    assert starts == sorted(starts)


def test_spans_at_tokens_go_to_tags_and_back(tokenizer) -> None:  # type: ignore[no-untyped-def]
    placed = place(renderer(tokenizer), row(TEXT))
    spans = tuple((TEXT.index(part), TEXT.index(part) + len(part), kind) for part, kind in (("Ada Lovelace", "person"), ("Paris", "place")))
    tags = token_tags(TEXT, placed.offsets_T, spans)
    assert spans_of(TEXT, placed.offsets_T, tags) == spans
    assert {tag for tag in tags if tag} == {"O", "B-person", "I-person", "B-place"} | ({"I-place"} if "I-place" in tags else set())


def test_both_answers_of_a_pair_follow_one_prompt_that_leaves_room_for_the_longer(tokenizer) -> None:  # type: ignore[no-untyped-def]
    made = renderer(tokenizer, max_tokens=64)
    one = Row(id="r", prompt=(Message("user", "word " * 80),), answer="yes", rejected="no, not at all, and never again")
    chosen, rejected = made.pair(one)
    assert chosen.prompt_ids == rejected.prompt_ids and chosen.cut_tokens > 0
    assert (chosen.answer_ids, rejected.answer_ids) == (made.answer("yes"), made.answer(one.rejected or ""))
    assert len(rejected.ids) == 64
    with pytest.raises(DataError, match="answer of"):
        made.pair(Row(id="r", prompt=one.prompt, answer="yes", rejected="no " * 80))
    with pytest.raises(DataError, match="no preference pair"):
        made.pair(row("x"))


def test_labels_of_a_set_are_each_written_in_words(tokenizer) -> None:  # type: ignore[no-untyped-def]
    made = Renderer(tokenizer, max_tokens=64, label_texts={"late_parcel": "late parcel", "billing": "billing", "a, b": "a b"})
    assert made.written("billing, late_parcel") == "billing, late parcel"
    assert (made.written("a, b"), made.written("none"), made.written("billing, other")) == ("a b", "none", "billing, other")
