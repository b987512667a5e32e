"""`monitor`: how a model fares in service, and whether anything drifts."""

from typing import Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace

DRIFTS = 4
_UNITS = {"h": 1 / 24, "d": 1.0, "w": 7.0}


def monitor(
    model: Annotated[str | None, typer.Argument(help="A round's id, or a model's folder; all that were served where absent.")] = None,
    line: Annotated[str | None, typer.Option(help="The champion of this line, as champion.", show_default=False)] = None,
    since: Annotated[str, typer.Option(help="Traffic and feedback of so long: 12h, 7d, 4w.")] = "7d",
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C or --looks.")] = False,
    every: Annotated[
        str, typer.Option(help="With --watch: so long between two looks. One a day is what false alarms are counted at.")
    ] = "1d",
    looks: Annotated[int | None, typer.Option(help="With --watch: end after so many.", min=1, show_default=False)] = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show how models fare in service, and what drifts.

    Traffic, times, tokens, blocks, confidence, feedback. Ends with 4 where a drift is found. Reads what gateways wrote; what they served in the last minute is not in it yet.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        import time

        from tunesmith.pipeline.monitoring import all_found, told
        from tunesmith.pipeline.monitoring import monitor as look
        from tunesmith.pipeline.workspace import Workspace as Place

        days, pause = days_of(since, "--since"), days_of(every, "--every") * 86_400
        left = (looks or -1) if watch else 1
        found = False
        while left:
            states = look(Place(workspace), model, line, days=days)
            found = all_found(states)
            answer = {"models": [state.to_json() for state in states], "drifted": found}
            spoken.answer(answer, [text for state in states for text in told(state)])
            spoken.out.flush()
            left -= 1
            if left:
                time.sleep(pause)
        if found:
            raise typer.Exit(DRIFTS)


def days_of(text: str, option: str) -> float:
    """`7d` in days. RecipeError where it can't be read."""
    from tunesmith.core.errors import RecipeError

    try:
        days = float(text[:-1]) * _UNITS[text[-1:]]
    except (ValueError, KeyError):
        days = 0.0
    if not 0 < days <= 3650:
        raise RecipeError(f"{option} can't be '{text}': give a number and h, d or w, as 12h or 7d.")
    return days
