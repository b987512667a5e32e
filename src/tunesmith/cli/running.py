"""`run` and `demo`: one whole round, and its verdict."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from tunesmith.cli.console import Coloured, Console, console
from tunesmith.cli.options import WORKSPACE, Again, AsJson, Debug, Quiet, RecipeFile, Settings, Workspace
from tunesmith.core.errors import GateError

if TYPE_CHECKING:
    from tunesmith.pipeline.api import Round


def run(
    recipe: RecipeFile,
    again: Again = False,
    settings: Settings = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a recipe: prepare, train, evaluate, judge. An unfinished round is continued, a finished one shown."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.yaml import load_recipe

        described = load_recipe(recipe, settings=settings or ())
        from tunesmith.pipeline import api

        _judge(api.run(described, workspace=workspace, again=again, listen=spoken.listener), spoken)


def demo(
    again: Again = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run one whole round on embedded data and base.

    Takes a few minutes on two cores; needs no network.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.init import demo_recipe

        described = demo_recipe()
        from tunesmith.pipeline import api

        _judge(api.run(described, workspace=workspace, again=again, listen=spoken.listener), spoken)


def _judge(done: "Round", spoken: Console) -> None:
    """Print the verdict; exit code 4 where a gate does not hold."""
    spoken.answer(done.to_json(), round_lines(done, spoken))
    end_by_gates(done, spoken)


def end_by_gates(done: "Round", spoken: Console) -> None:
    """Exit code 4 where a gate does not hold."""
    if not done.gates_hold:
        refused = GateError(_gates(done.report))
        if not spoken.as_json:
            spoken.complain(str(refused))
        raise typer.Exit(refused.exit_code)


def round_lines(done: "Round", spoken: Console) -> Iterator[str]:
    """A round for people: its verdict table, where its card and folder are; for one that failed, why."""
    if done.report is not None:
        yield from _verdict(done.report, spoken)
        yield ""
    elif done.sentence:
        yield done.sentence
    if done.error:
        yield f"error: {done.error}"
    if done.status != "done":
        yield f"This round is {done.status}: tunesmith run with its recipe continues it."
    if done.card is not None:
        yield f"Report card: {done.card}"
    yield f"Round: {done.id}, in {done.folder}"
    if done.finished_before:
        yield "It was finished before, and is shown as it ended; --again makes a new one."


def _verdict(report: dict[str, Any], spoken: Console) -> list[Coloured]:
    """The verdict table, in colour where a terminal shows it, a hundred characters wide elsewhere."""
    from tunesmith.report.terminal import verdict_lines, verdict_text

    if not spoken.colour:
        return [Coloured(line) for line in verdict_text(report).splitlines()]
    from rich.console import Console as RichConsole

    rich = RichConsole(file=spoken.out, force_terminal=True)
    with rich.capture() as captured:
        rich.print(verdict_lines(report))
    return [Coloured(line) for line in captured.get().splitlines()]


def _gates(report: dict[str, Any] | None) -> str:
    gates = (report or {}).get("verdict", {}).get("gates") or []
    broken = [f"{gate['name']} {_found(gate['value'])}, bound {_number(gate['bound'])}" for gate in gates if not gate["holds"]]
    return f"a gate said no: {'; '.join(broken) or 'see the report card'}."


def _found(value: float | None) -> str:
    return "was not measured" if value is None else f"is {_number(value)}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
