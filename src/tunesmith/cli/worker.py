"""`worker`: works through the fine-tuning jobs that clients asked the gateway for."""

import os
import signal
import threading
from typing import Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace

Bases = Annotated[
    list[str] | None,
    typer.Option("--bases", help="What jobs may start from: embedded, NAME=FOLDER; repeatable, or with commas. embedded where absent."),
]


def worker(
    bases: Bases = None,
    once: Annotated[bool, typer.Option("--once", help="Take one job, or none where none waits, and end.")] = False,
    idle: Annotated[float | None, typer.Option(help="End when no job came for so many seconds.")] = None,
    lease_seconds: Annotated[float, typer.Option(help="A job whose worker is not heard of for so long goes to the next.")] = 30,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input closes: with the process that started it.")] = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Work through fine-tuning jobs, one at a time.

    They wait in the ledger: a worker that is killed is followed by the next, which goes on with the same round. Several may run.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.core.errors import RecipeError
        from tunesmith.core.progress import Said
        from tunesmith.pipeline.bases import read_bases
        from tunesmith.pipeline.worker import Worker
        from tunesmith.pipeline.workspace import Workspace as Place

        if not 1 <= lease_seconds <= 86_400:
            raise RecipeError(f"--lease-seconds is {lease_seconds:g}, and takes 1 to 86400.")
        if idle is not None and idle < 0:
            raise RecipeError(f"--idle is {idle:g}, and takes 0 or more.")
        place = Place(workspace)
        with place.ledger() as ledger:
            works = Worker(place, ledger, read_bases(bases or ["embedded"]), lease_seconds, lambda line: spoken.listener(Said(line)))
            _stop_on_signals(works.stop)
            if tied:
                threading.Thread(target=_stop_with_parent, args=(works.stop,), name="parent", daemon=True).start()
            taken = works.work(once=once, idle_seconds=idle)
        spoken.answer({"jobs": taken}, [f"{taken} job{'' if taken == 1 else 's'} taken."])


def _stop_on_signals(stop: threading.Event) -> None:
    """The first one ends between two steps and gives the job back; Python's own handling follows, for who can't wait."""

    def handle(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)


def _stop_with_parent(stop: threading.Event) -> None:
    """Nothing is ever written to a tied worker: what can be read is the end."""
    while os.read(0, 1):  # not sys.stdin: whoever waits in it at the interpreter's end makes that an abort
        pass
    stop.set()
