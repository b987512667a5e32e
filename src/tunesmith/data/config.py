"""The `data` section of a recipe."""

from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from tunesmith.data.settings.anonymise import AnonymiseConfig
from tunesmith.data.settings.audit import AuditConfig
from tunesmith.data.settings.augment import AugmentConfig
from tunesmith.data.settings.balance import BalanceConfig
from tunesmith.data.settings.coverage import CoverageConfig
from tunesmith.data.settings.dedup import ContaminationConfig, DedupConfig
from tunesmith.data.settings.fill import FillConfig
from tunesmith.data.settings.filter import FilterConfig
from tunesmith.data.settings.normalise import NormaliseConfig
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.settings.relabel import RelabelConfig
from tunesmith.data.settings.split import SplitConfig
from tunesmith.section import Section


class Task(StrEnum):
    """What a row asks for."""

    CLASSIFY = "classify"
    MULTILABEL = "multilabel"
    GENERATE = "generate"
    REGRESS = "regress"
    TAG = "tag"
    PREFER = "prefer"
    TEXT = "text"


class DataConfig(Section):
    """Where the rows come from and what is done to them before training."""

    path: str
    """A file (JSONL, JSON, CSV, TSV, Parquet, txt; .gz too), a folder written by `datasets`, or `sample` for the embedded one."""
    validation_path: str | None = None
    """Validation rows supplied apart, used instead of a split."""
    test_path: str | None = None
    """Test rows supplied apart, used instead of a split. Train rows that stand in it are dropped from train."""
    held_out: str | None = None
    """Folder of a dataset prepared before: its rows for validation and test are taken exactly as they are, and all of `path` trains. Train rows that stand in them are dropped."""
    task: Task | None = None
    """classify, multilabel, generate, regress, tag, prefer or text; guessed from the rows and shown where absent."""
    instruction: str | None = None
    """A system message put before every row that has none, in training, evaluation and serving alike."""
    label_words: bool = True
    """Write labels such as `card_arrival` as plain words in prompts and answers, which a model knows and which take fewer tokens. What is scored and shown stays the label."""
    rows: int | None = Field(default=None, gt=0)
    """Use a seeded sample of this many training rows; validation and test stay whole. For trying things out."""
    rows_per_label: int | None = Field(default=None, gt=0)
    """Use at most this many training rows of each label, a seeded sample."""
    test_rows: int | None = Field(default=None, gt=0)
    """Score a seeded sample of this many test rows; intervals widen accordingly."""
    read: ReadConfig = ReadConfig()
    """How files become rows."""
    normalise: NormaliseConfig = NormaliseConfig()
    """How text is cleaned."""
    fill: FillConfig = FillConfig()
    """What becomes of rows that lack a value."""
    labels: tuple[str, ...] | None = None
    """The label set, where it is known: labels outside it are told, with the nearest (`filter.label`)."""
    filter: FilterConfig = FilterConfig()
    """Which rows are not worth learning from."""
    anonymise: AnonymiseConfig | None = None
    """What becomes of personal data and secrets; nothing is replaced where absent, and the report says what was seen."""
    dedup: DedupConfig = DedupConfig()
    """Which rows count as the same."""
    contamination: ContaminationConfig = ContaminationConfig()
    """Texts that must not stand among the training rows."""
    relabel: RelabelConfig = RelabelConfig()
    """Labels that look wrong."""
    audit: AuditConfig = AuditConfig()
    """What rows are looked at for: bias of selection, sampling, labels, history."""
    coverage: CoverageConfig = CoverageConfig()
    """How well training rows stand for what the model will be asked."""
    split: SplitConfig = SplitConfig()
    """How rows are divided."""
    augment: AugmentConfig = AugmentConfig()
    """More training rows out of those there are."""
    balance: BalanceConfig = BalanceConfig()
    """Labels and groups in other proportions for training."""

    @field_validator("path", "validation_path", "test_path", "held_out")
    @classmethod
    def _named(cls, path: str | None) -> str | None:
        """Refuse a path that names nothing: the folder of the recipe would be read."""
        if path is not None and not path.strip():
            raise ValueError("it is empty: name a file of examples")
        return path

    @model_validator(mode="after")
    def _one_test(self) -> "DataConfig":
        if self.test_path is not None and self.split.gain is not None:
            raise ValueError("split.gain chooses how many rows go to test, and test_path supplies them: leave one of them out")
        if self.held_out is not None and (self.validation_path or self.test_path or self.split.gain or self.test_rows):
            raise ValueError(
                "held_out supplies the rows for validation and test as they are: leave out validation_path, test_path, test_rows and split.gain"
            )
        return self
