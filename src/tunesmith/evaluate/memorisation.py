"""Memorisation: what a model has of its training rows by heart, put together; and whether they can be told by its likelihood.

Membership inference by loss (Yeom et al., 2018), and by loss less the base's, which takes away what makes a row easy for any
model (Carlini et al., 2022, compare with reference models alike). Both need rows of the same source that were not trained
on: the sides held out. An area of 0.5 says that this attack fails, not that no other would succeed. Costs one forward pass
over at most `rows` rows of either kind, for each model. `verbatim`, `personal` and `canaries` ask the other questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.evaluate.canaries import CanaryReport
from tunesmith.evaluate.general import folded, sample
from tunesmith.evaluate.likelihood import RowScorer
from tunesmith.evaluate.personal import PersonalOutputs, personal_sentence
from tunesmith.evaluate.verbatim import Verbatim
from tunesmith.score.measures import Floats
from tunesmith.score.resampling import units
from tunesmith.score.separation import Separation, separation


@dataclass(frozen=True, slots=True, kw_only=True)
class BothSides:
    """Rows that were trained on, and rows of the same source that were not."""

    trained: tuple[Row, ...]
    unseen: tuple[Row, ...]
    groups: tuple[str, ...] | None
    """The group of each row, trained ones first; every row its own where absent."""
    twins: int
    """Held-out rows left out because a training row says the same."""


def both_sides(
    train: Sequence[Row], held_out: Sequence[Row], count: int, *, seed: int, groups: Mapping[str, str] | None = None
) -> BothSides:
    """At most `count` rows of either side, drawn at random; held-out rows that say what a training row says are left out.

    Args:
        train: the rows that were trained on, instruction included.
        held_out: rows of the same source that were not.
        count: most rows of either.
        seed: of the recipe.
        groups: row id -> group, where rows of a group aren't independent.

    Raises:
        DataError: nothing is left of a side.
    """
    known = {_said(row) for row in train}
    fresh = [row for row in held_out if _said(row) not in known]
    if not train or not fresh:
        raise DataError(f"{len(train)} training rows and {len(fresh)} others that differ from them: memorisation needs some of each.")
    trained = sample(train, count, derive_seed(seed, "memorisation", "trained"))
    unseen = sample(fresh, count, derive_seed(seed, "memorisation", "unseen"))
    names = units([row.id for row in (*trained, *unseen)], groups)
    return BothSides(
        trained=tuple(trained), unseen=tuple(unseen), groups=None if names is None else tuple(names), twins=len(held_out) - len(fresh)
    )


def _said(row: Row) -> str:
    return folded("\n".join([*(turn.content for turn in row.prompt), row.answer]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How well training rows can be told from rows that were held out."""

    loss: Separation
    """By the tuned model's loss a token."""
    less_base: Separation | None
    """By that loss less the base's; None where the base's is not known."""

    @property
    def worst(self) -> Separation:
        """The attack that works better."""
        return max((one for one in (self.loss, self.less_base) if one is not None), key=lambda one: one.auc.value)

    @property
    def told(self) -> bool:
        """Some attack works; each is tried at one-sided 2.5%, so that chance alone says so at most one time in twenty."""
        return any(one is not None and one.told for one in (self.loss, self.less_base))

    @property
    def sentence(self) -> str:
        """For people."""
        area = self.worst.auc
        opening = (
            "Training rows can be told from others by the model's likelihood" if self.told else "Training rows can't be told from others"
        )
        by = "loss less the base's" if self.worst is self.less_base else "loss"
        return f"{opening}: AUC {area.value:.3f} by {by} (95% interval {area.low:.3f} to {area.high:.3f}; 0.5 is chance)."

    def to_json(self) -> dict[str, Any]:
        """The report's `membership`."""
        return asdict(self) | {"told": self.told, "sentence": self.sentence}


def row_logps_a_token(score: RowScorer, rows: Sequence[Row]) -> Floats:
    """The mean log-probability of each row's answer a token, [R]: minus its loss. DataError where a row has no token to predict."""
    sums, tokens = score(rows)
    empty = int(np.count_nonzero(tokens == 0))
    if empty:
        raise DataError(f"{empty} of {len(rows)} rows have no token that a model could predict: leave rows without an answer out.")
    return sums / tokens


def membership(tuned: tuple[Floats, Floats], base: tuple[Floats, Floats] | None = None, groups: Sequence[str] | None = None) -> Membership:
    """Compare training rows with held-out ones.

    Args:
        tuned: log-probabilities a token under the tuned model, of training rows and of held-out rows.
        base: the same under the base, of the same rows in the same order.
        groups: the group of each row, training rows first; where rows of one customer or document depend on one another.

    Raises:
        DataError: a side without rows, sides of other lengths, or a likelihood that is no number.
    """
    if base is not None and [len(side) for side in base] != [len(side) for side in tuned]:
        raise DataError("Base and tuned model were asked about different rows: give both the same training and held-out rows.")
    less = None if base is None else separation(tuned[0] - base[0], tuned[1] - base[1], groups)
    return Membership(loss=separation(tuned[0], tuned[1], groups), less_base=less)


def membership_of(rows: BothSides, tuned: RowScorer, base: RowScorer | None = None) -> Membership:
    """Score both sides under the tuned model, and under the base where there is one to score them, and compare. Raises as `membership` does."""
    scored = [
        None if score is None else (row_logps_a_token(score, rows.trained), row_logps_a_token(score, rows.unseen))
        for score in (tuned, base)
    ]
    assert scored[0] is not None
    return membership(scored[0], scored[1], rows.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation:
    """All that was looked at; None where it was not."""

    membership: Membership | None = None
    verbatim: Verbatim | None = None
    personal: PersonalOutputs | None = None
    personal_base: PersonalOutputs | None = None
    """The base's answers to the same prompts."""
    canaries: CanaryReport | None = None
    """Of the twin."""
    notes: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[str, ...]:
        """What was learned by heart, in sentences: rows repeated word for word, personal data given out that the base doesn't, canaries exposed.

        Membership alone raises none: nearly every model that was trained for long gives its rows away by their loss.
        """
        return tuple(sentence for alarming, sentence in self._told() if alarming)

    @property
    def alarm(self) -> bool:
        """Whether something was learned by heart."""
        return bool(self.alarms)

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people, the gravest first."""
        told = self._told()
        calm = [sentence for alarming, sentence in told if not alarming]
        return (*self.alarms, *calm, *(() if self.membership is None else (self.membership.sentence,)))

    def _told(self) -> list[tuple[bool, str]]:
        """Each thing looked at but membership: whether it alarms, and its sentence."""
        found: list[tuple[bool, str]] = []
        if self.verbatim is not None:
            found.append((self.verbatim.found, self.verbatim.sentence))
        if self.personal is not None:
            found.append((self.personal.alarming, personal_sentence(self.personal, self.personal_base)))
        if self.canaries is not None:
            found.append((self.canaries.learned_from is not None, self.canaries.sentence))
        return found

    def to_json(self) -> dict[str, Any]:
        """The report's `memorisation`."""
        parts = ("membership", "verbatim", "personal", "personal_base", "canaries")
        held = {name: None if getattr(self, name) is None else getattr(self, name).to_json() for name in parts}
        return held | {"alarm": self.alarm, "alarms": len(self.alarms), "sentences": list(self.sentences), "notes": list(self.notes)}
