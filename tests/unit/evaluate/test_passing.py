"""Code that is run counts as its tests say, where the tests say anything."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluate.test_code_runs import sandboxed
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate import passing as module
from tunesmith.evaluate.generation_config import CodeConfig
from tunesmith.evaluate.passing import apart, code_of, ended, files_of, hollow, passing
from tunesmith.pipeline.looks.judge import drawn
from tunesmith.score.resampling import Resamples

TESTED = CodeConfig(command=["python3", "-B", "check.py"], files={"check.py": "check"}, samples=2, k=[1])
CAREFUL = """
try:
    from answer import double
except BaseException:
    raise SystemExit(1)
assert double(4) == 8
"""
CARELESS = "from answer import *"


def problem(number: int, check: Any = CAREFUL) -> Row:
    return Row(id=str(number), prompt=(Message("user", "Write double."),), answer="def double(x): return 2 * x", fields={"check": check})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1\n"),
        ("Sure:\n```python\nx = 1\n```\nor\n```\ny\n```", "x = 1\n"),
        ("```\nx = 1", "x = 1\n"),
        ("", "\n"),
        ("```", "```\n"),
    ],
)
def test_the_first_fence_is_what_is_run(text: str, code: str) -> None:
    assert code_of(text, fenced=True) == code
    assert code_of(text, fenced=False) == text.rstrip("\n") + "\n"


def test_lists_of_tests_become_lines_and_what_is_no_text_is_refused() -> None:
    assert files_of(problem(1, ["assert a", "assert b"]), TESTED) == {"check.py": "assert a\nassert b\n"}
    for odd in (None, 5, ["a", 5], {"a": "b"}):
        with pytest.raises(DataError, match="holds no text in the column 'check'"):
            files_of(problem(1, odd), TESTED)


def test_equal_answers_to_one_row_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    def run(runs: Any, files: Any) -> list[str]:
        ran.extend(files)
        return ["right" if one["answer.py"] == "a\n" else "wrong" for one in files]

    monkeypatch.setattr(module, "run_answers", run)
    found = ended([problem(1), problem(2)], [["a", "b", "a"], ["a", "a", "a\n"]], TESTED)
    assert found == [["right", "wrong", "right"], ["right"] * 3]
    assert len(ran) == 3


@sandboxed
def test_careful_tests_pass_what_is_right_alone_and_careless_ones_are_told() -> None:
    right, wrong = "def double(x): return x + x", "def double(x): return x"
    assert ended([problem(1)], [[right, f"Here:\n```python\n{right}\n```", wrong, "raise SystemExit(0)"]], TESTED) == [
        ["right", "right", "wrong", "wrong"]
    ]
    assert hollow([problem(1)], TESTED) == {"An empty answer": 0, "An answer that only ends the program": 0}
    assert hollow([problem(1, CARELESS)], TESTED) == {"An empty answer": 1, "An answer that only ends the program": 1}


@settings(max_examples=25)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=5), st.integers(1, 4))
def test_pass_at_k_is_the_share_of_choices_with_a_right_one(right: list[list[bool]], k: int) -> None:
    runs: Any = [["right" if one else "wrong" for one in some] for some in right]
    found = passing("tuned", "Fine-tuned", runs, [k], Resamples(rows=len(runs), count=200)).pass_at_k[0]
    shares = [np.mean([any(some) for some in combinations(one, k)]) for one in right]
    assert found.value == pytest.approx(float(np.mean(shares)))
    assert found.low <= found.value <= found.high


def test_a_better_model_is_told_from_an_equal_one() -> None:
    random = np.random.default_rng(3)

    def runs(share: float) -> Any:
        return [["right" if hit else "wrong" for hit in random.random(8) < share] for _ in range(60)]

    resamples = Resamples(rows=60, count=500)
    better = apart(runs(0.6), runs(0.3), 1, resamples)
    assert 0.15 < better.low < better.value < better.high
    same = [apart(runs(0.5), runs(0.5), 1, resamples) for _ in range(40)]
    assert sum(one.low > 0 or one.high < 0 for one in same) <= 5
    none = apart([["wrong"]] * 60, [["wrong"]] * 60, 1, resamples)
    assert none.low < 0 == none.value < none.high  # nothing seen is not nothing there


def test_of_rows_that_belong_together_one_is_drawn() -> None:
    rows = [problem(number) for number in range(30)]
    groups = {str(number): f"g{number // 3}" for number in range(27)}
    some = drawn(rows, 100, groups, seed=1)
    assert len(some) == 12 and len({groups.get(row.id, row.id) for row in some}) == 12
    assert some == drawn(rows, 100, groups, seed=1) != drawn(rows, 100, groups, seed=2)
    assert len(drawn(rows, 5, None, seed=1)) == 5 and drawn(rows, 30, None, seed=1) == rows
