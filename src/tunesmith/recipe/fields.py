"""What settings a section has: the one place that reads pydantic's field tables."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tunesmith.section import Section, descriptions

Path = tuple[str | int, ...]
"""Where a setting stands: ("train", "early_stopping", "patience"), with list positions as numbers."""


def dotted(path: Path) -> str:
    """`data.read.columns`, `evaluate.few_shot[2]`; what prints nothing in a name is written as its code."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() else repr(part)
            text += f".{name}" if text else name
    return text


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section a field holds, alone or beside None; None for a plain setting."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def settings(section: type[Section], above: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every field of a section and of the sections inside it, outer before inner, in the order they are declared."""
    for name, field in section.model_fields.items():
        yield (*above, name), field
        inner = section_of(field)
        if inner is not None:
            yield from settings(inner, (*above, name))


def field_at(section: type[Section], path: Path) -> FieldInfo | None:
    """The field a path leads to, or the field whose value the path leads into; None where no such setting is."""
    here: type[Section] | None = section
    field: FieldInfo | None = None
    for part in path:
        if here is None:
            return field
        found = here.model_fields.get(part) if isinstance(part, str) else None
        if found is None:
            return None
        field, here = found, section_of(found)
    return field


def described_at(section: type[Section], path: Path) -> str:
    """What the setting is for that a path leads to, or into; empty where no such setting is."""
    here: type[Section] | None = section
    told = ""
    for part in path:
        if here is None:
            return told
        found = here.model_fields.get(part) if isinstance(part, str) else None
        if found is None:
            return ""
        told, here = descriptions(here).get(str(part), ""), section_of(found)
    return told


def without_empty_sections(section: type[Section], value: dict[str, Any]) -> dict[str, Any]:
    """Drop sections that stand empty, as they do when every line under them is commented out: their defaults hold."""
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        field = section.model_fields.get(name)
        kind = section_of(field) if field is not None else None
        if kind is not None and isinstance(inner, dict):
            kept[name] = without_empty_sections(kind, inner)
        elif kind is None or inner is not None:
            kept[name] = inner
    return kept


def default_of(field: FieldInfo) -> Any:
    """What holds where nothing is written; `PydanticUndefined` where something must be."""
    return field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
