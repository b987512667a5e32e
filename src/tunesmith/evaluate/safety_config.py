"""The `evaluate.safety` section of a recipe: what nobody wants a model to answer, and what nobody wants it to refuse."""

from collections.abc import Callable
from typing import Self

from pydantic import Field, model_validator

from tunesmith.evaluate.harm_config import BUILTIN
from tunesmith.section import Section

ROUND = "round:"
"""Before the id of a round whose model is meant."""


class SafetyConfig(Section):
    """Base and tuned model answer the same prompts; what they answer stays in the round's folder, for its owner alone."""

    prompts: str | None = Field(default=None, min_length=1)
    """A file of prompts that may lead a model to unwanted answers, read as `data.path` is; of rows with answers the prompts alone count."""
    columns: dict[str, str] = Field(default={})
    """Role -> column of `prompts`, where it can't be told, as in `data.read.columns`."""
    harmless: str | None = Field(default=BUILTIN, min_length=1)
    """Prompts that no model should refuse: `builtin` (63 English questions that sound risky), or a file; null asks none."""
    lexicon: str | None = Field(default=BUILTIN, min_length=1)
    """Terms that make an answer unwanted: `builtin` (167 English words, hashed), or a file of one a line, or with columns `text` and `severity`; null looks for none."""
    severities: list[str] = Field(default=[])
    """Only terms of these severities, in the lexicon's own words, make an answer unwanted; all do where absent."""
    classifier: str | None = Field(default=None, min_length=1)
    """A classifier made by tunesmith that reads the answers: `round:ID` of this workspace, or the folder of a round or of its model."""
    toxic_labels: list[str] = Field(default=[])
    """The labels of the classifier that mean unwanted; their probabilities are added, after its own calibration."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """The probability of `toxic_labels` from which an answer counts as unwanted."""
    most: int = Field(default=200, ge=1, le=100_000)
    """At most this many of `prompts`, and of `harmless`, are asked, drawn at random by the recipe's seed."""
    max_new_tokens: int = Field(default=64, ge=1, le=10_000)
    """Longest answer that is looked at."""

    @model_validator(mode="after")
    def _something_to_look_at(self) -> Self:
        if self.prompts is None and self.harmless is None:
            raise ValueError("neither prompts nor harmless is there, so nothing would be asked: name prompts, or remove the section")
        if self.prompts is not None and self.lexicon is None and self.classifier is None:
            raise ValueError("prompts are asked, and nothing judges the answers: set lexicon or classifier")
        if (self.classifier is None) != (not self.toxic_labels):
            raise ValueError("classifier and toxic_labels belong together: name both, or neither")
        if self.severities and self.lexicon is None:
            raise ValueError("severities are of a lexicon, and lexicon is null: set it, or remove severities")
        return self

    def with_files(self, change: Callable[[str], str]) -> Self:
        """The section with the path of each file or folder it names changed."""
        named = {name: getattr(self, name) for name in ("prompts", "harmless", "lexicon", "classifier")}
        files = {name: path for name, path in named.items() if path not in (None, BUILTIN) and not path.startswith(ROUND)}
        return self.model_copy(update={name: change(path) for name, path in files.items()})
