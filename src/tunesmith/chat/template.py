"""Chat templates: Jinja in its immutable sandbox, bounded in time and size.

A template comes with a model and is not ours: it can loop for ever or write without end, so both are cut short.
"""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Message

MOST_CHARACTERS = 20_000_000
MOST_SECONDS = 5.0

PLAIN = (
    "{% for message in messages %}{{ message['role'] | capitalize }}:\n{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
"""For models that bring no template of their own."""


def _refuse(message: str) -> None:
    raise TemplateError(message)


@lru_cache(maxsize=16)
def compile_template(source: str) -> Template:
    """Compile a chat template in the sandbox. Raises MachineError where it is not valid Jinja."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.filters["tojson"] = lambda value, **kw: json.dumps(value, ensure_ascii=False, indent=kw.get("indent"))
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise MachineError(f"The model's chat template can't be compiled: {error}. Name another base, or mend its template.") from error


def render_text(source: str, messages: Sequence[Message], *, generation: bool, tokens: dict[str, Any]) -> str:
    """Render messages to the text a model is shown.

    Args:
        source: the Jinja template.
        messages: the conversation.
        generation: end with what comes before an answer.
        tokens: bos_token, eos_token and the like, as the template knows them.

    Raises:
        DataError: the template refuses these messages, or renders without end.
    """
    template = compile_template(source)
    as_dicts = [{"role": message.role, "content": message.content} for message in messages]
    parts: list[str] = []
    size, deadline = 0, time.monotonic() + MOST_SECONDS
    try:
        for part in template.generate(messages=as_dicts, add_generation_prompt=generation, **tokens):
            size += len(part)
            if size > MOST_CHARACTERS or time.monotonic() > deadline:
                raise DataError(
                    f"The chat template wrote over {MOST_CHARACTERS:,} characters or took over {MOST_SECONDS:g} s: it is stopped."
                )
            parts.append(part)
    except TemplateError as error:
        roles = ", ".join(message.role for message in messages)
        raise DataError(
            f"The model's chat template refuses messages with roles {roles}: {error}. Change the roles, or the base."
        ) from error
    return "".join(parts)
