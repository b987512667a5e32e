"""On which side of the next round an opinion stands: written once, before anybody reviewed it, and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from sqlalchemy import func, insert, select

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.keys import Writer
from tunesmith.ledger.records import now
from tunesmith.ledger.store import take_turn
from tunesmith.ledger.tables import feedback_sides

FeedbackSide = Literal["train", "judge", "torn"]
"""`train`: rows may be made of it; `judge`: it may only judge; `torn`: it would tie the two together, and does neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRecord:
    """Where an opinion stands."""

    feedback_id: str
    side: FeedbackSide
    user_side: FeedbackSide | None = None
    """Where all that its giver says stands; None where nobody knows who gave it."""
    drawn: bool = False
    """Whether its request was drawn at random into the sample of traffic, before anybody knew how it would be answered."""
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        if self.side not in get_args(FeedbackSide):
            raise RecipeError(f"An opinion can't stand on side '{self.side}'.{did_you_mean(self.side, get_args(FeedbackSide))}")


class FeedbackSides:
    """The sides of a ledger's opinions."""

    def __init__(self, store: Writer) -> None:
        self._store = store

    def list(self) -> list[SideRecord]:
        """All of them, in the order they were written."""
        with self._store.reading() as connection:
            found = connection.execute(select(feedback_sides).order_by(feedback_sides.c.number)).mappings()
            return [SideRecord(**{name: row[name] for name in SideRecord.__slots__}) for row in found]

    def freeze(self, records: Sequence[SideRecord], *, known: int) -> bool:
        """Write where opinions stand, all of them or none; False where others were written since there were `known`: look again."""
        with self._store.writing() as connection:
            take_turn(connection, feedback_sides.name)
            if connection.execute(select(func.count()).select_from(feedback_sides)).scalar_one() != known:
                return False
            if records:
                connection.execute(insert(feedback_sides), [{name: getattr(one, name) for name in SideRecord.__slots__} for one in records])
        return True
