"""The gateway's settings."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from tunesmith.section import Section


def _named(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    if scheme not in ("http", "https") or not rest or set(rest) & set("/*?#@ ,"):
        raise ValueError(f"'{origin[:80]}' names no web page's origin: write https://tickets.example.com, one by one")
    return origin


def is_own_name(host: str) -> bool:
    """Whether a name or an address means this machine and no other."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ServeConfig(Section):
    """How a model is served."""

    host: str = "127.0.0.1"
    """Address to listen at; any but this machine's own needs a key (`tunesmith keys create`)."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """0 takes a free one, which is told."""
    most_rows: int = Field(default=64, ge=1, le=4096)
    """Answers made at the same time; others wait."""
    most_tokens: int = Field(default=65_536, ge=256)
    """Tokens of the answers made at the same time, prompts included: keys and values are held for them."""
    most_waiting: int = Field(default=256, ge=0, le=100_000)
    """Requests that may wait; the next is refused with 429 and told when to come again."""
    body_kib: int = Field(default=1024, ge=1, le=1_000_000)
    """Largest body of a request."""
    timeout_seconds: float = Field(default=120, gt=0, le=86_400)
    """A request that takes longer is given up with 504."""
    most_connections: int = Field(default=1024, ge=1, le=100_000)
    """Connections at the same time; the next is told 503 and closed."""
    receive_seconds: float = Field(default=30, gt=0, le=86_400)
    """A request has to be there after so long; a large body has longer, at 10 KiB a second."""
    stalled_seconds: float = Field(default=60, gt=0, le=86_400)
    """A client that reads nothing of its answer for so long is given up."""
    drain_seconds: float = Field(default=30, ge=0, le=3600)
    """When told to stop, answers under way are finished for so long."""
    tls_certificate: str | None = None
    """PEM file of the certificate; with `tls_key` the gateway speaks HTTPS."""
    tls_key: str | None = None
    """PEM file of its private key."""
    origins: list[Annotated[str, AfterValidator(_named)]] = Field(default=[])
    """Web pages of these origins may call (CORS), as https://tickets.example.com; none by default."""
    keep_requests: float = Field(default=0, ge=0, le=1)
    """Share of requests kept in the ledger with their texts, personal data replaced by its kind (`[EMAIL]`)."""
    keep_days: float = Field(default=30, gt=0, le=3650)
    """These are deleted after so many days."""
    feedback_days: float = Field(default=1, gt=0, le=365)
    """Answers take opinions for so long; the figures of the others (no texts) are deleted then."""
    feedback_per_minute: int = Field(default=120, ge=1, le=1_000_000)
    """Most opinions a minute from one key."""
    most_loaded: int = Field(default=3, ge=1, le=64)
    """Models that a line of service keeps loaded: the champion, a challenger, and the former champion, to go back to at once."""
    bases: list[str] = Field(default=["embedded"])
    """What fine-tuning jobs may start from: `embedded`, or NAME=PATH of a folder with a model; nothing else is ever loaded for a client."""
    file_mib: int = Field(default=100, ge=1, le=100_000)
    """Largest file that is taken to train on."""
    most_files: int = Field(default=100, ge=1, le=1_000_000)
    """Files to train on that a tenant may have."""
    tenant_mib: int = Field(default=1024, ge=1, le=10_000_000)
    """Most that these may take together."""
    most_jobs: int = Field(default=10, ge=1, le=100_000)
    """Fine-tuning jobs of a tenant that may wait or be under way; the next is refused with 429."""
    shelf_models: int = Field(default=2, ge=1, le=1000)
    """Models made by jobs that are kept loaded; the one used longest ago makes room for the next."""
    engine: str | None = None
    """URL of an OpenAI-compatible engine that answers (vLLM, llama.cpp, Ollama), as http://127.0.0.1:8001/v1; in this process where absent."""
    engine_key_env: str | None = None
    """Environment variable that holds the engine's key."""
    engine_model: str | None = None
    """The engine's name for the model; its only one where absent."""
    engine_connect_seconds: float = Field(default=5, gt=0, le=600)
    """An engine that can't be reached within is told as 503."""
    engine_first_seconds: float = Field(default=60, gt=0, le=86_400)
    """An engine that says nothing for so long, at first or between two tokens, is given up with 504."""
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Prometheus may read `/metrics` at this port of this machine, without a key; beside the gateway's own, which asks for scope admin."""
    drift_every: float = Field(default=24, ge=0, le=8760)
    """Hours between two looks for drift; 0: none. False alarms are counted at one look a day."""
    alert_url: str | None = None
    """Webhook that is told of drift, errors, slow answers, a full queue and a ledger that takes nothing."""
    alert_secret_env: str | None = None
    """Environment variable whose value goes along as `X-Tunesmith-Secret`."""
    alert_errors: float = Field(default=0.05, gt=0, le=1)
    """Share of failed requests in the last five minutes from which an alert is raised."""
    alert_p95_seconds: float = Field(default=30, gt=0, le=86_400)
    """Time of the slowest twentieth from which one is."""
