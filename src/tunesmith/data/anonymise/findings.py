"""What is found in a text, and what becomes of findings that overlap. Costs next to nothing; finding them is the other modules' work."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KINDS = ("person", "email", "phone", "address", "card", "iban", "id", "ip", "url", "birth_date", "secret")
"""The kinds of personal data; `id` is any national number, licence or passport."""

_ORDER = {
    kind: place
    for place, kind in enumerate(("secret", "email", "iban", "card", "ip", "url", "birth_date", "id", "address", "phone", "person"))
}
"""Which of two that overlap and are equally sure is believed: the one of stricter form."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end - 1` of a text hold personal data."""

    start: int
    end: int
    kind: str
    """One of `KINDS`."""
    confidence: float
    """0 to 1: 0.9 and above where a checksum or a form says so, less where only the words around it do."""


def settle(found: Iterable[Finding], text: str) -> list[Finding]:
    """Findings in order, none over another. The surer one stays whole; what another covers beyond it stays as a piece of its own."""
    kept: list[Finding] = []
    for finding in sorted(found, key=_rank):
        place = bisect_left(kept, finding.start, key=lambda other: other.end - 1)
        here = finding.start
        pieces: list[tuple[int, int]] = []
        last = place
        while last < len(kept) and kept[last].start < finding.end:
            pieces.append((here, kept[last].start))
            here = kept[last].end
            last += 1
        pieces.append((here, finding.end))
        for low, high in reversed(pieces):
            if low < high and (piece := _trimmed(finding, low, high, text)):
                insort(kept, piece, key=lambda other: other.start)
    return kept


def _rank(finding: Finding) -> tuple[int, int, int, int]:
    return (-round(finding.confidence * 10), _ORDER[finding.kind], finding.start - finding.end, finding.start)


def _trimmed(finding: Finding, low: int, high: int, text: str) -> Finding | None:
    """The finding cut down to these bounds, without the marks and spaces at its ends; None where no letter or digit is left."""
    if (low, high) == (finding.start, finding.end):
        return finding
    while low < high and not text[low].isalnum():
        low += 1
    while high > low and not text[high - 1].isalnum():
        high -= 1
    return Finding(low, high, finding.kind, finding.confidence) if high > low else None


def tagged(text: str, findings: Sequence[Finding]) -> str:
    """The text with the kind of each finding in its place, as `[PERSON]`: what a report may show of it."""
    parts, here = [], 0
    for finding in findings:
        parts += [text[here : finding.start], tag(finding.kind)]
        here = finding.end
    return "".join([*parts, text[here:]])


def tag(kind: str) -> str:
    """What stands in a text for a value of this kind: `[PERSON]`. Plain characters, never a control token of a model."""
    return f"[{kind.upper()}]"
