"""What ends an answer: the control token that the template writes after one, else the end of the sequence."""

from typing import Any

import pytest
from transformers import AutoTokenizer

from tunesmith.chat.render import Renderer
from tunesmith.embedded import base_path

TURN = "{% for m in messages %}{{ m['content'] }}%s{% endfor %}"


def renderer_of(template: str | None, eos: str = "<|im_end|>") -> Renderer:
    tokenizer: Any = AutoTokenizer.from_pretrained(base_path())
    tokenizer.chat_template, tokenizer.eos_token = template, eos
    return Renderer(tokenizer, max_tokens=64)


@pytest.mark.parametrize(
    ("template", "eos", "end"),
    [
        (TURN.replace("%s", "<|im_end|>\n"), "<|endoftext|>", "<|im_end|>"),
        (TURN.replace("%s", "<|im_end|>\n"), "<|im_end|>", "<|im_end|>"),
        (TURN.replace("%s", "\n"), "<|endoftext|>", "<|endoftext|>"),
        ("<|im_start|>{% for m in messages %}{% if m['role'] == 'user' %}x{% endif %}{% endfor %}", "<|endoftext|>", "<|endoftext|>"),
        ("{{ raise_exception('no') }}", "<|endoftext|>", "<|endoftext|>"),
        (None, "<|endoftext|>", "<|endoftext|>"),
    ],
)
def test_the_end_of_an_answer(template: str | None, eos: str, end: str) -> None:
    renderer = renderer_of(template, eos)
    assert renderer.end_ids == (renderer.added[end],)
    assert renderer.answer("yes")[-1] == renderer.added[end]
    assert renderer.decode([*renderer.answer("yes"), 100, 101]) == "yes"


def test_a_base_without_a_template_gets_a_plain_one() -> None:
    renderer = renderer_of(None)
    assert not renderer.has_own_template
    assert renderer.text([], generation=True) == "Assistant:\n"
