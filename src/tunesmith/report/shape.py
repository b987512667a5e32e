"""The typed form of report.json: read once at the door, so that no page meets a dict of unknown make.

What each field means is told in `tunesmith.report.card`. Anything but `schema` and `round.id` may be absent or null;
unknown fields are ignored, so that a card can be made again from a report that says more. A number that is not finite
counts as unknown.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tunesmith.core.errors import MachineError

SCHEMA = 1
"""The only schema of report.json that this version reads and writes."""


def _known(value: Any) -> Any:
    """None for nan and the infinities: they would be printed as figures, and JSON has no word for them."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_known)]
Count = Annotated[int | None, BeforeValidator(_known)]


def _without_nulls(value: Any) -> Any:
    """A mapping without the names that stand for nothing."""
    return {key: part for key, part in value.items() if part is not None} if isinstance(value, Mapping) else value


class Part(BaseModel):
    """A frozen piece of a report; null for a field with a default means the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _nulls_mean_defaults(cls, value: Any) -> Any:
        return _without_nulls(value)


class Round(Part):
    id: str
    identity: str = ""
    status: str = ""
    created: str = ""
    finished: str = ""
    seconds: Number = None
    peak_mib: Number = None
    continued: int = 0


class Estimate(Part):
    """A value with its 95% interval, in the metric's own unit."""

    value: Number = None
    low: Number = None
    high: Number = None
    p_value: Number = None


class Gate(Part):
    name: str
    bound: Number = None
    value: Number = None
    holds: bool | None = None


class Costs(Part):
    """What training cost, and how many answers pay it back; amounts in `currency`."""

    currency: str = ""
    training: Number = None
    training_seconds: Number = None
    against: str | None = None
    pays_after: Count = None


class Verdict(Part):
    outcome: str = ""
    sentence: str = ""
    metric: str = ""
    best_baseline: str = ""
    gain: Estimate | None = None
    notes: list[str] = []
    gates: list[Gate] = []
    costs: Costs | None = None


class Against(Part):
    """The tuned model minus a system, paired over the same rows."""

    difference: Number = None
    low: Number = None
    high: Number = None
    p_value: Number = None
    test: str = ""


class System(Part):
    key: str
    name: str = ""
    kind: str = ""
    metrics: Annotated[dict[str, Estimate], BeforeValidator(_without_nulls)] = {}
    rows: Count = None
    prompt_tokens: Number = None
    answer_tokens: Number = None
    seconds_per_answer: Number = None
    cost_per_1000: Number = None
    against: Against | None = None

    @property
    def title(self) -> str:
        """Its name, or its key where it has none."""
        return self.name or self.key


class Trial(Part):
    k: int
    form: str = ""
    value: Number = None


class FewShot(Part):
    k: Count = None
    form: str = ""
    tried: list[Trial] = []
    rows: Count = None


class StageCount(Part):
    stage: str
    kept: int = 0
    changed: int = 0
    dropped: int = 0
    reasons: dict[str, int] = {}


class Data(Part):
    path: str = ""
    format: str = ""
    task: str = ""
    mapping: dict[str, Any] = {}
    waterfall: list[StageCount] = []
    sides: dict[str, int] = {}
    labels: dict[str, int] = {}
    truncated: Count = None
    test_openings: Count = None


class Step(Part):
    step: int
    loss: Number = None
    learning_rate: Number = None
    grad_norm: Number = None
    tokens: Count = None
    seconds: Number = None


class Validation(Part):
    step: int
    loss: Number = None


class Throughput(Part):
    """Medians over steps; `saved`: share of the rows' tokens that were not computed."""

    rows_per_second: Number = None
    row_tokens_per_second: Number = None
    computed_tokens_per_second: Number = None
    saved: Number = None


class Training(Part):
    method: str = ""
    objective: str = ""
    base: str = ""
    parameters: Count = None
    trainable: Count = None
    learning_rate: Number = None
    precision: str = ""
    threads: Count = None
    share_prefixes: bool | None = None
    steps: list[Step] = []
    validation: list[Validation] = []
    chosen_by: str = ""
    chosen_step: Count = None
    stopped: str = ""
    tokens_in_rows: Count = None
    tokens_computed: Count = None
    restarts: int = 0
    throughput: Throughput | None = None
    mfu: Number = None
    peak_mib: Number = None
    words: list[str] = []


class Confusion(Part):
    """counts[i][j]: how many rows of label i were answered with label j."""

    labels: list[str]
    counts: list[list[int]]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.labels)
        if len(self.counts) != size or any(len(row) != size for row in self.counts):
            raise ValueError(f"counts must be {size} rows of {size} numbers, one per label")
        return self


class Error(Part):
    row_id: str = ""
    prompt: str = ""
    reference: str = ""
    answer: str = ""
    confidence: Number = None


class Rise(Part):
    """Perplexity on general text: `relative` is tuned / base - 1."""

    base: Number = None
    tuned: Number = None
    relative: Estimate = Estimate()
    documents: Count = None


class Probing(Part):
    """Shares of questions answered right."""

    base: Estimate = Estimate()
    tuned: Estimate = Estimate()
    against: Against = Against()
    questions: Count = None


class Forgetting(Part):
    outcome: str = ""
    sentence: str = ""
    notes: list[str] = []
    rise: Rise | None = None
    probing: Probing | None = None


class Bin(Part):
    """Rows of about the same confidence, and how many of their answers are right."""

    confidence: Number = None
    accuracy: Number = None
    low: Number = None
    high: Number = None
    count: Count = None


class Sureness(Part):
    """What confidences are worth on some rows."""

    accuracy: Number = None
    confidence: Number = None
    ece: Number = None
    ece_low: Number = None
    ece_high: Number = None
    by_chance: Number = None
    brier: Number = None
    nll: Number = None
    diagram: list[Bin] = []


class OnTest(Part):
    before: Sureness = Sureness()
    after: Sureness = Sureness()


class Calibration(Part):
    rows: Count = None
    sentences: list[str] = []
    test: OnTest | None = None


class SliceFigures(Part):
    rows: Count = None
    value: Estimate = Estimate()
    rest: Number = None
    difference: Estimate = Estimate()


class Slice(Part):
    """Test rows that have something in common, against the rest."""

    name: str = ""
    worse: bool = False
    p_corrected: Number = None
    figures: SliceFigures = SliceFigures()


class Slices(Part):
    measure: str = ""
    sentence: str = ""
    slices: list[Slice] = []


class Exposed(Part):
    """Canaries of one number of repeats; exposure in bits."""

    repeats: Count = None
    after: list[Number] = []
    mean_before: Number = None
    mean_after: Number = None
    first: Count = None


class Canaries(Part):
    groups: list[Exposed] = []
    bound: Number = None


class Memorised(Part):
    alarm: bool = False
    alarms: Count = None
    """How many of the sentences, from the first, are alarming."""
    sentences: list[str] = []
    notes: list[str] = []
    canaries: Canaries | None = None


class Showable(Part):
    """A look, and what strangers may read of it."""

    look: str
    measured: bool = False
    alarm: bool = False
    text: str | None = None


class Published(Part):
    """All that the model card may say of verdict and looks, beside figures."""

    notes: list[str] = []
    looks: list[Showable] = []


class Report(Part):
    """A whole report.json; pieces that it does not know by name are read by `part_of`."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    schema_: int = Field(alias="schema")
    round: Round
    verdict: Verdict = Verdict()
    systems: list[System] = []
    few_shot: FewShot | None = None
    data: Data | None = None
    training: Training | None = None
    forgetting: Forgetting | None = None
    calibration: Calibration | None = None
    slices: Slices | None = None
    memorisation: Memorised | None = None
    published: Published = Published()
    confusion: Confusion | None = None
    errors: list[Error] = []
    recipe: str = ""
    environment: dict[str, Any] = {}
    hashes: dict[str, Any] = {}
    seeds: dict[str, Any] = {}
    warnings: list[str] = []

    @property
    def tuned(self) -> System | None:
        """The fine-tuned model among the systems."""
        return next((system for system in self.systems if system.kind == "tuned"), None)

    @property
    def metrics(self) -> list[str]:
        """Every metric that a system has, the one that decides the verdict first, the others as they come."""
        names = dict.fromkeys(name for system in self.systems for name in system.metrics)
        decisive = [name for name in names if name == self.verdict.metric]
        return decisive + [name for name in names if name != self.verdict.metric]


def read_report(report: Mapping[str, Any]) -> Report:
    """The typed form of a report.

    Raises:
        MachineError: the schema is not one this version knows, or a field has another form than `tunesmith.report.card` says.
    """
    schema = report.get("schema") if isinstance(report, Mapping) else None
    if schema is None:
        raise MachineError("This is no report: it has no field 'schema'. Name a report.json that a round has written.")
    if type(schema) is not int or schema != SCHEMA:
        raise MachineError(
            f"The report has schema {schema!r}, this tunesmith reads schema {SCHEMA}: "
            "use the version of tunesmith that wrote it, or run again."
        )
    try:
        return Report.model_validate(report)
    except ValidationError as error:
        raise _misshapen(error) from error


P = TypeVar("P", bound=Part)


def part_of(report: Report, name: str, shape: type[P]) -> P | None:
    """A piece of the report in a form of the caller's; None where the report has none.

    Raises:
        MachineError: the piece has another form.
    """
    value = (report.model_extra or {}).get(name)
    if value is None:
        return None
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise _misshapen(error, name) from error


def _misshapen(error: ValidationError, within: str = "") -> MachineError:
    first = error.errors(include_url=False)[0]
    place = ".".join(part for part in (within, *map(str, first["loc"])) if part) or "report"
    return MachineError(
        f"The report's field '{place}' is not as schema {SCHEMA} has it: {first['msg'].lower()}. The form is told in tunesmith.report.card."
    )


def finite(value: Any) -> Any:
    """The same JSON value with None for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return _known(value)
