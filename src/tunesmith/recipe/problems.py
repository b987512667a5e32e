"""What is wrong with a recipe, in words: each refusal of pydantic's becomes one sentence with the value, the rule and the next move."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticUndefined

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.recipe.fields import Path, default_of, described_at, dotted, field_at, section_of, settings
from tunesmith.recipe.scalars import shown
from tunesmith.section import Section

_ALTERNATIVES = re.compile(r"\^\(([\w|-]+)\)\$")
_QUOTED = re.compile(r"'([^']*)'")
_BOUND = re.compile(r"^(greater than|less than|at least|at most) ")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, and where."""

    path: Path
    """The setting; empty for the recipe as a whole."""
    sentence: str


class RefusedRecipe(RecipeError):
    """A recipe that can't be. The message lists every problem, one a line; `problems` holds them apart."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.sentence for problem in problems))


def explain(error: ValidationError, recipe: type[Section], value: Any) -> list[Problem]:
    """Every refusal as a problem; the alternatives of one setting are joined into one sentence."""
    grouped: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        grouped.setdefault(_place(detail, recipe, value), []).append(detail)
    problems = []
    for path, details in grouped.items():
        deeper = any(other[: len(path)] == path and other != path for other in grouped)
        if not (deeper and all(detail["type"] == "literal_error" for detail in details)):
            problems.append(Problem(path, _sentence(path, details, recipe)))
    return problems


def numbers_written_as_booleans(written: Any, read: Any, path: Path = ()) -> list[Problem]:
    """Pydantic takes true for 1; in a recipe that is a slip. Compares what was written with what came of it."""
    if isinstance(written, bool) and not isinstance(read, bool):
        return [Problem(path, f"{dotted(path)} is {shown(written)}; it must be a number.")]
    found: list[Problem] = []
    if isinstance(written, Mapping):
        for name, inner in written.items():
            found += numbers_written_as_booleans(inner, _came_of(name, read), (*path, name))
    elif isinstance(written, list):
        for position, (inner, below) in enumerate(zip(written, read, strict=True)):
            found += numbers_written_as_booleans(inner, below, (*path, position))
    return found


def _came_of(name: str, read: Any) -> Any:
    """What a written name became; some settings are called otherwise in Python than in a recipe (`from`)."""
    if isinstance(read, Mapping):
        return read.get(name)
    called = next((called for called, field in type(read).model_fields.items() if field.alias == name), name)
    return getattr(read, called)


def _place(detail: ErrorDetails, recipe: type[Section], value: Any) -> Path:
    """The path a refusal is about: pydantic's location without the names of the alternatives it tried."""
    path: Path = ()
    here: type[Section] | None = recipe
    for part in detail["loc"]:
        if here is None and isinstance(part, str) and not (isinstance(value, Mapping) and part in value):
            continue
        path = (*path, part)
        value = _inside(value, part)
        field = here.model_fields.get(part) if here is not None and isinstance(part, str) else None
        here = section_of(field) if field is not None else None
    return path


def _inside(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(part, int):
        return value[part] if isinstance(value, Sequence) and part < len(value) else None
    return getattr(value, part, None)


def _sentence(path: Path, details: Sequence[ErrorDetails], recipe: type[Section]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _unknown(path, recipe)
    if first["type"] == "missing":
        return " ".join(f"{dotted(needed)} is missing{_purpose(needed, recipe)}." for needed in _needed(path, recipe))
    if first["type"] == "value_error":
        return f"{dotted(path)}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
    value = first["input"]
    rules = list(dict.fromkeys(_rule(detail) for detail in details))
    if len(rules) > 1:  # a bound beside another rule says what it bounds: `a number of at most 1000 or 'find'`
        rules = [_BOUND.sub(r"a number \g<0>", rule).replace("a number at ", "a number of at ") for rule in rules]
    near = did_you_mean(value, _choices(details)) if isinstance(value, str) and _choices(details) else ""
    move = near if near.startswith(" Did") else _leave_out(path, recipe)
    return f"{dotted(path) or 'The recipe'} is {shown(value)}; it must be {' or '.join(rules)}.{move}"


def _unknown(path: Path, recipe: type[Section]) -> str:
    """An unknown key: the nearest name beside it, or the section where a setting of that very name lives."""
    name = str(path[-1])
    field = field_at(recipe, path[:-1])
    here = recipe if len(path) == 1 else (section_of(field) if field is not None else None)
    known = list(here.model_fields) if here is not None else []
    answer = did_you_mean(name, known)
    if not answer.startswith(" Did"):
        elsewhere = [dotted(other) for other, _ in settings(recipe) if other[-1] == name]
        answer = f" Did you mean '{elsewhere[0]}'?" if elsewhere else answer
    return f"{dotted(path)} is not a setting.{answer}"


def _needed(path: Path, recipe: type[Section]) -> list[Path]:
    """The missing setting; for a missing section, what of it must be written."""
    field = field_at(recipe, path)
    inner = section_of(field) if field is not None else None
    return [(*path, name) for name, below in inner.model_fields.items() if below.is_required()] if inner is not None else [path]


def _purpose(path: Path, recipe: type[Section]) -> str:
    """What a required setting is for, in the words of its own documentation."""
    description = described_at(recipe, path).strip().rstrip(".")
    return f": {description[0].lower()}{description[1:]}" if description else ""


def _leave_out(path: Path, recipe: type[Section]) -> str:
    """The next move that always works: nothing written, the default holds."""
    field = field_at(recipe, path) if path and isinstance(path[-1], str) else None
    default = default_of(field) if field is not None else PydanticUndefined
    if default is PydanticUndefined or isinstance(default, Section):
        return ""
    return f" Leave it out for the default, {shown(default)}." if default is not None else " Leave it out for the default."


def _choices(details: Iterable[ErrorDetails]) -> list[str]:
    """The names a setting may have, where it has a list of them."""
    found: list[str] = []
    for detail in details:
        context = detail.get("ctx", {})
        if detail["type"] in ("literal_error", "enum"):
            found += _QUOTED.findall(str(context["expected"]))
        elif detail["type"] == "string_pattern_mismatch":
            match = _ALTERNATIVES.fullmatch(str(context["pattern"]))
            found += match[1].split("|") if match else []
    return found


_RULES: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda c: f"greater than {c['gt']:g}",
    "greater_than_equal": lambda c: f"at least {c['ge']:g}",
    "less_than": lambda c: f"less than {c['lt']:g}",
    "less_than_equal": lambda c: f"at most {c['le']:g}",
    "too_long": lambda c: f"a list of at most {c['max_length']}",
    "too_short": lambda c: f"a list of at least {c['min_length']}",
    "string_pattern_mismatch": lambda c: f"text that matches {c['pattern']}",
    "finite_number": lambda c: "a finite number",
    "string_type": lambda c: "text: put it in quotes",
    "model_type": lambda c: "a section, with its settings indented beneath it",
    "dict_type": lambda c: "a mapping of names to values",
    "list_type": lambda c: "a list, such as [a, b]",
    "tuple_type": lambda c: "a list, such as [a, b]",
    "bool_type": lambda c: "true or false",
    "bool_parsing": lambda c: "true or false",
    "int_type": lambda c: "a whole number",
    "int_parsing": lambda c: "a whole number",
    "int_from_float": lambda c: "a whole number",
    "int_parsing_size": lambda c: "a smaller whole number",
    "float_type": lambda c: "a number",
    "float_parsing": lambda c: "a number",
}
"""The rule behind each kind of refusal, from its context; other kinds keep pydantic's own words."""


def _rule(detail: ErrorDetails) -> str:
    choices = _choices([detail])
    if choices:
        return "one of " + ", ".join(choices) if len(choices) > 1 else repr(choices[0])
    say = _RULES.get(detail["type"])
    if say is not None and not (detail["type"] == "string_type" and isinstance(detail["input"], list | dict | None)):
        return say(detail.get("ctx", {}))
    return "text" if detail["type"] == "string_type" else detail["msg"].removeprefix("Input should be ").rstrip(".")
