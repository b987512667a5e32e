"""The options that commands share, and the exit codes they all keep to."""

from pathlib import Path
from typing import Annotated

import typer

EXIT_CODES = (
    "Exit codes: 0 done; 1 a bug; 2 the recipe or the call is wrong; 3 the data or the machine can't serve it; "
    "4 a gate said no; 130 interrupted, the same command continues."
)
WORKSPACE = Path(".tunesmith")

Workspace = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="TUNESMITH_WORKSPACE", help="Folder that holds rounds, datasets and the ledger."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of progress; warnings and errors stay.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, as train.epochs=1; repeatable.", show_default=False),
]
Again = Annotated[bool, typer.Option("--again", help="Make a new round even where this one is finished.")]
