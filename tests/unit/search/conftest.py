"""Hands the scripted trainers to the tests; their folder is on the path, so that spawned workers can load them by name."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.recipe.search_config import SearchConfig


@pytest.fixture(scope="session")
def scripted() -> Iterator[ModuleType]:
    """The module `scripted`."""
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    yield import_module("scripted")
    sys.path.remove(here)


@pytest.fixture
def section(scripted: ModuleType) -> Callable[..., SearchConfig]:
    """A search section over the scripted space, with changes."""

    def made(**changes: Any) -> SearchConfig:
        return SearchConfig.model_validate({"space": scripted.SPACE, "sampler": "random", "stop_early": False} | changes)

    return made
