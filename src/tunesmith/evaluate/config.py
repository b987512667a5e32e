"""The `evaluate` and `gates` sections of a recipe."""

from typing import Annotated

from pydantic import Field

from tunesmith.section import Section


class EvaluateConfig(Section):
    """How the fine-tuned model is compared with what it must beat."""

    metrics: list[str] = Field(default=[])
    """Names of measures, the first decides the verdict; the task's own where absent: accuracy and macro_f1 for classify, pearson for regress, and so on."""
    few_shot: list[Annotated[int, Field(ge=0, le=1000)]] = Field(default=[0, 1, 4, 8])
    """Numbers of examples tried in the base's prompt; the best on `select` is scored on test. 0 (no examples) is always scored."""
    select_rows: int = Field(default=200, gt=0)
    """At most this many `select` rows are used to choose k and the form of the prompt."""
    max_new_tokens: int = Field(default=128, gt=0)
    """Longest generated answer."""
    resamples: int = Field(default=2000, ge=200)
    """Bootstrap resamples behind each interval."""
    linear_floor: bool = True
    """Score a cheap floor beside the models: TF-IDF with logistic or ridge regression (classify, multilabel, regress); always the longer answer (prefer)."""
    errors_shown: int = Field(default=20, ge=0)
    """Wrong answers printed in the report card for reading."""


class GatesConfig(Section):
    """Bounds a model must keep. None by default: an honest "no gain shown" then ends with exit code 0."""

    gain: float | None = None
    """Least gain over the best language-model baseline, in points of the first metric as a fraction: the lower end of the 95% interval must reach it."""
