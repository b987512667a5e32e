"""What clients may ask, in the shape of OpenAI's API. What is unknown, or known and not served here, is refused by name.

Fields that concern OpenAI's own service (`store`, `metadata`, `service_tier`, ...) are taken and have no effect.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tunesmith.serve.refusals import Refusal, wrong

MOST_NAME = 256
"""Letters of a model's name."""
MOST_CHOICES = 16
MOST_STOPS = 16
MOST_TOP = 20
MOST_LABELLED = 256


Name = Annotated[str, Field(max_length=MOST_NAME)]


class _Request(BaseModel):
    """A body: unknown fields are refused, numbers are numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Part(_Request):
    """A piece of a message; text alone is read."""

    type: Literal["text"]
    text: str


class Turn(_Request):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part]
    name: str | None = None

    @property
    def text(self) -> str:
        """Its text, pieces put together."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class JsonSchema(_Request):
    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(_Request):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(_Request):
    include_usage: bool = False
    include_obfuscation: bool = False


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Stops = Annotated[
    Annotated[list[str], Field(max_length=MOST_STOPS)] | None, BeforeValidator(_as_list, json_schema_input_type=str | list[str] | None)
]
Seed = Annotated[
    int, Field(ge=-9223372036854776000, le=9223372036854776000), AfterValidator(lambda seed: max(-(2**63), min(seed, 2**63 - 1)))
]
"""The bounds are OpenAI's, which are 64 bits as a JSON number rounds them."""
Zero = Annotated[float, Field(ge=0, le=0)]
"""Penalties are not served: 0 alone has no effect."""


class _Asking(_Request):
    """Who asks, in the client's own words: the newer field first."""

    user: str | None = None
    safety_identifier: str | None = None

    @property
    def whose(self) -> str | None:
        """The name of the user; None where nobody is named."""
        return self.safety_identifier or self.user


class _Generating(_Asking):
    """What chat and completions have in common."""

    model: Name
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int = Field(default=1, ge=1, le=MOST_CHOICES)
    seed: Seed | None = None
    stop: Stops = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None


class ChatRequest(_Generating):
    """`POST /v1/chat/completions`."""

    messages: list[Turn] = Field(min_length=1, max_length=1024)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP)
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """The bound, by its new name or its old one."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(_Generating):
    """`POST /v1/completions`: a text is continued."""

    prompt: Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Field(min_length=1, max_length=64)]
    logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP)
    echo: Literal[False] | None = None
    suffix: None = None
    best_of: Literal[1] | None = None


class ClassifyRequest(_Asking):
    """`POST /v1/classify`: texts are given labels."""

    model: Name
    input: Annotated[
        list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Field(min_length=1, max_length=MOST_LABELLED)
    ]
    top: int | None = Field(default=None, ge=1)
    """So many of the likeliest labels with each; all where absent."""


class EmbeddingRequest(_Asking):
    """`POST /v1/embeddings`."""

    model: Name
    input: Annotated[
        list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Field(min_length=1, max_length=MOST_LABELLED)
    ]
    encoding_format: Literal["float", "base64"] = "float"


def refused(errors: list[Any]) -> Refusal:
    """Pydantic's first complaint as a sentence that names the field, never the value: it may be personal."""
    # of a union with a literal ("auto" or a number) the other side's complaint says more
    first = next((one for one in errors if one.get("type") != "literal_error"), errors[0] if errors else {})
    place = [str(part) for part in first.get("loc", ()) if part != "body"]
    name = ".".join(
        part for part in place if not part.startswith(("list[", "function-", "str", "literal[", "constrained-", "int", "float"))
    )
    kind, said = str(first.get("type", "")), str(first.get("msg", "not as it should be"))
    if kind == "json_invalid":
        return Refusal(400, "The body is no JSON: send an object with Content-Type application/json.", "invalid_json")
    if kind == "extra_forbidden":
        return wrong(name, f"'{name[:80]}' is not served here: leave it out.", "unknown_parameter")
    if kind == "missing":
        return wrong(name, f"'{name[:80]}' is missing." if name else "The body is empty: send a JSON object.", "missing_required_parameter")
    return wrong(name, f"'{name[:80]}' can't be served: {said[:1].lower()}{said[1:200]}.")
