"""From one record to what the model is shown and what it should answer, by the form of the file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.core.rows import Message
from tunesmith.data import forms

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
_HUMAN, _ASSISTANT = "\n\nHuman:", "\n\nAssistant:"


class BadRow(ValueError):
    """Why a record is no row, as a phrase that quotes none of it."""


@dataclass(frozen=True, slots=True)
class Content:
    """The words of a row. A value that is missing is an empty text, for the stage `fill` to drop."""

    prompt: tuple[Message, ...]
    answer: str
    rejected: str | None = None


def shape(form: forms.Form, mapping: Mapping[str, str], values: Mapping[str, Any]) -> Content:
    """The words of one record; BadRow says what is wrong with it."""
    picked = {role: values.get(column) for role, column in mapping.items()}
    return _SHAPES[form.name](picked)


def _text(value: Any, role: str) -> str:
    """A value as text: numbers as they are written, whole ones without a point; nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    raise BadRow(f"{role} is {'a list' if isinstance(value, list) else 'an object'}, not a text")


def _user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def _label(row: Mapping[str, Any]) -> Content:
    return Content(_user(_text(row["text"], "text")), _text(row["label"], "label"))


def _completion(row: Mapping[str, Any]) -> Content:
    """TRL's conversational pairs (lists of messages on both sides) too."""
    if isinstance(row["prompt"], list) and isinstance(row["completion"], list):
        return _conversation([*row["prompt"], *row["completion"]])
    prompt = messages(row["prompt"]) if isinstance(row["prompt"], list) else _user(_text(row["prompt"], "prompt"))
    return Content(prompt, _text(row["completion"], "completion"))


def _instruction(row: Mapping[str, Any]) -> Content:
    instruction, extra = _text(row["instruction"], "instruction"), _text(row.get("input"), "input")
    both = f"{instruction}\n\n{extra}" if extra.strip() and instruction.strip() else instruction
    return Content(_user(both), _text(row["output"], "output"))


def _raw(row: Mapping[str, Any]) -> Content:
    return Content((), _text(row["text"], "text"))


def _chat(row: Mapping[str, Any]) -> Content:
    return Content((), "") if row["messages"] is None else _conversation(row["messages"])


def _conversation(value: Any) -> Content:
    """The last assistant message is the answer, what stands before it the prompt; what stands after it is left out."""
    turns = messages(value)
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=None)
    if last is None:
        raise BadRow("no assistant message")
    return Content(turns[:last], turns[last].content)


def messages(value: Any) -> tuple[Message, ...]:
    """A list of role/content (OpenAI) or from/value (ShareGPT) objects as messages."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow("messages is a text, not a list") from None
    if not isinstance(value, list):
        raise BadRow("messages is not a list")
    return tuple(_message(turn) for turn in value)


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise BadRow("a message is not an object")
    name = turn.get("role", turn.get("from"))
    if name is None:
        raise BadRow("a message without a role")
    role = _ROLES.get(str(name).strip().casefold())
    if role is None:
        raise BadRow("a message with an unknown role (known: system, developer, user, human, assistant, gpt, model, bot, tool, function)")
    words = _content(turn.get("content", turn.get("value")))
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    return Message(role, "\n".join([*([words] if words else []), *(_call(call) for call in calls)]))


def _content(value: Any) -> str:
    """A message's text; a list of parts is joined, and a part that is no text refused."""
    if not isinstance(value, list):
        return _text(value, "content")
    parts = []
    for part in value:
        if not isinstance(part, dict) or "text" not in part:
            raise BadRow("a message with a part that is no text (a picture, a sound)")
        parts.append(_text(part["text"], "content"))
    return "".join(parts)


def _call(call: Any) -> str:
    """A tool call as one JSON object: its name and its arguments."""
    inner = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(inner, dict) or "name" not in inner:
        raise BadRow("a tool call without a name")
    arguments = inner.get("arguments", {})
    try:
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        raise BadRow("a tool call whose arguments are not JSON") from None
    return json.dumps({"name": inner["name"], "arguments": arguments}, ensure_ascii=False)


def _preference(row: Mapping[str, Any]) -> Content:
    """A prompt beside two answers; or two conversations (lists, or `Human:`/`Assistant:` transcripts) that part at their last answer."""
    prompt, chosen, rejected = row.get("prompt"), row["chosen"], row["rejected"]
    before = messages(prompt) if isinstance(prompt, list) else _user(_text(prompt, "prompt")) if prompt is not None else ()
    if isinstance(chosen, dict) and isinstance(rejected, dict):
        chosen, rejected = [chosen], [rejected]
    if before and isinstance(chosen, (str, type(None))) and isinstance(rejected, (str, type(None))):
        return Content(before, _text(chosen, "chosen"), _text(rejected, "rejected"))
    if isinstance(chosen, str) and isinstance(rejected, str):
        chosen, rejected = _transcript(chosen), _transcript(rejected)
    if chosen is None or rejected is None:
        return Content(before, "", "")
    better, worse = _conversation(chosen), _conversation(rejected)
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
}
