"""The words of a row before it is one, and how values of a record become words: texts, turns, tool calls."""

import json
from dataclasses import dataclass
from typing import Any

from tunesmith.core.rows import Message, Span

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


class BadRow(ValueError):
    """Why a record is no row, as a phrase that quotes none of it."""


@dataclass(frozen=True, slots=True)
class Content:
    """The words of a row. A value that is missing is an empty text, for the stage `fill` to drop."""

    prompt: tuple[Message, ...]
    answer: str
    rejected: str | None = None
    labels: tuple[str, ...] | None = None
    value: float | None = None
    tags: tuple[Span, ...] | None = None
    wanted: bool | None = None
    weight: float = 1.0


def as_text(value: Any, role: str) -> str:
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


def user(text: str) -> tuple[Message, ...]:
    """A prompt of one message."""
    return (Message("user", text),)


def conversation(value: Any) -> Content:
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
        return as_text(value, "content")
    parts = []
    for part in value:
        if not isinstance(part, dict) or "text" not in part:
            raise BadRow("a message with a part that is no text (a picture, a sound)")
        parts.append(as_text(part["text"], "content"))
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
