"""Work shared out among processes: the same results in the same order, whoever does it; failures are told, not hung upon."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.core.errors import DataError, MachineError
from tunesmith.data.working import cores, each


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_results_come_in_order_whoever_works(workers: int, count: int) -> None:
    assert list(each(lambda piece: (piece, piece**2), range(count), workers)) == [(piece, piece**2) for piece in range(count)]


def test_a_slow_piece_holds_nothing_up_but_its_place() -> None:
    assert list(each(lambda piece: time.sleep(0.05 * (piece == 0)) or piece, range(20), 3)) == list(range(20))


def test_pieces_larger_than_a_pipe_pass_both_ways() -> None:
    pieces = [bytes([number]) * 3_000_000 for number in range(5)]
    assert list(each(lambda piece: piece + b"!", pieces, 2)) == [piece + b"!" for piece in pieces]


def test_workers_are_other_processes_and_pieces_are_asked_for_here() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(6):
            asked.append(os.getpid())
            yield number

    did = set(each(lambda piece: os.getpid(), pieces(), 2))
    assert len(did) == 2 and os.getpid() not in did
    assert set(asked) == {os.getpid()}


def test_at_most_one_piece_a_worker_is_asked_for_ahead() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(50):
            asked.append(number)
            yield number

    for done in each(lambda piece: piece, pieces(), 2):
        assert len(asked) <= done + 3


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_piece_is_raised_as_it_was(workers: int) -> None:
    def work(piece: int) -> int:
        if piece == 3:
            raise DataError("row 3 can't be: mend it")
        return piece

    done = []
    with pytest.raises(DataError, match=r"^row 3 can't be: mend it$"):
        for piece in each(work, range(10), workers):
            done.append(piece)
    assert done == [0, 1, 2]


def test_a_worker_that_is_killed_is_told_in_a_sentence() -> None:
    with pytest.raises(MachineError, match="ended from outside"):
        list(each(lambda piece: os.kill(os.getpid(), signal.SIGKILL) if piece == 2 else piece, range(10), 2))


def test_workers_end_when_no_more_is_asked_for() -> None:
    running = each(lambda piece: os.getpid(), range(100), 2)
    pids = {next(running), next(running)}
    running.close()  # type: ignore[attr-defined]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_workers_end_when_their_parent_is_killed() -> None:
    code = (
        "import os\nfrom tunesmith.data.working import each\n"
        "for pid in each(lambda piece: os.getpid(), range(10**9), 3):\n    print(pid, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = {int(parent.stdout.readline()) for _ in range(9)}
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert len(pids) == 3
    until = time.monotonic() + 120
    while any(_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_more_workers_than_cores() -> None:
    assert 1 <= cores() <= min(8, len(os.sched_getaffinity(0)))
