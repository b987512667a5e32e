"""Hands the fake reports to the tests: they live in a file of their own, so that the browser's test can load them too."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module `fake_reports`."""
    spec = importlib.util.spec_from_file_location("fake_reports", Path(__file__).with_name("fake_reports.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
