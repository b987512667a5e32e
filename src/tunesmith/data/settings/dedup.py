"""Which rows count as the same, and what becomes of them."""

from enum import StrEnum

from pydantic import Field, model_validator

from tunesmith.section import Section


class NearAction(StrEnum):
    """What becomes of near-duplicates."""

    DROP = "drop"
    KEEP = "keep"


class ConflictAction(StrEnum):
    """What becomes of rows with the same prompt and different answers."""

    KEEP = "keep"
    DROP = "drop"
    MAJORITY = "majority"
    ASK = "ask"


class NearConfig(Section):
    """How alike two texts must be to count as near-duplicates, after case folding and white space."""

    edit: float = Field(default=0.85, ge=0.7, le=1)
    """Least edit similarity, 1 - Levenshtein distance / length of the longer, in characters. Of two long texts `jaccard` counts instead."""
    jaccard: float = Field(default=0.7, ge=0.5, le=1)
    """Least share of 5-character pieces that two long texts have in common (Jaccard); the shorter must also reach this share of the length."""
    words: int = Field(default=50, ge=1, le=200)
    """A text is long above so many words, or above 8 times as many characters where spaces don't part words."""


class DedupConfig(Section):
    """Which rows count as the same."""

    exact: bool = True
    """Drop rows whose prompt and answer are the same after case folding and white space."""
    near: bool | NearConfig = True
    """Look for near-duplicates: on, off, or on with other thresholds. Found ones go to one side, unless the set is written from templates (see the guide)."""
    near_action: NearAction = NearAction.KEEP
    """Keep near-duplicates (rows that differ in one word may well differ in meaning), or drop those of a kept row that have its answer."""
    conflicts: ConflictAction = ConflictAction.KEEP
    """Same prompt, different answers: keep all, drop all, keep the answer that most rows give (drop all where two lead), or stop and ask. Counted always."""

    @property
    def nearness(self) -> NearConfig | None:
        """The thresholds, or None where near-duplicates are not looked for."""
        if isinstance(self.near, NearConfig):
            return self.near
        return NearConfig() if self.near else None

    @model_validator(mode="after")
    def _looks_before_it_drops(self) -> "DedupConfig":
        if not self.near and "near_action" in self.model_fields_set and self.near_action is NearAction.DROP:
            raise ValueError("near_action: drop needs near-duplicates to be looked for: set near to true, or leave near_action out")
        return self


class ContaminationConfig(Section):
    """Benchmark files whose texts must not stand among the training rows."""

    paths: tuple[str, ...] = ()
    """Files of benchmark texts, in any form that `data.path` may have. Validation and test files are checked without being named here."""
    ngram: int = Field(default=13, ge=5, le=50)
    """A training text that has so many words in a row from a benchmark text is contaminated (13 in Brown et al., 2020, appendix C)."""
