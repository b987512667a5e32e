"""Chat templates: Jinja in its immutable sandbox, bounded in time and size.

A template comes with a model and is not ours: it can loop for ever or write without end, so both are cut short.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Message

MOST_CHARACTERS = 20_000_000
MOST_SECONDS = 5.0

PLAIN = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}:\n{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
"""For models that bring no template of their own."""


TODAY = datetime(2024, 7, 26)
"""What templates that write today's date are told: a real clock would make what is served tomorrow differ from what was
trained today, and a round continued after midnight from one that was not. The date Llama's templates fall back to."""

_deadline: ContextVar[float] = ContextVar("deadline")


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _too_long() -> TemplateError:
    return TemplateError(f"it wrote over {MOST_CHARACTERS:,} characters or took over {MOST_SECONDS:g} s")


def _watched(values: Iterable[Any]) -> Iterator[Any]:
    """The values of a loop, as long as there is time."""
    for value in values:
        if time.monotonic() > _deadline.get():
            raise _too_long()
        yield value


class _Generation(Extension):
    """`{% generation %}`, which marks answers for other trainers: what stands inside is written as it is."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with every loop watched, and no product or power that would fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "watched", [], [], None, None).set_environment(self)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply where the result stays small."""
        lengths = [value if isinstance(value, int | float) else len(value) for value in (left, right)]
        if (operator == "**" and lengths[1] > 64) or abs(lengths[0] * lengths[1]) > MOST_CHARACTERS:
            raise TemplateError(f"its {operator} is too large")
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=16)
def compile_template(source: str) -> Template:
    """Compile a chat template in the sandbox. Raises MachineError where it is not valid Jinja."""
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = TODAY.strftime
    environment.filters["watched"] = _watched
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
    size = 0
    _deadline.set(time.monotonic() + MOST_SECONDS)
    try:
        for part in template.generate(messages=as_dicts, add_generation_prompt=generation, tools=None, documents=None, **tokens):
            size += len(part)
            if size > MOST_CHARACTERS or time.monotonic() > _deadline.get():
                raise _too_long()
            parts.append(part)
    except Exception as error:  # whatever a stranger's code may raise: TypeError, RecursionError, MemoryError
        roles = ", ".join(message.role for message in messages)
        raise DataError(
            f"The model's chat template refuses messages with roles {roles}: {error}. Change the roles, or the base."
        ) from error
    return "".join(parts)
