"""Writes docs/guide/recipe.md from the recipe's JSON Schema.

python docs/guide/make_recipe_reference.py           writes the page
python docs/guide/make_recipe_reference.py --check   exits 1 where the page is not what would be written
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.recipe import recipe_schema
from tunesmith.recipe.scalars import written

PAGE = Path(__file__).with_name("recipe.md")
_HEAD = """\
# The recipe, setting by setting

Written by `docs/guide/make_recipe_reference.py` from the schema that `tunesmith schema` prints. To change a description,
change it in the room's `config.py` and run the script again.

A recipe is YAML. Only `data.path` must be there. Unknown names are refused, with the nearest known one and the line.
`null` under "default" means that the setting is off, or decided as its description says; what was decided stands in the
report. Relative paths are taken from the recipe's folder. To change one setting for one run:
`tunesmith run recipe.yaml --set train.epochs=1`.
"""
_BOUNDS = (("exclusiveMinimum", "> {}"), ("minimum", "≥ {}"), ("exclusiveMaximum", "< {}"), ("maximum", "≤ {}"))
_SEED_BOUND = 2**32
"""Bounds above it are those of a machine word, and say nothing to a reader."""


def reference() -> str:
    """The whole page."""
    schema = recipe_schema()
    return "\n".join([_HEAD, *_section(schema, schema, ""), ""])


def _section(schema: dict[str, Any], section: dict[str, Any], above: str) -> Iterator[str]:
    """A table of the plain settings of a section, then the sections inside it."""
    inner: list[tuple[str, dict[str, Any]]] = []
    lines: list[str] = []
    required = section.get("required", [])
    for name, setting in section["properties"].items():
        below = _subsection(schema, setting)
        if below is not None:
            inner.append((name, below | {"description": setting.get("description") or below.get("description", "")}))
        else:
            default = "must be given" if name in required else f"`{written(setting['default'])}`"
            lines.append(f"| `{name}` | {_kind(schema, setting)} | {default} | {_cell(setting.get('description', ''))} |")
    if lines:
        yield from ["| setting | value | default | meaning |", "|---|---|---|---|", *lines, ""]
    for name, below in inner:
        path = f"{above}.{name}" if above else name
        yield from [f"## `{path}`", "", below["description"], ""]
        yield from _section(schema, below, path)


def _subsection(schema: dict[str, Any], setting: dict[str, Any]) -> dict[str, Any] | None:
    """What a setting holds where that is a section, alone or beside null."""
    for option in (setting, *setting.get("anyOf", [])):
        if "$ref" in option:
            found: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _kind(schema: dict[str, Any], setting: dict[str, Any]) -> str:
    """The values a setting takes, in words."""
    options = [option for option in setting.get("anyOf", [setting]) if option.get("type") != "null"]
    return " or ".join(_one_kind(schema, option) for option in options)


def _one_kind(schema: dict[str, Any], option: dict[str, Any]) -> str:
    if "$ref" in option:
        option = schema["$defs"][option["$ref"].rpartition("/")[2]]
    if "const" in option:
        return f"`{option['const']}`"
    if "enum" in option:
        return ", ".join(f"`{value}`" for value in option["enum"])
    if "pattern" in option:
        return ", ".join(f"`{value}`" for value in option["pattern"].strip("^$()").split("|"))
    inner = option.get("anyOf") or option.get("oneOf")
    if inner:
        return " or ".join(_one_kind(schema, each) for each in inner if each.get("type") != "null")
    if "properties" in option:
        return "{" + ", ".join(f"`{name}`: {_one_kind(schema, held)}" for name, held in option["properties"].items()) + "}"
    if "type" not in option:
        return "any value"
    if option["type"] == "array":
        if "prefixItems" in option:
            return f"list of {len(option['prefixItems'])} {_one_kind(schema, option['prefixItems'][0])}s"
        return f"list of {_one_kind(schema, option['items'])}s"
    if option["type"] == "object":
        if not isinstance(option["additionalProperties"], dict):
            return "mapping"
        return f"mapping of text to {_one_kind(schema, option['additionalProperties'])}"
    plain = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}[option["type"]]
    bounds = [words.format(f"{option[key]:g}") for key, words in _BOUNDS if key in option and abs(option[key]) < _SEED_BOUND]
    return " ".join([plain, ", ".join(bounds)]) if bounds else plain


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    if arguments == ["--check"]:
        return int(PAGE.read_text(encoding="utf-8") != reference())
    PAGE.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
