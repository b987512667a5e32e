"""`promote`, `rollback`, `champions` and `next`: who is in service, and whoever comes after."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import Console, console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.printable import one_line
from tunesmith.cli.tables import table_lines
from tunesmith.core.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunesmith.ledger.steps import Standing, StepRecord
    from tunesmith.pipeline.next_round import NextOutcome

LineName = Annotated[str, typer.Option("--line", help="Line of service; a workspace may have several.")]
Why = Annotated[str | None, typer.Option(help="The reason, which the ledger keeps.", show_default=False)]
Who = Annotated[str | None, typer.Option(help="Who decides; your login name where absent.", show_default=False)]
_WIDE = 100
"""Columns of what `champions` shows."""


def promote(
    model: Annotated[str, typer.Argument(help="A round's id, or the folder of a model.", show_default=False)],
    why: Why = None,
    who: Who = None,
    line: LineName = "champion",
    anyway: Annotated[bool, typer.Option("--anyway", help="Although a gate of its round said no; needs --why.")] = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a model the champion.

    Whoever serves `champion` serves it from now on.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline import promotion

        stands = promotion.promote(model, why=why, who=who, line=line, workspace=workspace, anyway=anyway)
        spoken.answer(promotion.Line(stands, ()).to_json(), [_stands(stands)])


def rollback(
    why: Why = None,
    who: Who = None,
    line: LineName = "champion",
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put the former champion back."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline import promotion

        stands = promotion.rollback(why=why, who=who, line=line, workspace=workspace)
        spoken.answer(promotion.Line(stands, ()).to_json(), [_stands(stands)])


def champions(workspace: Workspace = WORKSPACE, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Show who is in service, and every step there, by whom and why."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline import promotion

        found = promotion.champions(workspace=workspace)
        steps = [step for line in found for step in line.history]
        lines = _steps_told(steps) if steps else ["No champion yet: tunesmith promote MODEL."]
        spoken.answer({"lines": [line.to_json() for line in found]}, [*lines, *(_stands(line.standing) for line in found)])


def _steps_told(steps: "Sequence[StepRecord]") -> list[str]:
    """A table that `_WIDE` columns hold, the reason of each step below it; long names are cut in the middle, and --json has them whole."""
    from textwrap import wrap

    rows = [[_cut(step.line, 16), step.created, step.action, _cut(step.model or "-", 33), _cut(step.who, 14)] for step in steps]
    head, rule, *told = table_lines(["line", "when", "step", "model", "who"], rows)
    whys = [wrap(one_line(step.why), _WIDE, initial_indent="    ", subsequent_indent="    ") for step in steps]
    return [head, rule, *(line for row, why in zip(told, whys, strict=True) for line in (row, *why))]


def _cut(text: str, most: int) -> str:
    """On one line, the middle left out where it is longer: of a path, the end says more."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[:4]}...{line[7 - most :]}"


def _stands(standing: "Standing") -> str:
    if standing.champion is None:
        return f"'{standing.line}' has no champion."
    trial = "" if standing.challenger is None else f"; {standing.challenger.model} is tried beside it"
    return f"Champion of '{standing.line}': {standing.champion.model}, since {standing.champion.since}{trial}"


def next_round(
    line: LineName = "champion",
    recipe: Annotated[Path | None, typer.Option(help="A recipe in place of the champion's own; the data is the champion's.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Tell what would be done, and why not yet; do nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until a signal: make a round whenever one is due.")] = False,
    after_rollback: Annotated[
        bool, typer.Option("--after-rollback", help="Begin one also where somebody rolled back the last one's model.")
    ] = False,
    every: Annotated[float, typer.Option(help="With --watch: seconds between two looks.", min=1, max=86_400)] = 300,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Learn from reviewed feedback; promote what is better.

    Goes on with a round that was killed. Exit code 4 where a round was made and the champion stays.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.core.errors import RecipeError
        from tunesmith.pipeline import next_round as rounds
        from tunesmith.recipe.yaml import load_recipe

        if watch and after_rollback:
            raise RecipeError("--after-rollback is for one round, and --watch makes many: leave one of them out.")
        if watch and check:
            raise RecipeError("--watch makes rounds and --check makes none: leave one of them out.")
        described = None if recipe is None else load_recipe(recipe)

        def call() -> "NextOutcome":
            return rounds.next_round(
                workspace=workspace, line=line, listen=spoken.listener, recipe=described, check=check, after_rollback=after_rollback
            )

        if watch:
            _watch(call, spoken, every)
            return
        found = call()
        spoken.answer(found.to_json(), _told(found))
        if found.round_id is not None and not found.promoted and not check:
            refused = GateError(found.why)
            if not as_json:
                spoken.complain(str(refused))
            raise typer.Exit(refused.exit_code)


def _watch(call: "Callable[[], NextOutcome]", spoken: Console, every: float) -> None:
    """A line for each outcome that differs from the last; SIGTERM ends it as Ctrl-C does, and the same command goes on."""
    import signal
    import threading

    from tunesmith.core.errors import TunesmithError
    from tunesmith.pipeline.next_round import watch

    def tell(found: "NextOutcome | TunesmithError") -> None:
        if isinstance(found, TunesmithError):
            spoken.complain(str(found))
        else:
            spoken.answer(found.to_json(), _told(found))
            spoken.out.flush()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stopped)
    try:
        watch(call, tell, every, threading.Event())
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(found: "NextOutcome") -> list[str]:
    """The outcome in a sentence, and a line for each reason why opinions made no row."""
    used = f" ({found.used:,} opinions used)" if found.used else ""
    said = f"{found.round_id}: {found.why}{used}" if found.round_id else f"{found.why}{used}"
    return [said, *(f"  {count:,} made no row: {why}" for why, count in found.left_out.items())]
