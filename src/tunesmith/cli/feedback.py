"""`feedback` and `review`: what people say of answers, looked through by a person, and out again as rows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import EXIT_CODES, WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.printable import one_line, printable
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.feedback.queue import Waiting

_WIDE = 60
_SHOWN = 2000

feedback = typer.Typer(
    name="feedback", help="What people say of answers: import, list, export.", no_args_is_help=True, rich_markup_mode=None
)


@feedback.command("import", epilog=EXIT_CODES)
def import_(
    file: Annotated[str, typer.Argument(help="prompt, answer and thumbs, correction, preferred, label or comment.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="Whose feedback it is.")] = "default",
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read feedback from a file (JSONL, CSV, ...). The same file again changes nothing."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.feedback import import_feedback
        from tunesmith.pipeline.workspace import Workspace as Place

        place = Place(workspace)
        with place.ledger() as ledger:
            made = import_feedback(ledger, file, tenant=tenant, place=place)
            counts = ledger.feedback.counts()
        lines = [f"{made.read:,} opinions read, {made.new:,} of them new; {made.unread:,} records make none.", *made.why]
        lines.append(_state_of(counts))
        told = {"read": made.read, "new": made.new, "unread": made.unread, "why": list(made.why), "states": counts}
        spoken.answer(told, lines)


@feedback.command("list", epilog=EXIT_CODES)
def list_(
    state: Annotated[list[str] | None, typer.Option(help="new, accepted, rejected or quarantined; repeatable.")] = None,
    limit: Annotated[int, typer.Option(help="So many of the newest.", min=1)] = 50,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List feedback with its state and why it is in it."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from typing import get_args

        from tunesmith.core.errors import RecipeError, did_you_mean
        from tunesmith.feedback.config import ScreenConfig
        from tunesmith.feedback.screening import screen
        from tunesmith.feedback.telling import opened
        from tunesmith.ledger.feedback import State
        from tunesmith.pipeline.workspace import Workspace as Place

        for one in state or []:
            if one not in get_args(State):
                raise RecipeError(f"There is no state '{one}'.{did_you_mean(one, get_args(State))}")
        with Place(workspace).ledger() as ledger:
            screen(ledger, ScreenConfig())
            found = ledger.feedback.list(states=tuple(state or ()))[-limit:]  # type: ignore[arg-type]  # looked at above
            counts = ledger.feedback.counts()
        rows = [
            [record.id, record.key_id or "-", record.kind, _short(record.value), record.state, _short(record.reason or "")]
            for record in found
        ]
        lines = table_lines(["id", "key", "kind", "says", "state", "why"], rows) if rows else ["No feedback yet."]
        spoken.answer({"feedback": [opened(record) for record in found], "states": counts}, [*lines, _state_of(counts)])


@feedback.command("export", epilog=EXIT_CODES)
def export(
    out: Annotated[Path, typer.Option(help="File to write; without --form one of each form beside it: rows-pairs.jsonl, ...")],
    form: Annotated[str | None, typer.Option(help="corrections, labels, pairs or thumbs.")] = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write accepted feedback as rows that a recipe reads. Nothing else is written."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.feedback import export_feedback
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            made = export_feedback(ledger, out, form)
        lines = [f"{rows:,} {name} in {file}" for name, (file, rows) in made.files.items()]
        lines += [f"{count:,} accepted left out: {why}" for why, count in made.left_out.items()]
        files = {name: {"file": file, "rows": rows} for name, (file, rows) in made.files.items()}
        spoken.answer({"files": files, "left_out": made.left_out}, lines)


def review(
    reviewer: Annotated[str | None, typer.Option(help="Who decides; your login name where absent.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="Stop after so many.", min=1)] = 1000,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Review feedback, what matters most first.

    Keys: a accept, r reject, s skip, e edit, q quit; one by one from a terminal, else a line each. The line after an e is the right answer.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from contextlib import nullcontext

        from tunesmith.core.login import login_name
        from tunesmith.feedback.deciding import KEYS, Sitting, letters, next_line, single_keys
        from tunesmith.pipeline.feedback import waiting
        from tunesmith.pipeline.label_sets import LabelSets
        from tunesmith.pipeline.workspace import Workspace as Place

        place = Place(workspace)
        with place.ledger() as ledger:
            found = waiting(ledger)[:limit]
            if found and not quiet:
                print(f"{len(found):,} to review. {KEYS}.", file=sys.stderr)
            name = reviewer or login_name() or "reviewer"
            sitting = Sitting(ledger, name, _show, lambda text: spoken.complain(text, "note"), LabelSets(place, ledger).of)
            with single_keys(sys.stdin) if sys.stdin.isatty() else nullcontext(letters(sys.stdin)) as keys:
                done = sitting.go(found, keys, next_line(sys.stdin))
            counts = ledger.feedback.counts()
        told = {name: getattr(done, name) for name in ("accepted", "rejected", "edited", "skipped", "left")}
        lines = [", ".join(f"{number:,} {name}" for name, number in told.items()), _state_of(counts)]
        spoken.answer(told | {"states": counts}, lines if found else ["Nothing waits for review.", _state_of(counts)])


def _show(one: "Waiting", place: int, of: int) -> None:
    """One opinion, on stderr: stdout is for the answer."""
    record = one.record
    said = {"thumbs": f"thumbs {record.value}"}.get(record.kind, f"{record.kind}: {_cut(record.value)}")
    lines = [f"--- {place} of {of}: {one.why}; from {record.key_id or 'anyone'}" + (f"; {record.reason}" if record.reason else "")]
    lines += [f"{turn.role}: {_cut(turn.content)}" for turn in record.prompt or ()] or ["(the prompt was not kept)"]
    lines += [f"answer: {_cut(record.answer or '(not kept)')}", said]
    print("\n".join(printable(line) for line in lines), file=sys.stderr, flush=True)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... ({len(text) - _SHOWN:,} characters more)"


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _WIDE else f"{line[: _WIDE - 3]}..."


def _state_of(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {state}" for state, number in counts.items())
