"""The `data.relabel` section of a recipe."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunesmith.section import Section


class RelabelConfig(Section):
    """Labels that look wrong: listed for review, and changed only where that is asked for."""

    action: Literal["off", "report", "drop", "fix"] = "report"
    """`report`: list them; `drop` these rows; `fix`: write the suggested label; `off`. Only where answers are labels, of two classes or more."""
    review: str | None = None
    """The list, once a person has filled in its `decision` column (keep, drop or fix): what it says is done, and nothing else."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """`drop` and `fix` change at most this share of the rows, the likeliest errors first."""
    features: Literal["linear", "base"] = "linear"
    """What labels are judged by: words and pairs of words (TF-IDF), or the mean of the base's last hidden states."""
    folds: int = Field(default=5, ge=2, le=20)
    """Each row is judged by a model that was trained on the other folds. Classes of fewer rows are not judged."""
    rows: int = Field(default=200_000, ge=100)
    """Most rows judged; of more, a seeded sample, and the report says so."""

    @model_validator(mode="after")
    def _review_decides(self) -> "RelabelConfig":
        if self.review is not None and self.action in ("drop", "fix"):
            raise ValueError(f"the reviewed file decides what is changed: leave out action: {self.action}, or review")
        return self
