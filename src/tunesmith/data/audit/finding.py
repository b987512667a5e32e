"""What a figure claims, and which claims stand: large enough to matter, and beyond chance after correction for all that was tested."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.score.several import holm


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A difference that passes its threshold. Whether it stands is decided among all claims."""

    what: str
    """The kind of bias and of figure: `label.group_terms`, `sampling.reference`, ..."""
    about: tuple[str, ...]
    """What it is of; of claims about the same, the surest is told and the others are named in `also`."""
    sentence: str
    """For people."""
    rows: int
    """How many rows it rests on."""
    mitigation: tuple[str, ...]
    """Names in `mitigation.MITIGATIONS`, the most fitting first."""
    figure: float | None = None
    interval: tuple[float, float] | None = None
    """95%."""
    p: float | None = None
    """Of no difference; None for facts about the set itself, such as a count."""
    label: str | None = None
    """The label it is of."""
    weighted: float | None = None
    """The same figure with weights and made rows counted, as training sees the rows; None where that is no different."""
    threshold: float | None = None
    """What `weighted` is measured by: under it, the difference is mitigated."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one kind of figure tells."""

    told: dict[str, Any]
    """JSON-able."""
    claims: Sequence[Claim] = ()
    tested: int = 0
    """Hypotheses tested, those that make no claim too."""


@dataclass(slots=True)
class _Standing:
    claim: Claim
    adjusted: float | None
    also: list[str] = field(default_factory=list)


def findings_of(figures: Iterable[Figure], level: float) -> list[dict[str, Any]]:
    """The claims that stand (Holm over every hypothesis of all figures), facts first, then the surest; one for each thing they are about."""
    figures = list(figures)
    claims = [claim for figure in figures for claim in figure.claims]
    tested = [claim for claim in claims if claim.p is not None]
    adjusted = holm([claim.p for claim in tested if claim.p is not None], sum(figure.tested for figure in figures))
    standing = [_Standing(claim, None) for claim in claims if claim.p is None]
    held: dict[tuple[str, tuple[str, ...]], _Standing] = {}
    order = sorted(range(len(tested)), key=lambda at: (adjusted[at], tested[at].p, -abs(tested[at].figure or 0.0)))
    for at in order:
        claim = tested[at]
        if adjusted[at] > level:
            continue
        first = held.setdefault((claim.what, claim.about), _Standing(claim, adjusted[at]))
        if first.claim is not claim and claim.label is not None and len(first.also) < 10:
            first.also.append(claim.label)
    return [_json(each) for each in (*standing, *held.values())]


def _json(standing: _Standing) -> dict[str, Any]:
    claim = standing.claim
    told: dict[str, Any] = {
        "what": claim.what,
        "about": list(claim.about),
        "label": claim.label,
        "figure": claim.figure,
        "interval": None if claim.interval is None else list(claim.interval),
        "rows": claim.rows,
        "p": standing.adjusted,
        "also": standing.also,
        "sentence": claim.sentence,
        "mitigation": list(claim.mitigation),
    }
    if claim.weighted is not None and claim.threshold is not None:
        told |= {"weighted": claim.weighted, "mitigated": abs(claim.weighted) < claim.threshold}
    return told
