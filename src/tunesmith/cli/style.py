"""`style`: how far a model keeps to a style guide, and rows for a round that does so better."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines


def style(
    guide: Annotated[Path, typer.Argument(metavar="GUIDE", help="The style guide, a YAML or Markdown file.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="A round's id, a model's folder or champion; measured, and asked for rows.")] = None,
    prompts: Annotated[str | None, typer.Option(help="File of prompts to ask; those of kept requests where absent.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write preference rows to, for data.task: prefer.")] = None,
    samples: Annotated[int, typer.Option(help="Answers drawn to each prompt, to be ranked.")] = 4,
    temperature: Annotated[float, typer.Option(help="At which they are drawn.")] = 0.9,
    most: Annotated[int, typer.Option(help="Ask at most so many prompts.")] = 500,
    seed: Annotated[int, typer.Option(help="Of what is drawn.", min=0)] = 0,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure style by a guide, and make rows of it.

    The guide's pairs become rows, and so do the model's own answers, ranked by the rules they keep.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.style import StyleConfig, styled
        from tunesmith.pipeline.workspace import Workspace as Place

        config = StyleConfig(samples=samples, temperature=temperature, most=most, seed=seed)
        made = styled(guide, model, prompts, out, config, Place(workspace), spoken.listener)
        lines = []
        if made.kept:
            cells = [[one.name, f"{one.value:.1%}", f"{one.low:.1%} to {one.high:.1%}"] for one in made.kept]
            lines += table_lines(["measure", "kept", "95% interval"], cells)
            lines.append(f"Of {made.prompts:,} answers. style: share of the rules kept; style_all: answers that keep all of them.")
            lines.append("Half of the prompts measure, and the other half make rows: no prompt does both.")
        if made.out is not None:
            lines.append(f"{sum(made.rows.values()):,} rows in {made.out}: " + ", ".join(f"{n:,} {kind}" for kind, n in made.rows.items()))
        spoken.answer(made.to_json(), lines)
