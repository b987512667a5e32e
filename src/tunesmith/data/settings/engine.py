"""Where an engine that writes text is found; used by `data.augment` and `data.synthesise`."""

from typing import Literal

from pydantic import Field

from tunesmith.section import Section


class EngineConfig(Section):
    """Any OpenAI-compatible URL. What it answers is kept on disk, so that a run that is continued pays for nothing twice."""

    url: str = Field(pattern="^https?://")
    """Up to and with the version: `http://localhost:8000/v1`."""
    model: str = Field(min_length=1)
    """The model's name there."""
    key_env: str | None = Field(default=None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds the key; the key itself never stands in a recipe."""
    timeout: float = Field(default=120.0, gt=0, le=3600)
    """Seconds for one attempt."""
    concurrency: int = Field(default=4, ge=1, le=256)
    """Requests under way at once."""
    retries: int = Field(default=4, ge=0, le=20)
    """Further attempts where the server is busy (429, 5xx) or the connection breaks."""
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    """How JSON is asked for; `json_object` or `none` for servers that can't follow a schema."""
    price_asked: float | None = Field(default=None, ge=0)
    """What a million tokens read cost, for the account; unknown where absent."""
    price_answered: float | None = Field(default=None, ge=0)
    """What a million tokens written cost."""
