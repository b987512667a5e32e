"""The gateway's settings."""

from pydantic import Field

from tunesmith.section import Section


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
    drain_seconds: float = Field(default=30, ge=0, le=3600)
    """When told to stop, answers under way are finished for so long."""
    tls_certificate: str | None = None
    """PEM file of the certificate; with `tls_key` the gateway speaks HTTPS."""
    tls_key: str | None = None
    """PEM file of its private key."""
    origins: list[str] = Field(default=[])
    """Web pages of these origins may call (CORS), as https://tickets.example.com; none by default."""
    keep_requests: float = Field(default=0, ge=0, le=1)
    """Share of requests kept in the ledger with their texts, personal data replaced by its kind (`[EMAIL]`)."""
    keep_days: float = Field(default=30, gt=0, le=3650)
    """These are deleted after so many days."""
    feedback_days: float = Field(default=1, gt=0, le=365)
    """Answers take opinions for so long; the figures of the others (no texts) are deleted then."""
    feedback_per_minute: int = Field(default=120, ge=1, le=1_000_000)
    """Most opinions a minute from one key."""
