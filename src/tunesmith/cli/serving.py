"""`serve` and `keys`: a model behind an OpenAI-compatible API, and who may ask it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import EXIT_CODES, WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.ledger.keys import KeyRecord

Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help="A round's id, or the folder of a model.", show_default=False)]


def serve(
    models: Models,
    host: Annotated[str, typer.Option(help="Address to listen at; any but this machine's own needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    tls_certificate: Annotated[str | None, typer.Option(help="PEM file of a certificate: the gateway then speaks HTTPS.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file of its private key.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="Web pages of this origin may call; repeatable.")] = None,
    policies: Annotated[str | None, typer.Option(help="YAML file of policies: what may pass, as docs/guide/serving.md tells.")] = None,
    policy: Annotated[str | None, typer.Option(help="Policy of keys that name none, as child-friendly, which comes along.")] = None,
    log: Annotated[
        str | None, typer.Option(help="File of a JSON line a request; - is stderr. requests.jsonl of the workspace where absent.")
    ] = None,
    most_rows: Annotated[int, typer.Option(help="Answers made at the same time.")] = 64,
    most_waiting: Annotated[int, typer.Option(help="Requests that may wait; the next gets 429.")] = 256,
    timeout_seconds: Annotated[float, typer.Option(help="A request that takes longer is given up.")] = 120,
    keep_requests: Annotated[float, typer.Option(help="Share of requests kept with their texts, personal data redacted.")] = 0,
    keep_days: Annotated[float, typer.Option(help="These are deleted after so many days.")] = 30,
    feedback_days: Annotated[float, typer.Option(help="Answers take feedback for so many days.")] = 1,
    feedback_per_minute: Annotated[int, typer.Option(help="Most feedback a minute from one key.")] = 120,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Serve models through an OpenAI-compatible API.

    Each answers as it was evaluated: its template, labels and calibration. Ctrl-C finishes what is under way.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from pydantic import ValidationError

        from tunesmith.core.errors import RecipeError
        from tunesmith.pipeline.guarding import read_policies
        from tunesmith.pipeline.serving import Serving
        from tunesmith.pipeline.workspace import Workspace as Place
        from tunesmith.serve.config import ServeConfig

        try:
            config = ServeConfig(
                host=host,
                port=port,
                tls_certificate=tls_certificate,
                tls_key=tls_key,
                origins=origin or [],
                most_rows=most_rows,
                most_waiting=most_waiting,
                timeout_seconds=timeout_seconds,
                keep_requests=keep_requests,
                keep_days=keep_days,
                feedback_days=feedback_days,
                feedback_per_minute=feedback_per_minute,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            option = str(first["loc"][0]).replace("_", "-")
            raise RecipeError(f"--{option} can't be {first['input']!r}: {first['msg'].lower()}.") from None
        serving = Serving(models, config, Place(workspace), spoken.listener, read_policies(policies, policy), log)
        names = ", ".join(serving.gateway.backends)

        def ready(url: str) -> None:
            spoken.answer({"url": url, "models": list(serving.gateway.backends)}, [f"Serving {names} at {url}"])
            spoken.out.flush()

        serving.run(ready)


keys = typer.Typer(
    name="keys", help="Who may ask the gateway: create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None
)


@keys.command("create", epilog=EXIT_CODES)
def create_key(
    name: Annotated[str, typer.Argument(help="Whose or what the key is for; for people.", show_default=False)],
    scope: Annotated[list[str] | None, typer.Option(help="chat, feedback, train or admin; repeatable. chat where absent.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose files, jobs and answers it sees.")] = "default",
    days: Annotated[float | None, typer.Option(help="It ends after so many days.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="Most requests a minute.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Most tokens a minute, read and written.")] = None,
    policy: Annotated[str | None, typer.Option(help="Filters its requests and answers pass; the server's default where absent.")] = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a key. Its secret is shown this once and kept nowhere."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.ledger.keys import expiry
        from tunesmith.pipeline.workspace import Workspace as Place

        ends = expiry(days)
        with Place(workspace).ledger() as ledger:
            record, secret = ledger.keys.create(
                name, scope or ["chat"], tenant=tenant, expires=ends,
                requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, policy=policy,
            )  # fmt: skip
        lines = [f"Key {record.id} for {record.name}: {', '.join(record.scopes)}", secret, "Keep it now: it can't be shown again."]
        spoken.answer(_shown(record) | {"secret": secret}, lines)


@keys.command("list", epilog=EXIT_CODES)
def list_keys(workspace: Workspace = WORKSPACE, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the keys, without their secrets."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            found = ledger.keys.list()
        rows = [[key.id, key.name, ", ".join(key.scopes), key.tenant, key.created, _state(key)] for key in found]
        none = ["No keys yet: tunesmith keys create makes one."]
        lines = table_lines(["key", "name", "scopes", "tenant", "created", "state"], rows) if rows else none
        spoken.answer({"keys": [_shown(key) for key in found]}, lines)


@keys.command("revoke", epilog=EXIT_CODES)
def revoke_key(
    key: Annotated[str, typer.Argument(help="A key's id, as `tunesmith keys list` shows it.", show_default=False)],
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """End a key. A running gateway knows within seconds."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            record = ledger.keys.revoke(key)
        spoken.answer(_shown(record), [f"Key {record.id} ({record.name}) is revoked."])


def _state(key: "KeyRecord") -> str:
    if key.revoked:
        return f"revoked {key.revoked}"
    return "expired" if not key.usable else f"until {key.expires}" if key.expires else "in use"


def _shown(key: "KeyRecord") -> dict[str, Any]:
    """A key for people and programs: never its hash."""
    names = ("id", "name", "tenant", "scopes", "requests_per_minute", "tokens_per_minute", "policy", "created", "expires", "revoked")
    return {name: getattr(key, name) for name in names} | {"scopes": list(key.scopes)}
