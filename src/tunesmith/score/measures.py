"""What a measure is, and the table of their names.

A measure is a table of statistics per row, and a function from the sums of its columns to a value. That is what lets
a corpus measure (BLEU, macro F1) be bootstrapped as cheaply as a mean: a resample is a weighted sum of rows, so two
thousand of them are one matrix product. Areas under curves are no function of sums: these say how weighted rows become a
value (`weighted`), and cost a pass over all rows for each resample. Values run from 0 to 1, but for perplexity (1 up),
correlations (-1 to 1), errors of numbers (0 up) and r2 (up to 1).

Legend: R rows, S statistics, B resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]


Weighing = Callable[[Floats], Floats]
"""How often each row counts, [B, R], to values [B]."""


class Tabulate(Protocol):
    """Statistics of each row, [R, S], dense or sparse; None where the predictions don't carry what it needs."""

    def __call__(self, predictions: Sequence[Prediction], /) -> "Floats | csr_array | None": ...


def no_sums(sums_BS: Floats) -> Floats:
    """The `value` of a measure that is no function of sums; asking for it is a bug."""
    raise AssertionError("this measure goes by weighted rows: ask Measure.on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One way to say how good a system's answers are."""

    name: str
    """As recipes and reports write it: `macro_f1`."""
    title: str
    """As sentences write it: `macro F1`."""
    tabulate: Tabulate
    """Predictions to statistics per row [R, S]; measures of one family share the function, and so the work."""
    value: Callable[[Floats], Floats] = no_sums
    """Sums of statistics [B, S] to values [B]; never nan: what is undefined (0 of 0) counts as 0."""
    weighted: "Callable[[Floats | csr_array], Weighing] | None" = None
    """In place of `value`, for what is no function of sums: statistics [R, S] to a function of weights [B, R]; never nan either."""
    right: Callable[[Sequence[Prediction]], NDArray[np.bool_] | None] | None = None
    """Where the value is the share of rows that are right: which are; None where some are half right. Exact methods are used for these."""
    higher_is_better: bool = True
    low: float = 0.0
    """Least possible value."""
    high: float = 1.0
    """Greatest possible value; inf where there is none."""
    scale: float = 100.0
    """What people read is the value times this: 84.1% for 0.841."""
    unit: str = "%"
    """Written after the scaled value."""

    def shown(self, value: float) -> str:
        """A value for people: `84.1%`, `23.4`, `0.612`."""
        return f"{_rounded(value * self.scale, self.decimals)}{self.unit}"

    def shown_difference(self, value: float, *, unit: bool = True) -> str:
        """A difference for people: `2.1 points` where values run to 100, else the bare number."""
        number = _rounded(value * self.scale, self.decimals)
        return f"{number} points" if unit and self.scale == 100.0 else number

    @property
    def decimals(self) -> int:
        """Decimals that people are shown."""
        return 1 if self.scale == 100.0 else 3

    def of(self, predictions: Sequence[Prediction]) -> float | None:
        """The value over all rows; None where the predictions don't carry what it needs; DataError without a row."""
        if not predictions:
            raise DataError(f"{self.title} of no rows was asked for: there must be at least one scored row.")
        table = self.tabulate(predictions)
        return None if table is None else self.of_table(table)

    def of_table(self, table: "Floats | csr_array") -> float:
        """The value from statistics [R, S]."""
        if self.weighted is not None:
            return float(self.weighted(table)(np.ones((1, table.shape[0])))[0])
        return float(self.value(np.asarray(table.sum(axis=0), dtype=np.float64).reshape(1, -1))[0])

    def on(self, table: "Floats | csr_array") -> Weighing:
        """From how often each row counts [B, R] to values [B], of whichever kind the measure is."""
        if self.weighted is not None:
            return self.weighted(table)
        return lambda weights_BR: self.value(np.asarray(weights_BR @ table, dtype=np.float64))


def _rounded(value: float, decimals: int) -> str:
    """Fixed decimals, never a negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


NAMES = {
    "accuracy": "classification:ACCURACY",
    "balanced_accuracy": "classification:BALANCED_ACCURACY",
    "macro_precision": "classification:MACRO_PRECISION",
    "macro_recall": "classification:MACRO_RECALL",
    "macro_f1": "classification:MACRO_F1",
    "micro_precision": "classification:MICRO_PRECISION",
    "micro_recall": "classification:MICRO_RECALL",
    "micro_f1": "classification:MICRO_F1",
    "mcc": "classification:MCC",
    "auroc": "ranking:AUROC",
    "auprc": "ranking:AUPRC",
    "ece": "calibration:ECE",
    "brier": "calibration:BRIER",
    "nll": "calibration:NLL",
    "exact_match": "text:EXACT_MATCH",
    "token_f1": "text:TOKEN_F1",
    "rouge1": "text:ROUGE1",
    "rouge2": "text:ROUGE2",
    "rougeL": "text:ROUGE_L",
    "bleu": "text:BLEU",
    "chrf": "text:CHRF",
    "perplexity": "text:PERPLEXITY",
    "numeric_match": "numeric:NUMERIC_MATCH",
    "json_valid": "structured:JSON_VALID",
    "json_fields": "structured:JSON_FIELDS",
    "labels_micro_f1": "multilabel:MICRO_F1",
    "labels_macro_f1": "multilabel:MACRO_F1",
    "subset_accuracy": "multilabel:SUBSET_ACCURACY",
    "hamming_loss": "multilabel:HAMMING_LOSS",
    "pearson": "regression:PEARSON",
    "spearman": "regression:SPEARMAN",
    "mae": "regression:MAE",
    "rmse": "regression:RMSE",
    "r2": "regression:R2",
    "span_f1": "tagging:SPAN_F1",
    "span_precision": "tagging:SPAN_PRECISION",
    "span_recall": "tagging:SPAN_RECALL",
    "token_accuracy": "tagging:TOKEN_ACCURACY",
    "preference_accuracy": "preference:ACCURACY",
    "preference_accuracy_per_token": "preference:ACCURACY_PER_TOKEN",
    "wanted_auc": "preference:WANTED_AUC",
    "style": "style_measures:STYLE",
    "style_all": "style_measures:STYLE_ALL",
    "style_sentences": "style_measures:SENTENCES",
    "style_length": "style_measures:LENGTH",
    "style_forbidden": "style_measures:FORBIDDEN",
    "style_must_have": "style_measures:MUST_HAVE",
    "style_greeting": "style_measures:GREETING",
    "style_sign_off": "style_measures:SIGN_OFF",
    "style_tone": "style_measures:TONE",
    "style_emoji": "style_measures:EMOJI",
    "style_exclamations": "style_measures:EXCLAMATIONS",
    "style_passive": "style_measures:PASSIVE",
    "style_address": "style_measures:ADDRESS",
    "style_speaker": "style_measures:SPEAKER",
    "style_reading_level": "style_measures:READING_LEVEL",
}
"""Name -> module of this folder and the measure in it; a new one is a line here and a value there."""


def measure(name: str) -> Measure:
    """The measure called `name`; RecipeError with the nearest name where there is none."""
    if name not in NAMES:
        raise RecipeError(f"No measure is called {name!r}.{did_you_mean(name, NAMES)}")
    module, attribute = NAMES[name].split(":")
    found: Any = getattr(import_module(f"tunesmith.score.{module}"), attribute)
    assert isinstance(found, Measure)
    return found
