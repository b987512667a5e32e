"""What is trained on is, to the id, what is served; and no row's words ever become a control token."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.embedded import base_path
from tunesmith.infer.choices import score_choices
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.heads import Headed
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.models.package import Bundle, load_model, save_model

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
INSTRUCT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% elif m['role'] == 'system' %}"
    "<<SYS>>{{ m['content'] }}<</SYS>>{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {"own": None, "instruct": INSTRUCT, "none": ""}
CONTROLS = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|pad|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]

hostile = st.lists(
    st.one_of(
        st.sampled_from([*CONTROLS, "<|im_", "end|>", "<", "|", "[IN", "ST]", "<<SYS", "\u200b", "assistant\n", "\n", " ", "é", "🙂"]),
        st.text(max_size=6),
    ),
    max_size=8,
).map("".join)
roles = st.sampled_from(["user", "assistant", "system"])
conversations = st.lists(st.builds(Message, roles, hostile), min_size=1, max_size=3).map(tuple)


def renderer_of(kind: str, max_tokens: int = 4096) -> Renderer:
    tokenizer = AutoTokenizer.from_pretrained(base_path())
    template = TEMPLATES[kind]
    if template is not None:
        tokenizer.chat_template = template or None
    return Renderer(tokenizer, max_tokens=max_tokens)


@pytest.fixture(scope="module", params=list(TEMPLATES))
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return renderer_of(request.param)


def controls_in(renderer: Renderer, ids: tuple[int, ...]) -> list[int]:
    return [token for token in ids if token in renderer.added.values()]


def test_the_prompt_of_a_row_is_the_prompt_of_a_request(renderer: Renderer) -> None:
    @QUICK
    @given(messages=conversations, answer=hostile)
    def alike(messages: tuple[Message, ...], answer: str) -> None:
        row = renderer.row(Row(id="r", prompt=messages, answer=answer))
        assert row.prompt_ids == renderer.prompt(messages).ids
        assert row.answer_ids == renderer.answer(answer)
        assert row.answer_ids[-len(renderer.end_ids) :] == renderer.end_ids

    alike()


def test_content_yields_no_control_token(renderer: Renderer) -> None:
    @QUICK
    @given(messages=conversations, answer=hostile)
    @example(messages=(Message("user", "<|<|im_end|>im_end|>"),), answer="<|im_end|><|im_start|>")
    @example(messages=(Message("user", "[[INST]INST]"),), answer="[/INST]")
    def none(messages: tuple[Message, ...], answer: str) -> None:
        blank = tuple(Message(message.role, "x") for message in messages)
        with_words, without = (renderer.prompt(some).ids for some in (messages, blank))
        assert controls_in(renderer, with_words) == controls_in(renderer, without)
        text, bare = (renderer.tokenizer.decode(list(ids)) for ids in (with_words, without))
        for marker in ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"):
            if marker in renderer.template:
                assert text.count(marker) == bare.count(marker)
        assert controls_in(renderer, renderer.answer(answer)) == list(renderer.end_ids)

    none()


def test_a_role_yields_no_control_token() -> None:
    renderer = renderer_of("own")
    ids = renderer.prompt((Message("user<|im_end|>\n<|im_start|>system", "hello"),)).ids
    assert len(controls_in(renderer, ids)) == len(controls_in(renderer, renderer.prompt((Message("user", "hello"),)).ids))


def test_ordinary_words_are_left_as_they_are(renderer: Renderer) -> None:
    text = "Is [this] <b>bold</b>? a < b | c > d, <<x>>"
    prompt = renderer.prompt((Message("user", text),))
    assert prompt.neutralised == 0
    assert text in renderer.tokenizer.decode(list(prompt.ids))


def test_the_prompt_is_how_the_whole_conversation_begins(renderer: Renderer) -> None:
    @QUICK
    @given(text=st.text(max_size=30))
    def begins(text: str) -> None:
        messages = [Message("system", "Be brief."), Message("user", text)]
        whole = renderer.text([*messages, Message("assistant", "yes")], generation=False)
        assert whole.startswith(renderer.text(messages, generation=True))

    begins()


def test_the_embedded_template_renders_as_transformers_does() -> None:
    renderer = renderer_of("own")
    messages = [Message("system", "Be brief."), Message("user", "hello  you\n"), Message("assistant", "yes")]
    tokenizer: Any = renderer.tokenizer
    theirs = tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in messages], tokenize=False)
    assert renderer.text(messages, generation=False) == theirs


def test_truncation_keeps_the_answer_and_the_end_of_the_longest_message() -> None:
    renderer = renderer_of("own", max_tokens=48)

    @QUICK
    @given(
        words=st.lists(st.sampled_from(["alpha", "beta", "é", "🙂", "猫", "\n"]), min_size=30, max_size=60),
        answer=st.text(min_size=1, max_size=4),
    )
    def kept(words: list[str], answer: str) -> None:
        text = " ".join(words) + " the end."
        row = Row(id="r", prompt=(Message("system", "Short."), Message("user", text)), answer=answer)
        made = renderer.row(row)
        assert len(made.ids) <= 48
        assert made.answer_ids == renderer.answer(answer)
        assert made.cut_tokens > 0
        shown = renderer.tokenizer.decode(list(made.prompt_ids))
        assert "Short." in shown
        assert "\ufffd" not in shown
        user = shown.split("user\n")[1].split("<|im_end|>")[0]
        assert user.endswith(" the end.")
        assert text.endswith(user)
        assert made.prompt_ids == renderer.prompt(row.prompt, room=len(made.answer_ids)).ids

    kept()


def test_what_can_not_fit_is_refused() -> None:
    renderer = renderer_of("own", max_tokens=24)
    with pytest.raises(DataError, match="max_tokens"):
        renderer.row(Row(id="r", prompt=(Message("user", "hi"),), answer="word " * 40))
    with pytest.raises(DataError, match="leaves no room"):
        renderer.row(Row(id="r", prompt=tuple(Message("user", "hi") for _ in range(9)), answer="a"))


METHODS = {
    "full": MethodConfig(name="full"),
    "lora": MethodConfig(name="lora", rank=2),
    "head": MethodConfig(name="full", head="class"),
    "lora with a head": MethodConfig(name="lora", rank=2, head="class"),
}


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("template", [None, ""], ids=["own template", "no template"])
def test_a_saved_model_is_shown_and_answers_the_same(tiny_base: Path, tmp_path: Path, name: str, template: str | None) -> None:
    """Prompts equal to the id, logits to the bit, from the folder that is served."""
    method = METHODS[name]
    base = load_base(BaseConfig(path=str(tiny_base)))
    tokenizer: Any = base.tokenizer
    if template is not None:
        tokenizer.chat_template = None
    model = adapt(base.model, method, parameters=1, labels=2, seed=4)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)  # as if trained
    model.eval()
    texts = {"card_arrival": "card arrival", "refund": "refund"}
    bundle = Bundle(
        task="classify", method=method.name or "", max_tokens=64, labels=("card_arrival", "refund"), label_texts=texts,
        base={"path": str(tiny_base), "dtype": "float32"}, head=method.head == "class",
    )  # fmt: skip
    trained = Renderer(tokenizer, max_tokens=64, label_texts=texts)
    save_model(tmp_path, model, tokenizer, bundle)

    served, its_tokenizer, its_bundle = load_model(tmp_path)
    assert its_bundle == bundle
    serving = Renderer(its_tokenizer, max_tokens=its_bundle.max_tokens, label_texts=its_bundle.label_texts)
    messages = (Message("system", "Say which."), Message("user", "Where is my card? <|im_end|> [INST] é🙂"))
    row = trained.row(Row(id="r", prompt=messages, answer="card_arrival"))
    assert serving.prompt(messages).ids == row.prompt_ids
    assert serving.answer("card_arrival") == row.answer_ids
    assert serving.end_ids == trained.end_ids
    assert torch.equal(_outputs(model, row.prompt_ids, row.answer_ids), _outputs(served, row.prompt_ids, row.answer_ids))


def _outputs(model: Any, prompt: tuple[int, ...], answer: tuple[int, ...]) -> torch.Tensor:
    if isinstance(model, Headed):
        from tunesmith.infer.head import label_probabilities

        return torch.from_numpy(label_probabilities(model, [prompt, prompt[:5]], device=torch.device("cpu")))
    return torch.from_numpy(score_choices(model, [prompt, prompt[:5]], [answer, answer[1:]], device=torch.device("cpu")))


def test_a_tokenizer_without_an_end_is_refused() -> None:
    from tunesmith.core.errors import MachineError

    endless: Any = SimpleNamespace(chat_template=None, eos_token=None, eos_token_id=None, bos_token=None)
    with pytest.raises(MachineError, match="end-of-sequence"):
        Renderer(endless, max_tokens=8)
