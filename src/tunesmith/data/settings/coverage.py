"""The `data.coverage` section: how well the train rows stand for what the model will be asked."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.section import Section

Above = Annotated[float, Field(gt=0, lt=1)]


class CoverageConfig(Section):
    """Compares the train rows with a sample of production inputs; without one, tells how diverse they are."""

    enabled: bool = True
    """Whether coverage is measured."""
    production: str | None = None
    """A file of inputs as production sees them, of a form that `data.path` may have; answers are not needed and not read."""
    features: Literal["linear", "base"] = "linear"
    """What texts are compared by: words (TF-IDF), or the mean of the base's last hidden states."""
    clusters: int | None = Field(default=None, ge=2, le=1000)
    """Into how many clusters inputs are put; by default one for every 20, from 4 to 200."""
    examples: int = Field(default=20, ge=0, le=1000)
    """So many uncovered inputs are listed."""
    auc: float = Field(default=0.6, gt=0.5, lt=1)
    """Train and production are told apart when a classifier's AUC is surely above this; halves of one set give 0.5."""
    share: Above = 0.05
    """Unseen words, uncovered clusters and far inputs are told when they are surely so much more than among train rows."""
    distance: Above = 0.1
    """Lengths are told to differ when their distributions do by so much at some length (Kolmogorov and Smirnov)."""
    level: Above = 0.05
    """The chance of telling even one difference that is none, over all that is tested (Holm)."""
    rows: int = Field(default=200_000, ge=1000)
    """Most rows of each side looked at; of more, a seeded sample, and the report says so."""
