"""From one record to what the model is shown and what it should answer, by the form of the file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunesmith.core.rows import Message
from tunesmith.data import forms, targets
from tunesmith.data.content import BadRow, Content, as_text, conversation, is_transcript, messages, told, transcript, user


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
        return _told(conversation([*row["prompt"], *row["completion"]]), row)
    return _told(Content(_prompt(row["prompt"]), as_text(row["completion"], "completion").removeprefix(_gap(row))), row)


def _gap(row: Mapping[str, Any]) -> str:
    """The space that stands before an answer to a transcript, which belongs to neither."""
    return " " if is_transcript(row["prompt"]) else ""


def _prompt(held: Any) -> tuple[Message, ...]:
    """A prompt: a text, a transcript that ends where the answer is to come, or messages."""
    if isinstance(held, str) and is_transcript(held) and held.rstrip().endswith("\n\nAssistant:"):
        return messages(transcript(held)[:-1])  # the last turn is empty: the answer is to come
    return messages(held) if isinstance(held, list) else user(as_text(held, "prompt"))


def _told(content: Content, row: Mapping[str, Any]) -> Content:
    """Content with the system text and the tools that stand beside it."""
    if row.get("system") is None and row.get("tools") is None:
        return content
    return replace(content, prompt=told(content.prompt, row.get("system"), row.get("tools")))


def _instruction(row: Mapping[str, Any]) -> Content:
    """An instruction and its input as one user message, after the turns of `history` (pairs of what was said and answered)."""
    instruction, extra = as_text(row["instruction"], "instruction"), as_text(row.get("input"), "input")
    both = f"{instruction}\n\n{extra}" if extra.strip() and instruction.strip() else instruction
    return _told(Content((*_history(row.get("history")), *user(both)), as_text(row["output"], "output")), row)


def _history(held: Any) -> tuple[Message, ...]:
    if held is None:
        return ()
    if not isinstance(held, list) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in held):
        raise BadRow("history is not a list of pairs")
    return tuple(Message(role, as_text(words, "history")) for pair in held for role, words in zip(("user", "assistant"), pair, strict=True))


def _raw(row: Mapping[str, Any]) -> Content:
    return Content((), as_text(row["text"], "text"))


def _chat(row: Mapping[str, Any]) -> Content:
    return Content((), "") if row["messages"] is None else _told(conversation(row["messages"]), row)


def _preference(row: Mapping[str, Any]) -> Content:
    """A prompt beside two answers; or two conversations (lists, or `Human:`/`Assistant:` transcripts) that part at their last answer.

    OpenAI's preference files too, whose `input` is an object with messages and tools.
    """
    prompt, chosen, rejected = row.get("prompt"), row["chosen"], row["rejected"]
    beside: Mapping[str, Any] = {"system": row.get("system"), "tools": row.get("tools")}
    if isinstance(prompt, dict):
        beside = {"tools": prompt.get("tools")}
        prompt = prompt.get("messages")
    before = _prompt(prompt) if prompt is not None else ()
    if isinstance(chosen, dict) and isinstance(rejected, dict):
        chosen, rejected = [chosen], [rejected]
    if before and isinstance(chosen, (str, type(None))) and isinstance(rejected, (str, type(None))):
        gap = _gap({"prompt": prompt})
        better, worse = as_text(chosen, "chosen").removeprefix(gap), as_text(rejected, "rejected").removeprefix(gap)
        return _told(Content(before, better, worse), beside)
    if chosen is None or rejected is None:
        return Content(before, "", "")
    good, bad = conversation(_turns(chosen)), conversation(_turns(rejected))
    if good.prompt != bad.prompt:
        raise BadRow("chosen and rejected part before their last answer")
    own = good.prompt
    if before and own[: len(before)] != before:
        own = before + own
    return _told(Content(own, good.answer, bad.answer), beside)


def _turns(held: Any) -> Any:
    """The turns of a transcript; lists as they are; BadRow where a text is none."""
    if isinstance(held, str) and not is_transcript(held):
        raise BadRow("no prompt, and chosen is no transcript of Human: and Assistant: turns")
    return held


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
