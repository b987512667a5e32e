"""From one record to what the model is shown and what it should answer, by the form of the file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunesmith.data import forms, targets
from tunesmith.data.content import BadRow, Content, as_text, conversation, messages, user

_HUMAN, _ASSISTANT = "\n\nHuman:", "\n\nAssistant:"


def shape(form: forms.Form, mapping: Mapping[str, str], values: Mapping[str, Any], separator: str | None = None) -> Content:
    """The words of one record; BadRow says what is wrong with it.

    Args:
        form: what its columns were taken for.
        mapping: role -> column.
        values: the record.
        separator: what stands between labels that are one text.
    """
    picked = {role: values.get(column) for role, column in mapping.items()}
    content = targets.labels(picked, separator) if form is forms.LABELS else _SHAPES[form.name](picked)
    return replace(content, weight=targets.weight(picked[forms.WEIGHT])) if forms.WEIGHT in mapping else content


def _label(row: Mapping[str, Any]) -> Content:
    return Content(user(as_text(row["text"], "text")), as_text(row["label"], "label"))


def _completion(row: Mapping[str, Any]) -> Content:
    """TRL's conversational pairs (lists of messages on both sides) too."""
    if isinstance(row["prompt"], list) and isinstance(row["completion"], list):
        return conversation([*row["prompt"], *row["completion"]])
    prompt = messages(row["prompt"]) if isinstance(row["prompt"], list) else user(as_text(row["prompt"], "prompt"))
    return Content(prompt, as_text(row["completion"], "completion"))


def _instruction(row: Mapping[str, Any]) -> Content:
    instruction, extra = as_text(row["instruction"], "instruction"), as_text(row.get("input"), "input")
    both = f"{instruction}\n\n{extra}" if extra.strip() and instruction.strip() else instruction
    return Content(user(both), as_text(row["output"], "output"))


def _raw(row: Mapping[str, Any]) -> Content:
    return Content((), as_text(row["text"], "text"))


def _chat(row: Mapping[str, Any]) -> Content:
    return Content((), "") if row["messages"] is None else conversation(row["messages"])


def _preference(row: Mapping[str, Any]) -> Content:
    """A prompt beside two answers; or two conversations (lists, or `Human:`/`Assistant:` transcripts) that part at their last answer."""
    prompt, chosen, rejected = row.get("prompt"), row["chosen"], row["rejected"]
    before = messages(prompt) if isinstance(prompt, list) else user(as_text(prompt, "prompt")) if prompt is not None else ()
    if isinstance(chosen, dict) and isinstance(rejected, dict):
        chosen, rejected = [chosen], [rejected]
    if before and isinstance(chosen, (str, type(None))) and isinstance(rejected, (str, type(None))):
        return Content(before, as_text(chosen, "chosen"), as_text(rejected, "rejected"))
    if isinstance(chosen, str) and isinstance(rejected, str):
        chosen, rejected = _transcript(chosen), _transcript(rejected)
    if chosen is None or rejected is None:
        return Content(before, "", "")
    better, worse = conversation(chosen), conversation(rejected)
    if better.prompt != worse.prompt:
        raise BadRow("chosen and rejected part before their last answer")
    own = better.prompt
    if before and own[: len(before)] != before:
        own = before + own
    return Content(own, better.answer, worse.answer)


def _transcript(text: str) -> list[dict[str, str]]:
    r"""The turns of a text in the form `\n\nHuman: ... \n\nAssistant: ...`; BadRow where it is none."""
    if not text.startswith((_HUMAN, _ASSISTANT)):
        raise BadRow("no prompt, and chosen is no transcript of Human: and Assistant: turns")
    turns = []
    for part in text.replace(_HUMAN, "\x00user\x01").replace(_ASSISTANT, "\x00assistant\x01").split("\x00")[1:]:
        role, _, words = part.partition("\x01")
        turns.append({"role": role, "content": words.strip()})
    return turns


_SHAPES: dict[str, Callable[[Mapping[str, Any]], Content]] = {
    forms.PREFERENCE.name: _preference,
    forms.MESSAGES.name: _chat,
    forms.INSTRUCTION.name: _instruction,
    forms.COMPLETION.name: _completion,
    forms.LABEL.name: _label,
    forms.TEXT.name: _raw,
    forms.VALUE.name: targets.value,
    forms.COMPARED.name: targets.compared,
    forms.SPANS.name: targets.spans,
    forms.TOKENS.name: targets.tokens,
    forms.MARKED_MESSAGES.name: lambda row: targets.marked(_chat(row), row),
    forms.MARKED_COMPLETION.name: lambda row: targets.marked(_completion(row), row),
}
