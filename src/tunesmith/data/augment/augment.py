"""Make rows out of rows: the plan of each row, its ways, and the checks every made row passes.

A made row is its parent with other words: id `PARENT+WAYk`, fields `augmented` (the way) and `parent`. What is made of a row
depends on the seed, the row's id and content, and the way, on no other row and on no order (with `per_class`: and on how many rows
each label has). Rows are taken in batches of 64, so that an engine has several requests at once; nothing else is held.
Leaves to others: the split, which comes before, and the text keys of the other sides, which are handed in.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Message, Row, Span
from tunesmith.core.seeds import derive_seed, fraction
from tunesmith.data.augment.amounts import Quota, made_already, wanted_of
from tunesmith.data.augment.drift import Similarity, drifted, rewritten_too_far
from tunesmith.data.augment.edits import Way, apply, moved_spans
from tunesmith.data.augment.rewriting import Job, Refusal, Rewriter, found_again
from tunesmith.data.augment.ways import local_ways, rewriters
from tunesmith.data.config import Task
from tunesmith.data.fold import keys_of
from tunesmith.data.settings.augment import AugmentConfig
from tunesmith.engines.asking import Engine
from tunesmith.score.meanings import write_spans

BATCH = 64
_TRIES = 4
"""With `per_class`, so many attempts for each row that is wanted."""
_FREE = (Task.GENERATE, Task.PREFER, Task.TEXT)
"""Tasks whose answers are words: an exchange of terms runs through them too."""

NOTHING = "nothing to change"
SAME = "the same as another made row"
HELD = "equals a held-out row"
TAKEN = "equals another train row"
CROSSED = "a span would break"
NOISE = "raw text: noise would be learnt as an answer"


@dataclass(frozen=True, slots=True)
class Added:
    """A made row."""

    row: Row


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not made, or didn't pass; `reason` is from a small fixed set."""

    parent: str
    way: str
    reason: str


Made = Added | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What augmentation is handed: the round's seed and task, and what lives upstairs."""

    seed: int
    task: Task
    held: Container[int] = frozenset()
    """Text keys (`fold.keys_of(row).text`) of the rows of every other side: no made row may equal one."""
    taken: Container[int] = frozenset()
    """Text keys of the train rows: a made row may equal its parent's (letter case), no other."""
    quotas: Mapping[str, Quota] | None = None
    """With `per_class`: `LabelFacts.result`."""
    engine: Engine | None = None
    similarity: Similarity | None = None
    """Features' cosine of pairs of texts; without it engines' texts are bounded by words in common."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One row to be made: its parent, the way, the number in its id."""

    row: Row
    way: str
    number: int


@dataclass(slots=True)
class _Bench:
    """The ways of a config at work."""

    config: AugmentConfig
    around: Around
    local: dict[str, Way] = field(init=False)
    engines: dict[str, Rewriter] = field(init=False)

    def __post_init__(self) -> None:
        self.local, self.engines = local_ways(self.config), rewriters(self.config)

    def plan(self, row: Row) -> list[_Attempt]:
        """All attempts that may be made on a row, in order."""
        named = self.config.ways.named()
        if made_already(row):
            return []
        if self.config.per_class is None:
            if fraction(self.around.seed, f"augment share/{row.id}") >= self.config.share:
                return []
            return [_Attempt(row, way, number) for way, it in named.items() for number in range(1, it.per_row + 1)]
        tries = _TRIES * self.wanted(row)
        first = derive_seed(self.around.seed, "augment turn", row.id)
        turns = [list(named)[(first + turn) % len(named)] for turn in range(tries)]
        return [_Attempt(row, way, 1 + turns[:turn].count(way)) for turn, way in enumerate(turns)]

    def wanted(self, row: Row) -> int:
        """How many rows are to be made of this one at most."""
        if self.config.per_class is None:
            return sum(it.per_row for it in self.config.ways.named().values())
        return wanted_of(row, self.around.quotas or {}, self.around.seed, self.config.most_per_row)

    def edited(self, attempt: _Attempt) -> Row | str:
        """The row made by a way without an engine, or why there is none."""
        row, way = attempt.row, self.local[attempt.way]
        if way.noise and not row.prompt:
            return NOISE
        texts = _texts(row, everywhere=not way.noise and way.bound == "lists", free=self.around.task in _FREE)
        draw = Random(derive_seed(self.around.seed, "augment", attempt.way, attempt.number, row.id))
        places = list(texts)
        edits = dict(zip(places, way.edit([texts[at] for at in places], [span[:2] for span in row.tags or ()], draw), strict=True))
        if not any(found for at, found in edits.items() if not row.prompt or isinstance(at, int)):
            return NOTHING  # an answer alone never changes: the same prompt would have two
        tags = None if row.tags is None else moved_spans(row.tags, edits[places[0]])
        if row.tags is not None and tags is None:
            return CROSSED
        new = {at: apply(texts[at], edits[at]) for at in places}
        return drifted(row.text(), new[places[0]], way.bound, self.config.drift) or _with(row, new, tags)

    def rewritten(self, attempts: Sequence[_Attempt]) -> list[Row | str]:
        """The rows made by an engine, or why there is none, in order; all attempts are of one way."""
        if self.around.engine is None:
            raise RecipeError(f"augment.ways.{attempts[0].way} needs an engine: name one in augment.engine.")
        jobs = [Job(one.row.text(), derive_seed(self.around.seed, "augment", one.way, one.number, one.row.id)) for one in attempts]
        texts = self.engines[attempts[0].way].rewrite(self.around.engine, jobs)
        pairs = [(job.text, text) for job, text in zip(jobs, texts, strict=True) if isinstance(text, str)]
        cosines = iter(self.cosines(pairs))
        made: list[Row | str] = []
        for one, text in zip(attempts, texts, strict=True):
            made.append(text.reason if isinstance(text, Refusal) else self.checked(one.row, text, next(cosines)))
        return made

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """How near the texts of each pair are in meaning, where features are at hand."""
        if self.around.similarity is None or not pairs:
            return [None] * len(pairs)
        return [float(cosine) for cosine in self.around.similarity([one for one, _ in pairs], [two for _, two in pairs])]

    def checked(self, row: Row, text: str, cosine: float | None) -> Row | str:
        """The row with an engine's text, or why not."""
        tags = None if row.tags is None else found_again(row.text(), row.tags, text)
        if row.tags is not None and tags is None:
            return CROSSED
        return rewritten_too_far(row.text(), text, cosine, self.config.drift) or _with(row, {_place(row): text}, tags)

    def judged(self, attempt: _Attempt, made: Row | str, seen: set[tuple[Message | str | None, ...]]) -> Made:
        """The last checks, and the mark. `seen`: the contents of the parent and of what was made of it so far."""
        refused = made if isinstance(made, str) else self.unwanted(attempt.row, made, seen)
        if refused is not None or isinstance(made, str):
            return Refused(attempt.row.id, attempt.way, str(refused))
        seen.add(_content(made))
        marks = {**made.fields, "augmented": attempt.way, "parent": attempt.row.id}
        name = f"{attempt.row.id}+{attempt.way}{attempt.number}"
        return Added(replace(made, id=name, fields=marks, weight=attempt.row.weight * self.config.weight))

    def unwanted(self, parent: Row, made: Row, seen: set[tuple[Message | str | None, ...]]) -> str | None:
        """Why a made row can't stand beside those there are."""
        if not made.text().strip():
            return NOTHING
        if _content(made) in seen:
            return NOTHING if _content(made) == _content(parent) else SAME
        key = keys_of(made).text
        if key in self.around.held:
            return HELD
        return TAKEN if key in self.around.taken and key != keys_of(parent).text else None


def augment(rows: Iterable[Row], config: AugmentConfig, around: Around) -> Iterator[Made]:
    """Yield what is made of the rows, in their order and in that of the ways: a row, or a refusal with its reason.

    The rows themselves are not yielded. One `Made` comes of every attempt; with `per_class`, attempts on a row end when it has
    given what it should.

    Raises:
        RecipeError: `per_class` for a task without labels, or without `around.quotas`; a way that needs an engine without one.
    """
    if config.per_class is not None and around.task not in (Task.CLASSIFY, Task.MULTILABEL):
        raise RecipeError(f"augment.per_class fills labels up, and data.task {around.task} has none: use per_row of a way.")
    if config.per_class is not None and around.quotas is None:
        raise RecipeError("augment.per_class needs the counts of the labels: hand in Around.quotas (LabelFacts.result).")
    bench, source = _Bench(config, around), iter(rows)
    while batch := list(islice(source, BATCH)):
        yield from _batch(bench, batch)


def _batch(bench: _Bench, rows: Sequence[Row]) -> Iterator[Made]:
    plans = [bench.plan(row) for row in rows]
    written = _ahead(bench, [one for row, plan in zip(rows, plans, strict=True) for one in plan[: bench.wanted(row)]])
    for row, plan in zip(rows, plans, strict=True):
        seen, left = {_content(row)}, bench.wanted(row)
        for attempt in plan:
            if left == 0:
                break
            key = (row.id, attempt.way, attempt.number)
            if attempt.way in bench.local:
                made = bench.edited(attempt)
            else:
                made = written[key] if key in written else bench.rewritten([attempt])[0]
            outcome = bench.judged(attempt, made, seen)
            left -= isinstance(outcome, Added)
            yield outcome


def _ahead(bench: _Bench, attempts: Sequence[_Attempt]) -> dict[tuple[str, str, int], Row | str]:
    """What engines write for a whole batch, each way at once."""
    written: dict[tuple[str, str, int], Row | str] = {}
    for way in bench.engines:
        mine = [one for one in attempts if one.way == way]
        if mine:
            made = bench.rewritten(mine)
            written |= {(one.row.id, one.way, one.number): row for one, row in zip(mine, made, strict=True)}
    return written


Place = int | str
"""The number of a message of the prompt, or `answer`, or `rejected`."""


def _place(row: Row) -> Place:
    """Where `row.text()` stands."""
    users = [at for at, turn in enumerate(row.prompt) if turn.role == "user"]
    return users[-1] if users else "answer"


def _texts(row: Row, *, everywhere: bool, free: bool) -> dict[Place, str]:
    """Place -> text of what a way may change, `row.text()` first; system messages are instructions, and stay."""
    texts: dict[Place, str] = {_place(row): row.text()}
    if everywhere:
        texts |= {at: turn.content for at, turn in enumerate(row.prompt) if turn.role != "system" and at not in texts}
        if free:
            texts.setdefault("answer", row.answer)
        if free and row.rejected is not None:
            texts["rejected"] = row.rejected
    return texts


def _with(row: Row, new: Mapping[Place, str], tags: tuple[Span, ...] | None) -> Row:
    """The row with other texts and spans; a tag row's answer is written anew."""
    prompt = tuple(Message(turn.role, new.get(at, turn.content)) for at, turn in enumerate(row.prompt))
    made = row.with_text(prompt, new.get("answer", row.answer), new.get("rejected", row.rejected))
    if row.tags is None or tags is None:
        return made
    return replace(made, tags=tags, answer=write_spans(made.text(), tags) if row.prompt and row.answer else made.answer)


def _content(row: Row) -> tuple[Message | str | None, ...]:
    return (*row.prompt, row.answer, row.rejected)
