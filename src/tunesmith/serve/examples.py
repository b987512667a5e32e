"""Files to train on, in OpenAI's forms, line by line: what they hold, or the line that breaks a rule and the rule it breaks.

    chat        {"messages": [{"role": "user", "content": "..."}, ..., {"role": "assistant", "content": "..."}], "tools": [...]}
    preference  {"input": {"messages": [...]}, "preferred_output": [one assistant message], "non_preferred_output": [one]}

A file is one form throughout. Costs one pass, a line in memory at a time. Of a chat the last assistant message with weight 1 is learnt, and
what stands before it is its prompt. What a line says is never told: a refusal is read by people who may not see the file.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tunesmith.core.rows import Message
from tunesmith.data.content import BadRow, Content, conversation, messages, told
from tunesmith.ledger.files import ExampleForm

MOST_LINE = 2**20
"""Bytes of one line."""
LEAST_ROWS = 10
"""Examples to train on; OpenAI asks for as many."""
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_CHAT = frozenset({"messages", "tools", "functions", "parallel_tool_calls"})
_PREFERENCE = frozenset({"input", "preferred_output", "non_preferred_output"})
_INPUT = frozenset({"messages", "tools", "parallel_tool_calls"})


class BadExample(Exception):
    """A line that can't be learnt from."""

    def __init__(self, line: int, rule: str) -> None:
        super().__init__(f"Line {line:,}: {rule}.")
        self.line, self.rule = line, rule


@dataclass(frozen=True, slots=True)
class Examples:
    """What a file holds."""

    form: ExampleForm
    rows: int


def check_examples(path: Path) -> Examples:
    """Read a file through. BadExample names the first line that breaks a rule."""
    form: ExampleForm | None = None
    count = 0
    for found, _ in _read(path):
        form, count = found, count + 1
    if form is None:
        raise BadExample(1, "the file holds no example; send one JSON object a line")
    return Examples(form, count)


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The examples as rows of a data set, of the form messages or prompt/chosen/rejected. BadExample as for `check_examples`."""
    for form, content in _read(path):
        prompt = [_plain(turn) for turn in content.prompt]
        if form == "chat":
            yield {"messages": [*prompt, _said(content.answer)]}
        else:
            yield {"prompt": prompt, "chosen": [_said(content.answer)], "rejected": [_said(content.rejected or "")]}


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _plain(turn: Message) -> dict[str, str]:
    return {"role": turn.role, "content": turn.content}


def _read(path: Path) -> Iterator[tuple[ExampleForm, Content]]:
    first: ExampleForm | None = None
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MOST_LINE + 2):
            number += 1
            if len(line.rstrip(b"\r\n")) > MOST_LINE:
                raise BadExample(number, f"it is longer than {MOST_LINE // 1024:,} KiB; shorten the example")
            if not line.strip():
                continue
            try:
                form, content = _example(_parsed(line, first=number == 1))
            except BadRow as error:
                raise BadExample(number, str(error)) from None
            first = first or form
            if form != first:
                raise BadExample(number, f"it is of the {form} form, and those before are of the {first} form; send two files")
            yield form, content


def _parsed(line: bytes, *, first: bool) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        raise BadRow("it is not UTF-8; save the file as UTF-8") from None
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRow("it is no JSON; write one JSON object a line") from None
    if not isinstance(value, dict):
        raise BadRow("it is JSON and no object; write {...}")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _example(value: dict[str, Any]) -> tuple[ExampleForm, Content]:
    """BadRow says which rule is broken."""
    if "messages" in value:
        _only(value, _CHAT, "")
        return "chat", _chat(value)
    if value.keys() & _PREFERENCE:
        _only(value, _PREFERENCE, "")
        return "preference", _preference(value)
    raise BadRow("it has neither messages (chat) nor input, preferred_output and non_preferred_output (preference)")


def _only(value: dict[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(value.keys() - known):
        raise BadRow(f"{where}{_shown(unknown[0])} is not known here; it takes {', '.join(sorted(known))}")


def _shown(name: str) -> str:
    """A name that a client made up, cut, with nothing in it that a terminal obeys."""
    return "'" + "".join(mark if mark.isprintable() else "?" for mark in name[:40]) + "'"


def _chat(value: dict[str, Any]) -> Content:
    _turns(value["messages"], "messages")
    content = conversation(value["messages"])
    prompt = told(content.prompt, None, value.get("tools") or value.get("functions"))
    return _whole(Content(prompt, content.answer))


def _preference(value: dict[str, Any]) -> Content:
    for name in sorted(_PREFERENCE):
        if name not in value:
            raise BadRow(f"'{name}' is missing")
    asked = value["input"]
    if not isinstance(asked, dict) or "messages" not in asked:
        raise BadRow("'input' is no object with messages")
    _only(asked, _INPUT, "input: ")
    _turns(asked["messages"], "input.messages")
    prompt = told(messages(asked["messages"]), None, asked.get("tools"))
    chosen, rejected = (_output(value, name) for name in ("preferred_output", "non_preferred_output"))
    if chosen == rejected:
        raise BadRow("preferred_output and non_preferred_output are the same")
    return _whole(Content(prompt, chosen, rejected))


def _output(value: dict[str, Any], name: str) -> str:
    held = value[name]
    _turns(held, name)
    if len(held) != 1 or held[0]["role"] != "assistant":
        raise BadRow(f"{name} is not a list of one assistant message")
    text = messages(held)[0].content
    if not text.strip():
        raise BadRow(f"{name} is empty")
    return text


def _turns(held: Any, name: str) -> None:
    """Messages as OpenAI has them: the reader of files takes many other shapes, which a client here does not mean."""
    if not isinstance(held, list) or not held:
        raise BadRow(f"{name} is no list of messages")
    for place, turn in enumerate(held, 1):
        if not isinstance(turn, dict):
            raise BadRow(f"message {place} of {name} is no object")
        if turn.get("role") not in _ROLES:
            raise BadRow(f"message {place} of {name} has no role of {', '.join(_ROLES)}")
        content = turn.get("content")
        called = turn.get("tool_calls") or turn.get("function_call")
        if not isinstance(content, (str, list)) and not (content is None and turn["role"] == "assistant" and called):
            raise BadRow(f"message {place} of {name} has no content, which is a text")


def _whole(content: Content) -> Content:
    if not content.answer.strip():
        raise BadRow("the last assistant message is empty")
    if not any(turn.role == "user" and turn.content.strip() for turn in content.prompt):
        raise BadRow("no user message stands before the answer")
    return content
