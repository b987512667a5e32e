"""Style guides from files: YAML, or Markdown as people keep them.

A YAML file holds `rules` and `pairs` as `StyleGuide` has them. In Markdown the rules stand in the first yaml block (or between `---` at the
top), and pairs are the rows of tables whose columns are called `instead of` and `say` (and `prompt`), or lines as
`Instead of "at this time", say "now".`
"""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.data.settings.style import StyleGuide, complaint
from tunesmith.recipe.nodes import MAX_BYTES, read_document

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_BLOCK = re.compile(r"^```ya?ml\n(.*?)\n```", re.DOTALL | re.MULTILINE)
_QUOTE = r"[\"“'‘*_`]+"
_LINE = re.compile(rf"^[-*\s]*instead of {_QUOTE}(.+?){_QUOTE},? (?:say|write|use) {_QUOTE}(.*?){_QUOTE}[.\s]*$", re.IGNORECASE)
_COLUMNS = {"instead of": "instead_of", "instead_of": "instead_of", "say": "say", "prompt": "prompt"}
_NEXT = "A guide starts with: rules: {exclamations: 0}."


def read_guide(path: Path) -> StyleGuide:
    """The guide of a file.

    Raises:
        RecipeError: none is there, or what is wrong with it, with its line where that is known.
        MachineError: it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise RecipeError(f"There is no style guide {path}: name a YAML or Markdown file.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not UTF-8 text: a style guide is a YAML or Markdown file.") from None
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error
    if len(text.encode()) > MAX_BYTES:
        raise RecipeError(f"{path} is larger than 1 MiB, which no style guide is: is it the right file?")
    markdown = path.suffix.casefold() in (".md", ".markdown")
    found = _from_markdown(text, str(path)) if markdown else _from_yaml(text, str(path))
    try:
        return StyleGuide.model_validate(found)
    except ValidationError as error:
        raise RecipeError(f"{path}: {complaint(error)}") from None


def _from_yaml(text: str, origin: str) -> dict[str, Any]:
    document = read_document(text, origin)
    if document.problems:
        line, sentence = document.problems[0]
        raise RecipeError(f"{origin}:{line}: {sentence}")
    if not isinstance(document.value, dict):
        raise RecipeError(f"{origin} holds no rules and no pairs. {_NEXT}")
    return document.value


def _from_markdown(text: str, origin: str) -> dict[str, Any]:
    text = text.replace("\r\n", "\n")
    block = _FRONT.search(text) or _BLOCK.search(text)
    told: dict[str, Any] = _from_yaml(block[1], origin) if block else {}
    if told and not told.keys() & {"rules", "pairs"}:
        told = {"rules": told}
    return told | {"pairs": [*(told.get("pairs") or []), *_pairs(text)]}


def _pairs(text: str) -> list[dict[str, str]]:
    """From tables and from lines."""
    found: list[dict[str, str]] = []
    columns: list[str] | None = None
    for line in text.split("\n"):
        if said := _LINE.match(line):
            found.append({"instead_of": said[1], "say": said[2]})
        if not line.lstrip().startswith("|"):
            columns = None
            continue
        cells = [cell.strip().strip('`*_"“”') for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if columns is None:
            columns = [cell.casefold() for cell in cells]
        elif {"instead of", "instead_of"} & set(columns) and "say" in columns and not set("".join(cells)) <= set("-: "):
            told = {_COLUMNS[name]: cell.replace(r"\|", "|") for name, cell in zip(columns, cells, strict=False) if name in _COLUMNS}
            found.append({name: cell for name, cell in told.items() if cell or name == "say"})
    return found
