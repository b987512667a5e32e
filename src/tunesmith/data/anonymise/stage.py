"""The stage: personal data of rows replaced, in every text of a row and in its other columns.

One outcome per row. Spans (`Row.tags`) move with the text; labels, values and a label's answer stay. The id stays: it is a hash of
what was read, keyed with the secret that stand-ins are drawn with, or else whoever has
an id could test a guess of what stood there. About three thousand short texts a second on one core; memory does not grow with the rows.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row, Span
from tunesmith.data.anonymise.find import find
from tunesmith.data.anonymise.findings import Finding, tag, tagged
from tunesmith.data.anonymise.mapping import MapFile
from tunesmith.data.anonymise.pseudonyms import Pseudonyms
from tunesmith.data.settings.anonymise import AnonymiseConfig
from tunesmith.score.meanings import write_spans

Recogniser = Callable[[Sequence[str]], Sequence[Sequence[Finding]]]
"""Texts to what a model finds in each: offsets in characters, kinds of `KINDS`."""
_BATCH_ROWS = 32
_DEEPEST = 32


class Anonymiser:
    """Replaces personal data; `counts` says how many values of each kind so far, and nothing else of them.

    Args:
        config: what becomes of which kind.
        seed: of the recipe; stand-ins follow from it where no key is given.
        key: drawn with instead; at least 16 bytes.
        recogniser: a model's findings, joined to those of the rules.
        labels: whether the answers of these rows are labels, which are never rewritten.
        grouped: columns that rows are grouped by: they get stand-ins even where the text gets tags, or all would fall into one group.
        apart: columns left as they are, as that of the label.
        map_file: where to note what stands for what.

    Raises:
        RecipeError: the key is too short.
    """

    def __init__(
        self,
        config: AnonymiseConfig,
        seed: int,
        *,
        key: bytes | None = None,
        recogniser: Recogniser | None = None,
        labels: bool = False,
        grouped: Collection[str] = (),
        apart: Collection[str] = (),
        map_file: MapFile | None = None,
    ) -> None:
        if key is not None and len(key) < 16:
            raise RecipeError(f"data.anonymise.key holds {len(key)} bytes, and stand-ins need at least 16: write 32 random bytes to it.")
        self.counts: Counter[str] = Counter()
        self._treatments = config.treatments()
        self.secret = key or sha256(f"tunesmith anonymise {seed}".encode()).digest()
        self._pseudonyms = Pseudonyms(self.secret)
        self._recogniser, self._labels = recogniser, labels
        self._grouped, self._apart, self._map = frozenset(grouped), frozenset(apart), map_file

    def apply(self, row: Row) -> tuple[Row, Counter[str]]:
        """The row with its personal data replaced, and how many values of each kind were; the same row where there were none."""
        return self.apply_all([row])[0]

    def apply_all(self, rows: Sequence[Row]) -> list[tuple[Row, Counter[str]]]:
        """Several rows at once, which lets a model look at their texts together."""
        texts = [text for row in rows for text in self._texts(row)]
        extra = dict(zip(texts, self._recogniser(texts), strict=True)) if self._recogniser and texts else {}
        return [self._applied(row, extra) for row in rows]

    def _texts(self, row: Row) -> list[str]:
        answers = [] if self._label(row) else [row.answer]
        return [turn.content for turn in row.prompt] + answers + ([] if row.rejected is None else [row.rejected])

    def _label(self, row: Row) -> bool:
        """Whether the answer is a label, a number or a rendering of spans."""
        return self._labels or row.labels is not None or row.value is not None or row.tags is not None

    def _applied(self, row: Row, extra: dict[str, Sequence[Finding]]) -> tuple[Row, Counter[str]]:
        counts: Counter[str] = Counter()
        read = row.text()
        prompt = tuple(Message(turn.role, self._written(turn.content, extra, counts)) for turn in row.prompt)
        rejected = None if row.rejected is None else self._written(row.rejected, extra, counts)
        answer = row.answer if self._label(row) and row.prompt else self._written(row.answer, extra, counts)
        if self._labels:
            answer = row.answer
        fields = {name: value if name in self._apart else self._column(name, value, counts) for name, value in row.fields.items()}
        if not counts:
            return row, counts
        self.counts += counts
        changed = replace(row.with_text(prompt, answer, rejected), fields=fields)
        if row.tags is not None:
            tags = moved(row.tags, self._found(read, extra), self._stand_ins(read, self._found(read, extra)))
            changed = replace(changed, tags=tags, answer=write_spans(changed.text(), tags) if row.answer and row.prompt else answer)
        return changed, counts

    def _found(self, text: str, extra: dict[str, Sequence[Finding]]) -> list[Finding]:
        return find(text, self._treatments, extra.get(text, ()))

    def _written(self, text: str, extra: dict[str, Sequence[Finding]], counts: Counter[str]) -> str:
        return self._replaced(text, self._found(text, extra), counts) if text else text

    def _stand_ins(self, text: str, findings: Sequence[Finding], shown: bool = False) -> list[str]:
        """What comes in the place of each finding; `shown` asks for stand-ins even where tags are wanted."""
        found = []
        for finding in findings:
            value = text[finding.start : finding.end]
            named = self._treatments[finding.kind] == "pseudonym" or (shown and finding.kind != "secret")
            found.append(self._pseudonym(finding.kind, value) if named else tag(finding.kind))
        return found

    def _pseudonym(self, kind: str, value: str) -> str:
        try:
            return self._pseudonyms.of(kind, value)
        except ValueError:  # a model's finding need not have the form of its kind
            return tag(kind)

    def _replaced(self, text: str, findings: Sequence[Finding], counts: Counter[str], shown: bool = False) -> str:
        parts, here = [], 0
        for finding, stand_in in zip(findings, self._stand_ins(text, findings, shown), strict=True):
            value = text[finding.start : finding.end]
            parts += [text[here : finding.start], stand_in]
            here = finding.end
            if stand_in != value:
                counts[finding.kind] += 1
                if self._map is not None and stand_in != tag(finding.kind):
                    self._map.note(finding.kind, value, stand_in)
        return "".join([*parts, text[here:]])

    def _column(self, name: str, value: Any, counts: Counter[str], depth: int = 0) -> Any:
        """A column's strings, at any depth; its name is read as what introduces them (`name: ...`, `phone: ...`)."""
        if isinstance(value, str):
            intro = f"{name}: ".replace("_", " ")
            findings = [
                Finding(max(0, found.start - len(intro)), found.end - len(intro), found.kind, found.confidence)
                for found in find(intro + value, self._treatments)
                if found.end > len(intro)
            ]
            return self._replaced(value, findings, counts, shown=name in self._grouped)
        if depth < _DEEPEST and isinstance(value, list | tuple):
            return type(value)(self._column(name, part, counts, depth + 1) for part in value)
        if depth < _DEEPEST and isinstance(value, dict):
            return {key: self._column(str(key), part, counts, depth + 1) for key, part in value.items()}
        return value


def moved(spans: Sequence[Span], findings: Sequence[Finding], stand_ins: Sequence[str]) -> tuple[Span, ...]:
    """Spans after findings were replaced: one that begins or ends inside a finding takes in all that stands for it."""
    found: list[Span] = []
    shift, place = 0, 0
    for start, end, label in spans:
        while place < len(findings) and findings[place].end <= start:
            shift += len(stand_ins[place]) - (findings[place].end - findings[place].start)
            place += 1
        low = (findings[place].start if place < len(findings) and findings[place].start < start else start) + shift
        high, here, grown = end + shift, place, shift
        while here < len(findings) and findings[here].start < end:
            grown += len(stand_ins[here]) - (findings[here].end - findings[here].start)
            high = max(findings[here].end, end) + grown
            here += 1
        low = max(low, found[-1][1]) if found else low
        if low < high:
            found.append((low, high, label))
    return tuple(found)


def anonymise(rows: Iterable[Row], anonymiser: Anonymiser) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order; how many values of each kind were replaced stands in `anonymiser.counts`."""
    several = iter(rows)
    while batch := list(islice(several, _BATCH_ROWS)):
        for row, (changed, counts) in zip(batch, anonymiser.apply_all(batch), strict=True):
            yield Changed(changed, stage="anonymise", reason="personal data replaced") if counts else Kept(row)


def scan(texts: Iterable[str]) -> Counter[str]:
    """How many values of each kind the rules find in a sample: for a report on data that nobody asked to anonymise."""
    return Counter(finding.kind for text in texts for finding in find(text))


def masked(text: str) -> str:
    """The text with every finding shown as its kind alone, for reports: `[PERSON] called from [PHONE]`."""
    return tagged(text, find(text))
