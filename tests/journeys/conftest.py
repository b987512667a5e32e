"""The command line in this process: the real entry point without three seconds of imports each time."""

import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.data.dataset import read_dataset

QUICK: dict[str, Any] = {
    "train": {"max_steps": 4, "threads": 1, "learning_rate": 0.01, "evaluations_per_epoch": 4},
    "evaluate": {
        "few_shot": [0, 2],
        "few_shot_by": ["random"],
        "select_rows": 12,
        "resamples": 200,
        "max_new_tokens": 6,
        "forgetting": {"enabled": False},
    },
}
"""What keeps a round on the tiny base to a few seconds."""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that begin with `error:`."""
        return [line for line in self.err.splitlines() if line.startswith("error:")]

    def json(self) -> Any:
        """What stands on stdout."""
        return json.loads(self.out)


Command = Callable[..., Said]


def _command(*arguments: object) -> Said:
    from tunesmith.cli.main import entry

    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["tunesmith", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            entry()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    finally:
        sys.argv = argv
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session", autouse=True)
def _no_time_for_the_yardstick() -> Iterator[None]:
    """Every training asks for a tenth of a second how fast the machine multiplies: here one product has to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.train.machine._SECONDS", 0.0)
        yield


@pytest.fixture(scope="session")
def command() -> Command:
    """`tunesmith ...` through its entry point."""
    return _command


def _recipe(folder: Path, data: Path | str | dict[str, Any], base: Path | str, **sections: Any) -> Path:
    settings: dict[str, Any] = {"data": data if isinstance(data, dict) else {"path": str(data)}, "base": {"path": str(base)}}
    for name in sorted({*QUICK, *sections}):
        given = sections.get(name, {})
        settings[name] = QUICK.get(name, {}) | given if isinstance(given, dict) else given
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path


@pytest.fixture(scope="session")
def write_recipe() -> Callable[..., Path]:
    """Writes a quick recipe: (folder, data, base, **sections) -> its path."""
    return _recipe


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def write_rows() -> Callable[..., Path]:
    """Writes rows as JSON Lines: (path, rows) -> path."""
    return _jsonl


def _whole(workspace: Path) -> None:
    files = [file for file in workspace.rglob("*") if file.is_file()]
    assert not [path for path in workspace.rglob("*") if path.name.endswith((".part", ".old"))]
    assert not (workspace / "bugs").exists()
    for file in files:
        if file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".jsonl" and file.name != "quarantine.jsonl":
            for line in file.read_text().splitlines():
                json.loads(line)
        elif file.suffix == ".safetensors":
            from safetensors.torch import load_file

            load_file(file)
    for folder in (workspace / "datasets").glob("*"):
        read_dataset(folder)


@pytest.fixture(scope="session")
def assert_whole() -> Callable[[Path], None]:
    """Asserts that a workspace holds nothing half-written: every file parses, every dataset keeps its hashes."""
    return _whole


@pytest.fixture(scope="session")
def recomputed() -> ModuleType:
    """The module `recomputed`: what a card should say, from the saved answers alone."""
    spec = importlib.util.spec_from_file_location("recomputed", Path(__file__).with_name("recomputed.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
