"""Sides in the ledger: written once, in the order they were placed, by one writer at a time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.sides import SideRecord


def test_of_several_who_place_the_same_opinions_one_is_heard(ledger: Ledger) -> None:
    first = [SideRecord(feedback_id=f"fb-{at}", side="train", user_side="train", drawn=bool(at % 2)) for at in range(3)]
    assert ledger.feedback_sides.freeze(first, known=0) and ledger.feedback_sides.freeze([], known=3)

    def placed(side: str) -> bool:
        return ledger.feedback_sides.freeze([SideRecord(feedback_id="fb-3", side=side)], known=3)  # type: ignore[arg-type]

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(placed, ("train", "judge", "torn"))) == [False, False, True]
    written = ledger.feedback_sides.list()
    assert written[:3] == first and len(written) == 4 and written[3].user_side is None


def test_a_side_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="can't stand on side 'trains'"):
        SideRecord(feedback_id="fb-1", side="trains")  # type: ignore[arg-type]
