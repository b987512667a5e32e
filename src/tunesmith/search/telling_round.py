"""What a round is told of the search that chose it: the `search` piece of its report, but for the gain, which it measures itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.search.measuring import Compared
from tunesmith.search.outcome import Finalist, SearchOutcome, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AsItWas:
    """The recipe before the search."""

    model: Path | None = None
    """None where the search kept the recipe as it was, or it can't be trained."""
    value: float | None = None
    """Of its model, as trials report it."""
    diverged: str | None = None
    """Why it can't be trained."""
    training: str | None = None
    """Key of its training: two searches with the same best may be compared with different recipes."""


def told_of(search_id: str, outcome: SearchOutcome, compared: Compared, before: AsItWas) -> dict[str, Any]:
    """As JSON. Values are those of the measure itself, whichever way it runs."""
    return {
        "id": search_id,
        "compared": {"name": compared.name, "less_is_better": compared.signed(1.0) < 0, "sentence": compared.sentence},
        "count": len(outcome.trials),
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "stopped": outcome.stopped,
        "best": outcome.best.number,
        "trials": [_trial(one, compared) for one in outcome.trials],
        "finalists": [_finalist(one, compared) for one in outcome.finalists],
        "importance": dict(outcome.importance),
        "importance_note": outcome.importance_note,
        "as_it_was": {
            "model": None if before.model is None else str(before.model),
            "value": _plain(before.value, compared),
            "diverged": before.diverged,
            "training": before.training,
        },
    }


def tells_the_same(told: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rounds were told of the same search, as far as it had come, and of the same recipe before it: then they have one gain and one card."""
    before = [(one.get("as_it_was") or {}).get("training") for one in (told, other)]
    return before[0] == before[1] and all(told.get(name) == other.get(name) for name in ("id", "count", "best", "trials", "finalists"))


def without_gain(told: Mapping[str, Any]) -> str:
    """What is said where the best has had a round that no search was told of, and there is no model to compare it with."""
    diverged = told["as_it_was"]["diverged"]
    if diverged is not None:
        return f"What the search gained can't be told: the recipe as it was can't be trained. {diverged}"
    return f"Of {told['count']} trials none did better on the select rows than the recipe as it was, whose round was finished before."


def _trial(trial: TrialRecord, compared: Compared) -> dict[str, Any]:
    return {
        "number": trial.number,
        "settings": dict(trial.settings),
        "value": _plain(trial.measured.value, compared),
        "pruned": trial.measured.pruned,
        "steps": trial.measured.steps,
    }


def _finalist(one: Finalist, compared: Compared) -> dict[str, Any]:
    return {
        "number": one.first.number,
        "values": [_plain(trial.measured.value, compared) for trial in one.trials],
        "mean": _plain(one.mean, compared),
        "spread": one.spread,
    }


def _plain(value: float | None, compared: Compared) -> float | None:
    return None if value is None else compared.plain(value)
