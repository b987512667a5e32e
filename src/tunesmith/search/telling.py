"""What a search says of its trials, in words."""

from collections.abc import Mapping
from typing import Any

from tunesmith.recipe.scalars import shown
from tunesmith.search.outcome import TrialRecord
from tunesmith.search.records import Record


def settings_text(settings: Mapping[str, Any]) -> str:
    """`method.rank 8, train.learning_rate 0.0002`; of none: the recipe's own."""
    return ", ".join(f"{name} {_written(value)}" for name, value in settings.items()) or "the recipe's own settings"


def trial_line(record: Record, best: TrialRecord | None) -> str:
    """One ended trial in one line.

    Args:
        record: the trial.
        best: the best one before it, if any.
    """
    measured = record.trial().measured
    name = f"trial {record.number}" if record.repeats is None else f"trial {record.number} (trial {record.repeats} with seed {record.seed})"
    return f"{name}: {settings_text(record.settings)}: {_ending(record, measured.value, best)}"


def _ending(record: Record, value: float | None, best: TrialRecord | None) -> str:
    measured = record.trial().measured
    if value is None:
        return f"diverged ({measured.diverged})" if measured.diverged else "diverged"
    if measured.pruned:
        share = measured.curve[-1].share if measured.curve else 0.0
        why = "the budget was spent" if record.cut else "ended early"
        return f"{value:.4g}, {why} at {share:.0%}"
    leads = record.repeats is None and (best is None or best.measured.value is None or value > best.measured.value)
    return f"{value:.4g}{', the best so far' if leads else ''}"


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else shown(value)
