"""The `evaluate` and `gates` sections of a recipe."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tunesmith.data.settings.style import StyleGuide, complaint
from tunesmith.evaluate.explain_config import ExplainConfig
from tunesmith.evaluate.generation_config import CodeConfig, DecodingConfig, JudgeConfig
from tunesmith.evaluate.harm_config import BiasConfig, ForgettingConfig, MemorisationConfig
from tunesmith.evaluate.price_config import PricesConfig
from tunesmith.evaluate.safety_config import SafetyConfig
from tunesmith.section import Section


class CalibrateConfig(Section):
    """How confidences are made believable on the `calibrate` rows, and below which the model should rather say nothing."""

    enabled: bool = True
    """false leaves confidences as the model gives them."""
    methods: Literal["auto"] | list[Literal["identity", "temperature", "platt", "vector", "isotonic"]] = "auto"
    """Corrections tried beside none, the best by cross-validated log loss is taken: isotonic from 1,000 rows on, under 200 a temperature alone. auto: all that fit."""
    risk: float | None = Field(default=0.05, gt=0, lt=1)
    """Share of given answers that may be wrong: the least confidence that keeps it, at 95% certainty, is looked for. null: none is."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the rows, each judged by what the others were fitted to."""
    samples: int = Field(default=0, ge=0, le=100)
    """Of written answers: take for confidence how many of so many further samples say the same; 0: the likelihood of the answer's tokens, which costs nothing."""
    temperature: float = Field(default=0.7, gt=0, le=100)
    """Of these samples."""


class LearningCurveConfig(Section):
    """Twins of the round, trained on parts of its rows and measured beside it: whether more rows of the same kind would help, and how many."""

    enabled: bool = False
    """true trains a twin on each of `shares`, for as many epochs as the round, so that it takes their sum more of its time (0.85 by default)."""
    shares: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[0.1, 0.25, 0.5], min_length=2, max_length=20)
    """Parts of the training rows, each within the next, in proportion to the labels and whole by `split.by`; the round's own model stands for all."""

    @model_validator(mode="after")
    def _shares_differ(self) -> Self:
        if len(set(self.shares)) < len(self.shares):
            raise ValueError(f"shares {self.shares} names a part twice: name each once")
        return self


class EvaluateConfig(Section):
    """How the fine-tuned model is compared with what it must beat."""

    metrics: list[str] = Field(default=[])
    """Names of measures, the first decides the verdict; the task's own where absent: accuracy and macro_f1 for classify, pearson for regress, and so on."""
    few_shot: Literal["auto"] | list[Annotated[int, Field(ge=0, le=1000)]] = "auto"
    """Numbers of examples tried in the base's prompt, beside none; the best on `select` is scored on test. auto: 1, 2, 4, ... until two doublings bring nothing."""
    few_shot_most: int = Field(default=16, ge=1, le=1000)
    """`few_shot: auto` tries no more examples than this."""
    few_shot_by: list[Literal["random", "similar"]] = Field(default=["random", "similar"], min_length=1, max_length=2)
    """How examples are chosen: random ones, each label in turn, the same for every row; similar: for each row the training rows nearest by TF-IDF, the nearest last."""
    against: list[str] = Field(default=[], max_length=20)
    """Other models of tunesmith's that must be beaten too: ids of rounds in the workspace, or folders of models; the first is called the champion."""
    select_rows: int = Field(default=200, gt=0)
    """At most this many `select` rows are used to choose k and the form of the prompt."""
    max_new_tokens: int = Field(default=128, gt=0)
    """Longest generated answer."""
    decoding: DecodingConfig = DecodingConfig()
    """How answers are written."""
    style: dict[str, Any] | str | None = None
    """A style guide that written answers are held against: its file (YAML or Markdown), or the guide itself. Measures then are `style`, `style_all` and `style_RULE`."""
    resamples: int = Field(default=2000, ge=200)
    """Bootstrap resamples behind each interval."""
    linear_floor: bool = True
    """Score cheap floors beside the models: regression on TF-IDF (classify, multilabel, regress), nearest neighbours, always the longer answer (prefer)."""
    errors_shown: int = Field(default=20, ge=0)
    """Wrong answers printed in the report card for reading."""

    calibrate: CalibrateConfig = CalibrateConfig()
    """The tuned model's confidences in its labels, and in written answers that are right or wrong."""
    slices: bool = True
    """Hold parts of the test rows (by length, file, group, label, any column of few values) against the rest, and name the worse ones."""
    forgetting: ForgettingConfig = ForgettingConfig()
    """What the tuned model lost of what the base knew."""
    memorisation: MemorisationConfig | None = None
    """What the tuned model has of its training rows by heart; nobody looks where absent."""
    safety: SafetyConfig | None = None
    """Unwanted answers of base and tuned model to prompts of yours, and harmless questions they refuse; nobody looks where absent."""
    explain: ExplainConfig = ExplainConfig()
    """Why the tuned model answered so: the words that moved it, and the rows that taught it."""
    learning_curve: LearningCurveConfig = LearningCurveConfig()
    """What fewer rows would have given, and more would give."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Seeds of training that are measured: each but the recipe's own costs a training more, on the same rows. The verdict stays the round's own model's."""
    judge: JudgeConfig | None = None
    """An engine that compares written answers; nobody is asked where absent."""
    code: CodeConfig | None = None
    """Written answers that are run as code; nothing is run where absent."""
    prices: PricesConfig | None = None
    """What answers cost; no cost is told where absent."""

    bias: BiasConfig | None = None
    """Whether fine-tuning made the model prefer stereotypes, or treat groups differently; nobody looks where absent."""

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        if len(set(self.few_shot_by)) < len(self.few_shot_by):
            raise ValueError(f"few_shot_by {self.few_shot_by} names a way twice: name each once")
        if len(set(self.against)) < len(self.against) or not all(map(str.strip, self.against)):
            raise ValueError("against names a model twice, or an empty name: name each model once")
        return self

    @model_validator(mode="after")
    def _guide_can_be_meant(self) -> Self:
        if isinstance(self.style, dict):
            try:
                StyleGuide.model_validate(self.style)
            except ValidationError as error:
                raise ValueError(f"style: {complaint(error).removesuffix('.')}") from None
        return self

    @property
    def guide(self) -> StyleGuide | None:
        """The style guide; None where there is none, or only its path."""
        return StyleGuide.model_validate(self.style) if isinstance(self.style, dict) else None

    def with_files(self, change: Callable[[str], str]) -> Self:
        """The section with the path of each file it names changed; models in `against` are not files."""
        naming = {name: held for name in ("forgetting", "safety", "bias") if (held := getattr(self, name)) is not None}
        return self.model_copy(update={name: held.with_files(change) for name, held in naming.items()})

    @property
    def files(self) -> list[str]:
        """The path of each file it names, in order."""
        found: list[str] = []
        self.with_files(lambda path: found.append(path) or path)  # type: ignore[func-returns-value]
        return found


class GatesConfig(Section):
    """Bounds a model must keep. None by default: an honest "no gain shown" then ends with exit code 0."""

    gain: float | None = None
    """Least gain over the best language-model baseline, in points of the first metric as a fraction: the lower end of the 95% interval must reach it."""
    calibration_error: float | None = Field(default=None, ge=0, le=1)
    """Greatest expected calibration error on test, as a fraction (0.05 for 5 points): the upper end of the 95% interval must not pass it."""
    forgetting: float | None = Field(default=None, ge=-1)
    """Greatest rise of perplexity on general text, as a fraction of the base's (0.05 for 5%): the upper end of the 95% interval must not pass it."""
    unwanted: float | None = Field(default=None, ge=0, le=1)
    """Greatest share of `evaluate.safety.prompts` that the tuned model gives an unwanted answer to: the upper end of the 95% interval must not pass it."""
    bias: float | None = Field(default=None, ge=-1, le=1)
    """Greatest rise of the share of stereotyping sentences found likelier, on CrowS-Pairs and each type of WinoBias: the upper end of the 95% interval must not pass it."""
