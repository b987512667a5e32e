"""The allow-list: names that a client's job may start from, and the model each stands for."""

import re
from collections.abc import Sequence

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import home_path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def read_bases(listed: Sequence[str]) -> dict[str, str]:
    """Name -> `embedded`, or the folder of a model.

    Args:
        listed: `embedded`, or NAME=PATH; several may stand in one entry with commas between.

    Raises:
        RecipeError: a name twice, or one that can't be; a path that is no folder with a model.
    """
    found: dict[str, str] = {}
    for entry in (part.strip() for one in listed for part in one.split(",")):
        name, given, path = entry.partition("=")
        if not given and name != "embedded":
            raise RecipeError(f"--bases takes embedded or NAME=PATH, and {entry!r} is neither: name the folder of a model.")
        if not _NAME.fullmatch(name):
            raise RecipeError(f"--bases: a base can't be called {name!r}: take letters, digits, dot, dash, slash and underscore.")
        if name in found:
            raise RecipeError(f"--bases names {name!r} twice: name each base once.")
        found[name] = _folder(name, path) if given else "embedded"
    if not found:
        raise RecipeError("--bases names nothing that a job may start from: leave it out for the embedded base.")
    return found


def _folder(name: str, path: str) -> str:
    folder = home_path(path)
    if not (folder / "config.json").is_file():
        raise RecipeError(
            f"--bases: {name!r} stands for {path!r}, which is no folder with a model: give one with config.json and safetensors."
        )
    return str(folder.resolve())
