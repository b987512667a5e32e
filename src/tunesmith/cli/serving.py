"""`serve`, `keys` and `audit`: a model behind an OpenAI-compatible API, who may ask it, and who changed that."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli import serving_options as options
from tunesmith.cli.console import console
from tunesmith.cli.options import EXIT_CODES, WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.ledger.keys import KeyRecord
    from tunesmith.serve.config import ServeConfig

Models = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help="A round's id, or the folder of a model.", show_default=False)
]
_NO_SETTINGS = frozenset(
    {"models", "champion", "line", "origin", "policies", "policy", "log", "worker", "workspace", "as_json", "quiet", "debug"}
)
"""Options of `serve` that say what is served and where it is told; each of the others is a setting of the same name."""


def serve(
    models: Models = None,
    champion: options.Champion = False,
    line: options.Line = "champion",
    host: options.Host = "127.0.0.1",
    port: options.Port = 8000,
    tls_certificate: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    origin: options.Origin = None,
    policies: options.Policies = None,
    policy: options.Policy = None,
    log: options.LogFile = None,
    most_rows: options.MostRows = 64,
    most_waiting: options.MostWaiting = 256,
    timeout_seconds: options.TimeoutSeconds = 120,
    receive_seconds: options.ReceiveSeconds = 30,
    most_connections: options.MostConnections = 1024,
    keep_requests: options.KeepRequests = 0,
    keep_days: options.KeepDays = 30,
    feedback_days: options.FeedbackDays = 1,
    feedback_per_minute: options.FeedbackPerMinute = 120,
    most_loaded: options.MostLoaded = 3,
    worker: options.Worker = False,
    bases: options.Bases = None,
    file_mib: options.FileMib = 100,
    most_files: options.MostFiles = 100,
    tenant_mib: options.TenantMib = 1024,
    most_jobs: options.MostJobs = 10,
    shelf_models: options.ShelfModels = 2,
    engine: options.Engine = None,
    engine_key_env: options.EngineKeyEnv = None,
    engine_model: options.EngineModel = None,
    engine_first_seconds: options.EngineFirstSeconds = 60,
    metrics_port: options.MetricsPort = None,
    drift_every: options.DriftEvery = 24,
    alert_url: options.AlertUrl = None,
    alert_secret_env: options.AlertSecretEnv = None,
    alert_errors: options.AlertErrors = 0.05,
    alert_p95_seconds: options.AlertP95Seconds = 30,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Serve models through an OpenAI-compatible API.

    Each answers as it was evaluated: its template, labels and calibration. Ctrl-C finishes what is under way.
    """
    asked = {name: value for name, value in locals().items() if name not in _NO_SETTINGS}
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.guarding import read_policies
        from tunesmith.pipeline.serving import Serving
        from tunesmith.pipeline.workspace import Workspace as Place

        config = _config(asked | {"origins": origin})
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


def _config(asked: dict[str, Any]) -> "ServeConfig":
    """The gateway's settings, those not named as they are by default; RecipeError names the option that can't be so."""
    from pydantic import ValidationError

    from tunesmith.core.errors import RecipeError
    from tunesmith.serve.config import ServeConfig

    if asked["engine"] is None and (asked["engine_model"] or asked["engine_key_env"]):
        raise RecipeError("--engine-model and --engine-key-env are about an engine, and none is named: give its URL with --engine.")
    if asked["alert_url"] is None and asked["alert_secret_env"] is not None:
        raise RecipeError("--alert-secret-env is about a webhook, and none is named: give its URL with --alert-url.")
    try:
        return ServeConfig.model_validate({name: value for name, value in asked.items() if value not in (None, [])})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        named = str(first["loc"][0])
        option = {"origins": "origin"}.get(named, named.replace("_", "-"))
        reason = first["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--{option} can't be {first['input']!r}: {reason[:1].lower()}{reason[1:].rstrip('.')}.") from None


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
    names_users: Annotated[bool, typer.Option("--names-users", help="Believe what its requests say of users; see keys users.")] = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a key. Its secret is shown this once and kept nowhere."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.ledger.audit import operator
        from tunesmith.ledger.keys import expiry, new_user_secret
        from tunesmith.pipeline.workspace import Workspace as Place

        ends = expiry(days)
        with Place(workspace).ledger() as ledger:
            record, secret = ledger.keys.create(
                name, scope or ["chat"], tenant=tenant, expires=ends, who=operator(),
                requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, policy=policy,
                user_secret=new_user_secret() if names_users else None,
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
        rows = [[key.id, key.name, ", ".join(key.scopes), key.tenant, _limits(key), key.created, _state(key)] for key in found]
        none = ["No keys yet: tunesmith keys create makes one."]
        lines = table_lines(["key", "name", "scopes", "tenant", "limits", "created", "state"], rows) if rows else none
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


@keys.command("users", epilog=EXIT_CODES)
def users_of_key(
    key: Annotated[str, typer.Argument(help="A key's id, as `tunesmith keys list` shows it.", show_default=False)],
    off: Annotated[bool, typer.Option("--off", help="Believe it no longer.")] = False,
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Believe what a key's requests say of their users.

    Their feedback then trains or judges by user. Anybody who holds the key can make up names: for keys of your own applications alone.
    """
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.ledger.audit import operator
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            record = ledger.keys.let_name_users(key, not off, who=operator())
        told = "is one user" if off else "names its users: each may train or judge on their own"
        spoken.answer(_shown(record), [f"Key {record.id} ({record.name}) {told}, from the next feedback on."])


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


def _limits(key: "KeyRecord") -> str:
    """What it is held to, and whether its word on users is believed."""
    held = [
        f"{most:,} {what}/min"
        for most, what in ((key.requests_per_minute, "requests"), (key.tokens_per_minute, "tokens"))
        if most is not None
    ]
    held += [] if key.policy is None else [f"policy {key.policy}"]
    return ", ".join([*held, *(["names users"] if key.names_users else [])]) or "-"


def _state(key: "KeyRecord") -> str:
    if key.revoked:
        return f"revoked {key.revoked}"
    state = "expired" if not key.usable else f"until {key.expires}" if key.expires else "in use"
    return f"{state}, former secret until {key.former_until}" if key.usable and key.former_until else state


def _shown(key: "KeyRecord") -> dict[str, Any]:
    """A key for people and programs: never its hashes."""
    from tunesmith.ledger.keys import told

    return told(key)
