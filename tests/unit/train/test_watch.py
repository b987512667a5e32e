"""Planted curves get the words that are true of them, whatever the noise; figures of a run are those of its log."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.train.watch import Watch, pace, standing

Curve = Callable[[float], float]
EVERY = 20
"""Steps between two evaluations."""


def down(start: float, floor: float, pace: float) -> Curve:
    return lambda x: floor + (start - floor) * math.exp(-x / pace)


def turning(start: float, floor: float, turn: float, rise: float) -> Curve:
    return lambda x: down(start, floor, 1.0)(x) + rise * max(0.0, x - turn)


def planted(validation: Curve, training: Curve, evaluations: int, *, noise: float = 0.0, seed: int = 0, in_steps: float = 0.15) -> Watch:
    """A run over two curves of the evaluation's number, with `noise` in each evaluation and `in_steps` in each step."""
    chance = random.Random(seed)
    watch = Watch(total=evaluations * EVERY)
    for number in range(evaluations + 1):
        for step in range((number - 1) * EVERY + 1, number * EVERY + 1) if number else ():
            watch.heard_step(taken(step, training(step / EVERY) * math.exp(chance.gauss(0, in_steps if noise else 0.0))))
        said = watch.heard_evaluation(number * EVERY, validation(number) * math.exp(chance.gauss(0, noise)))
        if said:
            SAID.append((number, said))
    return watch


SAID: list[tuple[int, str]] = []


@pytest.fixture(autouse=True)
def _nothing_said_yet() -> None:
    SAID.clear()


def taken(step: int, loss: float = 1.0, **changed: Any) -> dict[str, Any]:
    return {
        "step": step,
        "loss": loss,
        "grad_norm": 2.0,
        "learning_rate": 1e-3,
        "rows": 16,
        "rows_tokens": 1000,
        "computed_tokens": 380,
        "supervised_tokens": 50,
        "seconds": 0.5,
        **changed,
    }


OVERFITTING = (turning(3.0, 1.2, 4, 0.05), down(3.0, 0.6, 3.0), 10)


def test_the_sentence_of_a_run_that_stops() -> None:
    watch = Watch(total=900)
    for number, loss in enumerate((3.0, 2.0, 1.5, 1.3, 1.21, 1.23, 1.26, 1.30)):
        for step in range((number - 1) * 60 + 1, number * 60 + 1) if number else ():
            watch.heard_step(taken(step, 2.0 * 0.936**number))
        assert watch.heard_evaluation(number * 60, loss, stopped=number == 7) is None
    assert watch.ending(stopped=True, kept_step=240) == [
        "Validation loss has risen for 3 evaluations (1.21 to 1.30) while training loss fell 18%: stopping, keeping step 240."
    ]


def test_overfitting_is_said_once_when_it_begins() -> None:
    watch = planted(*OVERFITTING)
    assert len(SAID) == 1
    number, said = SAID[0]
    assert 7 <= number <= 8
    assert said.startswith(("Validation loss has risen for 3 evaluations (1.2", "Validation loss has risen for 4"))
    assert said.endswith(": the model begins to overfit. The best step so far is 80.")
    (end,) = watch.ending(stopped=False, kept_step=80)
    assert "risen for 6 evaluations" in end
    assert end.endswith(": keeping step 80.")


@pytest.mark.parametrize("noise", [0.005, 0.01])
def test_overfitting_is_said_through_noise(noise: float) -> None:
    found = sum(standing_kind(planted(*OVERFITTING, noise=noise, seed=seed)) for seed in range(40))
    assert found >= 38


def standing_kind(watch: Watch) -> bool:
    now = standing(watch.validation, watch.losses)
    return now is not None and now.kind == "overfitting"


NOT_OVERFITTING = {
    "plateau": (down(3.0, 1.2, 1.0), down(3.0, 1.1, 1.0), 20),
    "noisy descent": (down(3.0, 1.2, 8.0), down(3.0, 1.1, 8.0), 20),
    "divergence": (turning(3.0, 1.2, 4, 0.3), turning(3.0, 1.1, 4, 0.3), 12),
    "training noise alone": (lambda x: 1.0, lambda x: 1.0, 20),
}


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("name", NOT_OVERFITTING)
def test_nothing_else_is_called_overfitting(name: str, noise: float) -> None:
    """Of 50 noisy runs of each kind at most one is; the noise makes evaluations jump by up to 10%."""
    for seed in range(50 if noise else 1):
        planted(*NOT_OVERFITTING[name], noise=noise, seed=seed)
    assert len(SAID) <= (1 if noise else 0)


def test_validation_that_stands_still_while_training_falls_is_seldom_called_so() -> None:
    for seed in range(50):
        planted(down(3.0, 1.2, 1.0), down(3.0, 0.6, 5.0), 12, noise=0.005, seed=seed)
    assert len(SAID) <= 2


def test_a_divergence_is_called_a_rise_of_both() -> None:
    watch = planted(*NOT_OVERFITTING["divergence"])
    (said,) = watch.ending(stopped=True, kept_step=80)
    assert said.startswith("Validation loss has risen for 8 evaluations")
    assert "and training loss rose" in said
    assert said.endswith("stopping, keeping step 80. A lower learning rate may help.")


def test_a_plateau_is_said_without_blame() -> None:
    watch = Watch(total=400)
    for step, loss in ((0, 3.0), (20, 1.2101), (40, 1.2102), (60, 1.2105)):
        watch.heard_evaluation(step, loss)
    assert watch.ending(stopped=True, kept_step=20) == [
        "Validation loss has not fallen for 2 evaluations (lowest 1.2101, now 1.2105): stopping, keeping step 20."
    ]


def test_underfitting_is_said_at_the_end_only() -> None:
    watch = planted(down(3.0, 1.0, 8.0), down(3.0, 0.9, 8.0), 5, noise=0.002, in_steps=0.05)
    (said,) = watch.ending(stopped=False, kept_step=100)
    assert said.startswith("Training loss was still falling when the run ended (")
    assert said.endswith(" over the last 25 steps), and validation loss too: more epochs may help.")
    watch.validation.clear()
    assert "validation" not in watch.ending(stopped=False, kept_step=100)[0]
    assert SAID == []


def test_of_a_run_of_few_steps_nothing_is_said_of_falling() -> None:
    def said(steps: int) -> list[str]:
        watch = Watch(total=steps)
        for step in range(1, steps + 1):
            watch.heard_step(taken(step, 3.0 * 0.9**step))
        return watch.ending(stopped=False, kept_step=steps)

    assert [said(steps) for steps in (1, 4, 7, 8, 19)] == [[]] * 5
    assert "over the last 5 steps" in said(20)[0]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_that_only_made_things_worse_says_so(stopped: bool) -> None:
    watch = Watch(total=80)
    for number, loss in enumerate((2.0, 2.4, 2.3, 2.5, 2.6)):
        for step in range((number - 1) * 20 + 1, number * 20 + 1) if number else ():
            watch.heard_step(taken(step, 2.0))
        watch.heard_evaluation(number * 20, loss, stopped=stopped and number == 4)
    assert watch.ending(stopped=stopped, kept_step=0) == [
        "Validation loss was above that of step 0 (2.00) at each of 4 evaluations (lowest 2.30): training did not help, and the base itself "
        "is kept, as it was at step 0. A lower learning rate may help."
    ]
    assert not any("did not help" in said for said in watch.ending(stopped=stopped, kept_step=40))  # kept by another measure
    watch.validation[2] = (40, 1.99)
    assert not any("did not help" in said for said in watch.ending(stopped=stopped, kept_step=40))


def test_one_evaluation_that_is_worse_is_told_as_one() -> None:
    watch = Watch(total=3, validation=[(0, 2.0), (3, 2.1)])
    assert watch.ending(stopped=False, kept_step=0)[0].startswith(
        "Validation loss was above that of step 0 (2.00) at the one evaluation (2.10)"
    )
    assert Watch(total=3, validation=[(0, 2.0)]).ending(stopped=False, kept_step=0) == []


@pytest.mark.parametrize("name", ["plateau", "training noise alone"])
def test_a_run_that_has_settled_is_not_told_to_go_on(name: str) -> None:
    assert [planted(*NOT_OVERFITTING[name], noise=0.01, seed=seed).ending(stopped=False, kept_step=1) for seed in range(20)].count([]) >= 19
    watch = planted(down(3.0, 1.2, 1.0), down(3.0, 0.6, 8.0), 8)  # training falls, validation has settled
    assert watch.ending(stopped=False, kept_step=1) == []


def test_near_zero_neither_is_said() -> None:
    learnt = planted(down(5.5, 0.0015, 1.0), down(5.5, 0.0, 1.0), 9)  # a task that is learnt whole
    assert learnt.losses[-1][1] < 0.8 * learnt.losses[-EVERY][1]
    assert learnt.ending(stopped=False, kept_step=180) == []
    planted(turning(5.5, 0.0015, 8, 0.0001), down(5.5, 0.0, 1.0), 16)
    assert SAID == []


def test_a_run_made_anew_from_its_log_says_the_same() -> None:
    whole = planted(*OVERFITTING, noise=0.01, seed=5)
    for cut in range(1, 11):
        SAID.clear()
        planted(*OVERFITTING, noise=0.01, seed=5)
        before = [number for number, _ in SAID if number > cut]
        steps = [step for step in whole.steps if step["step"] <= cut * EVERY]
        again = Watch(whole.total, steps=steps, validation=[item for item in whole.validation if item[0] <= cut * EVERY])
        later = []
        for number in range(cut + 1, 11):
            for step in whole.steps[(number - 1) * EVERY : number * EVERY]:
                again.heard_step(step)
            if again.heard_evaluation(*whole.validation[number]):
                later.append(number)
        assert later == before
        assert again.ending(stopped=False, kept_step=1) == whole.ending(stopped=False, kept_step=1)


def test_losses_below_zero_and_single_ones_are_borne() -> None:
    watch = Watch(total=9)
    for number, loss in enumerate((0.0, -1.0, -0.5, -0.2, 0.4, 0.0)):
        watch.heard_step(taken(number + 1, -loss))
        assert watch.heard_evaluation(number + 1, loss) is None
    assert watch.ending(stopped=True, kept_step=2)
    assert standing([], []) is None
    assert Watch(total=3).ending(stopped=False, kept_step=0) == []


def test_the_line() -> None:
    watch = Watch(total=900, checks=frozenset({0, 100, 500, 900}))
    assert watch.line() == "step 0/900"
    for step in range(1, 121):
        watch.heard_step(taken(step, 0.8 + 0.1 * (step % 2)))
    assert watch.line() == "step 120/900 · loss 0.850 · 32 rows/s · 62% of tokens saved · ETA 6 min"
    watch.check_seconds += [60.0, 90.0, 3000.0]
    assert watch.seconds_left() == 780 * 0.5 + 2 * 90.0
    assert len(watch.line()) <= 80


def test_time_left_is_never_wild() -> None:
    watch = Watch(total=100)
    for step in (1, 2):
        watch.heard_step(taken(step, seconds=100.0))  # compiling
        assert watch.seconds_left() is None
    for step in range(3, 12):
        watch.heard_step(taken(step, seconds=3600.0 if step == 7 else 1.0))
    assert watch.seconds_left() == 89.0
    watch.heard_step(taken(101))
    assert watch.seconds_left() == 0.0


def test_padding_saves_nothing_and_slow_rows_are_told_by_the_minute() -> None:
    watch = Watch(total=9)
    watch.heard_step(taken(1, rows=1, seconds=8.0, computed_tokens=1200))
    assert watch.note() == "loss 1.000 · 7.5 rows/min"
    found = pace(watch.steps)
    assert found is not None
    assert found.saved == pytest.approx(-0.2)


def test_figures_of_a_run() -> None:
    watch = Watch(total=4)
    assert watch.figures(peak_mib=5.0) == {"throughput": None, "mfu": None, "peak_mib": 5.0}
    for step in range(1, 5):
        watch.heard_step(taken(step, flops=1e10, seconds=9.0 if step == 1 else 0.5))
    assert watch.figures(peak_flops=4e10, peak_mib=700.0) == {
        "throughput": {
            "rows_per_second": 32.0,
            "row_tokens_per_second": 2000.0,
            "computed_tokens_per_second": 760.0,
            "saved": pytest.approx(0.62),
        },
        "mfu": pytest.approx(0.5),
        "peak_mib": 700.0,
    }
    assert watch.figures(peak_flops=None)["mfu"] is None
    assert watch.figures(peak_flops=1.0)["mfu"] is None  # a share above one: the peak was measured on a busy machine
    assert watch.values(memory_mib=9.0) == {
        "loss": 1.0,
        "learning_rate": 1e-3,
        "grad_norm": 2.0,
        "rows_per_second": 32.0,
        "computed_tokens_per_second": 760.0,
        "memory_mib": 9.0,
    }


def test_steps_of_an_older_log_have_no_operations() -> None:
    found = pace([taken(1)])
    assert found is not None
    assert found.flops_per_second == 0.0


def test_history_is_all_of_it_in_order() -> None:
    watch = Watch(total=2, steps=[taken(1), taken(2)], validation=[(0, 3.0), (2, 2.0)])
    assert [(step, set(values) & {"loss", "validation_loss"}) for step, values in watch.history()] == [
        (0, {"validation_loss"}),
        (1, {"loss"}),
        (2, {"loss", "validation_loss"}),
    ]
