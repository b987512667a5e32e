"""What a base knew before it was tuned, as material: general documents, and questions with answers to choose from.

Both are read here and scored elsewhere. Of a large file only a sample is held: documents drawn at random by a seed, the same
whatever else is read.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tunesmith.core.errors import DataError, MachineError, RecipeError
from tunesmith.core.files import home_path
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.data.formats import BadLine
from tunesmith.data.read import Reading, read
from tunesmith.data.settings.read import ReadConfig
from tunesmith.embedded import general_path, probes_path
from tunesmith.evaluate.harm_config import BUILTIN, ForgettingConfig

_LONGEST = 2**20
"""Characters of a line of probes."""
_MOST_CHOICES = 100

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Probe:
    """A question and the answers it may have."""

    question: str
    choices: tuple[str, ...]
    right: int
    """Place of the right one, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    """What base and tuned model are both asked to read and to answer."""

    documents: tuple[Row, ...] = ()
    groups: tuple[str, ...] | None = None
    """What each document belongs to; every document its own where absent."""
    probes: tuple[Probe, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, a sentence each."""


def general_material(config: ForgettingConfig, *, seed: int, trained: Collection[str] = ()) -> General:
    """Read what the section names.

    Args:
        config: which files, how many documents.
        seed: of the recipe; draws the documents where there are more.
        trained: folded texts (`folded`) that were trained on; documents among them would tell nothing and are left out.

    Raises:
        RecipeError: a file isn't there, or lacks the column to group by.
        DataError: a file can't be read, or nothing is left of it.
        MachineError: a file may not be read.
    """
    documents, notes = ((), ()) if config.general is None else _documents(config.general, config, seed, trained)
    groups = None
    if config.by is not None and documents:
        if not any(config.by in row.fields for row in documents):
            raise RecipeError(f"evaluate.forgetting.by is {config.by!r}, and {config.general} has no such column: name one it has.")
        groups = tuple(f"group {row.fields[config.by]}" if row.fields.get(config.by) is not None else f"row {row.id}" for row in documents)
    probes = () if config.probes is None else tuple(read_probes(config.probes))
    return General(documents=documents, groups=groups, probes=probes, notes=notes)


def folded(text: str) -> str:
    """A text by which it is known again: case and white space do not count."""
    return " ".join(text.casefold().split())


def _documents(path: str, config: ForgettingConfig, seed: int, trained: Collection[str]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """A sample of a file's rows with ids, in file order, and what was left out."""
    reading = _reading(str(general_path()), {}) if path == BUILTIN else _reading(path, config.columns)
    seen = {True: 0, False: 0}

    def kept() -> Iterator[Row]:
        for place, row in enumerate(reading):
            if not isinstance(row, BadLine) and row.answer.strip():
                known = folded(row.answer) in trained
                seen[known] += 1
                if not known:
                    yield replace(row, id=row.id or f"general-{place}")

    chosen = sample(kept(), config.documents, derive_seed(seed, "general"))
    if not chosen:
        raise DataError(f"{path} holds no general text{' that was not trained on' if seen[True] else ''}: give other documents.")
    told = f"{seen[True]} of {seen[True] + seen[False]} general documents stand among the training rows: left out."
    return tuple(chosen), (told,) if seen[True] else ()


def _reading(path: str, columns: dict[str, str]) -> Reading:
    """A file as raw text where it holds any, whatever other columns it has; else as what its columns make of it."""
    config = ReadConfig(columns=columns)
    try:
        return read(path, config, Task.TEXT)
    except RecipeError:
        return read(path, config, None)


def sample(items: Iterable[Item], count: int, seed: int) -> list[Item]:
    """At most `count` of the items, each as likely as another, in their order; never holds more (Vitter, 1985, algorithm R)."""
    random = np.random.default_rng(seed)
    held: list[tuple[int, Item]] = []
    for place, item in enumerate(items):
        if place < count:
            held.append((place, item))
        elif (spot := int(random.integers(0, place + 1))) < count:
            held[spot] = (place, item)
    return [item for _, item in sorted(held, key=lambda one: one[0])]


def read_probes(path: str) -> Iterator[Probe]:
    """Questions of a JSONL file, in its order, or the embedded ones for `builtin`.

    A line holds `question`; `choices`, a list of different texts (or `{"text": [...], "label": [...]}`); and `answer` (or
    `answerKey`): the right choice in its own words, by its label, by a letter from A, or by its place from 0.

    Raises:
        RecipeError: nothing is at the path.
        DataError: a line is no such question, said with its number; or there is none.
        MachineError: the file may not be read.
    """
    place = probes_path() if path == BUILTIN else home_path(path)
    if not place.is_file():
        raise RecipeError(f"evaluate.forgetting.probes is {path}, and no file is there: give a JSONL file of questions, or `builtin`.")
    found = 0
    for number, line in enumerate(_lines(place), start=1):
        if line.strip():
            found += 1
            yield _probe(line, f"{place.name}:{number}")
    if not found:
        raise DataError(f"{path} holds no question: each line must hold one with its choices and its answer.")


def _lines(place: Path) -> Iterator[str]:
    """Lines of a file as text; DataError where it is no UTF-8, or a line never ends."""
    try:
        with place.open(encoding="utf-8-sig") as file:
            while line := file.readline(_LONGEST):
                if len(line) == _LONGEST:
                    raise DataError(f"{place} holds a line of over {_LONGEST:,} characters: a question must be shorter.")
                yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not UTF-8: save it as UTF-8.") from error
    except OSError as error:
        raise MachineError(f"{place} can't be read: {error.strerror or error}.") from error


def _probe(line: str, where: str) -> Probe:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON object: write a question as one line with question, choices and answer.") from error
    value = value if isinstance(value, dict) else {}
    question = value.get("question")
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where} holds no question: each line needs `question`, `choices` and `answer`.")
    held: Any = value.get("choices")
    labels: Any = []
    if isinstance(held, dict):
        held, labels = held.get("text"), held.get("label")
    right_kind = isinstance(held, list) and all(isinstance(one, str) and one.strip() for one in held)
    if not right_kind or not 2 <= len(held) <= _MOST_CHOICES or len({one.strip() for one in held}) < len(held):
        raise DataError(f"{where}: choices must be 2 to {_MOST_CHOICES} different texts.")
    choices = tuple(one.strip() for one in held)
    right = _place(value.get("answer", value.get("answerKey")), choices, labels if isinstance(labels, list) else [])
    if right is None:
        raise DataError(f"{where}: answer must be one of the choices in its own words, or a letter from A, or a place from 0.")
    return Probe(question.strip(), choices, right)


def _place(answer: Any, choices: tuple[str, ...], labels: list[Any]) -> int | None:
    """Which choice is meant: its words are believed before its label, and that before a letter."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return labels.index(answer) if answer in labels else answer if 0 <= answer < len(choices) else None
    if not isinstance(answer, str):
        return None
    told = answer.strip()
    letters = [chr(ord("A") + place) for place in range(min(26, len(choices)))]
    for names in (list(choices), labels[: len(choices)], letters):
        if told in names:
            return names.index(told)
    return None
