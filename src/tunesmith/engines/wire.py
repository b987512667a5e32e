"""The OpenAI chat format: requests as JSON, answers read with suspicion."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tunesmith.engines.asking import ChatRequest, Completion, EngineError

STRUCTURED = ("json_schema", "json_object", "none")
"""How a schema is asked for: as a schema, as any JSON object, or in the prompt alone."""
_MOST_TOKENS = 10**9


def body_of(request: ChatRequest, model: str, structured: str) -> dict[str, Any]:
    """The JSON body of `POST /chat/completions`."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None and structured == "json_schema":
        schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema is not None and structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def key_of(name: str, body: Mapping[str, Any]) -> str:
    """64 hex digits over who is asked and what."""
    return sha256(json.dumps([name, body], sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def read_answer(content: bytes) -> Completion | EngineError:
    """The first choice of an answer; an error where the bytes are no such thing."""
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return EngineError("The engine answered something that is no chat completion: is the URL that of an OpenAI-compatible server?")
    if not isinstance(text, str):
        return EngineError("The engine answered without text: it refused, or called a tool.")
    used = value.get("usage")
    finish = choice.get("finish_reason")
    return Completion(
        text=_whole(text),
        finish=finish if isinstance(finish, str) and finish.isidentifier() else "stop",
        prompt_tokens=_count(used, "prompt_tokens"),
        answer_tokens=_count(used, "completion_tokens"),
    )


def error_code(content: bytes) -> str:
    """The short code in an error's body, such as `context_length_exceeded`; empty where there is none. Never its prose, which may quote the prompt."""
    try:
        code = json.loads(content)["error"]["code"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= 40 else ""


def _whole(text: str) -> str:
    """Halves of surrogate pairs can't be written to any file: they become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(used: object, name: str) -> int:
    value = used.get(name) if isinstance(used, dict) else None
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else 0
