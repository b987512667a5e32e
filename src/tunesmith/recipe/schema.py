"""The recipe's JSON Schema, for editors: they complete settings, show what each is for, and underline mistakes."""

from typing import Any

from tunesmith.recipe.model import Recipe


def recipe_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a recipe, with each setting's description.

    A section may also be null: that is what YAML reads where every line under it is commented out.
    """
    schema = Recipe.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, setting in section.get("properties", {}).items():
            if "$ref" in setting and setting.get("default") is not None:
                # A section described like its field carries the description on its own definition only.
                described = {"description": schema["$defs"][setting["$ref"].rpartition("/")[2]].get("description", "")}
                section["properties"][name] = _or_null(described | setting)
    schema["description"] = "A whole round of tunesmith: which rows, which base, what is minimised and how, what it is judged by."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _or_null(setting: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"$ref": setting["$ref"]}, {"type": "null"}]} | {key: value for key, value in setting.items() if key != "$ref"}
