"""`init`, `schema` and `synthesise`: what comes before a round, a recipe or rows made of documents."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import Console, console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.core.errors import RecipeError

_EMBEDDED = "embedded"

Data = Annotated[str | None, typer.Option("--data", help="The file of examples, or `sample`. Asked for where absent.", show_default=False)]
Base = Annotated[
    str | None,
    typer.Option("--base", help="`embedded`, a folder, or a hub id as Qwen/Qwen3-0.6B. Asked for where absent.", show_default=False),
]
Task = Annotated[str | None, typer.Option("--task", help="classify, generate, prefer or text; guessed where absent.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the recipe.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file where it is there already.")]


Documents = Annotated[
    str, typer.Argument(metavar="DOCUMENTS", help="A document, a folder or a glob of md, txt, html, pdf, docx.", show_default=False)
]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="cloze, definitions, questions, flashcards or choices; repeatable.", show_default=False),
]
Url = Annotated[str | None, typer.Option("--url", help="An OpenAI-compatible engine, as http://localhost:8000/v1.", show_default=False)]
Model = Annotated[str | None, typer.Option("--model", help="The model's name there.", show_default=False)]
KeyEnv = Annotated[str | None, typer.Option("--key-env", help="Environment variable that holds the key.", show_default=False)]


def init(
    data: Data = None,
    base: Base = None,
    task: Task = None,
    out: Out = Path("recipe.yaml"),
    force: Force = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a commented recipe for a file of examples and a base."""
    with console(workspace, as_json, quiet, debug) as spoken:
        if out.exists() and not force:
            raise RecipeError(f"{out} is there already: name another file with --out, or overwrite it with --force.")
        asks = sys.stdin.isatty() and not as_json
        if data is None:
            data = _asked("File of examples (or `sample`)", None) if asks else None
        if data is None:
            raise RecipeError("init needs the file of examples: --data FILE, or --data sample.")
        if base is None:
            base = _asked("Base (embedded, a folder, or a hub id)", _EMBEDDED) if asks else _EMBEDDED
        from tunesmith.core.files import write_text
        from tunesmith.recipe.init import starter_recipe

        write_text(out, starter_recipe(_seen_from(out, data, "sample"), _base_seen_from(out, base), task))
        _warn_of_absence(data, spoken)
        lines = [f"{out} is written. Next:", f"    tunesmith check {out}", f"    tunesmith run {out}"]
        spoken.answer({"recipe": str(out), "data": data, "base": base}, lines)


def synthesise(
    documents: Documents,
    out: Folder = Path("synthesised"),
    kinds: Kinds = None,
    url: Url = None,
    model: Model = None,
    key_env: KeyEnv = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Chooses among what could be asked.")] = 0,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make questions of documents, each with its passage.

    Written as training rows, an Anki deck, a table and a quiz page. Blanks and definitions need no model; the other kinds are
    written by an engine.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from pydantic import ValidationError

        from tunesmith.data.settings.synthesise import SynthesiseConfig

        settings: dict[str, object] = {"kinds": {kind: {} for kind in kinds}} if kinds else {}
        if url is not None:
            settings["engine"] = {"url": url, "model": model or "", "key_env": key_env}
        try:
            config = SynthesiseConfig.model_validate(settings)
        except ValidationError as error:
            told = error.errors()[0]
            raise RecipeError(f"synthesise: {'.'.join(map(str, told['loc']))}: {told['msg']}.") from None
        from tunesmith.pipeline import api

        account = api.synthesise(documents, out, config, seed=seed, workspace=workspace, listen=spoken.listener)
        lines = [f"{account['items']:,} items of {account['passages']:,} passages."]
        for kind, counts in account["kinds"].items():
            dropped = ", ".join(f"{count:,} {reason}" for reason, count in (counts.get("reasons") or {}).items())
            lines.append(f"  {kind}: {counts['kept']:,} kept of {counts['made']:,}" + (f" ({dropped})" if dropped else ""))
        lines += [
            f"Training rows: {out / 'rows.jsonl'}",
            f"Quiz: {out / 'quiz.html'}",
            f"Anki: {out / 'anki.txt'}, table: {out / 'items.csv'}",
        ]
        spoken.answer(account | {"folder": str(out)}, lines)


def schema(workspace: Workspace = WORKSPACE, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Print the recipe's JSON Schema, for editors."""
    with console(workspace, as_json, quiet, debug) as spoken:
        import json

        from tunesmith.recipe.schema import recipe_schema

        found = recipe_schema()
        spoken.answer(found, [json.dumps(found, indent=2)])


def _asked(question: str, default: str | None) -> str:
    answer: str = typer.prompt(question, default=default, err=True)
    return answer.strip()


def _seen_from(out: Path, path: str, name: str) -> str:
    """A relative path as the recipe's own folder sees it; `name` is no path."""
    if path == name or "://" in path or path.startswith("~") or Path(path).is_absolute():
        return path
    return os.path.relpath(path, out.parent)


def _base_seen_from(out: Path, base: str) -> str:
    """A folder's path as the recipe's own folder sees it; hub ids stay as they are."""
    return _seen_from(out, base, _EMBEDDED) if Path(base).is_dir() or base.startswith(".") else base


def _warn_of_absence(data: str, spoken: Console) -> None:
    if data != "sample" and "://" not in data and not Path(data).expanduser().exists():
        spoken.complain(f"{data} is not there yet: put it there before tunesmith check.", "warning")
