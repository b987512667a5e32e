"""Make items of passages: the kinds that need no model, those an engine writes, and the checks all of them pass.

What a passage gives depends on the seed, on itself, and (blanks) on the terms of all passages; which of two repeats stays depends
on the order of the passages. An engine is asked for 32 passages at once. Leaves to others: reading documents, and opening the engine.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import ModuleType
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.core.seeds import derive_seed
from tunesmith.data.settings.synthesise import SynthesiseConfig
from tunesmith.data.synthesise import choices, flashcards, questions
from tunesmith.data.synthesise.asking import drafts_of, request_for
from tunesmith.data.synthesise.checks import Checks
from tunesmith.data.synthesise.cloze import cloze
from tunesmith.data.synthesise.definitions import definitions
from tunesmith.data.synthesise.items import Item, Passage
from tunesmith.data.synthesise.terms import Terms
from tunesmith.engines.asking import Engine

BATCH = 32
TOO_LONG = "the passage is too long for an engine"
_WRITTEN: Mapping[str, ModuleType] = {"questions": questions, "flashcards": flashcards, "choices": choices}
"""Kind -> its file, of the kinds an engine writes."""
_FOUND: Mapping[str, Callable[[Passage, Terms, Any, int], Iterator[Item]]] = {
    "cloze": cloze,
    "definitions": lambda passage, terms, it, seed: definitions(passage, it),
}
"""Kind -> its maker, of the kinds that need no model."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An item that passed every check."""

    item: Item


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that failed one, for the reason given."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A passage of which an engine made nothing of a kind, and why."""

    kind: str
    source: str
    position: str
    reason: str


Result = Accepted | Rejected | Unanswered


@dataclass(slots=True)
class Tally:
    """Counts what came: `made = kept + dropped`, by kind and reason."""

    kept: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    unanswered: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """One more result."""
        if isinstance(result, Accepted):
            self.kept[result.item.kind] += 1
        elif isinstance(result, Rejected):
            self.dropped.setdefault(result.item.kind, Counter())[result.reason] += 1
        else:
            self.unanswered.setdefault(result.kind, Counter())[result.reason] += 1

    def to_json(self) -> dict[str, Any]:
        """Kind -> made, kept, dropped with reasons, and passages without an answer with reasons."""
        kinds = sorted({*self.kept, *self.dropped, *self.unanswered})
        return {kind: self._of(kind) for kind in kinds}

    def _of(self, kind: str) -> dict[str, Any]:
        reasons, silent = self.dropped.get(kind, Counter()), self.unanswered.get(kind, Counter())
        made = self.kept[kind] + reasons.total()
        account = {"made": made, "kept": self.kept[kind], "dropped": reasons.total(), "reasons": dict(reasons.most_common())}
        return {**account, "unanswered": dict(silent.most_common())}


def synthesise(passages: Sequence[Passage], config: SynthesiseConfig, seed: int, engine: Engine | None = None) -> Iterator[Result]:
    """Yield what becomes of each item made, passages in order, kinds in the order of the settings.

    Args:
        passages: gone over twice: for their terms, then for the items.
        engine: who writes; any `Engine`, a client of a URL or a model in this process.

    Raises:
        RecipeError: a kind that is written needs an engine, and there is none.
    """
    written = [kind for kind in config.kinds.named() if kind in _WRITTEN]
    if written and engine is None:
        raise RecipeError(
            f"synthesise.kinds.{written[0]} is written by an engine: name one in synthesise.engine, or keep to cloze and definitions."
        )
    terms, checks = Terms(), Checks(config.checks)
    if config.kinds.cloze is not None:
        for passage in passages:
            terms.add(passage)
    for start in range(0, len(passages), BATCH):
        batch = passages[start : start + BATCH]
        columns = [_column(kind, it, batch, (terms, config, seed, engine)) for kind, it in config.kinds.named().items()]
        for results in zip(*columns, strict=True):
            for result in (one for column in results for one in column):
                yield _checked(result, checks)


_Given = tuple[Terms, SynthesiseConfig, int, Engine | None]


def _column(kind: str, settings: Any, batch: Sequence[Passage], given: _Given) -> list[list[Item | Unanswered]]:
    """What one kind makes of each passage of a batch."""
    terms, _, seed, _ = given
    if kind in _FOUND:
        return [list(_FOUND[kind](passage, terms, settings, seed)) for passage in batch]
    return _written(kind, settings, batch, given)


def _written(kind: str, settings: Any, batch: Sequence[Passage], given: _Given) -> list[list[Item | Unanswered]]:
    _, config, seed, engine = given
    maker = _WRITTEN[kind]
    fields = maker.fields(settings)
    short = [passage for passage in batch if len(passage.text) <= config.longest_passage]
    temperature = config.temperature
    requests = [request_for(one, maker.TASK, fields, settings.per_passage, seed=seed, temperature=temperature) for one in short]
    answers = iter(engine.complete(requests) if engine is not None and requests else [])
    column: list[list[Item | Unanswered]] = []
    for passage in batch:
        if len(passage.text) > config.longest_passage:
            column.append([Unanswered(kind, passage.source, passage.position, TOO_LONG)])
            continue
        drafts = drafts_of(next(answers), list(fields), settings.per_passage)
        draw = Random(derive_seed(seed, kind, passage.source, passage.position, passage.text))
        if isinstance(drafts, str):
            column.append([Unanswered(kind, passage.source, passage.position, drafts)])
        else:
            column.append([maker.read(passage, draft, draw) for draft in drafts])
    return column


def _checked(made: Item | Unanswered, checks: Checks) -> Result:
    if isinstance(made, Unanswered):
        return made
    reason = checks.refuse(made)
    return Accepted(made) if reason is None else Rejected(made, reason)
