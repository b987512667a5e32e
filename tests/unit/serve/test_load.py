"""The load of benchmarks/serve.py: the same requests every time, and figures that count what they say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CASES = Path(__file__).parents[3] / "benchmarks" / "serve_cases"


def module(name: str) -> ModuleType:
    """`benchmarks/serve_cases/NAME.py`."""
    spec = importlib.util.spec_from_file_location(f"serve_cases_{name}", CASES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # its dataclasses look themselves up
    spec.loader.exec_module(made)
    return made


workload, figures = module("workload"), module("figures")


@pytest.mark.parametrize("name", ["shared", "plain"])
def test_a_workload_is_the_same_every_time_and_longer_ones_begin_alike(name: str) -> None:
    once = workload.WORKLOADS[name](40)
    assert once == workload.WORKLOADS[name](40) == workload.WORKLOADS[name](90)[:40]
    assert once != workload.WORKLOADS[name](40, seed=7)
    assert len({one.prompt for one in once}) == 40
    assert sum(one.stream for one in once) == 20


def test_shared_requests_begin_with_the_instruction_and_plain_ones_with_nothing_in_common() -> None:
    begun = workload.instruction()
    assert len(begun.split("\n")) == workload.INTENTS + 4
    assert all(one.prompt.startswith(begun) and len(one.prompt) > len(begun) for one in workload.shared(20))
    assert len({one.prompt[:4] for one in workload.plain(40)}) == 40


def entry(**told: Any) -> dict[str, Any]:
    return {"status": 200, "finish": "length", "most": 10, "seconds": 1.0, "streamed": False} | told


def test_answers_count_where_they_were_written_to_their_end_and_429_is_no_error() -> None:
    answers = [
        entry(),
        entry(seconds=3.0, streamed=True, first_seconds=0.5),
        entry(status=429, finish=None),
        entry(finish="stop"),
        entry(status=500, finish=None, error="broken"),
        entry(status=0, finish=None, error="ConnectionResetError"),
        entry(error="ValueError: no JSON"),
    ]
    told = figures.summed({"seconds": 4.0, "answers": answers})
    assert (told["requests"], told["tokens"], told["tokens_a_second"], told["refused"], told["errors"]) == (2, 20, 5.0, 1, 4)
    whole = figures.together([told, told])
    assert (whole["tokens"], whole["seconds"], whole["errors"], whole["latency_p95_seconds"]) == (40, 8.0, 8, 3.0)
    assert whole["first_token_p50_seconds"] == 0.5


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [figures.percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50.0, 95.0, 100.0]
    assert figures.percentile([7.0], 0.95) == 7.0
    with pytest.raises(ValueError, match="no values"):
        figures.percentile([], 0.5)


def test_a_ratio_is_the_median_of_pairs_and_a_silent_peer_is_none() -> None:
    def slices(*rates: float) -> list[dict[str, float]]:
        return [{"tokens_a_second": rate} for rate in rates]

    assert figures.ratio(slices(30, 10, 80), slices(10, 10, 20)) == {"ratio": 3.0, "spread": [1.0, 4.0], "repeats": 3}
    with pytest.raises(ValueError, match="answered nothing"):
        figures.ratio(slices(30, 10), slices(10, 0))
