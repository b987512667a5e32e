"""Serving: which model a name means, who may ask, and the server's life from start to drain.

A model is named by a round's id, `round:ID`, or the path of a model's folder. The address is bound before the model is loaded, so that a
taken port is told at once.
"""

import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import home_path
from tunesmith.core.progress import Ended, Listener, Said, Started
from tunesmith.guard.config import PoliciesConfig
from tunesmith.pipeline.guarding import read_policies, ready_policies
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.filters import Policies
from tunesmith.serve.log import STDERR, RequestLog

if TYPE_CHECKING:
    from uvicorn import Server

    from tunesmith.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Named:
    """A model's folder and the name it is served under."""

    name: str
    folder: Path


def named_model(model: str, place: Workspace) -> Named:
    """The folder that MODEL means.

    Raises:
        RecipeError: neither a round of the workspace nor a folder with a model.
        MachineError: a round that has no model yet.
    """
    folder = home_path(model)
    if (folder / "tunesmith.json").is_file():
        return Named(folder.resolve().name if folder.resolve().name != "model" else folder.resolve().parent.name, folder)
    if folder.is_dir() and (folder / "model" / "tunesmith.json").is_file():
        return Named(folder.resolve().name, folder / "model")
    if not place.root.is_dir():
        raise RecipeError(f"'{model}' is no folder with a model, and there is no workspace at {place.root}: name one with --workspace.")
    with place.ledger() as ledger:
        record = ledger.round(model.removeprefix("round:"))
    found = place.rounds / record.id / "model"
    if record.status != "done" or not (found / "tunesmith.json").is_file():
        raise MachineError(f"Round {record.id} is {record.status} and has no model to serve: finish it with `tunesmith run`.")
    return Named(record.id, found)


def refuse_in_the_open(config: ServeConfig, ledger: "Ledger") -> bool:
    """Whether requests need a key; they do from the first key on that the ledger was given.

    Raises:
        RecipeError: an address that others can reach, and no key.
    """
    keyed = ledger.keys.any()
    if not any(key.usable for key in ledger.keys.list()) and not _is_own(config.host):
        raise RecipeError(
            f"host {config.host} can be reached from other machines, and there is no API key in use: make one with `tunesmith keys create`, or listen at 127.0.0.1."
        )
    if (config.tls_certificate is None) != (config.tls_key is None):
        raise RecipeError("TLS takes both a certificate and a key, and one is missing: give --tls-certificate and --tls-key.")
    for file in (config.tls_certificate, config.tls_key):
        if file is not None and not home_path(file).is_file():
            raise RecipeError(f"{file} is no file: give the PEM files of the certificate and of its key.")
    return keyed


def _is_own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    ) -> None:
        """Bind, load, begin to answer.

        Args:
            models: rounds or folders.
            config: how to serve.
            place: the workspace.
            listen: told of progress.
            policies: as `read_policies` gives them; None: what comes along, for keys that name it.
            log: the file that a line a request goes to; `-`: stderr; None: `requests.jsonl` of the workspace.

        Raises:
            TunesmithError: see `named_model`, `refuse_in_the_open`, `bound`; a model or a policy that can't be loaded; a log that can't be
                written.
        """
        if not models:
            raise RecipeError("There is no model to serve: name a round or a model's folder.")
        named = [named_model(model, place) for model in models]
        names = [one.name for one in named]
        if len(set(names)) < len(names):
            raise RecipeError(f"Two models would be served under one name ({', '.join(sorted(names))}): rename one's folder.")
        self.config, self.ledger = config, place.ledger()
        try:
            keyed = refuse_in_the_open(config, self.ledger)
            self.policies = self._policies(policies or read_policies(None, None), place, listen)
            self.log = RequestLog(place.root / "requests.jsonl" if log is None else log if log == STDERR else home_path(log))
            self.socket = bound(config)
        except BaseException:
            self.ledger.close()
            raise
        self.app = self._app(named, listen)
        if not keyed:
            listen(Said("No key is needed from this machine; `tunesmith keys create` makes one, and from then on every request needs one."))

    @property
    def url(self) -> str:
        """Where clients find it."""
        host, port = self.socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.config.tls_certificate else 'http'}://{shown}:{port}/v1"

    def _policies(self, config: PoliciesConfig, place: Workspace, listen: Listener) -> Policies:
        """All of them, ready: a key made while the server runs may name any. What a key names and nobody knows is told."""
        ready = ready_policies(config, place)
        asked = {key.policy for key in self.ledger.keys.list() if key.usable and key.policy is not None}
        for name in sorted(asked - set(ready)):
            listen(Said(f"A key names the policy '{name}', which is not among those of this server: its requests are refused."))
        return Policies(ready, config.default)

    def _app(self, named: Sequence[Named], listen: Listener) -> Any:
        import tunesmith.models.load  # noqa: F401  quiets the libraries that load weights
        from tunesmith.models.package import load_model, model_digest
        from tunesmith.serve.answers import Backend
        from tunesmith.serve.app import Gateway, make_app
        from tunesmith.serve.holders import Holders
        from tunesmith.serve.kept import Kept
        from tunesmith.serve.local import LocalModel

        backends: dict[str, Backend] = {}
        hashes: dict[str, str] = {}
        for one in named:
            listen(Started(f"load {one.name}", None))
            model, tokenizer, bundle = load_model(one.folder)
            hashes[one.name] = model_digest(one.folder)
            backends[one.name] = LocalModel(one.name, model, tokenizer, bundle, self.config)
            listen(Ended(f"load {one.name}", 0.0))
        kept = Kept(self.ledger.requests, self.config, hashes)
        holders = Holders(self.ledger.keys.holder, self.ledger.keys.any)
        self.gateway = Gateway(
            backends, holders, self.config, kept=kept, opinions=self.ledger.feedback, policies=self.policies, log=self.log
        )
        return make_app(self.gateway)

    def run(self, ready: Callable[[str], None], stop: threading.Event | None = None) -> None:
        """Serve until told to stop; then finish what is under way.

        Args:
            ready: told the URL once requests are taken.
            stop: set to stop, instead of SIGINT or SIGTERM.
        """
        from uvicorn import Config, Server

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
            ssl_certfile=self.config.tls_certificate,
            ssl_keyfile=self.config.tls_key,
        )
        server = Draining(settings)
        self._watch(server, ready, stop)
        try:
            server.run([self.socket])
        finally:
            self.socket.close()
            self.gateway.kept.close()
            self.ledger.close()
            self.log.close()

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
