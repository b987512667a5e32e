"""`estimate`: what a round would take, before it runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import Console, console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, RecipeFile, Settings, Workspace
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.pipeline.estimating import Estimate

_CANT_FIT = 3
_MIB = 2**20
_PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "copies": "copies of weights",
    "activations": "activations",
    "logits": "logits",
    "rows": "rows",
    "shared": "used twice in time",
    "checkpoint": "copy for a checkpoint",
    "libraries": "libraries and the rest",
}


def estimate(
    recipe: RecipeFile,
    machine: Annotated[
        str | None,
        typer.Option("--machine", metavar="TEXT", help="Another machine: 1x24GB, a100-80gb, cpu 16GB 8 cores.", show_default=False),
    ] = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Try no steps here: arithmetic alone.")] = False,
    price_hour: Annotated[
        float | None, typer.Option("--price-hour", metavar="X", min=0, help="What an hour of the machine costs.", show_default=False)
    ] = None,
    watts: Annotated[float | None, typer.Option("--watts", metavar="W", min=0, help="What the machine draws.", show_default=False)] = None,
    settings: Settings = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what a recipe will take before it runs.

    Memory, time, tokens, energy and money, here (a few steps are tried) or on a machine that is described. Exit code 3: it can't fit.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.machine import described
        from tunesmith.recipe.yaml import load_recipe

        where = None if machine is None else described(machine)
        asked = load_recipe(recipe, settings=settings or ())
        from tunesmith.pipeline import estimating

        found = estimating.estimate(
            asked,
            machine=where,
            probe=not no_probe,
            rates=estimating.Rates(price_hour=price_hour, watts=watts),
            workspace=workspace,
            listen=spoken.listener,
        )
        spoken.answer(found.to_json(), _lines(found))
        if not found.fits:
            _refuse(estimating.refusal(found), spoken)


def _refuse(why: str, spoken: Console) -> None:
    if not spoken.as_json:
        spoken.complain(why)
    raise typer.Exit(_CANT_FIT)


def _lines(found: "Estimate") -> Iterator[str]:
    """Memory by part, time by stage, what it comes to, and what is assumed."""
    shown = [(name, size) for name, size in found.parts.items() if abs(size) >= _MIB // 2]
    rows = [[_PARTS.get(name, name), f"{size / _MIB:,.0f}"] for name, size in shown]
    yield from table_lines(["memory", "MiB"], [*rows, ["at its peak", f"{found.memory / _MIB:,.0f}"]])
    yield f"{found.machine.name}: {found.limit / _MIB:,.0f} MiB; it {'fits' if found.fits else 'does not fit'}."
    yield ""
    rough = {"prepare": "", "train": "", "evaluate": "rough"}
    yield from table_lines(["stage", "time", ""], [[name, _time(taken), rough.get(name, "")] for name, taken in found.stages.items()])
    yield ""
    yield f"Training: {found.steps:,} steps, {found.tokens:,} tokens computed, {found.tokens_in_rows:,} in its rows."
    yield f"Energy: {_energy(found)}."
    yield f"Money: {_money(found)}."
    yield f"{_how(found)}"
    for note in found.notes:
        yield f"note: {note}"
    if found.advice is not None:
        yield f"What would help: {found.advice}"


def _how(found: "Estimate") -> str:
    if found.probe is None:
        return "By arithmetic; no step was tried."
    return f"Corrected by {len(found.probe.steps)} steps tried in {_time(found.probe.seconds)}."


def _time(seconds: float | None) -> str:
    from tunesmith.cli.listening import duration

    return "unknown" if seconds is None else duration(seconds)


def _energy(found: "Estimate") -> str:
    if found.energy_wh is None:
        return "unknown (name the watts with --watts)" if found.watts is None else "unknown, as the time is"
    return f"{found.energy_wh:,.1f} Wh at {found.watts:,.0f} W"


def _money(found: "Estimate") -> str:
    if found.money is None:
        return "unknown (name the price with --price-hour)" if found.price_hour is None else "unknown, as the time is"
    return f"{found.money:,.2f} at {found.price_hour:g} an hour"
