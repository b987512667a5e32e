"""`check` and `prepare`: what a round would see, before it trains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from tunesmith.cli.console import Coloured, Console, console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, RecipeFile, Settings, Workspace
from tunesmith.cli.printable import one_line, printable
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.pipeline.api import CheckReport, PreparedDataset

_SUPERVISED = "\x1b[1;32m"
_SPECIAL = "\x1b[2m"
_PLAIN = "\x1b[0m"
_REFUSED = 3
_FIRST = 5


def check(
    recipe: RecipeFile,
    settings: Settings = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Refuse what can't work, before any training.

    Shows three rows as the model will see them, what is learned in green.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.yaml import load_recipe

        described = load_recipe(recipe, settings=settings or ())
        from tunesmith.pipeline import api

        found = api.check(described, workspace=workspace, listen=spoken.listener)
        spoken.answer(found.to_json(), _check_lines(found, spoken))
        if found.problems:
            if not as_json:
                spoken.complain("\n".join(one_line(problem) for problem in found.problems))
            raise typer.Exit(_REFUSED)


def prepare(
    recipe: RecipeFile,
    settings: Settings = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read, clean and split the rows of a recipe.

    Says what became of them, stage by stage.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.recipe.yaml import load_recipe

        described = load_recipe(recipe, settings=settings or ())
        from tunesmith.pipeline import api

        prepared = api.prepare(described, workspace=workspace, listen=spoken.listener)
        spoken.answer(prepared.to_json(), [*data_lines(prepared.report), "", *_prepared_lines(prepared)])


def _prepared_lines(prepared: "PreparedDataset") -> Iterator[str]:
    """What to look at first, and where things lie."""
    if prepared.first:
        yield "Look first at:"
        yield from (f"  {number}. {one_line(sentence)}" for number, sentence in enumerate(prepared.first[:_FIRST], 1))
        yield ""
    yield f"Data report: {prepared.card}"
    if prepared.review is not None:
        yield f"Labels to review: {prepared.review} (fill in its decision column and name it in data.relabel.review)"
    yield f"Dataset: {prepared.folder}"


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """What was read, what became of it stage by stage (`kept + dropped - added` is what came in), and how it was divided."""
    mapping = ", ".join(f"{role} from {column}" for role, column in (data.get("mapping") or {}).items())
    yield f"{data.get('path')}: {data.get('format')}, task {data.get('task')}" + (f" ({mapping})" if mapping else "")
    yield ""
    stages = data.get("waterfall") or []
    counts = ["kept", "changed", "dropped"] + (["added"] if any(stage.get("added") for stage in stages) else [])
    yield from table_lines(
        ["stage", *counts, "why"],
        [[stage["stage"], *(str(stage.get(name, 0)) for name in counts), _reasons(stage.get("reasons") or {})] for stage in stages],
    )
    yield ""
    sides = data.get("sides") or {}
    yield "Rows: " + ", ".join(f"{count} {side}" for side, count in sides.items())
    labels = data.get("labels") or {}
    if labels:
        with_added = ", added rows among them" if "added" in counts else ""
        yield f"Labels: {len(labels)}, from {min(labels.values())} to {max(labels.values())} rows each{with_added}"


def _reasons(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in reasons.items())


def _check_lines(found: "CheckReport", spoken: Console) -> Iterator[str]:
    for example in found.examples:
        yield f"Row {one_line(example.row_id)}, as the model sees it:"
        yield ""
        yield from row_lines(example.pieces, colour=spoken.colour)
        yield ""
    if found.examples:
        marked = f"{_SUPERVISED}green{_PLAIN}" if spoken.colour else "⟦between brackets⟧"
        yield Coloured(f"What is learned stands {'in ' if spoken.colour else ''}{marked}.")
        yield ""
    width = max((len(name) for name in found.facts), default=0)
    for name, value in found.facts.items():
        yield f"{one_line(name).replace('_', ' '):<{width}}  {_fact(value)}"
    for note in found.notes:
        yield f"note: {one_line(note)}"
    for warning in found.warnings:
        yield f"warning: {one_line(warning)}"
    yield "The round is refused:" if found.problems else "Nothing stands in the way of this round."


def _fact(value: Any) -> str:
    """A fact as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_fact(inner)} {one_line(str(name))}" for name, inner in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value))


def row_lines(pieces: Sequence[tuple[str, bool, bool]], *, colour: bool) -> list[Coloured]:
    """A rendered row, supervised tokens in green or between ⟦ ⟧; what the row itself holds can colour or bracket nothing."""
    text = ""
    for supervised, special, run in _runs(pieces):
        shown = printable(run)
        if colour:
            shade = _SUPERVISED if supervised else _SPECIAL if special else ""
            # A colour is closed and opened at each line break: terminals and pagers forget it there.
            shown = shown.replace("\n", f"{_PLAIN}\n{shade}") if shade else shown
            text += f"{shade}{shown}{_PLAIN}" if shade else shown
        else:
            shown = shown.replace("⟦", "\\u27e6").replace("⟧", "\\u27e7")
            text += f"⟦{shown}⟧" if supervised else shown
    return [Coloured(f"    {line}") for line in text.split("\n")]


def _runs(pieces: Sequence[tuple[str, bool, bool]]) -> Iterator[tuple[bool, bool, str]]:
    """Neighbouring tokens of one kind as one text: an escape cut in two by the tokeniser is whole again, and is stripped.

    Supervised special tokens (the end of an answer) count as supervised: that they are learned is what matters.
    """
    kind: tuple[bool, bool] | None = None
    run = ""
    for text, supervised, special in pieces:
        here = (supervised, special and not supervised)
        if kind is not None and here != kind:
            yield (*kind, run)
            run = ""
        kind, run = here, run + text
    if kind is not None:
        yield (*kind, run)
