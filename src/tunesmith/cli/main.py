"""The `tunesmith` command: its commands, in the order of the work.

Nothing heavy is imported here: `tunesmith --help` and a recipe's typo are answered before torch could even be found.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

import tunesmith
from tunesmith.cli import (
    advising,
    estimating,
    feedback,
    looking,
    monitoring,
    preflight,
    promoting,
    running,
    searching,
    serving,
    style,
    trial,
    worker,
    writing,
)
from tunesmith.cli.options import EXIT_CODES

app = typer.Typer(
    name="tunesmith",
    help="From a file of examples and a pretrained language model to a fine-tuned model that has earned its place.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tunesmith {tunesmith.__version__}")
        raise typer.Exit


@app.callback()
def _start(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    """What stands before the commands."""


_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": running.demo,
    "init": writing.init,
    "synthesise": writing.synthesise,
    "prepare": preflight.prepare,
    "check": preflight.check,
    "advise": advising.advise,
    "estimate": estimating.estimate,
    "search": searching.search,
    "run": running.run,
    "show": looking.show,
    "compare": looking.compare,
    "list": looking.list_rounds,
    "serve": serving.serve,
    "worker": worker.worker,
    "monitor": monitoring.monitor,
    "audit": serving.audit,
    "review": feedback.review,
    "style": style.style,
    "next": promoting.next_round,
    "promote": promoting.promote,
    "rollback": promoting.rollback,
    "champions": promoting.champions,
    "challenge": trial.challenge,
    "trial": trial.trial,
    "schema": writing.schema,
}

for name, command in _COMMANDS.items():
    app.command(name, epilog=EXIT_CODES)(command)
app.add_typer(serving.keys)
app.add_typer(feedback.feedback)


def entry() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # rows hold characters that a narrow terminal can't show
    app()
