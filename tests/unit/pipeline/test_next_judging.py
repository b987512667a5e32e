"""What lets a new model take the champion's place, and what doesn't."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from tunesmith.core.rows import Message
from tunesmith.feedback.next_config import NextConfig
from tunesmith.ledger.feedback import FeedbackRecord, State
from tunesmith.ledger.sides import SideRecord
from tunesmith.pipeline.next_judging import Duel, compared, decide, witnesses
from tunesmith.pipeline.next_look import spent
from tunesmith.score.paired import at_level, compare_right
from tunesmith.score.prediction import Prediction

HOLDS = [{"name": "forgetting", "holds": True}]


def fought(wins: int, losses: int, rows: int, tail: float = 0.025) -> Duel:
    told = at_level(compare_right(wins, losses, rows), rows, tail)
    return Duel(rows, "accuracy", 0.5, 0.5 + told.difference, told.difference, told.low, told.high, told.p_value, tail)


@pytest.mark.parametrize(
    ("test", "traffic", "gates", "promoted", "said"),
    [
        (fought(20, 2, 100), None, HOLDS, True, "accuracy 0.680 against 0.500"),
        (fought(20, 2, 100), fought(5, 5, 40), HOLDS, True, "traffic: accuracy"),
        (fought(20, 12, 100), None, HOLDS, False, "not shown to be better by more than 0"),
        (fought(20, 12, 100), fought(40, 0, 40), HOLDS, False, "not shown to be better"),
        (fought(20, 2, 100), fought(0, 20, 40), HOLDS, False, "worse on traffic"),
        (fought(20, 2, 100), None, [{"name": "forgetting", "holds": False}], False, "the gate forgetting does not hold"),
        (fought(12, 0, 15), None, HOLDS, False, "15 test rows are too few"),
        (None, fought(40, 0, 40), HOLDS, False, "0 test rows are too few"),
    ],
)
def test_the_test_set_decides_and_traffic_only_says_no(test: Any, traffic: Any, gates: Any, promoted: bool, said: str) -> None:
    found = decide(gates, test, traffic, fought(30, 0, 30), "none", 0.0)
    assert found.promoted is promoted and said in found.why and "past failures, which count for nothing" in found.why


def test_a_model_that_is_no_better_is_promoted_once_in_forty_at_most_and_a_better_one_mostly() -> None:
    """Paired answers drawn 2,000 times: both models right with chance 0.7 on 200 rows, agreeing more often than not; then 0.12 more."""
    draw = np.random.default_rng(0)
    for more, least, most in ((0.0, 0.0, 0.025), (-0.05, 0.0, 0.002), (0.12, 0.75, 0.95)):
        changed = draw.random((2000, 200))
        wins, losses = (changed < 0.1 + max(more, 0)).sum(axis=1), (changed > 0.9 + min(more, 0)).sum(axis=1)
        counted = Counter(zip(wins.tolist(), losses.tolist(), strict=True))
        promoted = sum(times * decide(HOLDS, fought(*both, 200), None, None, "", 0.0).promoted for both, times in counted.items())
        assert least <= promoted / 2000 <= most


def test_all_looks_there_may_ever_be_promote_a_model_that_is_no_better_once_in_forty_at_most() -> None:
    """A test set of 300 rows is looked at 100 times, by a new model each time that wins and loses a tenth of the rows; 400 such lives."""
    assert spent(1) == pytest.approx(0.0152, abs=1e-4) and 0.0249 < sum(spent(look) for look in range(1, 500)) < 0.025
    draw = np.random.default_rng(0)
    wins, losses = (draw.multinomial(300, (0.1, 0.1, 0.8), (400, 100))[:, :, place] for place in (0, 1))
    assert _lives_with_a_promotion(wins, losses, [spent(look) for look in range(1, 101)]) <= 0.025 * 400
    assert _lives_with_a_promotion(wins[:50], losses[:50], [0.025] * 100) > 0.5 * 50


def _lives_with_a_promotion(wins: Any, losses: Any, tails: list[float]) -> int:
    """Asked is only where the exact test could say yes: elsewhere the answer is no."""
    found = set()
    for life, look in np.argwhere(binom.sf(wins - 1, wins + losses, 0.5) <= np.array(tails)).tolist():
        if life not in found:
            told = fought(int(wins[life, look]), int(losses[life, look]), 300, tails[look])
            found |= {life} if decide(HOLDS, told, None, None, "", 0.0).promoted else set()
    return len(found)


def test_a_later_look_asks_for_more_and_tells_its_interval_at_its_level() -> None:
    first, tenth = (fought(24, 8, 200, spent(look)) for look in (1, 10))
    assert decide(HOLDS, first, None, None, "", 0.0).promoted and "96.96% interval" in decide(HOLDS, first, None, None, "", 0.0).why
    refused = decide(HOLDS, tenth, None, None, "", 0.0)
    assert not refused.promoted and "99.97% interval" in refused.why and tenth.low < 0 < first.low


def test_a_bound_may_ask_for_more_or_for_less() -> None:
    told = fought(20, 2, 100)
    assert 0.05 < told.low < 0.1
    assert [decide(HOLDS, told, None, None, "", bound).promoted for bound in (0.05, 0.1)] == [True, False]
    same = fought(3, 3, 400)
    assert [decide(HOLDS, same, None, None, "", bound).promoted for bound in (0.0, -0.02)] == [False, True]


def opinion(number: int, *, state: State = "accepted", value: str = "a", answer: str = "a") -> FeedbackRecord:
    return FeedbackRecord(
        id=f"fb-{number}",
        tenant="t",
        key_id="k",
        completion_id=f"c-{number}",
        kind="label",
        asked="label",
        value=value,
        answer=answer,
        prompt=(Message("user", f"question {number}"),),
        state=state,
    )


def sides(records: list[FeedbackRecord], drawn: int) -> dict[str, SideRecord]:
    return {one.id: SideRecord(feedback_id=one.id, side="judge", drawn=place < drawn) for place, one in enumerate(records)}


def test_traffic_is_what_was_drawn_at_random_and_failures_are_kept_apart() -> None:
    records = [opinion(number, value="b" if number % 2 else "a") for number in range(100)]
    told = witnesses(records, sides(records, drawn=40), NextConfig())
    assert [row.id for row in told.traffic] == [f"fb-{number}" for number in range(40)]
    assert [row.id for row in told.failures] == [f"fb-{number}" for number in range(1, 100, 2)]


def test_thumbs_are_no_sample_of_traffic_since_those_for_wrong_answers_tell_no_right_one() -> None:
    """100 drawn requests, 70 answered right: users who say so with a thumb and tell no right answer otherwise veto nothing."""
    labels = [opinion(number) for number in range(100)]
    thumbs = [replace(one, kind="thumbs", value="up" if place < 70 else "down") for place, one in enumerate(labels)]
    told = witnesses(thumbs, sides(thumbs, drawn=100), NextConfig())
    assert told.traffic == () and told.failures == () and "100 of 100" in told.why and "thumbs" in told.why
    for downs, rows in ((5, 95), (6, 0)):
        mixed = [*labels[:-downs], *thumbs[-downs:]]
        assert len(witnesses(mixed, sides(mixed, drawn=100), NextConfig()).traffic) == rows
    both = [*labels, *(replace(one, id=f"{one.id}-thumb") for one in thumbs)]
    assert len(witnesses(both, sides(both, drawn=200), NextConfig()).traffic) == 100


def test_traffic_is_not_read_where_the_queue_chose_what_was_reviewed() -> None:
    records = [opinion(number, state="accepted" if number < 30 else "new") for number in range(60)]
    told = witnesses(records, sides(records, drawn=60), NextConfig())
    assert told.traffic == () and "30 of 60" in told.why and "the queue chose" in told.why
    assert len(witnesses(records, sides(records, drawn=60), NextConfig(unreviewed=True)).traffic) == 60
    few = witnesses(records[:10], sides(records[:10], drawn=10), NextConfig())
    assert few.traffic == () and "too few" in few.why


def test_a_disputed_prompt_judges_nobody() -> None:
    records = [opinion(number) for number in range(30)]
    other = FeedbackRecord(
        id="fb-x",
        tenant="t",
        key_id="k2",
        completion_id="c-x",
        kind="label",
        asked="label",
        value="b",
        answer="a",
        prompt=records[0].prompt,
        state="accepted",
    )
    told = witnesses([*records, other], sides([*records, other], drawn=31), NextConfig())
    assert "fb-0" not in {row.id for row in told.traffic} and len(told.traffic) == 29


def answers(right: list[bool]) -> list[Prediction]:
    return [Prediction(row_id=f"r{place}", reference="a", answer="a" if held else "b") for place, held in enumerate(right)]


def test_rows_that_go_together_show_less_than_as_many_strangers() -> None:
    """300 rows of 30 customers: the new model is right where the other is wrong for five of them, and the reverse for one."""
    ours, theirs = ([customer not in wrong for customer in range(30) for _ in range(10)] for wrong in ({5}, {0, 1, 2, 3, 4}))
    alone = compared(answers(ours), answers(theirs), "accuracy")
    grouped = compared(answers(ours), answers(theirs), "accuracy", {f"r{row}": f"customer {row // 10}" for row in range(300)})
    assert alone and grouped and (alone.units, grouped.units) == (300, 30)
    assert alone.difference == pytest.approx(40 / 300) and grouped.difference == pytest.approx(40 / 300)
    assert decide(HOLDS, alone, None, None, "", 0.0).promoted and not decide(HOLDS, grouped, None, None, "", 0.0).promoted
    few = compared(answers(ours), answers(theirs), "accuracy", {f"r{row}": f"customer {row // 50}" for row in range(300)})
    assert few and "6 groups of test rows are too few" in decide(HOLDS, few, None, None, "", 0.0).why


def test_what_one_giver_says_goes_together() -> None:
    records = [opinion(number) for number in range(40)]
    told = witnesses(records, sides(records, drawn=40), NextConfig())
    assert set(told.givers) == {row.id for row in told.traffic} and len(set(told.givers.values())) == 1
