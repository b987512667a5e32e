"""A machine in a few words: what is understood, what is refused, and what this one says of itself."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import machine
from tunesmith.recipe.machine import described, machine_here
from tunesmith.train.peaks import peak_of_gpu

UNDERSTOOD = [
    ("1x24GB", "cuda", 1, 24 * 10**9, None),
    ("2x80GB", "cuda", 2, 80 * 10**9, None),
    ("24 GiB", "cuda", 1, 24 * 2**30, None),
    ("1x24GB 100 TFLOPS", "cuda", 1, 24 * 10**9, 100e12),
    ("a100-80gb", "cuda", 1, 80 * 10**9, 312e12),
    ("2x A100 80GB", "cuda", 2, 80 * 10**9, 312e12),
    ("h100", "cuda", 1, 80 * 10**9, 989e12),
    ("RTX 4090", "cuda", 1, 24 * 10**9, 165.2e12),
    ("nvidia l4", "cuda", 1, 24 * 10**9, 121e12),
    ("t4", "cuda", 1, 16 * 10**9, None),
    ("cpu 16GB 8 cores", "cpu", 1, 16 * 10**9, None),
    ("cpu, 8 GiB, 1 core, 500 GFLOPS", "cpu", 1, 8 * 2**30, 500e9),
]
REFUSED = {
    "": "its memory is missing",
    "cpu": "its memory is missing",
    "cpu 8 cores": "its memory is missing",
    "0x24GB": "has 0 devices",
    "2000x24GB": "has 2000 devices",
    "1x0GB": "no memory a machine has",
    "1x999999999TB": "no memory a machine has",
    "cpu 16GB 0 cores": "has 0 cores",
    "1x24GB 0 TFLOPS": "no operations a second",
    "1x24GB and more": "is not understood ('and more')",
    "-1x24GB": "is not understood",
    "a100-80": "Did you mean 'a100-80gb'?",
    "abacus": "is not known. Known: a10",
}


@pytest.mark.parametrize(("text", "device", "count", "memory", "flops"), UNDERSTOOD)
def test_a_few_words_are_a_machine(text: str, device: str, count: int, memory: int, flops: float | None) -> None:
    found = described(text)
    assert (found.device, found.count, found.memory, found.flops) == (device, count, memory, flops)


def test_cores_that_were_not_named_are_told_to_be_assumed() -> None:
    assert described("cpu 100MB").name == "a CPU with 100 MB and 1 core, as no cores were named"
    assert described("cpu 16GB 8 cores").name == "a CPU with 16 GB and 8 cores"


@pytest.mark.parametrize(("text", "said"), REFUSED.items())
def test_what_is_no_machine_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        described(text)
    assert said in str(refused.value)
    assert "cpu 16GB 8 cores" in str(refused.value), "the next move is named"


@given(st.text(alphabet="0123456789xgbtmi cpuores.,-ahln", max_size=24))
def test_any_words_are_a_machine_or_a_refusal(text: str) -> None:
    try:
        found = described(text)
    except RecipeError:
        return
    assert 1 <= found.count <= machine.MOST_DEVICES
    assert 2**20 <= found.memory <= machine.MOST_MEMORY
    assert found.flops is None or found.flops > 0


def test_every_card_that_has_bf16_has_a_speed() -> None:
    without = {name for name, (_, _, _, known) in machine._GPUS.items() if peak_of_gpu(known) is None}
    assert without == {"t4", "v100-32gb", "v100-16gb"}


def test_this_machine_has_the_memory_its_processes_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_gpus_here", list)
    assert 2**28 < machine_here().memory <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    (tmp_path / "memory.max").write_text(f"{2**30}\n")
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    assert machine_here().memory == 2**30
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_here().memory > 2**28


def test_a_gpu_here_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_gpus_here", lambda: [("NVIDIA A100-SXM4-80GB", 81920 * 2**20)] * 2)
    found = machine_here()
    assert (found.device, found.count, found.memory, found.flops, found.watts) == ("cuda", 2, 80 * 2**30, 312e12, 400.0)
    monkeypatch.setattr(machine, "_gpus_here", lambda: [("Some Other Card", 2**30)])
    assert (machine_here().flops, machine_here().watts) == (None, None)


@pytest.mark.parametrize(("hidden", "seen"), [("", 0), ("-1", 0), ("1", 1), ("0,1", 2), ("all", 2)])
def test_gpus_that_the_environment_hides_are_not_there(hidden: str, seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "nvidia-smi"
    told.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034'\necho 'NVIDIA L4, 23034'\n")
    told.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda name: str(told))
    monkeypatch.setattr(machine, "_torch_is_for_cpu", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert len(machine._gpus_here()) == seen
    told.write_text("#!/bin/sh\nexit 9\n")
    assert machine._gpus_here() == [], "a driver that does not answer is no GPU"
