"""Who is in service: every promotion, rollback and challenge, with who took the step and why.

Steps are only ever added; what stands follows from them in order. A line of service has a name, so that several champions (one a task) may
share a ledger. Reading the standing costs one small query, so that a gateway may ask several times a second.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import Connection, func, insert, select

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import check_time, now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import steps

Action = Literal["promote", "rollback", "challenge", "keep"]
"""`promote`: the model becomes champion; `rollback`: the one before it does again; `challenge`: a model is tried beside the champion;
`keep`: the trial ends, the champion stays. Promotions and rollbacks end a trial too."""
Mode = Literal["shadow", "share"]
"""How a challenger is tried: its answers are computed and not shown, or shown to a share of requests."""
LINE = "champion"
"""The line of service that is meant where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step."""

    line: str = LINE
    action: Action
    model: str | None = None
    """A round's id, or the absolute path of a model's folder; of a rollback the one that serves again (the ledger fills it in)."""
    model_hash: str | None = None
    """Content hash of the model's folder, where it is known."""
    mode: Mode | None = None
    """Of a challenge."""
    share: float | None = None
    """Of a challenge: the share of requests that the challenger gets, between 0 and 1."""
    who: str
    """A person's name, a key's id, or the command that decided."""
    why: str
    number: int = 0
    """Place in the order of all steps of all lines, from 1; 0 until it is taken."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        check_time("created", self.created)
        if self.action not in get_args(Action):
            raise RecipeError(f"A step can't be '{self.action}'.{did_you_mean(self.action, get_args(Action))}")
        for name in ("line", "who", "why"):
            if not str(getattr(self, name)).strip():
                raise RecipeError(f"A step's {name} is empty: say it, so that it is known later.")
        if self.action in ("promote", "challenge") and not self.model:
            raise RecipeError(f"A step '{self.action}' needs a model: name a round or a folder.")
        if self.action == "challenge" and self.mode not in get_args(Mode):
            raise RecipeError(f"A challenge is tried as 'shadow' or by 'share', not '{self.mode}'.")
        if self.mode == "share" and not 0 < (self.share or 0) < 1:
            raise RecipeError(f"A challenger's share of requests lies between 0 and 1, and this one is {self.share}.")


@dataclass(frozen=True, slots=True)
class InService:
    """A model that serves or is tried."""

    model: str
    model_hash: str | None
    since: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands after a step."""

    line: str
    number: int = 0
    """Of the last step of this line; 0 where there is none."""
    champion: InService | None = None
    former: tuple[InService, ...] = ()
    """Those a rollback goes back to, the next one last."""
    challenger: InService | None = None
    mode: Mode | None = None
    share: float | None = None

    def after(self, step: StepRecord) -> "Standing":
        """What stands once a step is taken.

        Raises:
            RecipeError: a rollback with nothing to go back to; a challenge without a champion, or by the champion itself; a trial to end
                where there is none.
        """
        free = replace(self, number=step.number, challenger=None, mode=None, share=None)
        if step.action == "rollback":
            if not self.former:
                raise RecipeError(f"There is no champion of '{self.line}' to go back to: promote a model instead.")
            return replace(free, champion=self.former[-1], former=self.former[:-1])
        if step.action == "keep":
            if self.challenger is None:
                raise RecipeError(f"No model is tried beside the champion of '{self.line}': there is no trial to end.")
            return free
        assert step.model is not None
        model = InService(step.model, step.model_hash, step.created)
        if self.champion is not None and _same(self.champion, model):
            raise RecipeError(f"{model.model} is the champion of '{self.line}' already.")
        if step.action == "challenge":
            if self.champion is None:
                raise RecipeError(f"'{self.line}' has no champion to challenge: promote a model first.")
            return replace(free, challenger=model, mode=step.mode, share=step.share)
        return replace(free, champion=model, former=self.former if self.champion is None else (*self.former, self.champion))


def _same(one: InService, other: InService) -> bool:
    """Whether two steps mean one model: a folder whose content is another by now holds another one."""
    unknown = one.model_hash is None or other.model_hash is None
    return one.model == other.model and (unknown or one.model_hash == other.model_hash)


def standing_after(line: str, taken: Iterable[StepRecord]) -> Standing:
    """What stands after all steps of a line, oldest first."""
    standing = Standing(line)
    for step in taken:
        standing = standing.after(step)
    return standing


class Steps:
    """The steps of a ledger."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def take(self, step: StepRecord, *, after: int | None = None) -> Standing:
        """Take a step, and say what stands.

        Args:
            step: the step.
            after: the number of the standing that it was decided on; None: whatever stands.

        Raises:
            RecipeError: it can't be taken (see `Standing.after`), somebody took another meanwhile, or it challenges while a trial runs.
        """
        with self._store.writing() as connection:
            take_turn(connection, steps.name)
            before = standing_after(step.line, _history(connection, step.line))
            if after is not None and before.number != after:
                raise RecipeError(f"Somebody else took a step of '{step.line}' meanwhile: look at what stands now, and decide again.")
            if step.action == "challenge" and before.challenger is not None:  # older ledgers may hold such steps: `after` takes them
                raise RecipeError(
                    f"{before.challenger.model} is tried beside the champion of '{step.line}' already: end that trial first, "
                    f"with `tunesmith challenge --end --line {step.line}`."
                )
            told = before.after(step)
            if step.action == "rollback" and told.champion is not None:
                step = replace(step, model=told.champion.model, model_hash=told.champion.model_hash)
            made = connection.execute(insert(steps).values(_values(step)))
            assert made.inserted_primary_key is not None
            return replace(told, number=int(made.inserted_primary_key[0]))

    def standing(self, line: str = LINE) -> Standing:
        """What stands now."""
        with self._store.reading() as connection:
            return standing_after(line, _history(connection, line))

    def last(self, line: str = LINE) -> int:
        """The number of a line's last step, 0 where there is none: whoever knows the standing asks this to learn whether it changed."""
        with self._store.reading() as connection:
            return int(connection.execute(select(func.max(steps.c.number)).where(steps.c.line == line)).scalar_one() or 0)

    def history(self, line: str = LINE) -> list[StepRecord]:
        """All steps of a line, oldest first."""
        with self._store.reading() as connection:
            return _history(connection, line)

    def lines(self) -> list[str]:
        """The lines that have steps, by name."""
        with self._store.reading() as connection:
            return sorted(connection.execute(select(steps.c.line).distinct()).scalars())


def running_trials(connection: Connection) -> list[int]:
    """The numbers of the challenges that no later step of their lines has ended."""
    last = select(func.max(steps.c.number)).group_by(steps.c.line)
    return list(connection.execute(select(steps.c.number).where(steps.c.number.in_(last), steps.c.action == "challenge")).scalars())


def _history(connection: Connection, line: str) -> list[StepRecord]:
    return [_record(row) for row in connection.execute(select(steps).where(steps.c.line == line).order_by(steps.c.number)).mappings()]


def _values(step: StepRecord) -> dict[str, Any]:
    return {name: getattr(step, name) for name in StepRecord.__slots__ if name != "number"}


def _record(row: Mapping[Any, Any]) -> StepRecord:
    return StepRecord(**{name: row[name] for name in StepRecord.__slots__})
