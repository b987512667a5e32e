"""Code that loads a tuned model and asks it something, as the model card shows it: with tunesmith, and with plain libraries.

Text only: nothing is run here. The tests run every kind of it on models that rounds left, and hold its answers against tunesmith's own.
"""

from dataclasses import dataclass
from typing import Literal

from tunesmith.chat.template import PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What loading and asking hang on."""

    form: Literal["whole", "adapter", "base"]
    """A whole model; a PEFT adapter; or the base as it is, beneath a head."""
    task: str
    head: str | None = None
    """`class`, `multilabel`, `regression` or `tags`; None: the language model answers."""
    pool: str = "mean"
    dtype: str = "float32"
    end_ids: tuple[int, ...]
    """Tokens that end an answer."""
    start: str | None = None
    """Where the tokenizer brings no chat template: what stands before the first message."""
    new_tokens: bool = False
    """Whether the vocabulary outgrew the base's."""
    reproducible: bool = True
    """False where plain libraries can't make it again: a base of random weights, virtual tokens beneath a head."""
    decoded: bool = False
    """Whether it was evaluated with a decoding of its own: sampled, stopped, or kept to a form."""


def tunesmith_code() -> str:
    """Loads with tunesmith and asks once, as in evaluation; `folder` and `text` are set at its top."""
    lines = [
        "from pathlib import Path",
        "",
        "from tunesmith.evaluate.ready import load_ready",
        "",
        'folder, text = Path("."), "What the model is asked"',
        "made = load_ready(folder).ask(text)",
        "print(made.answer, made.confidence)",
    ]
    return "\n".join(lines)


def plain_code(loading: Loading, base_id: str | None) -> str | None:
    """Loads with transformers, and PEFT for an adapter, and asks once; None where these can't.

    Args:
        loading: what it hangs on.
        base_id: the base on the hub; None where the reader has to say where it lies.
    """
    if not loading.reproducible:
        return None
    return "\n".join([*_imports(loading), "", *_model(loading, base_id), *_prompt(loading), *_ask(loading)])


def _imports(loading: Loading) -> list[str]:
    return [
        "import json",
        "from pathlib import Path",
        "",
        "import torch",
        *(["from peft import PeftModel"] if loading.form == "adapter" else []),
        *(["from safetensors.torch import load_file"] if loading.head else []),
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
    ]


def _model(loading: Loading, base_id: str | None) -> list[str]:
    place = repr(base_id) if base_id else '"path/to/the/base"'
    lines = [
        'folder, text = Path("."), "What the model is asked"',
        'told = json.loads((folder / "tunesmith.json").read_text())',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
    ]
    if loading.form == "whole":
        return [*lines, f"model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.{loading.dtype}).eval()"]
    lines += [f"base = {place}", f"model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.{loading.dtype}).eval()"]
    if loading.new_tokens:
        lines += [
            "if len(tokenizer) > model.get_input_embeddings().num_embeddings:",
            "    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)",
        ]
    return lines + (["model = PeftModel.from_pretrained(model, folder).eval()"] if loading.form == "adapter" else [])


def _prompt(loading: Loading) -> list[str]:
    if loading.task == "text":
        return ["ids = tokenizer(text).input_ids"]
    without = [] if loading.start is None else [f"template = {PLAIN!r}"]
    template = "" if loading.start is None else f", chat_template=template, bos_token={loading.start!r}"
    return [
        *without,
        'messages = [{"role": "system", "content": told["instruction"]}] if told["instruction"] else []',
        'messages.append({"role": "user", "content": text})',
        f"prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False{template})",
        "ids = tokenizer(prompt, add_special_tokens=False).input_ids",
    ]


def _ask(loading: Loading) -> list[str]:
    if loading.head:
        return _of_head(loading)
    if loading.task in ("classify", "prefer"):
        return _scored(loading)
    return [
        "made = model.generate(",
        "    input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),",
        f'    max_new_tokens=told["max_new_tokens"], do_sample=False, eos_token_id={list(loading.end_ids)}, pad_token_id={loading.end_ids[0]},',
        ")",
        "print(tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True).strip())",
    ]


def _scored(loading: Loading) -> list[str]:
    """The likeliest of some answers."""
    answers = 'told["labels"]' if loading.task == "classify" else '["one answer", "another answer"]'
    return [
        "",
        "def likelihood(answer):",
        '    """Of an answer and the token that ends it, as a logarithm."""',
        '    words = told["label_texts"].get(answer, answer)',
        f"    found = tokenizer(words, add_special_tokens=False).input_ids + {list(loading.end_ids)}",
        "    with torch.no_grad():",
        "        logits = model(input_ids=torch.tensor([ids + found])).logits[0, -len(found) - 1 : -1]",
        "    return logits.log_softmax(-1)[range(len(found)), found].sum().item()",
        "",
        f"print(max({answers}, key=likelihood))",
    ]


_POOLED = {
    "mean": "state = states.mean(0)",
    "last": "state = states[-1]",
    "attention": 'state = torch.softmax(states @ head["query"] / states.shape[-1] ** 0.5, 0) @ states',
}


def _of_head(loading: Loading) -> list[str]:
    lines = [
        'head = load_file(folder / "head.safetensors")',
        "with torch.no_grad():",
        "    states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]",
        'states = states.to(head["linear.weight"].dtype)',
    ]
    if loading.head == "tags":
        return [
            *lines,
            'tags = ["O", *(f"{mark}-{label}" for label in told["labels"] for mark in "BI")]',
            'best = (states @ head["linear.weight"].T + head["linear.bias"]).argmax(-1)',
            "print([(tokenizer.decode(token), tags[place]) for token, place in zip(ids, best.tolist())])",
        ]
    lines += [_POOLED[loading.pool], 'logits = head["linear.weight"] @ state + head["linear.bias"]']
    if loading.head == "regression":
        return [*lines, 'print((logits * head["spread"] + head["mean"]).item())']
    if loading.head == "multilabel":
        return [*lines, 'print([label for label, logit in zip(told["labels"], logits.tolist()) if logit >= 0])']
    return [*lines, 'print(told["labels"][int(logits.argmax())])']
