"""The `data` section of a recipe."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from tunesmith.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Task(StrEnum):
    """What a row asks for."""

    CLASSIFY = "classify"
    MULTILABEL = "multilabel"
    GENERATE = "generate"
    REGRESS = "regress"
    TAG = "tag"
    PREFER = "prefer"
    TEXT = "text"


class ReadConfig(Section):
    """How files become rows."""

    columns: dict[str, str] = Field(default={})
    """Role -> your column: text, label, prompt, completion, messages, labels, value, spans, wanted and others (docs/guide/data.md); weight is read only where named."""
    label_separator: str | None = Field(default=None, min_length=1, max_length=8)
    """What stands between the labels of `data.task: multilabel` where they are one text; guessed among ; | and comma where absent."""
    bad_lines: Share = 0.01
    """The share of lines that may be unreadable: they are set aside in quarantine.jsonl; above it the round stops."""
    max_line_mib: float = Field(default=1.0, gt=0, le=1024)
    """Longest line read, in MiB; longer ones are set aside."""


class NormaliseConfig(Section):
    """How text is cleaned before anything compares it."""

    fix_encoding: bool = True
    """Repair text that was decoded wrongly, with ftfy ('cafÃ©' becomes 'café'); can change code samples."""
    white_space: bool = True
    """Strip ends, and outside code blocks turn runs of spaces into one; indentation and line breaks stay, at most two in a row."""
    control_characters: bool = True
    """Remove characters that print nothing, except tab and line break."""


class DedupConfig(Section):
    """Which rows count as the same."""

    exact: bool = True
    """Drop rows whose prompt and answer are the same after case folding and white space."""
    conflicts: str = Field(default="keep", pattern="^(keep|drop)$")
    """Rows with the same prompt and different answers: keep them all, or drop them all. They are counted either way."""


class SplitConfig(Section):
    """How rows are divided. Rows with the same text, and rows of one group, never land on two sides."""

    validation: float = Field(default=0.15, gt=0, lt=1)
    """Share for validation, divided by group into `select` (early stopping, k) and `calibrate`. Unused with `validation_path`."""
    test: float = Field(default=0.15, gt=0, lt=1)
    """Share for test. Unused with `test_path`."""
    by: str | None = None
    """A column whose values must not be divided between sides: a customer, a document, a template."""

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> "SplitConfig":
        if self.validation + self.test >= 0.9:
            raise ValueError(f"validation {self.validation} + test {self.test} leave under a tenth to train on: lower one of them")
        return self


class DataConfig(Section):
    """Where the rows come from and what is done to them before training."""

    path: str
    """A file (JSONL, JSON, CSV, TSV, Parquet, txt; .gz too), a folder written by `datasets`, or `sample` for the embedded one."""
    validation_path: str | None = None
    """Validation rows supplied apart, used instead of a split."""
    test_path: str | None = None
    """Test rows supplied apart, used instead of a split. Train rows that stand in it are dropped from train."""
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
    dedup: DedupConfig = DedupConfig()
    """Which rows count as the same."""
    split: SplitConfig = SplitConfig()
    """How rows are divided."""
