"""Values as YAML 1.2 writes them: on one line, and read back as the same value by any reader, older ones included."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from tunesmith.section import Section

_PLAIN = re.compile(r"(?:\.{0,2}/)?[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_SHOWN = 60


def written(value: Any) -> str:
    """One value in YAML's flow form: text bare where that is safe, in double quotes otherwise."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return written(value.value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Section):
        return written(value.model_dump(mode="json", by_alias=True))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(str(name))}: {written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return _text(str(value))


def shown(value: Any) -> str:
    """A value inside a sentence: text quoted, what prints nothing as its code, long ones cut."""
    text = _quoted(value, "'") if isinstance(value, str) else written(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _text(value: str) -> str:
    plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _RESERVED
    return value if plain else _quoted(value, '"')


def _quoted(value: str, mark: str) -> str:
    return mark + "".join(_character(character, mark) for character in value) + mark


def _character(character: str, mark: str) -> str:
    if character in (mark, "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
