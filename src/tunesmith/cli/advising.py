"""`advise`: which base and which method, before anything is trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.listening import duration
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines
from tunesmith.core.errors import RecipeError

if TYPE_CHECKING:
    from tunesmith.search.advice.order import Option
    from tunesmith.search.advising import Advice

_SHOWN = 10
"""Options in the table; all of them with --json."""
_REASONS = 3

Data = Annotated[str, typer.Argument(metavar="DATA_OR_RECIPE", help="A file of rows, `sample`, or a recipe (.yaml).", show_default=False)]
Bases = Annotated[
    list[str] | None,
    typer.Option("--base", help="`embedded`, a folder or a hub id; repeatable. Those found here where absent.", show_default=False),
]
MachineText = Annotated[
    str | None, typer.Option("--machine", help="To train on, as 1x24GB or 'cpu 16GB 8 cores'; this one where absent.", show_default=False)
]
Latency = Annotated[float | None, typer.Option("--latency-ms", help="Most milliseconds for one answer.", show_default=False)]
Size = Annotated[str | None, typer.Option("--max-size", help="Most that the weights may take, as 2GB.", show_default=False)]
Licence = Annotated[
    str | None, typer.Option("--licence", help="Licences that will do, as apache-2.0,mit; `unknown` too.", show_default=False)
]
Context = Annotated[int | None, typer.Option("--context", help="Tokens it must read at once.", show_default=False)]
Private = Annotated[bool, typer.Option("--private/--no-private", help="Whether rows must stay on your machines.")]
Minutes = Annotated[
    float | None,
    typer.Option("--probe", metavar="MINUTES", help="Train on a sample for so long, and rank by what is seen.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the recipe.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file where it is there already.")]


def advise(
    data: Data,
    base: Bases = None,
    machine: MachineText = None,
    latency_ms: Latency = None,
    max_size: Size = None,
    licence: Licence = None,
    context: Context = None,
    private: Private = True,
    probe: Minutes = None,
    out: Out = Path("advised.yaml"),
    force: Force = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say which base and method suit rows and machine.

    Ranks them with reasons, and writes the recipe of the first. Trains nothing without --probe.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        if out.exists() and not force:
            raise RecipeError(f"{out} is there already: name another file with --out, or overwrite it with --force.")
        from tunesmith.search.advice.wishes import Wishes, read_licences, read_size

        wishes = Wishes(
            latency_ms=latency_ms,
            max_size=None if max_size is None else read_size(max_size),
            licences=() if licence is None else read_licences(licence),
            context=context,
            private=private,
        )
        from tunesmith.search.advising import advise as advised

        found = advised(
            data, bases=base or (), machine=machine, wishes=wishes, probe_minutes=probe, workspace=workspace, listen=spoken.listener
        )
        found.write(out)
        spoken.answer(found.to_json() | {"recipe": str(out)}, _lines(found, out))


def _lines(found: "Advice", out: Path) -> Iterator[str]:
    look = found.look
    sides = ", ".join(f"{count:,} {side}" for side, count in look.counts.items())
    labels = f", {len(look.label_rows)} labels" if look.label_rows else ""
    language = f", language {look.language}" if look.language else ""
    yield f"Rows: {sides}; {look.task.value}{labels}, {look.words} words at the median{language}. Machine: {found.machine.name}."
    for verdict in found.verdicts:
        yield f"- {verdict.told}"
    yield ""
    yield from _ranking(found)
    yield ""
    yield from (f"Out: {option.name}: {'; '.join(one.told for one in why)}." for option, why in found.out[:_SHOWN])
    yield from (f"Out: {one.path}: {one.why}" for one in found.unreadable[:_SHOWN])
    if more := max(0, len(found.out) - _SHOWN) + max(0, len(found.unreadable) - _SHOWN):
        yield f"Out: {more} more, see --json."
    if found.probed is not None:
        yield from _probe(found)
    yield f"Advised: {found.best.name}: {found.reason}"
    yield f"{out} is written. Next:"
    yield f"    tunesmith check {out}"
    yield f"    tunesmith run {out}"


def _ranking(found: "Advice") -> Iterator[str]:
    head = ["", "base", "way", "weights", "memory", "training", "tokens/word", "licence"]
    rows = [[str(place), *_cells(option)] for place, (option, _) in enumerate(found.ranked[:_SHOWN], 1)]
    yield from table_lines(head, rows)
    if len(found.ranked) > _SHOWN:
        yield f"and {len(found.ranked) - _SHOWN} more, see --json."
    yield ""
    from tunesmith.search.advice.order import reasons

    for place, why in enumerate(reasons(found.ranked)[:_REASONS], 1):
        yield f"{place}. {why}"


def _cells(option: "Option") -> list[str]:
    from tunesmith.search.advice.wishes import shown_size

    base, seconds = option.base, option.price.seconds
    return [
        base.path if base.is_here else f"{base.path} (not here)",
        option.way.name,
        shown_size(option.size),
        "not known" if option.price.memory is None else shown_size(option.price.memory),
        "not known" if seconds is None else f"about {duration(seconds)}",
        f"{option.reading.per_word:.2f}",
        base.licence or "not told",
    ]


def _probe(found: "Advice") -> Iterator[str]:
    probed = found.probed
    assert probed is not None, "only where there was a probe"
    over = "" if probed.whole else " Its time was over before its last rung was."
    yield (
        f"Probe: {probed.measure} on {probed.rows[1]:,} select rows after training on {probed.rows[0]:,}, "
        f"{duration(probed.seconds)}.{over} The best of several on few rows looks better than it is."
    )
    yield from (f"  {place}. {one.name}: {one.told}" for place, one in enumerate(probed.placed, 1))
    yield from (f"  -  {name}: not tried: {why}" for name, why in probed.untried)
