"""`show`, `compare` and `list`: rounds that were run before."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.running import round_lines
from tunesmith.cli.tables import table_lines
from tunesmith.core.errors import RecipeError

if TYPE_CHECKING:
    from tunesmith.evaluate.between import Pair
    from tunesmith.pipeline.api import Round

RoundId = Annotated[str, typer.Argument(metavar="ROUND", help="A round's id, as `tunesmith list` shows it.", show_default=False)]
Page = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the comparison as one HTML page.", show_default=False)]
RoundIds = Annotated[list[str], typer.Argument(metavar="ROUND...", help="Two rounds or more.", show_default=False)]


def show(round_id: RoundId, workspace: Workspace = WORKSPACE, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Show a round: its verdict, and its report card."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline import api

        found = api.show(round_id, workspace=workspace)
        spoken.answer(found.to_json(), round_lines(found, spoken))


def compare(
    round_ids: RoundIds,
    html: Page = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show rounds side by side.

    What each reached, whether the difference is more than chance, what it cost and lost, and in which settings they differ.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        if len(round_ids) < 2:
            raise RecipeError("compare needs two rounds or more: tunesmith list shows their ids.")
        from tunesmith.pipeline import api

        found = api.compare(round_ids, workspace=workspace)
        pairs = api.between(found, workspace=workspace)
        lines = list(_comparison(found, pairs))
        if html is not None:
            _write_page(html, found, pairs)
            lines += ["", f"Page: {html}"]
        told = {"rounds": [one.to_json() for one in found], "pairs": [pair.to_json() for pair in pairs]}
        spoken.answer(told | ({"html": str(html)} if html is not None else {}), lines)


def list_rounds(workspace: Workspace = WORKSPACE, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the rounds of a workspace."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline import api

        found = api.rounds(workspace=workspace)
        rows = [[one.id, one.status, one.created, one.sentence or one.error or ""] for one in found]
        none = [f"No rounds in {workspace} yet: tunesmith run RECIPE makes one."]
        lines = table_lines(["round", "status", "created", "verdict"], rows) if rows else none
        spoken.answer({"rounds": [one.to_json() for one in found]}, lines)


def _write_page(html: Path, found: Sequence["Round"], pairs: Sequence["Pair"]) -> None:
    """The page of several rounds, whole or not at all."""
    from tunesmith.core.files import write_text
    from tunesmith.report.card import compare_card

    if html.is_dir():
        raise RecipeError(f"--html {html} is a folder: name a file in it, as {html / 'compare.html'}.")
    reports = [one.report for one in found if one.report is not None]
    write_text(html, compare_card(reports, [pair.to_json() for pair in pairs]))


def _comparison(found: Sequence["Round"], pairs: Sequence["Pair"]) -> Iterator[str]:
    head = ["round", "status", "metric", "tuned", "95% interval", "best baseline", "gain", "verdict"]
    yield from table_lines(head, [_reached(one) for one in found])
    datasets = {(one.report.get("hashes") or {}).get("dataset") for one in found if one.report is not None}
    if len(datasets) > 1 and not (pairs and all(pair.difference is not None for pair in pairs)):
        yield ""
        yield "These rounds were scored on different datasets: their figures can't be set against each other."
    yield from _choosing(found, pairs)
    differing = _differing([_settings(one) for one in found])
    if differing:
        yield ""
        yield from table_lines(["setting", *(one.id for one in found)], differing)


def _choosing(found: Sequence["Round"], pairs: Sequence["Pair"]) -> Iterator[str]:
    """Which is better beyond chance, and what stands beside the score."""
    from tunesmith.report.choosing import beside, differences
    from tunesmith.report.shape import read_report

    reports = [read_report(one.report) for one in found if one.report is not None]
    said = differences(reports, [pair.to_json() for pair in pairs])
    if said:
        yield ""
        yield from said
    table = beside(reports) if len(reports) == len(found) else []
    if table:
        yield ""
        yield from table_lines(["beside the score", *(one.id for one in found)], [[name, *cells] for name, cells in table])


def _reached(one: "Round") -> list[str]:
    """A round's line: how good the tuned model is by the metric that decides, and what it gained."""
    if one.report is None:
        return [one.id, one.status, "-", "-", "-", "-", "-", one.error or "-"]
    verdict = one.report["verdict"]
    tuned = next((system for system in one.report["systems"] if system["kind"] == "tuned"), None)
    score = (tuned or {}).get("metrics", {}).get(verdict["metric"]) or {}
    gain = (verdict.get("gain") or {}).get("value")
    interval = f"{_figure(score.get('low'))} to {_figure(score.get('high'))}"
    baseline = verdict.get("best_baseline") or "-"
    return [one.id, one.status, verdict["metric"], _figure(score.get("value")), interval, baseline, _figure(gain), verdict["outcome"]]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _settings(one: "Round") -> dict[str, str]:
    """Every setting of a round's recipe by its dotted name; empty where the recipe can't be read any more."""
    from tunesmith.recipe.yaml import flat_settings, parse_recipe

    try:
        return flat_settings(parse_recipe(one.report["recipe"], one.id)) if one.report is not None else {}
    except RecipeError:
        return {}


def _differing(settings: Sequence[dict[str, str]]) -> list[list[str]]:
    if not all(settings):
        return []
    return [[name, *(each[name] for each in settings)] for name in settings[0] if len({each[name] for each in settings}) > 1]
