"""The words of a row before it is one, and how values of a record become words: texts, turns, transcripts, tools and calls of them.

What a chat says beside its turns is made part of them, since a model learns from what it is shown: a `system` column becomes the system message, and the
tools that may be called are listed in it, one JSON object a line. A call of a tool is one JSON object with its name and arguments.
"""

import json
import re
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


_SPEAKERS = {"system": "assistant", "agent": "assistant", "wizard": "assistant", "customer": "user"}
"""Roles of `speaker`, which tells the parties of a dialogue: the system is the one that answers."""
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
TOOLS = "Tools that may be called:"
"""What stands before the list of tools in a system message."""


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
    """The last assistant message is the answer, what stands before it the prompt; what stands after it is left out.

    Messages that OpenAI's fine-tuning weighs with 0 are no answers, though they may be part of a prompt.
    """
    turns = messages(value)
    held = _listed(value)
    asked = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    if not asked:
        raise BadRow("no assistant message")
    last = max((place for place in asked if _counts(held[place])), default=None)
    if last is None:
        raise BadRow("every assistant message has weight 0")
    return Content(turns[:last], turns[last].content)


def _counts(turn: Any) -> bool:
    """Whether a message is one to learn."""
    weight = turn.get("weight") if isinstance(turn, dict) else None
    if weight is not None and (isinstance(weight, str) or weight not in (0, 1)):
        raise BadRow("a message whose weight is neither 0 nor 1")
    return weight is None or bool(weight)


def told(turns: tuple[Message, ...], system: Any, tools: Any) -> tuple[Message, ...]:
    """Turns with what stood beside them: a system text (where they have none) and the tools that may be called."""
    words = as_text(system, "system").strip()
    own = turns[0].content if turns and turns[0].role == "system" else ""
    listed = _tools(tools)
    parts = [part for part in (own or words, listed) if part]
    if "\n\n".join(parts) == own:
        return turns
    return (Message("system", "\n\n".join(parts)), *(turns[1:] if own else turns))


def _tools(held: Any) -> str:
    """The tools of a chat as words: a line that says so, and a line of JSON for each; nothing where there are none."""
    if isinstance(held, str):
        try:
            held = json.loads(held) if held.strip() else None
        except (ValueError, RecursionError):
            raise BadRow("tools is a text that is not JSON") from None
    if not held:
        return ""
    if not isinstance(held, list) or not all(isinstance(tool, dict) for tool in held):
        raise BadRow("tools is not a list of objects")
    return "\n".join([TOOLS, *(json.dumps(tool.get("function", tool), ensure_ascii=False) for tool in held)])


def messages(value: Any) -> tuple[Message, ...]:
    """A list of role/content (OpenAI), from/value (ShareGPT) or speaker/utterance objects as messages; such a list as JSON; or a transcript."""
    return tuple(_message(turn) for turn in _listed(value))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) and is_transcript(value):
        return transcript(value)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow("messages is a text, not a list") from None
    if not isinstance(value, list):
        raise BadRow("messages is not a list")
    return value


def is_transcript(value: Any) -> bool:
    r"""Whether a text has the form `\n\nHuman: ... \n\nAssistant: ...`, as Anthropic's first models took it; a system text may stand before."""
    if not isinstance(value, str) or "Human:" not in value or "\n\nAssistant:" not in value:
        return False
    first = _TURN.search(value.lstrip() if value.lstrip().startswith(("Human:", "Assistant:")) else value)
    return first is not None and (first.group(1) == "Human" or not first.start())


def transcript(text: str) -> list[dict[str, str]]:
    """The turns of a transcript."""
    text = text.lstrip() if text.lstrip().startswith(("Human:", "Assistant:")) else text
    before, *rest = _TURN.split(text)
    turns = [{"role": "system", "content": before.strip()}] if before.strip() else []
    return turns + [
        {"role": "user" if name == "Human" else "assistant", "content": words.strip()}
        for name, words in zip(rest[::2], rest[1::2], strict=True)
    ]


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise BadRow("a message is not an object")
    name = turn.get("role", turn.get("from", turn.get("speaker")))
    if name is None:
        raise BadRow("a message without a role")
    called = str(name).strip().casefold()
    role = (_SPEAKERS.get(called) if "speaker" in turn else None) or _ROLES.get(called)
    if role is None:
        raise BadRow("a message with an unknown role (known: system, developer, user, human, assistant, gpt, model, bot, tool, function)")
    words = _content(next((turn[key] for key in ("content", "value", "utterance", "text") if turn.get(key) is not None), None))
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
