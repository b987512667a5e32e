"""A seeded slice of the long fuzzing run; and proof that the harness would see a bug."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.data.formats import json_lines


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    """The module `benchmarks/fuzz_readers.py`."""
    path = Path(__file__).parents[3] / "benchmarks" / "fuzz_readers.py"
    spec = importlib.util.spec_from_file_location("fuzz_readers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    spec.loader.exec_module(module)
    return module


def test_two_thousand_damaged_files_are_read_or_answered(fuzz: ModuleType) -> None:
    counts, bugs = fuzz.guarded(20_261_121, 2_000)
    assert bugs == [] and sum(counts.values()) == 2_000
    kinds = {key.split(": ")[0] for key in counts}
    assert {"r.jsonl", "r.json", "r.csv", "r.parquet", "arrow", "r.zip", "r.html"} <= kinds
    assert sum(count for key, count in counts.items() if key.endswith(("records", "records and bad lines"))) > 400, (
        "most damage is read around"
    )


def test_whole_files_are_read(fuzz: ModuleType, tmp_path: Path) -> None:
    for name, held in fuzz.seeds().items():
        for place, data in enumerate(held):
            folder = tmp_path / f"{name} {place}"
            folder.mkdir()
            told = fuzz.outcome(name, data, folder)
            assert "records" in told or (name == "r.json" and told == "DataError") or b"../x.csv" in data, (name, place, told)


def test_a_planted_bug_is_found_and_a_dead_process_too(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(json_lines, "parse_object", broken)
    _, bugs = fuzz.guarded(1, 60)
    assert bugs and {bug["error"] for bug in bugs} == {"KeyError: 'planted'"}

    def dies(*_: object) -> None:
        import os

        os._exit(1)

    monkeypatch.setattr(json_lines, "parse_object", dies)
    _, bugs = fuzz.guarded(1, 60)
    assert [bug["error"] for bug in bugs] == ["the process died"]
