"""Generated code, run where it can do no harm: does a command succeed on an answer?

Each run is a bubblewrap sandbox of its own: no network, no other process in sight, a file system that is read-only but for a scratch folder
in memory, where the answer lies and the command starts. Of the machine it sees /usr, the libraries and what is named; no home folder, no
variables. Time, memory, processors' time, file sizes and the number of processes are bounded, and all that a run started dies with it, or
with this process. Nothing it prints is read; its exit status is all that counts: 0 is right. So an answer must not be able to end the command
early with 0: let a test program of your own load it, and take an exit from it for a failure. The counts feed `score.pass_at_k`.

Without bubblewrap nothing is run, ever. Its own bounds: an attack on the kernel itself is not held off, and memory is bounded for each process
(`memory_mib`), so `processes` times that in all.
Costs about 25 ms a run beside the command itself; `at_once` run side by side.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.core.errors import MachineError, RecipeError

SCRATCH = "/scratch"
_SEEN = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/lib32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
)
_PATH = "/usr/local/bin:/usr/bin:/bin"
_NOBODY = 65534
"""Whom root runs the sandbox as: the kernel doesn't bound the processes of root."""
_PROBE_SECONDS = 20.0

Ended = Literal["right", "wrong", "out of time"]
Files = Mapping[str, str]
"""Names in the scratch folder and what they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRuns:
    """How answers are run. RecipeError at construction for what can't be meant."""

    command: tuple[str, ...]
    """Run in the scratch folder, such as `("python3", "-I", "answer.py")`; looked up on the sandbox's own path."""
    seconds: float = 10.0
    """Of the clock, from start to end."""
    memory_mib: int = 512
    """Address space of each process."""
    scratch_mib: int = 64
    """Of all files that a run writes."""
    processes: int = 32
    """Processes and threads of a run."""
    at_once: int = 1
    """Runs side by side."""
    readable: tuple[Path, ...] = ()
    """Folders of this machine that the command may read beside the system's, such as a virtual environment."""

    def __post_init__(self) -> None:
        if not self.command or min(self.seconds, self.memory_mib, self.scratch_mib, self.processes, self.at_once) <= 0:
            raise RecipeError("Running answers needs a command, and bounds above 0 for seconds, memory, scratch, processes and at_once.")
        odd = [path for path in self.readable if not path.is_absolute() or path == Path("/")]
        if odd:
            raise RecipeError(
                f"{odd[0]} can't be shown to answers that are run: name folders by their whole path, and not all of the machine."
            )


def refuse_without_sandbox(runs: CodeRuns) -> None:
    """MachineError where answers can't be run so on this machine."""
    _tools(runs)


def run_answers(runs: CodeRuns, answers: Sequence[Files]) -> list[Ended]:
    """How the command ended on each answer's files, in order.

    Raises:
        RecipeError: a file's name is a path, or longer than a name can be.
        MachineError: bubblewrap or prlimit is absent, or this machine lets it make no sandbox.
    """
    for name in {name for files in answers for name in files}:
        if not name or name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > 255:
            raise RecipeError(f"{name!r} is no name of a file to run: give names without folders.")
    if not answers:
        return []
    tools = _tools(runs)
    with ThreadPoolExecutor(runs.at_once, thread_name_prefix="code") as pool:
        return list(pool.map(lambda files: _run(runs, tools, files), answers))


def _tools(runs: CodeRuns) -> tuple[str, str]:
    """Where bubblewrap and prlimit are, once they have shown that they can hold a process that starts another."""
    found = shutil.which("bwrap"), shutil.which("prlimit")
    if found[0] is None or found[1] is None:
        absent = "bubblewrap (bwrap)" if found[0] is None else "prlimit (util-linux)"
        raise MachineError(
            f"Answers that are code are run in a sandbox only, and {absent} is not installed: install it, or leave pass@k out."
        )
    tools = found[0], found[1]
    try:
        held = _ended(runs, tools, {}, ("sh", "-c", "true & wait $!"), _PROBE_SECONDS) == "right"
    except OSError:
        held = False
    if not held:
        raise MachineError(
            "This machine lets bubblewrap make no sandbox (user namespaces, rights, or bwrap before 0.8): "
            "allow them, raise the bounds, or leave pass@k out."
        )
    return tools


def _run(runs: CodeRuns, tools: tuple[str, str], files: Files) -> Ended:
    return _ended(runs, tools, files, runs.command, runs.seconds)


def _ended(runs: CodeRuns, tools: tuple[str, str], files: Files, command: Sequence[str], seconds: float) -> Ended:
    """Run a command in a sandbox of its own until it ends or its time does."""
    nobody = _NOBODY if os.geteuid() == 0 else None
    with ExitStack() as held:
        given: dict[str, int] = {}
        for name, content in files.items():
            file = held.enter_context(tempfile.TemporaryFile())
            file.write(content.encode("utf-8", "replace"))
            file.seek(0)
            given[name] = file.fileno()
        process = held.enter_context(
            subprocess.Popen(
                [tools[0], *arguments(runs, given), "--", tools[1], *_bounds(runs, seconds), "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": _PATH},
                cwd="/",
                pass_fds=list(given.values()),
                start_new_session=True,
                user=nobody,
                group=nobody,
                extra_groups=None if nobody is None else [],
            )
        )
        try:
            return "right" if process.wait(seconds) == 0 else "wrong"
        except subprocess.TimeoutExpired:
            return "out of time"
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what still runs: the sandbox's first process dies with bwrap, and with it all the others."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def arguments(runs: CodeRuns, given: Mapping[str, int]) -> list[str]:
    """bubblewrap's arguments: what the sandbox holds. `given` are names in the scratch folder and descriptors to read them from."""
    made = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    for name, value in (("PATH", _PATH), ("HOME", SCRATCH), ("TMPDIR", SCRATCH), ("LANG", "C.UTF-8"), ("OMP_NUM_THREADS", "1")):
        made += ["--setenv", name, value]
    for path in (*_SEEN, *map(str, runs.readable)):
        made += ["--ro-bind-try", path, path]
    made += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    made += ["--perms", "0700", "--size", str(runs.scratch_mib * 2**20), "--tmpfs", SCRATCH, "--symlink", SCRATCH, "/tmp"]
    for name, descriptor in given.items():
        made += ["--perms", "0600", "--file", str(descriptor), f"{SCRATCH}/{name}"]
    return [*made, "--remount-ro", "/", "--chdir", SCRATCH]


def _bounds(runs: CodeRuns, seconds: float) -> list[str]:
    """prlimit's arguments; set within the sandbox, where the kernel counts its processes alone."""
    memory, scratch, cpu = runs.memory_mib * 2**20, runs.scratch_mib * 2**20, int(seconds) + 1
    return [f"--as={memory}", f"--fsize={scratch}", f"--cpu={cpu}", f"--nproc={runs.processes}", "--nofile=256", "--core=0"]
