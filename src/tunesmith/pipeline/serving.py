"""Serving: which model a name means, who may ask, and the server's life from start to drain.

A model is named as `pipeline.naming` says. The address is bound before the model is loaded, so that a
taken port is told at once.
"""

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import home_path
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Ended, Listener, Said, Started
from tunesmith.guard.config import PoliciesConfig
from tunesmith.ledger.records import now
from tunesmith.pipeline.bases import read_bases
from tunesmith.pipeline.beside import Beside, worker_command
from tunesmith.pipeline.guarding import read_policies, ready_policies
from tunesmith.pipeline.loading import load_backends
from tunesmith.pipeline.naming import Named, named_model
from tunesmith.pipeline.tuning import tuning_of
from tunesmith.pipeline.watchman import hook_of, watched_gateway
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.config import ServeConfig, is_own_name
from tunesmith.serve.filters import Policies
from tunesmith.serve.log import STDERR, RequestLog

if TYPE_CHECKING:
    from uvicorn import Server

    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.in_service import Follower
    from tunesmith.serve.answers import Backend

WAIT_SECONDS = 3.0
"""A running gateway waits for a locked ledger no longer than so."""


def refuse_in_the_open(config: ServeConfig, ledger: "Ledger") -> bool:
    """Whether requests need a key; they do from the first key on that the ledger was given.

    Raises:
        RecipeError: an address that others can reach, and no key.
    """
    keyed = ledger.keys.any()
    if not any(key.usable for key in ledger.keys.list()) and not is_own_name(config.host):
        raise RecipeError(
            f"host {config.host} can be reached from other machines, and there is no API key in use: make one with `tunesmith keys create`, or listen at 127.0.0.1."
        )
    if (config.tls_certificate is None) != (config.tls_key is None):
        raise RecipeError("TLS takes both a certificate and a key, and one is missing: give --tls-certificate and --tls-key.")
    for file in (config.tls_certificate, config.tls_key):
        if file is not None and not home_path(file).is_file():
            raise RecipeError(f"{file} is no file: give the PEM files of the certificate and of its key.")
    if config.tls_certificate is not None and config.tls_key is not None:
        _check_pair(home_path(config.tls_certificate), home_path(config.tls_key))
    return keyed


def _check_pair(certificate: Path, key: Path) -> None:
    """RecipeError where TLS can't be spoken with these files; a key with a password would be asked for at a terminal nobody sits at."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        said = "give a PEM certificate and its own key, without a password"
        raise RecipeError(
            f"TLS can't be spoken with {certificate} and {key} ({getattr(error, 'reason', None) or error}): {said}."
        ) from None


def bound(config: ServeConfig) -> socket.socket:
    """A socket that listens. MachineError where the address can't be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except (OSError, UnicodeError) as error:
        raise MachineError(f"Port {config.port} at {config.host} can't be had ({error}): choose another with --port.") from error
    return made


def _host(url: str) -> str:
    """Scheme and host of a URL: what stands behind them may be a secret, and the audit log forgets nothing."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Serving:
    """A gateway that is set up and not yet running."""

    def __init__(
        self,
        models: Sequence[str],
        config: ServeConfig,
        place: Workspace,
        listen: Listener,
        policies: PoliciesConfig | None = None,
        log: str | None = None,
        line: str | None = None,
        *,
        worker: bool = False,
    ) -> None:
        """Bind, load, begin to answer.

        Args:
            models: rounds or folders.
            config: how to serve.
            place: the workspace.
            listen: told of progress.
            policies: as `read_policies` gives them; None: what comes along, for keys that name it.
            log: the file that a line a request goes to; `-`: stderr; None: `requests.jsonl` of the workspace.
            line: the line of service whose champion is served under the line's name, as the ledger says at each moment; None: none.
            worker: whether a worker for fine-tuning jobs is kept running beside the server.

        Raises:
            TunesmithError: see `named_model`, `refuse_in_the_open`, `bound`; a model or a policy that can't be loaded; a log that can't be
                written.
        """
        if not models and line is None and config.engine is None:
            raise RecipeError("There is no model to serve: name a round or a model's folder, or give --champion.")
        named = [named_model(model, place) for model in models]
        if line is not None and config.engine is not None:
            raise RecipeError("--champion loads the champion's weights here, and --engine has another process answer: give one of them.")
        if config.engine is not None:
            from tunesmith.serve.engine import engine_url

            engine_url(config.engine)  # before it is noted anywhere: one that can't be meant may hold a password
        names = [one.name for one in named] + ([] if line is None else [line])
        if len(set(names)) < len(names):
            raise RecipeError(f"Two models would be served under one name ({', '.join(sorted(names))}): rename one's folder.")
        self.bases = read_bases(config.bases)
        self.place, self.listen = place, listen
        self.beside = Beside(worker_command(str(place.root), config.bases), self._warn) if worker else None
        self.config, self.ledger = config, place.ledger()
        try:
            keyed = refuse_in_the_open(config, self.ledger)
            hook_of(config)  # a webhook that can't be meant is told before a model is loaded
            self.policies = self._policies(policies or read_policies(None, None), place, listen)
            self.log = RequestLog(place.root / "requests.jsonl" if log is None else log if log == STDERR else home_path(log))
            self.socket = bound(config)
            self.host, self.port = self.socket.getsockname()[:2]
            self.ledger.wait_at_most(WAIT_SECONDS)
        except BaseException:
            self.ledger.close()
            raise
        self.follower: Follower | None = None
        try:
            self.app = self._app(named, listen, line)
            self._note_start(names, policies or read_policies(None, None))
        except BaseException:
            self._close()
            raise
        if not keyed:
            listen(Said("No key is needed from this machine; `tunesmith keys create` makes one, and from then on every request needs one."))

    @property
    def url(self) -> str:
        """Where clients find it."""
        host, port = self.host, self.port
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.config.tls_certificate else 'http'}://{shown}:{port}/v1"

    def _note_start(self, names: Sequence[str], policies: PoliciesConfig) -> None:
        """Tell the audit log who started what with which settings, and whether other policies hold than the last time."""
        from tunesmith.ledger.audit import operator

        told = policies.model_dump(mode="json")
        shown = digest(told)
        before = self.ledger.audit.newest("server.start")
        former = None if before is None else before.what.get("policies_digest")
        if former is not None and former != shown:
            changed: dict[str, Any] = {
                "default": policies.default,
                "policies": [one.name for one in policies.policies],
                "policies_digest": shown,
            }
            self.ledger.audit.note("policies.change", operator(), changed)
        settings = self.config.model_dump(mode="json", exclude={"tls_key"}, exclude_defaults=True)
        settings |= {name: _host(settings[name]) for name in ("alert_url", "engine") if settings.get(name)}
        what: dict[str, Any] = {"version": version("tunesmith"), "models": list(names), "settings": settings, "policies_digest": shown}
        self.ledger.audit.note("server.start", operator(), what)

    def _note_stop(self) -> None:
        try:
            self.ledger.audit.note("server.stop", "server", {"port": self.port})
        except MachineError:  # the ledger is out of reach: a start without its stop says enough
            return

    def _warn(self, line: str) -> None:
        self.listen(Said(line, warning=True))

    def _policies(self, config: PoliciesConfig, place: Workspace, listen: Listener) -> Policies:
        """All of them, ready: a key made while the server runs may name any. What a key names and nobody knows is told."""
        ready = ready_policies(config, place)
        asked = {key.policy for key in self.ledger.keys.list() if key.usable and key.policy is not None}
        for name in sorted(asked - set(ready)):
            listen(Said(f"A key names the policy '{name}', which is not among those of this server: its requests are refused."))
        return Policies(ready, config.default)

    def _follow(self, line: str, place: Workspace, listen: Listener, lent: "Mapping[str, Backend]") -> "Follower":
        """The line's champion, loaded, or lent where it is served anyway; the ledger's steps are followed once `run` begins."""
        from tunesmith.pipeline.in_service import Follower, local_loader

        def tell(text: str, warning: bool) -> None:
            listen(Said(text, warning))
            self.log.write({"time": now(), "event": "service", "line": line, "said": text})

        load = local_loader(place, self.config, lent)
        listen(Started(f"load {line}", None))
        made = Follower(self.ledger, line, load, tell, most_loaded=self.config.most_loaded, keep_days=self.config.keep_days)
        listen(Ended(f"load {line}", 0.0))
        self.follower = made
        return made

    def _close(self) -> None:
        """Let go of everything."""
        if self.follower is not None:
            self.follower.close()
        self.socket.close()
        self.ledger.close()
        self.log.close()

    def _app(self, named: Sequence[Named], listen: Listener, line: str | None) -> Any:
        from tunesmith.models.package import model_digest
        from tunesmith.serve.access import Denials
        from tunesmith.serve.app import Gateway, make_app
        from tunesmith.serve.holders import Holders
        from tunesmith.serve.kept import Kept

        before = {} if line is None else {one.name: model_digest(one.folder) for one in named}
        backends = load_backends(named, self.config, listen)
        hashes = {one.name: model_digest(one.folder) for one in named}
        lent = {hash_: backends[name] for name, hash_ in hashes.items() if before.get(name) == hash_}  # what changed meanwhile is no step's
        try:
            follower = None if line is None else self._follow(line, self.place, listen, lent)
        except BaseException:
            for backend in backends.values():
                backend.close(drain=False)
            raise
        kept = Kept(self.ledger.requests, self.config, hashes)
        holders = Holders(self.ledger.keys.holder, self.ledger.keys.any)
        self.gateway = Gateway(
            backends, holders, self.config, kept=kept, opinions=self.ledger.feedback, policies=self.policies, log=self.log,
            denials=Denials(self.ledger.audit.note), guarded=True, tuning=tuning_of(self.place, self.ledger, self.config, list(self.bases)),
        )  # fmt: skip
        self.watched = watched_gateway(self.gateway, self.place, self.ledger, {one.name: one.folder for one in named}, self._warn)
        if follower is not None:

            def rename() -> None:
                self.gateway.backends = follower.names() | backends  # one assignment: requests see the names before or after it

            follower.changed = rename
            rename()
        return make_app(self.gateway)

    def run(self, ready: Callable[[str], None], stop: threading.Event | None = None) -> None:
        """Serve until told to stop; then finish what is under way.

        Args:
            ready: told the URL once requests are taken.
            stop: set to stop, instead of SIGINT or SIGTERM.
        """
        from uvicorn import Config, Server

        from tunesmith.serve.wire import wire

        gateway = self.gateway

        class Draining(Server):
            """Stops on the first signal and ends as a command that is done; uvicorn's own would die of the signal afterwards."""

            def handle_exit(self, sig: int, frame: object) -> None:
                gateway.draining = True
                self.force_exit = self.should_exit and sig == signal.SIGINT
                self.should_exit = True

        settings = Config(
            self.app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=round(self.config.drain_seconds),
            proxy_headers=False,
            http=wire(self.config),
            ws="none",
            ssl_certfile=None if self.config.tls_certificate is None else home_path(self.config.tls_certificate),
            ssl_keyfile=None if self.config.tls_key is None else home_path(self.config.tls_key),
        )
        server = Draining(settings)
        self.watched.start()
        self._watch(server, ready, stop)
        if self.follower is not None:
            self.follower.start()
        if self.beside is not None:
            self.beside.start()
        try:
            server.run([self.socket])
        finally:
            if self.beside is not None:
                self.beside.close()
            self.gateway.kept.close()
            self.gateway.holders.close()
            self.watched.close()
            self._note_stop()
            self._close()

    def _watch(self, server: "Server", ready: Callable[[str], None], stop: threading.Event | None) -> None:
        """Tell when it is ready, and stop it when asked to."""

        def watch() -> None:
            while not server.started and not server.should_exit:
                threading.Event().wait(0.02)
            if server.started:
                ready(self.url)
            if stop is not None:
                stop.wait()
                self.gateway.draining = True
                server.should_exit = True

        threading.Thread(target=watch, name="watch", daemon=True).start()
