"""Forgetting: what the base knew and the tuned model no longer does, by general text and by questions of common knowledge.

Perplexity of both models on the same windows of the same documents, with the rise and its interval; answers of both to the
same questions, with a paired test. Costs one forward pass over the documents and one a question, for each model; a reading of
a base can be kept and used again. Both must be given the same general text: what one read is compared only with what the
other read.

A model that ends in a head writes no text. Over a frozen trunk nothing changed at all; over one that was trained, what the
trunk forgot shows nowhere, and is said to be unmeasured.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.hashing import digest
from tunesmith.evaluate.general import General, Probe
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.evaluate.verdict import Gate
from tunesmith.score.intervals import TAIL, Interval, share_interval
from tunesmith.score.paired import Comparison, compare_right, mcnemar
from tunesmith.score.rise import Rise, rise

FEW = 20
"""Fewer independent documents than this are called few."""

Outcome = Literal["kept", "forgot", "unclear", "unchanged", "unmeasured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralReading:
    """What one model made of the general material; plain values, to be kept as JSON."""

    material: str
    """Digest of the ids that were read and asked about."""
    logps: tuple[float, ...]
    """Natural log-probability of each document."""
    tokens: tuple[int, ...]
    picks: tuple[int, ...]
    """The choice it takes for each question."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of `to_json`."""
        held: dict[str, Any] = {name: tuple(value[name]) for name in ("logps", "tokens", "picks")}
        return cls(material=value["material"], **held)


def read_general(model: Likelihood, general: General) -> GeneralReading:
    """Let a model read the documents and answer the questions.

    Raises:
        DataError: a likelihood of a choice that is no number, a conversation that can't be made to fit.
    """
    none = np.zeros(0)
    logps, tokens = model.texts(general.documents) if general.documents else (none, none)
    return GeneralReading(
        material=digest_of(model, general),
        logps=tuple(logps.tolist()),
        tokens=tuple(int(count) for count in tokens),
        picks=tuple(model.picks(general.probes)),
    )


def digest_of(model: Likelihood, general: General) -> str:
    """Names the material as a model reads it: the same where the same ids are read in the same windows and the same answers asked for."""
    read = [[list(part.ids) for part in parts] for parts in model.windows(general.documents)]
    return digest([read, [model.asked(probe) for probe in general.probes]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """Answers of base and tuned model to the same questions."""

    base: Interval
    """Share of right answers, 95% interval."""
    tuned: Interval
    against: Comparison
    """The tuned model's improvement; negative where it is worse."""
    p_loss: float
    """One-sided: how probable so many lost answers are if none is lost (McNemar, exact)."""
    retained: Interval | None
    """Of the answers the base has right, the share the tuned model has right too; None where it has none."""
    chance: float
    """Share of right answers of a model that guesses."""
    questions: int

    @property
    def is_loss(self) -> bool:
        """Fewer right answers at one-sided 2.5%, by interval and by test."""
        return self.against.is_loss and self.p_loss <= TAIL

    @property
    def telling(self) -> bool:
        """Whether the base does better than guessing: else it has nothing here to forget."""
        return self.base.low > self.chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What was found, and how it is said."""

    outcome: Outcome
    """`kept`: the interval ends within the tolerance, no answers lost; `forgot`: it begins beyond it, or answers were lost, each at
    one-sided 2.5%, so that chance alone says so at most one time in twenty."""
    sentence: str
    notes: tuple[str, ...] = ()
    rise: Rise | None = None
    probing: Probing | None = None

    @property
    def alarm(self) -> bool:
        """Whether people must be told before anything else."""
        return self.outcome == "forgot"

    def to_json(self) -> dict[str, Any]:
        """The report's `forgetting`."""
        found = asdict(self)
        if self.rise is not None:
            found["rise"]["retained"] = asdict(self.rise.retained)
        return found


def forgetting(base: GeneralReading, tuned: GeneralReading, general: General, *, tolerance: float) -> Forgetting:
    """Compare what base and tuned model made of the same material.

    Args:
        base: the base's reading.
        tuned: the tuned model's.
        general: the material.
        tolerance: a relative rise of perplexity that is still called nothing lost.

    Raises:
        DataError: the two read different material, there is nothing to compare, or a likelihood is no number.
    """
    if base.material != tuned.material:
        raise DataError("Base and tuned model read different general text: let both read the same documents in the same windows.")
    if not general.documents and not general.probes:
        raise DataError("There is nothing to see forgetting by: name general text, or probes.")
    found, probing = None, None
    if general.documents:
        found = rise(np.array(base.logps), np.array(tuned.logps), np.array(tuned.tokens, dtype=np.float64), general.groups)
    if general.probes:
        probing = _probing(base.picks, tuned.picks, general.probes)
    outcome = _outcome(found, probing, tolerance)
    return Forgetting(
        outcome=outcome,
        sentence=_sentence(outcome, found, probing),
        notes=(*general.notes, *_notes(found, probing)),
        rise=found,
        probing=probing,
    )


def headed(*, frozen: bool) -> Forgetting:
    """What is said of a model that ends in a head. `frozen`: nothing but the head was trained (`method.name: features`)."""
    if frozen:
        return Forgetting(
            outcome="unchanged", sentence="Nothing was forgotten: only a head was trained, and the base beneath it is as it was."
        )
    sentence = "Forgetting was not measured: the model ends in a head and writes no text, so there is no general text to find likely."
    return Forgetting(outcome="unmeasured", sentence=sentence)


def forgetting_gate(found: Forgetting, bound: float) -> Gate | None:
    """`gates.forgetting`: the upper end of the rise of perplexity must not pass it; None where no perplexity was measured."""
    if found.outcome == "unchanged":
        return Gate(name="forgetting", bound=bound, value=0.0, holds=bound >= 0.0)
    if found.rise is None:
        return None
    value = found.rise.relative.high
    return Gate(name="forgetting", bound=bound, value=value, holds=value <= bound)


def _probing(base: Sequence[int], tuned: Sequence[int], probes: Sequence[Probe]) -> Probing:
    right = np.array([probe.right for probe in probes])
    before, after = np.array(base) == right, np.array(tuned) == right
    wins, losses, count = int((after & ~before).sum()), int((before & ~after).sum()), len(probes)
    known = int(before.sum())
    return Probing(
        base=share_interval(float(known), float(count)),
        tuned=share_interval(float(after.sum()), float(count)),
        against=compare_right(wins, losses, count),
        p_loss=mcnemar(losses, wins),
        retained=share_interval(float(known - losses), float(known)) if known else None,
        chance=float(np.mean([1 / len(probe.choices) for probe in probes])),
        questions=count,
    )


def _outcome(found: Rise | None, probing: Probing | None, tolerance: float) -> Outcome:
    if (found is not None and found.relative.low > tolerance) or (probing is not None and probing.is_loss):
        return "forgot"
    if found is not None:
        return "kept" if found.relative.high <= tolerance else "unclear"
    return "kept" if probing is not None and probing.against.low >= -tolerance else "unclear"


_OPENINGS: dict[Outcome, str] = {
    "forgot": "The tuned model has forgotten some of what the base knew",
    "kept": "No forgetting was found",
    "unclear": "Whether the tuned model has forgotten anything is not clear",
}


def _sentence(outcome: Outcome, found: Rise | None, probing: Probing | None) -> str:
    """The outcome, then its numbers."""
    told = []
    if found is not None:
        value, low, high = (_percent(end) for end in (found.relative.value, found.relative.low, found.relative.high))
        told.append(
            f"perplexity on {found.documents} general documents went from {_number(found.base)} to {_number(found.tuned)}, "
            f"{value} (95% interval {low} to {high})"
        )
    if probing is not None:
        told.append(
            f"of {probing.questions} questions of common knowledge it has {probing.tuned.value:.1%} right, the base {probing.base.value:.1%}"
            f" (p = {probing.p_loss:.2g} for a loss)"
        )
    return f"{_OPENINGS[outcome]}: {'; '.join(told)}."


def _number(perplexity: float) -> str:
    """A perplexity for people: 45.6, 34,760; in powers of ten from a million."""
    return f"{perplexity:.1f}" if perplexity < 1000 else f"{perplexity:,.0f}" if perplexity < 1e6 else f"{perplexity:.1e}"


def _percent(share: float) -> str:
    """A signed percentage: +4.2%, -0.3%, +35,000%; in powers of ten from ten thousand times."""
    if share >= 1e4:
        return f"+{share * 100:.1e}%"
    return f"{share * 100:+,.0f}%" if share >= 10 else f"{round(share * 100, 1) + 0.0:+.1f}%"


def _notes(found: Rise | None, probing: Probing | None) -> list[str]:
    """What weakens the figures."""
    notes = []
    if found is not None and found.units < FEW:
        notes.append(f"General text of {found.units} independent documents is little: the interval may well miss.")
    if found is not None and found.units < found.documents:
        notes.append(f"{found.documents} general documents come in {found.units} groups; the interval counts groups.")
    if probing is not None and not probing.telling:
        notes.append(
            f"The base itself does no better than guessing on the questions ({probing.base.value:.1%} right, {probing.chance:.1%} by guessing): "
            "they can't show that anything was forgotten."
        )
    return notes
