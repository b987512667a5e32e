"""Sketches of traffic: what is known of many answers together, and of none alone, so that two stretches of time can be compared.

Each answer falls into one bin of every variable (its length, its share of unknown words, where it lies along some directions of meaning,
its label, its confidence). A sketch counts bins in up to `BOXES` boxes; all answers to one user, or to one text where no user is named,
fall into the same box, so that what comes from few users is not taken for many (`score.drift`). What is kept is folded until every box
holds at least `LEAST` answers: no bin of a single answer is told, and no text can be tried against it.

Costs some 60 microseconds a short question with its answer. Legend: B boxes, K bins of all variables side by side, H hashes, J directions.
"""

import base64
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.hashing import digest

BOXES = 32
LEAST = 10
"""Answers that stand together at least in each figure that is kept."""
HASHES = 512
DIRECTIONS = 16
MOST_LABELS = 256
_VOCABULARY_BITS = 1 << 16
_ROWS_OF_A_WORD = 3
"""A word is known from so many rows on: what one person alone wrote leaves no trace."""
_READ = 4000
"""Characters of a text that are looked at."""
_WORD = re.compile(r"\w+")
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Variable:
    """Something of an answer that falls into bins."""

    name: str
    signal: str
    """What it is a part of: length, vocabulary, embedding, labels, answers, confidence."""
    edges: tuple[float, ...] = ()
    """Between bins, rising; a value at an edge lies below it. Bins have an order."""
    labels: tuple[str, ...] = ()
    """One bin each and one for all others, without an order; instead of edges."""

    @property
    def bins(self) -> int:
        """How many."""
        return (len(self.labels) or len(self.edges)) + 1

    def bin(self, value: float) -> int:
        """Where a number falls."""
        return bisect_left(self.edges, value)


@dataclass(frozen=True)
class Frame:
    """What answers are measured against: made of the training rows, and kept with the model. Holds no words."""

    variables: tuple[Variable, ...]
    known: bytes = b""
    """One bit a hash of words that several training rows hold; empty: words are not looked at."""
    directions_HJ: NDArray[np.int8] = field(default_factory=lambda: np.zeros((HASHES, 0), np.int8))

    @cached_property
    def starts(self) -> dict[str, int]:
        """Where the bins of each variable begin."""
        ends = np.cumsum([0, *(one.bins for one in self.variables)])
        return {one.name: int(start) for one, start in zip(self.variables, ends, strict=False)}

    @property
    def bins(self) -> int:
        """Of all variables together."""
        return sum(one.bins for one in self.variables)

    @cached_property
    def id(self) -> str:
        """Sketches of one frame can be added."""
        return digest(self.to_json())[:16]

    @cached_property
    def _by_name(self) -> dict[str, Variable]:
        return {one.name: one for one in self.variables}

    @cached_property
    def _along_HJ(self) -> NDArray[np.float32]:
        return self.directions_HJ.astype(np.float32)

    def of_text(self, text: str, length: int | None = None) -> list[int]:
        """The bins of what was asked; `length`: characters of the whole, where `text` is only its beginning."""
        read = text[:_READ]
        found = {"length": float(len(text) if length is None else length)}
        if self.known:
            hashes = word_hashes(read)
            found["unknown"] = unknown_share(hashes, self.known)
            values = bag(hashes) @ self._along_HJ
            found |= {f"direction.{at}": value for at, value in enumerate(values.tolist())}
        return self._bins(found)

    def of_answer(self, answer: str | None, label: str | None, confidence: float | None) -> list[int]:
        """The bins of what was answered."""
        found: dict[str, float] = {}
        if confidence is not None:
            found["confidence"] = round(confidence, DIGITS)
        if label is None and answer is not None:
            found["answer"] = float(len(answer))
        made = self._bins(found)
        if label is not None and "label" in self._by_name:
            labels = self._by_name["label"].labels
            made.append(self.starts["label"] + (labels.index(label) if label in labels else len(labels)))
        return made

    def _bins(self, found: dict[str, float]) -> list[int]:
        return [self.starts[name] + self._by_name[name].bin(value) for name, value in found.items() if name in self._by_name]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        variables = [
            {"name": one.name, "signal": one.signal, "edges": list(one.edges), "labels": list(one.labels)} for one in self.variables
        ]
        directions = {"count": self.directions_HJ.shape[1], "values": base64.b64encode(self.directions_HJ.tobytes()).decode()}
        return {"variables": variables, "known": base64.b64encode(self.known).decode(), "directions": directions}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse; KeyError, TypeError or ValueError where it can't be meant."""
        variables = tuple(
            Variable(str(one["name"]), str(one["signal"]), tuple(map(float, one["edges"])), tuple(map(str, one["labels"])))
            for one in value["variables"]
        )
        known = base64.b64decode(value["known"], validate=True)
        flat = np.frombuffer(base64.b64decode(value["directions"]["values"], validate=True), np.int8)
        if len(known) not in (0, _VOCABULARY_BITS // 8):
            raise ValueError("the vocabulary is not as long as it should be")
        return cls(variables, known, flat.reshape(HASHES, int(value["directions"]["count"])))


@dataclass(frozen=True)
class Sketch:
    """Counts over one or several stretches of time, in boxes."""

    counts: tuple[Counts, ...]
    """Each B x K; parts with different B have no box in common."""

    @classmethod
    def empty(cls, bins: int) -> Self:
        """One to be counted into."""
        return cls((np.zeros((BOXES, bins), np.int64),))

    def count(self, box: int, bins: Sequence[int]) -> None:
        """One answer, or a part of it; no bin twice."""
        self.counts[0][box, bins] += 1

    @property
    def units_UK(self) -> Counts:
        """All boxes that hold something."""
        whole = np.concatenate(self.counts)
        kept: Counts = whole[whole.any(axis=1)]
        return kept

    def __add__(self, other: "Sketch") -> "Sketch":
        """Both: boxes of equal fineness are the same boxes."""
        by_size: dict[int, Counts] = {}
        for part in (*self.counts, *other.counts):
            by_size[len(part)] = by_size[len(part)] + part if len(part) in by_size else part
        return Sketch(tuple(by_size.values()))

    def folded(self, first: int) -> "Sketch | None":
        """Coarser, until each box holds `LEAST` answers or none; None where all together are too few.

        Args:
            first: bins of the first variable, into which every answer falls.
        """
        made = []
        for part in self.counts:
            while True:
                held = part[:, :first].sum(axis=1)
                if not ((held > 0) & (held < LEAST)).any():
                    made.append(part)
                    break
                if len(part) == 1:
                    return None
                part = part[: len(part) // 2] + part[len(part) // 2 :]
        return Sketch(tuple(made))

    def to_json(self) -> list[list[list[int]]]:
        """As JSON values."""
        return [part.tolist() for part in self.counts]

    @classmethod
    def from_json(cls, value: Any, bins: int) -> Self:
        """The reverse; ValueError where it can't be meant."""
        parts = tuple(np.asarray(part, dtype=np.int64) for part in value)
        if any(part.ndim != 2 or part.shape[1] != bins or (part < 0).any() for part in parts):
            raise ValueError("the counts don't fit their frame")
        return cls(parts)


def box_of(who: str, text: str) -> int:
    """The box of an answer: its user's, or that of the text where nobody is named."""
    return crc32((f"u{who}" if who else f"t{text}").encode("utf-8", "replace")) % BOXES


def word_hashes(text: str) -> NDArray[np.int64]:
    """A hash of each distinct word."""
    words = set(_WORD.findall(text.casefold()))
    return np.fromiter((crc32(word.encode("utf-8", "replace")) for word in words), np.int64, len(words))


def unknown_share(hashes: NDArray[np.int64], known: bytes) -> float:
    """Share of distinct words that training rows did not hold; 0 of no words."""
    if not len(hashes):
        return 0.0
    at = hashes % _VOCABULARY_BITS
    bits = np.frombuffer(known, np.uint8)[at >> 3] >> (at & 7).astype(np.uint8) & 1
    return 1 - float(bits.mean())


def bag(hashes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The words of a text as H numbers of length 1 (Weinberger et al., 2009: hashed with signs)."""
    made = np.zeros(HASHES, np.float32)
    np.add.at(made, hashes >> 8 & HASHES - 1, np.where(hashes >> 20 & 1, np.float32(1), np.float32(-1)))
    length = float(np.linalg.norm(made))
    return made / length if length else made


def quantile_edges(values: Sequence[float], parts: int) -> tuple[float, ...]:
    """Edges that part values into as many alike; fewer where values repeat."""
    edges = sorted({float(edge) for edge in np.quantile(np.asarray(values, float), np.arange(1, parts) / parts, method="lower")})
    return tuple(edge for edge in edges if edge < max(values))


def plain_frame(labels: Sequence[str] | None) -> Frame:
    """The frame of a model whose training rows are not known: fixed edges, no words."""
    found = [
        Variable("length", "length", tuple(float(2**power) for power in range(3, 13))),
        Variable("confidence", "confidence", (*(round(0.1 * at, 1) for at in range(1, 10)), 0.95, 0.99)),
    ]
    if labels:
        found.append(Variable("label", "labels", labels=tuple(labels)[:MOST_LABELS]))
    else:
        found.append(Variable("answer", "answers", tuple(float(2**power) for power in range(3, 13))))
    return Frame(tuple(found))


def frame_of(texts: Sequence[str], confidences: Sequence[float], answers: Sequence[str], labels: Sequence[str] | None) -> Frame:
    """A model's frame.

    Args:
        texts: what training rows ask, at least two.
        confidences: of the model in held-out rows; may be empty.
        answers: what it said to them, where it writes; else empty.
        labels: those it knows, where it has some.
    """
    hashes = [word_hashes(text[:_READ]) for text in texts]
    known = _known(hashes)
    bags_RH = np.stack([bag(one) for one in hashes])
    directions_HJ = _directions(bags_RH)
    along_RJ = bags_RH @ directions_HJ.astype(np.float32)
    found = [Variable("length", "length", quantile_edges([len(text) for text in texts], 10))]
    unknown = [unknown_share(one, known) for one in hashes]
    found.append(Variable("unknown", "vocabulary", tuple(sorted({0.0, *quantile_edges([*unknown, 1.0], 8), 0.2, 0.4}))))
    found += [
        Variable(f"direction.{at}", "embedding", quantile_edges(along_RJ[:, at].tolist(), 4)[::2]) for at in range(directions_HJ.shape[1])
    ]
    if confidences:
        found.append(Variable("confidence", "confidence", quantile_edges([round(one, DIGITS) for one in confidences], 10)))
    if labels:
        found.append(Variable("label", "labels", labels=tuple(labels)[:MOST_LABELS]))
    elif answers:
        found.append(Variable("answer", "answers", quantile_edges([len(answer) for answer in answers], 10)))
    return Frame(tuple(one for one in found if one.bins > 1 or one.name == "length"), known, directions_HJ)


def _known(hashes: Sequence[NDArray[np.int64]]) -> bytes:
    """Words that several rows hold, as bits."""
    if not any(len(one) for one in hashes):
        return bytes(_VOCABULARY_BITS // 8)
    found, rows = np.unique(np.concatenate(hashes), return_counts=True)
    bits = np.zeros(_VOCABULARY_BITS, np.uint8)
    bits[found[rows >= _ROWS_OF_A_WORD] % _VOCABULARY_BITS] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def _directions(bags_RH: NDArray[np.float32]) -> NDArray[np.int8]:
    """The directions along which the rows differ most (principal components), in 127 steps."""
    centred = bags_RH - bags_RH.mean(axis=0)
    _, vectors_HH = np.linalg.eigh(centred.T @ centred)
    chosen_HJ = vectors_HH[:, ::-1][:, : min(DIRECTIONS, max(1, len(bags_RH) - 1))]
    chosen_HJ = chosen_HJ * np.sign(chosen_HJ[np.abs(chosen_HJ).argmax(axis=0), np.arange(chosen_HJ.shape[1])])  # one sign of the two
    steps: NDArray[np.int8] = np.round(chosen_HJ / np.abs(chosen_HJ).max(axis=0) * 127).astype(np.int8)
    return steps


DIGITS = 3
"""Of a confidence that count: what stands beside a request in its batch moves a confidence by rounding errors, and no edge may lie among those."""
