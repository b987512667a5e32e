"""Hands the tiny architectures to the tests: they live in a file of their own, so that the GPU's tests can load them too."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def architectures() -> ModuleType:
    """The module `architectures`."""
    spec = importlib.util.spec_from_file_location("architectures", Path(__file__).with_name("architectures.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
