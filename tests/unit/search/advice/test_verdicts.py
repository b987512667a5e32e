"""What is said of rows before any base: each verdict is found where it is planted, and is silent where nothing is."""

from collections.abc import Callable

import pytest

from tunesmith.data.config import Task
from tunesmith.data.power import rows_to_show
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.rows import Floor, RowsLook
from tunesmith.search.advice.verdicts import doubt, verdicts
from tunesmith.search.advice.wishes import Wishes

Look = Callable[..., RowsLook]
Base = Callable[..., Candidate]


def kinds(look: RowsLook, *bases: Candidate, private: bool = True) -> list[str]:
    return [one.kind for one in verdicts(look, bases, Wishes(private=private))]


def told(look: RowsLook, kind: str, *bases: Candidate, private: bool = True) -> str:
    return next(one.told for one in verdicts(look, bases, Wishes(private=private)) if one.kind == kind)


def test_of_ordinary_rows_only_power_and_floor_are_told(look: Look, base: Base) -> None:
    assert kinds(look(), base()) == ["rows", "floor"]
    assert "300 test rows show a gain of 7." in told(look(), "rows")
    assert "gets 60.0% (55.0% to 65.0%) on 200 select rows; the commonest label 10.0%" in told(look(), "floor")


def test_so_few_test_rows_that_no_gain_can_be_shown(look: Look) -> None:
    least = rows_to_show(0.2)
    few, enough = (look(counts={"train": 1000, "test": rows}) for rows in (least - 1, least + 40))
    assert "Too few rows" in told(few, "rows")
    assert f"{rows_to_show(0.1):,} would show one of 10%" in told(few, "rows")
    assert "Too few rows" not in told(enough, "rows")


def test_the_advice_itself_doubts_where_no_gain_can_be_shown(look: Look) -> None:
    assert doubt(look()) is None
    assert doubt(look(counts={"train": 90, "test": 20})) == "no gain is likely to be shown on 20 test rows, whichever is trained"
    high = look(floor=Floor(value=0.95, low=0.92, high=0.97, commonest=0.1, rows=200, trained_on=1000))
    assert "the linear floor leaves 5.0 points, and 300 test rows show a gain of 7." in str(doubt(high))


def test_labels_with_few_rows_are_counted(look: Look) -> None:
    assert (
        "2 of 3 labels have fewer than 10 training rows, 4 the fewest"
        in [one.told for one in verdicts(look(label_rows=(4, 9, 50)), (), Wishes())][1]
    )


@pytest.mark.parametrize("task", [Task.CLASSIFY, Task.GENERATE])
def test_few_rows_and_an_able_base_ask_for_a_prompt_first(look: Look, base: Base, task: Task) -> None:
    few = look(task=task, floor=None, label_rows=(), counts={"train": 30, "test": 300})
    able = base(path="able", parameters=3 * 10**9)
    assert "prompt able with examples" in told(few, "few-shot", base(), able)
    assert "our rule of thumb" in told(few, "few-shot", base(), able)
    assert "name one by --base" in told(few, "few-shot", base())
    assert "hosted" in told(few, "few-shot", base(), private=False)
    for silent in (look(counts={"train": 500, "test": 300}), look(task=Task.REGRESS, floor=None, counts={"train": 30, "test": 300})):
        assert "few-shot" not in kinds(silent, able)


def test_a_base_that_was_not_taught_to_chat_is_not_prompted(look: Look, base: Base) -> None:
    few = look(counts={"train": 30, "test": 300})
    assert "name one by --base" in told(few, "few-shot", base(parameters=3 * 10**9, chats=False))


def test_a_linear_model_that_is_surely_right_may_be_enough(look: Look) -> None:
    sure = look(floor=Floor(value=0.95, low=0.91, high=0.97, commonest=0.1, rows=300, trained_on=1000))
    assert kinds(sure) == ["rows", "linear", "small"]
    assert "leaves 5.0 points to any model" in told(sure, "small")
    unsure = look(floor=Floor(value=0.95, low=0.79, high=0.99, commonest=0.1, rows=20, trained_on=1000))
    assert kinds(unsure) == ["rows", "floor"]


def test_personal_data_is_told_where_rows_are_private(look: Look) -> None:
    assert "3 pieces of personal data" in told(look(personal=3), "personal")
    assert "personal" not in kinds(look(personal=3), private=False)
    assert "personal" not in kinds(look())


def test_other_tasks_are_told_what_was_measured_of_them(look: Look) -> None:
    assert "0.747" in told(look(task=Task.REGRESS, floor=None, label_rows=()), "linear")
    assert "nothing" not in kinds(look(task=Task.PREFER, floor=None, label_rows=(), counts={"train": 5000, "test": 900}))
    assert "47.5%" in told(look(task=Task.PREFER, floor=None, label_rows=(), counts={"train": 100, "test": 300}), "preferences")
