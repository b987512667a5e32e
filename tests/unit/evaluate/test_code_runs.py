"""Generated code is run where it can do no harm, or not at all."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.evaluate.code_runs import SCRATCH, CodeRuns, arguments, run_answers


def _why_not() -> str | None:
    """Why nothing can be run in a sandbox here; None where it can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    try:
        run_answers(CodeRuns(command=("true",)), [{}])
    except MachineError as error:
        return str(error)
    return None


WHY_NOT = _why_not()
sandboxed = pytest.mark.skipif(WHY_NOT is not None, reason=f"runs code in a sandbox: {WHY_NOT}")
SHELL = CodeRuns(command=("sh", "answer.sh"), seconds=60)


def ended(script: str, runs: CodeRuns = SHELL) -> str:
    return run_answers(runs, [{"answer.sh": script}])[0]


def test_without_bubblewrap_nothing_is_run_and_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was run"))
    with pytest.raises(MachineError, match=r"bubblewrap \(bwrap\) is not installed: install it, or leave pass@k out\.$"):
        run_answers(SHELL, [{"answer.sh": "true"}])


def test_a_bubblewrap_that_can_make_no_sandbox_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("bwrap", "prlimit"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="lets bubblewrap make no sandbox"):
        run_answers(SHELL, [{"answer.sh": "true"}])


def test_what_the_sandbox_holds() -> None:
    made = arguments(CodeRuns(command=("true",), scratch_mib=3, readable=(Path("/opt/tools"),)), {"answer.py": 7})
    joined = " ".join(made)
    assert "--unshare-all" in made and "--die-with-parent" in made and "--clearenv" in made and "--disable-userns" in made
    assert "--share-net" not in made and "--bind " not in joined and "--dev-bind" not in joined
    assert f"--size {3 * 2**20} --tmpfs {SCRATCH}" in joined and f"--file 7 {SCRATCH}/answer.py" in joined
    assert "--ro-bind-try /opt/tools /opt/tools" in joined
    assert joined.index("--remount-ro / ") > joined.index("--file")
    assert not any(f"--ro-bind-try {seen} " in joined for seen in ("/", "/home", "/root", "/etc", "/var", "/run", "/tmp"))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "/etc/passwd", "a\0b", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="is no name of a file"):
        run_answers(SHELL, [{name: "true"}])


@pytest.mark.parametrize(
    "more", [{"seconds": 0}, {"memory_mib": 0}, {"processes": 0}, {"at_once": 0}, {"readable": (Path("/"),)}, {"readable": (Path("x"),)}]
)
def test_bounds_and_folders_that_cannot_be_meant_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        CodeRuns(command=("true",), **more)  # type: ignore[arg-type]
    with pytest.raises(RecipeError):
        CodeRuns(command=())


def test_no_answer_is_no_run() -> None:
    assert run_answers(SHELL, []) == []


@sandboxed
def test_exit_status_alone_is_what_counts_in_order() -> None:
    answers = [{"answer.sh": f"echo anything; exit {status}"} for status in (0, 1, 0, 7, 0)]
    wanted = ["right", "wrong", "right", "wrong", "right"]
    assert run_answers(SHELL, answers) == wanted
    assert run_answers(CodeRuns(command=("sh", "answer.sh"), seconds=60, at_once=3), answers) == wanted
    assert run_answers(SHELL, [{"answer.sh": ". ./test.sh", "test.sh": "exit 5"}, {"answer.sh": ". ./test.sh", "test.sh": "exit 0"}]) == [
        "wrong",
        "right",
    ]
    assert ended("kill -9 $$") == "wrong"
    assert ended("", CodeRuns(command=("no-such-program",))) == "wrong"


@sandboxed
def test_what_never_ends_is_ended_with_all_it_started() -> None:
    mark = f"9{os.getpid()}"
    runs = CodeRuns(command=("sh", "answer.sh"), seconds=1)
    assert ended(f"sleep {mark} & setsid sleep {mark} & while true; do :; done", runs) == "out of time"
    assert ended(f"setsid sleep {mark} & exit 0") == "right"
    _wait_for(mark, there=False)


@sandboxed
@pytest.mark.parametrize("place", ["/x", "/usr/x", "/etc/x", "/dev/shm/x", "/dev/x", "/proc/x", "/sys/x"])
def test_nothing_can_be_written_outside_the_scratch_folder(place: str) -> None:
    assert ended(f"touch {place}") == "wrong"


@sandboxed
def test_the_scratch_folder_can_be_written_is_bounded_and_starts_empty() -> None:
    assert ended('test "$(ls -A)" = answer.sh && echo a > file && test "$(cat file)" = a && mkdir d && echo b > /tmp/other') == "right"
    small = CodeRuns(command=("sh", "answer.sh"), seconds=60, scratch_mib=2)
    assert ended("for n in 1 2 3 4 5; do head -c 1000000 /dev/zero > $n || exit 1; done", small) == "wrong"
    assert ended("head -c 1000000 /dev/zero > 1", small) == "right"


@sandboxed
def test_nothing_of_this_machine_is_to_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("told")
    tmp_path.chmod(0o755)
    monkeypatch.setenv("SECRET_KEY", "told")
    assert ended(f"cat {secret}") == "wrong"
    assert ended(f"test -e {Path.home() if Path.home() != Path('/') else '/root'}") == "wrong"
    assert ended("env | grep -q told") == "wrong"
    assert ended("test $(ls /proc | grep -c '^[0-9]') -lt 8") == "right"
    assert ended("test $(tail -n +3 /proc/net/dev | grep -vc ' *lo:') -eq 0") == "right"  # no network but the loop back


@sandboxed
def test_memory_and_processes_are_bounded() -> None:
    small = CodeRuns(command=("sh", "answer.sh"), seconds=60, memory_mib=64, processes=8)
    assert ended("head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null", small) == "wrong"
    assert ended("for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 50 & done; exit 0", small) == "wrong"
    assert ended("sleep 0 & sleep 0 & wait", small) == "right"


@sandboxed
def test_what_is_named_readable_can_be_read_and_not_written(tmp_path: Path) -> None:
    if os.geteuid() == 0 and not str(tmp_path).startswith("/tmp"):
        pytest.skip("root runs answers as nobody, who may not read this folder")
    folder = Path("/usr/share") if os.geteuid() == 0 else tmp_path
    assert ended(f"ls {folder}", CodeRuns(command=("sh", "answer.sh"), seconds=60, readable=(folder,))) == "right"
    assert ended(f"touch {folder}/x", CodeRuns(command=("sh", "answer.sh"), seconds=60, readable=(folder,))) == "wrong"


@sandboxed
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Killed by signal 9, this process leaves nothing running behind."""
    mark = f"8{os.getpid()}"
    program = (
        "from tunesmith.evaluate.code_runs import CodeRuns, run_answers\n"
        f"run_answers(CodeRuns(command=('sh', 'a.sh'), seconds=500), [{{'a.sh': 'sleep {mark} & wait'}}])\n"
    )
    started = subprocess.Popen([sys.executable, "-c", program])
    try:
        _wait_for(mark, there=True)
    finally:
        started.kill()
        started.wait()
    _wait_for(mark, there=False)


def _wait_for(mark: str, *, there: bool) -> None:
    """Until a `sleep` of that many seconds runs, or none does."""
    for _ in range(600):
        found = False
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found = found or entry.read_bytes().split(b"\0")[:2] == [b"sleep", mark.encode()]
            except OSError:
                continue
        if found is there:
            return
        time.sleep(0.1)
    pytest.fail(f"waited a minute for a process to {'start' if there else 'end'}")
