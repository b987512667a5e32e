"""`search`: the settings of a recipe, searched; the best of them as a recipe, and as a round."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import Console, console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, RecipeFile, Settings, Workspace
from tunesmith.cli.running import end_by_gates, round_lines
from tunesmith.cli.tables import table_lines
from tunesmith.core.errors import RecipeError

if TYPE_CHECKING:
    from tunesmith.search.outcome import Finalist, TrialRecord
    from tunesmith.search.searching import Search

_SHOWN = 5
_BAR = 24
Trials = Annotated[int | None, typer.Option(min=1, help="Trials at most, in place of search.trials.", show_default=False)]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that train at once, in place of search.workers.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the best recipe there too.", show_default=False)]


def search(
    recipe: RecipeFile,
    trials: Trials = None,
    workers: Workers = None,
    out: Out = None,
    settings: Settings = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search settings, and judge the best against the recipe's own.

    What is searched stands in the recipe's search section. A search that was stopped is continued, one with more trials prolonged, a
    finished one shown.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.yaml import load_recipe

        described = load_recipe(recipe, settings=settings or ())
        if out is not None and out.resolve() == recipe.resolve():
            raise RecipeError(f"--out {out} would write over the recipe that is searched: name another file.")
        from tunesmith.core.files import write_text
        from tunesmith.search import searching

        found = searching.search(described, workspace=workspace, trials=trials, workers=workers, listen=spoken.listener)
        if out is not None:
            write_text(out, found.best.read_text(encoding="utf-8"))
        spoken.answer(found.to_json() | ({"out": str(out)} if out is not None else {}), _lines(found, out, spoken))
        end_by_gates(found.round, spoken)


def _lines(found: "Search", out: Path | None, spoken: Console) -> Iterator[str]:
    """A search for people: its round, the best trials, what mattered, why it ended, where the recipe is."""
    yield from round_lines(found.round, spoken)
    yield ""
    yield from _best_trials(found)
    yield ""
    yield from _importance(found)
    yield f"The search ended: {found.outcome.stopped}"
    if not (found.round.report or {}).get("search"):  # else the round has told it
        yield found.sentence
    yield f"Best recipe: {out or found.best}"


def _best_trials(found: "Search") -> Iterator[str]:
    """The best five, finalists by their mean, in the measure's own direction."""
    outcome = found.outcome
    finalists = {one.first.number: one for one in outcome.finalists}
    first = [one.first for one in outcome.finalists]
    others = [trial for trial in outcome.trials if trial.kept and trial.number not in finalists]
    shown = [*first, *sorted(others, key=lambda trial: -(trial.measured.value or 0.0))][:_SHOWN] or [outcome.best]
    names = list(dict.fromkeys(name for trial in outcome.trials for name in trial.settings))
    rows = [_cells(trial, finalists.get(trial.number), names, found) for trial in shown]
    ended = sum(trial.measured.pruned for trial in outcome.trials)
    yield from table_lines(["trial", "select", "over seeds", *names], rows)
    if any(one.spread is not None for one in outcome.finalists):
        yield "Over seeds: the mean of the trial's own value, which it was chosen for, and of those under other seeds; it flatters still."
    yield f"{len(outcome.trials)} trials, {ended} ended early, {outcome.steps:,} steps in all. {found.compared}"


def _cells(trial: "TrialRecord", finalist: "Finalist | None", names: list[str], found: "Search") -> list[str]:
    def value(number: float | None) -> str:
        return "-" if number is None else f"{number if found.higher_is_better else -number:.4g}"

    repeated = finalist is not None and finalist.spread is not None
    over = f"{value(finalist.mean)} ± {finalist.spread:.2g}" if repeated and finalist is not None else "-"
    chosen = [f"{one:g}" if isinstance(one := trial.settings.get(name, "-"), float) else str(one) for name in names]
    return [str(trial.number), value(trial.measured.value), over, *chosen]


def _importance(found: "Search") -> Iterator[str]:
    """What mattered, as bars."""
    shares = found.outcome.importance
    width = max((len(name) for name in shares), default=0)
    for name, share in shares.items():
        yield f"{name:<{width}}  {share:>4.0%}  {'#' * round(min(share, 1.0) * _BAR)}"
    yield found.outcome.importance_note
