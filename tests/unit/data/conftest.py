"""Hands the makers of files to the tests: tests don't import one another."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def files() -> ModuleType:
    """The module `data_files`."""
    spec = importlib.util.spec_from_file_location("data_files", Path(__file__).with_name("data_files.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data beside the repository; the test is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the repository")
    return folder
