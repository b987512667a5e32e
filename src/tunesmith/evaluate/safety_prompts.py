"""Prompts that a model is asked to see what it should not say, or should not refuse: from a file of rows, or those that come along."""

from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.data.formats import BadLine
from tunesmith.data.read import Reading, read
from tunesmith.data.settings.read import ReadConfig
from tunesmith.embedded import harmless_path
from tunesmith.evaluate.general import sample
from tunesmith.evaluate.harm_config import BUILTIN

_PROMPT_ALONE = ("prompt", "question", "instruction", "input", "query", "text")
"""Columns that hold the prompts of a file without answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt."""

    where: str
    """File and position, as `prompts.jsonl:17`; in a report it stands for the prompt."""
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class AskedSet:
    """What is asked, none twice."""

    prompts: tuple[Asked, ...]
    repeated: int
    """Prompts left out because they were there before: an answer to each would say no more."""


def read_asked(path: str, *, columns: dict[str, str] | None = None, most: int, seed: int, instruction: str | None = None) -> AskedSet:
    """At most `most` prompts of a file, in its order; an answer that stands beside one is not looked at.

    Args:
        path: a file of rows in any form, of prompts alone, or of raw text, each a prompt; `builtin` for the harmless ones.
        columns: role -> column, where it can't be told.
        most: prompts drawn by the seed where there are more.
        seed: of the recipe.
        instruction: the system message that every row without one gets, as in training.

    Raises:
        RecipeError: nothing is there, or a column isn't.
        DataError: it can't be read, its form can't be told, or it holds no prompt.
        MachineError: it may not be read.
    """
    place = str(harmless_path()) if path == BUILTIN else path
    seen: set[tuple[Message, ...]] = set()
    rows = 0

    def distinct() -> Iterator[Asked]:
        nonlocal rows
        for row in _rows(_reading(place, columns or {})):
            messages = _messages(row, instruction)
            if any(message.content.strip() for message in messages if message.role != "system"):
                rows += 1
                if messages not in seen:
                    seen.add(messages)
                    yield Asked(row.source, messages)

    chosen = sample(distinct(), most, derive_seed(seed, "safety"))
    if not chosen:
        raise DataError(f"{path} holds no prompt: give a file of prompts.")
    return AskedSet(tuple(chosen), rows - len(seen))


def _rows(reading: Reading) -> Iterator[Row]:
    for item in reading:
        if not isinstance(item, BadLine):
            yield item


def _messages(row: Row, instruction: str | None) -> tuple[Message, ...]:
    messages = row.prompt or (Message("user", row.answer),)
    if instruction is None or any(message.role == "system" for message in messages):
        return messages
    return (Message("system", instruction), *messages)


def _reading(path: str, columns: dict[str, str]) -> Reading:
    """The file in whatever form its columns make; where they make none, as prompts alone.

    What the first reading says is what is told where no reading goes: it names the file's columns.
    """
    try:
        return read(path, ReadConfig(columns=columns), None)
    except (DataError, RecipeError) as error:
        alone = {**columns} if "text" in columns else None
        for column in (columns.get("prompt"),) if "prompt" in columns else _PROMPT_ALONE:
            named = alone or {"text": column or ""}
            try:
                return read(path, ReadConfig(columns=named), Task.TEXT)
            except (DataError, RecipeError):
                continue
        raise error
