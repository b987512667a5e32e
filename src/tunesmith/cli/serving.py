"""`serve`, `keys` and `audit`: a model behind an OpenAI-compatible API, who may ask it, and who changed that."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import EXIT_CODES, WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.ledger.keys import KeyRecord

Models = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help="A round's id, or the folder of a model.", show_default=False)
]


def serve(
    models: Models = None,
    champion: Annotated[bool, typer.Option("--champion", help="Serve who is in service, and follow promotions and rollbacks.")] = False,
    line: Annotated[str, typer.Option(help="Line of service; also the name it is served under.")] = "champion",
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
    receive_seconds: Annotated[float, typer.Option(help="A request has to be there after so long.")] = 30,
    most_connections: Annotated[int, typer.Option(help="Connections at the same time; the next gets 503.")] = 1024,
    keep_requests: Annotated[float, typer.Option(help="Share of requests kept with their texts, personal data redacted.")] = 0,
    keep_days: Annotated[float, typer.Option(help="These are deleted after so many days.")] = 30,
    feedback_days: Annotated[float, typer.Option(help="Answers take feedback for so many days.")] = 1,
    feedback_per_minute: Annotated[int, typer.Option(help="Most feedback a minute from one key.")] = 120,
    most_loaded: Annotated[int, typer.Option(help="Models kept loaded behind --champion, the former one among them.")] = 3,
    worker: Annotated[bool, typer.Option("--worker", help="Keep a worker for fine-tuning jobs running beside the server.")] = False,
    bases: Annotated[
        list[str] | None,
        typer.Option("--bases", help="What jobs may start from: embedded, NAME=FOLDER; repeatable. embedded where absent."),
    ] = None,
    file_mib: Annotated[int, typer.Option(help="Largest file taken to train on.")] = 100,
    most_files: Annotated[int, typer.Option(help="Files to train on that a tenant may have.")] = 100,
    tenant_mib: Annotated[int, typer.Option(help="Most that these may take together.")] = 1024,
    most_jobs: Annotated[int, typer.Option(help="Fine-tuning jobs of a tenant that may wait; the next gets 429.")] = 10,
    shelf_models: Annotated[int, typer.Option(help="Models made by jobs that are kept loaded.")] = 2,
    engine: Annotated[
        str | None, typer.Option(help="URL of an OpenAI-compatible engine that answers, as http://127.0.0.1:8001/v1.")
    ] = None,
    engine_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the engine's key.")] = None,
    engine_model: Annotated[str | None, typer.Option(help="The engine's name for the model; its only one where absent.")] = None,
    engine_first_seconds: Annotated[float, typer.Option(help="An engine that says nothing for so long is given up.")] = 60,
    metrics_port: Annotated[int | None, typer.Option(help="Prometheus reads /metrics at this port of 127.0.0.1, without a key.")] = None,
    drift_every: Annotated[float, typer.Option(help="Hours between two looks for drift; 0: none.")] = 24,
    alert_url: Annotated[str | None, typer.Option(help="Webhook told of drift, errors, slow answers, a full queue, a lost ledger.")] = None,
    alert_secret_env: Annotated[str | None, typer.Option(help="Environment variable with the secret sent along.")] = None,
    alert_errors: Annotated[float, typer.Option(help="Share of failed requests that is worth an alert.")] = 0.05,
    alert_p95_seconds: Annotated[float, typer.Option(help="Time of the slowest twentieth that is.")] = 30,
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

        if engine is None and (engine_model or engine_key_env):
            raise RecipeError("--engine-model and --engine-key-env are about an engine, and none is named: give its URL with --engine.")
        if alert_url is None and alert_secret_env is not None:
            raise RecipeError("--alert-secret-env is about a webhook, and none is named: give its URL with --alert-url.")
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
                receive_seconds=receive_seconds,
                most_connections=most_connections,
                keep_requests=keep_requests,
                keep_days=keep_days,
                feedback_days=feedback_days,
                feedback_per_minute=feedback_per_minute,
                most_loaded=most_loaded,
                bases=bases or ["embedded"],
                file_mib=file_mib,
                most_files=most_files,
                tenant_mib=tenant_mib,
                most_jobs=most_jobs,
                shelf_models=shelf_models,
                engine=engine,
                engine_key_env=engine_key_env,
                engine_model=engine_model,
                engine_first_seconds=engine_first_seconds,
                metrics_port=metrics_port,
                drift_every=drift_every,
                alert_url=alert_url,
                alert_secret_env=alert_secret_env,
                alert_errors=alert_errors,
                alert_p95_seconds=alert_p95_seconds,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            named = str(first["loc"][0])
            option = {"origins": "origin"}.get(named, named.replace("_", "-"))
            reason = first["msg"].removeprefix("Value error, ")
            raise RecipeError(f"--{option} can't be {first['input']!r}: {reason[:1].lower()}{reason[1:].rstrip('.')}.") from None
        serving = Serving(
            models or [],
            config,
            Place(workspace),
            spoken.listener,
            read_policies(policies, policy),
            log,
            line if champion else None,
            worker=worker,
        )
        names = ", ".join(serving.gateway.backends)

        def ready(url: str) -> None:
            spoken.answer({"url": url, "models": list(serving.gateway.backends)}, [f"Serving {names} at {url}"])
            spoken.out.flush()

        serving.run(ready)


keys = typer.Typer(name="keys", help="Who may ask: create, list, rotate and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


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
        from tunesmith.ledger.audit import operator
        from tunesmith.ledger.keys import expiry
        from tunesmith.pipeline.workspace import Workspace as Place

        ends = expiry(days)
        with Place(workspace).ledger() as ledger:
            record, secret = ledger.keys.create(
                name, scope or ["chat"], tenant=tenant, expires=ends, who=operator(),
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
        from tunesmith.ledger.audit import operator
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            record = ledger.keys.revoke(key, who=operator())
        spoken.answer(_shown(record), [f"Key {record.id} ({record.name}) is revoked."])


@keys.command("rotate", epilog=EXIT_CODES)
def rotate_key(
    key: Annotated[str, typer.Argument(help="A key's id, as `tunesmith keys list` shows it.", show_default=False)],
    overlap: Annotated[str, typer.Option(help="So long the former secret is taken, too: 24h, 30m, 7d; 0 ends it now.")] = "0",
    days: Annotated[float | None, typer.Option(help="The key ends after so many days; as before where absent.")] = None,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give a key a new secret, shown this once. Its id, tenant, scopes and limits stay."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.ledger.audit import operator
        from tunesmith.ledger.keys import expiry, seconds_of
        from tunesmith.pipeline.workspace import Workspace as Place

        seconds, ends = seconds_of(overlap), expiry(days)
        with Place(workspace).ledger() as ledger:
            record, secret = ledger.keys.rotate(key, overlap_seconds=seconds, expires=ends, who=operator())
        former = f"The former one is taken until {record.former_until}." if record.former_until else "The former one has ended."
        lines = [f"Key {record.id} ({record.name}) has a new secret.", secret, f"Keep it now: it can't be shown again. {former}"]
        spoken.answer(_shown(record) | {"secret": secret}, lines)


def audit(
    limit: Annotated[int, typer.Option(help="So many of the newest entries.", min=1)] = 100,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show who did what to keys, policies and the server.

    Promotions and trials too. Entries are only ever added; one that was changed afterwards is told, and ends the command with 3.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.auditing import audit_trail
        from tunesmith.pipeline.workspace import Workspace as Place

        trail = audit_trail(Place(workspace), limit)
        rows = [[one["created"], one["who"], one["action"], one["told"]] for one in trail.entries]
        lines = (
            table_lines(["time", "who", "action", "what"], rows) if rows else ["Nothing yet: keys, servers and promotions are told here."]
        )
        if trail.broken is not None:
            lines.append(f"Entry {trail.broken} was changed or taken out after it was written: don't trust it, nor those behind it.")
        entries = [{name: value for name, value in one.items() if name != "told"} for one in trail.entries]
        spoken.answer({"entries": entries, "broken": trail.broken, "digest": trail.digest}, lines)
        if trail.broken is not None:
            raise typer.Exit(3)


def _state(key: "KeyRecord") -> str:
    if key.revoked:
        return f"revoked {key.revoked}"
    state = "expired" if not key.usable else f"until {key.expires}" if key.expires else "in use"
    return f"{state}, former secret until {key.former_until}" if key.usable and key.former_until else state


def _shown(key: "KeyRecord") -> dict[str, Any]:
    """A key for people and programs: never its hashes."""
    from tunesmith.ledger.keys import told

    return told(key)
