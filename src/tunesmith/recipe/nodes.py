"""YAML text as plain values, each with the line it stands on.

Built from ruamel's event stream in one pass, so that a hostile file is refused before it grows: at most 1 MiB of text,
20,000 values, 32 levels, no aliases, no tags beyond YAML's own plain ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.fields import Path, dotted

MAX_BYTES = 2**20
_MAX_VALUES = 20_000
_MAX_DEPTH = 32
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CORE = "tag:yaml.org,2002:"
_CONSTRUCTED = frozenset(_CORE + name for name in ("null", "bool", "int", "float"))
_AS_TEXT = frozenset(_CORE + name for name in ("str", "timestamp", "value", "merge"))


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text holds."""

    value: Any
    """Dicts, lists, text, numbers, booleans, None; None for a text that holds nothing."""
    lines: dict[Path, int] = field(default_factory=dict)
    """The line of every key and list item, counted from 1."""
    problems: list[tuple[int, str]] = field(default_factory=list)
    """Line and sentence of what is wrong with the text itself: keys given twice, tags."""


def read_document(text: str, origin: str) -> Document:
    """Read one YAML document. RecipeError, with the line, where the text is not YAML or breaks a limit."""
    _refuse_binary(text, origin)
    try:
        return _Builder(text, origin).document()
    except MarkedYAMLError as error:
        mark = error.context_mark if _unclosed(error) else error.problem_mark
        line = (mark or error.problem_mark).line + 1
        raise RecipeError(f"{origin}:{line}: {_syntax(error, text)}.") from None
    except (YAMLError, ValueError) as error:
        raise RecipeError(f"{origin} is not YAML: {str(error).splitlines()[0]}.") from None


def _refuse_binary(text: str, origin: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise RecipeError(f"{origin} is larger than 1 MiB, which no recipe is: is it the data file? Name that in data.path.")
    control = _CONTROL.search(text)
    if control is not None:
        raise RecipeError(f"{origin} is not text (it holds the byte 0x{ord(control[0]):02x}): is it the right file?")


class _Builder:
    """One pass over the events of one text."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        self.yaml = YAML(typ="safe", pure=True)
        self.events: Iterator[Any] = iter(self.yaml.parse(text))
        self.found = Document(None)
        self.values = 0

    def document(self) -> Document:
        value = None
        documents = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refusal(event, "a second document begins here, and a recipe is one: remove the line ---")
                value = self._value(next(self.events), (), 0)
        return Document(value, self.found.lines, self.found.problems)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        self.values += 1
        if self.values > _MAX_VALUES:
            raise self._refusal(event, f"more than {_MAX_VALUES:,} values: is it the data file? Name that in data.path")
        if depth > _MAX_DEPTH:
            raise self._refusal(event, f"more than {_MAX_DEPTH} levels, which no recipe has: close the brackets")
        if isinstance(event, AliasEvent):
            raise self._refusal(event, f"*{event.anchor} stands for another value, and recipes have no aliases: write the value out")
        if isinstance(event, MappingStartEvent):
            self._plain_collection(event, path, "map")
            return self._mapping(path, depth)
        if isinstance(event, SequenceStartEvent):
            self._plain_collection(event, path, "seq")
            return self._sequence(path, depth)
        return self._scalar(event, path)

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self._refusal(event, "a name is expected here, not a list or a mapping: put text that begins with [ or { in quotes")
            name, line = event.value, event.start_mark.line + 1
            here = (*path, name)
            if name in result:
                self.found.problems.append((line, f"{dotted(here)} is given twice, first on line {self.found.lines[here]}: keep one."))
            else:
                self.found.lines[here] = line
            result[name] = self._value(next(self.events), here, depth + 1)
        return result

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            here = (*path, len(result))
            self.found.lines[here] = event.start_mark.line + 1
            result.append(self._value(event, here, depth + 1))
        return result

    def _scalar(self, event: Any, path: Path) -> Any:
        tag = str(event.tag) if event.tag not in (None, "!") else str(self.yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        if tag in _CONSTRUCTED:
            try:
                return self.yaml.constructor.construct_object(ScalarNode(tag, event.value, event.start_mark, event.end_mark))
            except (ValueError, KeyError):
                return str(event.value)
        if tag not in _AS_TEXT:
            self._foreign_tag(event, path, tag)
        return str(event.value)

    def _plain_collection(self, event: Any, path: Path, kind: str) -> None:
        if event.tag not in (None, "!", _CORE + kind):
            self._foreign_tag(event, path, str(event.tag))

    def _foreign_tag(self, event: Any, path: Path, tag: str) -> None:
        name = tag.replace(_CORE, "!!", 1)
        sentence = f"{dotted(path)} has the tag {name}, and recipes have none: write the plain value."
        self.found.problems.append((event.start_mark.line + 1, sentence))

    def _refusal(self, event: Any, sentence: str) -> RecipeError:
        return RecipeError(f"{self.origin}:{event.start_mark.line + 1}: {sentence}.")


def _unclosed(error: MarkedYAMLError) -> bool:
    """True where something was opened and the text ended: the line of the opening is the one to look at."""
    problem = str(error.problem)
    in_brackets = "flow" in str(error.context) and problem.startswith("expected ','")
    return error.context_mark is not None and (in_brackets or "end of stream" in problem or "stream end" in problem)


def _syntax(error: MarkedYAMLError, text: str) -> str:
    """A syntax error with what to do about it."""
    problem = str(error.problem)
    lines = text.splitlines()
    number = error.problem_mark.line if error.problem_mark is not None else 0
    line = lines[number] if number < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "a tab stands where YAML wants spaces: indent with spaces"
    if _unclosed(error):
        return "a bracket or a quote is opened here and not closed, or a comma is missing inside it"
    if "mapping values are not allowed" in problem:
        return "a ':' stands where none may: indent the line like its neighbours, or put text that holds ': ' in quotes"
    if "cannot start any token" in problem:
        return f"{problem.removeprefix('found ')}: put the text in quotes"
    if "could not find expected ':'" in problem:
        return "a line without a ':': write it as name: value"
    return f"not YAML: {problem}"
