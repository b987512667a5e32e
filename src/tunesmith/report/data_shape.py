"""The typed form of a data report: read once at the door, as `tunesmith.report.shape` does for a round's.

What each field means is told in `tunesmith.report.data_card`. Anything but `dataset` may be absent or null.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tunesmith.core.errors import MachineError
from tunesmith.report.shape import Count, Number

SCHEMA = 1
"""The only schema of a data report that this version reads and writes."""
SIDES = ("train", "select", "calibrate", "test")


def _without_nulls(value: Any) -> Any:
    """A mapping without the names that stand for nothing."""
    return {key: part for key, part in value.items() if part is not None} if isinstance(value, Mapping) else value


Counts = Annotated[dict[str, int], BeforeValidator(_without_nulls)]
Texts = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


SURE = 0.8
"""A model that is right so often is believed when it doubts a label."""


class _Part(BaseModel):
    """A frozen piece of a report; null for a field with a default means the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _nulls_mean_defaults(cls, value: Any) -> Any:
        return _without_nulls(value)


class Head(_Part):
    id: str = ""
    path: str = ""
    format: str = ""
    task: str = ""
    mapping: dict[str, Any] = {}
    created: str = ""


class Stage(_Part):
    stage: str
    kept: int = 0
    changed: int = 0
    dropped: int = 0
    added: int = 0
    reasons: Counts = {}
    changes: Counts = {}

    @property
    def came(self) -> int:
        """Rows that came in."""
        return self.kept + self.dropped - self.added


class Words(_Part):
    prompt: str = ""
    answer: str = ""


class Sample(_Part):
    """A row that a stage changed, or dropped where there is no `after`."""

    stage: str
    reason: str = ""
    source: str = ""
    before: Words = Words()
    after: Words | None = None


class Personal(_Part):
    looked: Count = None
    rows: Count = None
    kinds: Counts = {}
    replaced: bool = False
    samples: list[str] = []

    @property
    def found(self) -> int:
        """Rows that hold some, or pieces of it where rows were not counted."""
        return self.rows if self.rows is not None else sum(self.kinds.values())

    @property
    def where(self) -> str:
        """`12 rows`, or `34 pieces`, with the word."""
        word = "row" if self.rows is not None else "piece"
        return f"{self.found:,} {word}{'' if self.found == 1 else 's'}"


class Member(_Part):
    """One of a cluster of near-duplicates."""

    source: str = ""
    text: str = ""
    label: str = ""


class Near(_Part):
    pairs: int = 0
    alike: int = 0
    compared: Count = None
    capped: int = 0
    clusters: list[list[Member]] = []


class Contamination(_Part):
    held: Counts = {}
    dropped: int = 0


class Suspect(_Part):
    source: str = ""
    text: str = ""
    given: str = ""
    suggested: str = ""
    score: Number = None


class LabelErrors(_Part):
    judged: int = 0
    suspected: int = 0
    in_train: Count = None
    accuracy: float | None = None
    review: str = ""
    first: list[Suspect] = []


class Suspicions(_Part):
    looked: Count = None
    rules: Counts = {}


class Split(_Part):
    test_rows: Count = None
    smallest_gain: Number = None
    near_crossings: Count = None
    text_crossings: Count = None
    group_crossings: Count = None
    by: str = ""


class Augment(_Part):
    made: Counts = {}
    refused: Counts = {}


class Histogram(_Part):
    """counts[i]: values from edges[i] to below edges[i + 1]; a last bin without an upper edge has no end."""

    edges: list[float]
    counts: list[int]
    median: Number = None

    @model_validator(mode="after")
    def _bins_have_edges(self) -> Self:
        if len(self.edges) - len(self.counts) not in (0, 1):
            raise ValueError(f"{len(self.counts)} counts need as many edges, or one more, and there are {len(self.edges)}")
        return self


class Lengths(_Part):
    """Of one side, in characters."""

    shown: Histogram | None = None
    answer: Histogram | None = None


def _by_side(value: Any) -> Any:
    """Lengths by side, out of what `tunesmith.data.audit.describe` gives too: one list of edges for all."""
    if not isinstance(value, Mapping) or "sides" not in value:
        return _without_nulls(value)

    def histogram(held: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if not held:
            return None
        points = dict(zip(value.get("quantiles") or (), held.get("quantiles") or (), strict=False))
        return {"edges": value["edges"], "counts": held["counts"], "median": points.get(0.5)}

    return {side: {"shown": histogram(held.get("shown")), "answer": histogram(held.get("asked"))} for side, held in value["sides"].items()}


class Finding(_Part):
    """One thing that an audit tells."""

    what: str = ""
    label: str = ""
    figure: Number = None
    interval: list[float] = []
    rows: Count = None
    sentence: str = ""
    mitigation: Texts = []
    mitigated: bool = False


class Table(_Part):
    title: str = ""
    columns: list[str] = []
    rows: list[list[Any]] = []


class Audited(_Part):
    """What `tunesmith.data.audit` or `tunesmith.data.coverage` tells: findings and tables; the rest is kept as it came."""

    findings: list[Finding] = []
    tables: list[Table] = []
    mitigations: dict[str, dict[str, Any]] = {}
    rest: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _rest_is_kept(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = {"findings", "tables", "mitigations"}
        rest = {key: part for key, part in value.items() if key not in known}
        return {key: part for key, part in value.items() if key in known} | {"rest": rest}


class Spread(_Part):
    median: Number = None
    p95: Number = None
    max: Number = None


class Tokens(_Part):
    context: Count = None
    max_tokens: Count = None
    per_row: Spread = Spread()
    cut: int = 0
    total: Counts = {}
    instruction: Count = None
    epoch_tokens: Count = None
    labels: Counts = {}
    measured: Counts = {}


class Findings(_Part):
    personal: Personal | None = None
    near: Near | None = None
    contamination: Contamination | None = None
    labels: LabelErrors | None = None
    suspicions: Suspicions | None = None
    split: Split | None = None
    augment: Augment | None = None
    lengths: Annotated[dict[str, Lengths], BeforeValidator(_by_side)] = {}
    audit: Audited | None = None
    coverage: Audited | None = None
    tokens: Tokens | None = None


class DataReport(_Part):
    """A whole data report."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    dataset: Head
    waterfall: list[Stage] = []
    sides: Counts = {}
    labels: dict[str, Counts] = {}
    samples: list[Sample] = []
    findings: Findings = Findings()
    tokens: Tokens | None = None
    notes: list[str] = []
    recipe_section: str = ""
    hashes: dict[str, Any] = {}

    @property
    def cost(self) -> Tokens | None:
        """Tokens, wherever they were put."""
        return self.tokens or self.findings.tokens


def read_data_report(report: Mapping[str, Any]) -> DataReport:
    """The typed form of a data report.

    Raises:
        MachineError: the schema is not one this version knows, or a field has another form than `tunesmith.report.data_card` says.
    """
    schema = report.get("schema", SCHEMA) if isinstance(report, Mapping) else None
    if type(schema) is not int or schema != SCHEMA:
        raise MachineError(
            f"The data report has schema {schema!r}, this tunesmith reads schema {SCHEMA}: "
            "use the version of tunesmith that wrote it, or prepare the rows again."
        )
    try:
        return DataReport.model_validate(report)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "report"
        raise MachineError(
            f"The data report's field '{place}' is not as schema {SCHEMA} has it: {first['msg'].lower()}. "
            "The form is told in tunesmith.report.data_card."
        ) from error
