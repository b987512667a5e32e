"""A search over a scripted trainer: what it finds, what it costs, why it ends, and that it goes on where it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from tunesmith.core.errors import BusyError, DataError, MachineError, RecipeError
from tunesmith.core.progress import Event, Said, silent
from tunesmith.recipe.search_config import SearchConfig
from tunesmith.search import finals, leading
from tunesmith.search.records import Folder, Record
from tunesmith.search.space import Space
from tunesmith.search.study import Given, SearchOutcome, search_with
from tunesmith.search.trial import Answer, Measured, Point, Report, Settings

Section = Callable[..., SearchConfig]


def found(trainer: Any, config: SearchConfig, folder: Path, *, seed: int = 3, **given: Any) -> SearchOutcome:
    return search_with(trainer, config, folder=folder, seed=seed, listen=silent, given=Given(**given))


def test_the_best_settings_win_and_poor_trials_are_ended_early(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    told: list[Event] = []
    outcome = search_with(scripted.Hill(0.01), section(trials=18), folder=tmp_path / "s", seed=3, listen=told.append)
    whole = [trial for trial in outcome.trials if trial.kept]
    assert len(outcome.trials) == 18
    assert outcome.best in [finalist.first for finalist in outcome.finalists]
    assert max(scripted.height(trial.settings) for trial in whole) - scripted.height(outcome.best.settings) < 0.05
    assert any(trial.measured.pruned for trial in outcome.trials)
    assert not outcome.best.measured.pruned
    repeats = [trial for finalist in outcome.finalists for trial in finalist.trials[1:]]
    assert outcome.steps == sum(trial.measured.steps for trial in [*outcome.trials, *repeats]) < 18 * 80 + 3 * 80
    assert outcome.stopped == "all 18 trials were made."
    lines = [event.text for event in told if isinstance(event, Said)]
    assert sum(line.startswith("trial ") for line in lines) == 21
    assert "method.rank" in lines[0]
    assert "the best so far" in lines[0]
    assert any("ended early at 12%" in line for line in lines)
    json.dumps(outcome.to_json(), allow_nan=False)


def test_finalists_are_trained_under_other_seeds_and_the_best_mean_wins(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    outcome = found(scripted.Hill(0.2), section(trials=8, pruner="none", finalists=3, seeds=3), tmp_path)
    assert [[trial.seed for trial in finalist.trials] for finalist in outcome.finalists] == [[3, 4, 5]] * 3
    for finalist in outcome.finalists:
        values = [trial.measured.value for trial in finalist.trials]
        assert finalist.mean == pytest.approx(sum(values) / 3)
        assert finalist.spread == pytest.approx((sum((value - finalist.mean) ** 2 for value in values) / 2) ** 0.5)
    means = [finalist.mean for finalist in outcome.finalists]
    assert means == sorted(means, reverse=True)
    assert outcome.best == outcome.finalists[0].first
    assert (
        sorted((f.first.measured.value for f in outcome.finalists), reverse=True)
        == sorted((trial.measured.value for trial in outcome.trials), reverse=True)[:3]
    )


def test_a_finalist_that_diverges_under_another_seed_comes_last(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    class Unstable(scripted.Hill):  # type: ignore[misc, name-defined]
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            steady = super().train(number, settings, seed, report)
            return replace(steady, value=None, diverged="of the seed") if number == 8 else steady

    outcome = found(Unstable(), section(trials=8, pruner="none", finalists=2), tmp_path)
    assert outcome.finalists[-1].trials[1].number == 8
    assert outcome.finalists[-1].mean is None
    assert outcome.best.measured.value < outcome.finalists[-1].first.measured.value


def test_a_finished_search_is_told_again_and_a_prolonged_one_goes_on(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    first = found(scripted.Hill(), section(trials=6), tmp_path)
    again = found(None, section(trials=6), tmp_path)
    assert replace(again, seconds=first.seconds) == first
    longer = found(scripted.Hill(), section(trials=9), tmp_path)
    assert longer.trials[:6] == first.trials
    assert len(longer.trials) == 9


def test_another_search_is_refused_the_folder(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    found(scripted.Hill(), section(trials=2), tmp_path)
    with pytest.raises(RecipeError, match="holds another search"):
        found(scripted.Hill(), section(trials=2), tmp_path, seed=4)
    with pytest.raises(RecipeError, match="holds another search"):
        found(scripted.Hill(), section(trials=2, sampler="tpe"), tmp_path)


def test_two_leaders_do_not_share_a_folder(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    with Folder(tmp_path).held(), pytest.raises(BusyError, match="is in use by another process"):
        found(scripted.Hill(), section(trials=2), tmp_path)


def test_a_damaged_record_is_named_and_not_trained_over(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    found(scripted.Hill(), section(trials=4, seeds=1), tmp_path)
    record = tmp_path / "records" / "00001.json"
    whole = record.read_text()
    for damage in (whole[:40], "{}", "[]", whole.replace('"steps": 80', '"stops": 80')):
        record.write_text(damage)
        with pytest.raises(MachineError, match=r"00001\.json"):
            found(scripted.Hill(), section(trials=4, seeds=1), tmp_path)
    record.unlink()
    with pytest.raises(MachineError, match=r"00001\.json is missing"):
        found(scripted.Hill(), section(trials=4, seeds=1), tmp_path)


def test_what_a_trainer_raises_ends_the_search_and_the_same_call_goes_on(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    hill = scripted.Hill(folder=tmp_path / "t")
    with pytest.raises(DataError, match="rows are gone"):
        found(scripted.Broken({3: "raises"}, tmp_path, hill), section(trials=6), tmp_path / "s")
    outcome = found(hill, section(trials=6), tmp_path / "s")
    assert [trial.number for trial in outcome.trials] == list(range(6))
    steps = (tmp_path / "t" / "steps").read_text().split()
    assert len(steps) == len(set(steps))
    assert len(steps) * scripted.STEPS == outcome.steps


def test_trials_that_diverge_are_told_and_do_not_win(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    outcome = found(scripted.Broken({0: "diverges", 2: "diverges"}, tmp_path), section(trials=8), tmp_path / "s")
    assert [trial.number for trial in outcome.trials if trial.measured.diverged] == [0, 2]
    assert outcome.best.number not in (0, 2)
    with pytest.raises(DataError, match="None of 3 trials reached a finite value"):
        found(scripted.Broken(dict.fromkeys(range(9), "diverges"), tmp_path), section(trials=3), tmp_path / "t")


def test_settings_are_never_trained_twice_and_a_space_that_is_used_up_ends_the_search(scripted: ModuleType, tmp_path: Path) -> None:
    config = SearchConfig.model_validate({"space": {"method.rank": [4, 8, 16]}, "sampler": "tpe", "trials": 20})
    outcome = found(scripted.Hill(), config, tmp_path)
    assert sorted(trial.settings["method.rank"] for trial in outcome.trials) == [4, 8, 16]
    assert outcome.stopped == "every point of the space has been tried."


def test_a_grid_is_visited_whole_unless_it_is_told_how_much(scripted: ModuleType, tmp_path: Path) -> None:
    space = {"method.rank": [4, 8, 16], "train.learning_rate": [1e-4, 1e-3]}
    whole, part = (
        SearchConfig.model_validate({"space": space, "sampler": "grid", "trials": trials, "pruner": "none"}) for trials in (None, 4)
    )
    assert len(found(scripted.Hill(), whole, tmp_path / "whole").trials) == 6
    assert len(found(scripted.Hill(), part, tmp_path / "part").trials) == 4


def test_points_that_are_given_come_first_and_those_outside_are_passed_over(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    own = {"train.learning_rate": 2e-4, "method.rank": 16, "train.weight_decay": 0.01, "method.dropout": 0.0}
    outcome = found(scripted.Hill(), section(trials=3), tmp_path, first=[own | {"method.rank": 5}, own])
    assert outcome.trials[0].settings == own
    assert len(outcome.trials) == 3


def test_one_finalist_is_not_repeated(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    outcome = found(scripted.Hill(), section(trials=5, pruner="none", finalists=1, seeds=3), tmp_path)
    assert [len(finalist.trials) for finalist in outcome.finalists] == [1]
    assert outcome.steps == 5 * 80


def test_repeats_that_were_not_made_are_counted_in_words(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    outcomes = [
        found(scripted.Hill(), section(trials=2, steps=steps, pruner="none", finalists=2, seeds=2), tmp_path / str(steps))
        for steps in (241, 161)
    ]
    told = [outcome.stopped.removeprefix("all 2 trials were made. ") for outcome in outcomes]
    assert told[0] == "1 repeat of a finalist was not made: the budget was spent."
    assert told[1] == "2 repeats of finalists were not made: the budget was spent."


def test_the_recipe_s_own_point_is_tried_under_the_name_that_the_space_has_for_it(scripted: ModuleType, tmp_path: Path) -> None:
    ranks = {"choices": [4, 16], "when": {"method.name": ["lora"]}}
    config = SearchConfig.model_validate(
        {"space": {"method.rank": ranks, "method.name": ["features", "lora"]}, "sampler": "random", "seeds": 1}
    )
    for own_rank in (16, 8):  # beside features it is not searched, so it need not be one of the list
        own = {"method.name": "features", "method.rank": own_rank}
        outcome = found(scripted.Hill(), config, tmp_path / str(own_rank), first=[own])
        assert outcome.trials[0].settings == {"method.name": "features"}
        assert len(outcome.trials) == 3  # none of the three points twice


def test_trials_that_are_all_alike_end_the_search_after_25(section: Section, tmp_path: Path) -> None:
    class Same:
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            return Measured(value=0.5, steps=1, seconds=0.0, curve=(Point(1, 1.0, 0.5),))

    outcome = found(Same(), section(trials=60, stop_early=True, seeds=1), tmp_path)
    assert len(outcome.trials) == 25
    assert outcome.stopped == "a further trial is not expected to help: all 25 came out alike."


def test_a_search_whose_every_trial_diverges_is_not_ended_for_being_alike(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    broken = scripted.Broken(dict.fromkeys(range(26), "diverges"), tmp_path)
    assert len(found(broken, section(trials=28, stop_early=True, seeds=1, pruner="none"), tmp_path / "s").trials) == 28


def test_what_is_judged_of_so_many_trials_hangs_on_these_alone_before_and_after_a_kill(
    scripted: ModuleType, section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: dict[int, list[Any]] = {}

    def taken_down(space: Space, tried: list[Any], seed: int) -> None:
        judged.setdefault(len(tried), []).append(tried)

    monkeypatch.setattr(leading, "prospect", taken_down)
    config = section(trials=32, stop_early=True, seeds=1)
    whole = found(scripted.Hill(0.05), config, tmp_path / "whole")
    assert any(trial.measured.pruned for trial in whole.trials[24:])
    for kill in (27, 30):
        with pytest.raises(DataError):
            found(scripted.Broken({kill: "raises"}, tmp_path, scripted.Hill(0.05)), config, tmp_path / str(kill))
        found(scripted.Hill(0.05), config, tmp_path / str(kill))
    assert sorted(judged) == list(range(24, 32))
    for told in judged.values():
        assert all(one == told[0] for one in told)


def test_patience_ends_the_search(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    outcome = found(scripted.Hill(), section(trials=40, patience=5, seeds=1), tmp_path)
    values = [trial.measured.value if trial.kept else None for trial in outcome.trials]
    best = values.index(max(value for value in values if value is not None))
    assert len(values) == best + 1 + 5
    assert outcome.stopped == "5 trials in a row were not better than the best before them."


@pytest.mark.parametrize("steps", [300, 700, 1111])
def test_a_budget_of_steps_is_kept_repeats_included(scripted: ModuleType, section: Section, tmp_path: Path, steps: int) -> None:
    outcome = found(scripted.Hill(), section(trials=500, steps=steps), tmp_path)
    assert steps * 0.8 <= outcome.steps < steps + scripted.STEPS
    assert "the budget of" in outcome.stopped
    assert outcome.best.kept


def test_a_trial_that_the_budget_cut_says_nothing_and_is_gone_on_with_when_there_is_more(
    scripted: ModuleType, section: Section, tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    hill = scripted.Hill(folder=tmp_path / "t")
    config = section(trials=50, steps=120, pruner="none", seeds=1)
    short = found(hill, config, tmp_path / "s")
    assert [trial.measured.pruned for trial in short.trials] == [False, True]
    assert short.stopped == "the budget of 120 steps is spent."
    allowed = found(scripted.Hill(), config.model_copy(update={"trials": 2}), tmp_path / "two")
    assert allowed.stopped == "the budget of 120 steps is spent."  # not that both trials were made
    longer = found(hill, config.model_copy(update={"steps": 160}), tmp_path / "s")
    assert [trial.measured.pruned for trial in longer.trials] == [False, False]
    assert [trial.settings for trial in longer.trials] == [trial.settings for trial in short.trials]
    assert longer.steps == 160 == scripted.STEPS * len((tmp_path / "t" / "steps").read_text().split())


def test_a_repeat_that_was_not_trained_to_its_end_decides_nothing() -> None:
    def record(number: int, value: float, repeats: int | None = None, pruned: bool = False) -> Record:
        return Record(
            number=number,
            settings={},
            seed=number // 2,
            repeats=repeats,
            measured=Measured(value=value, steps=1, seconds=0.0, pruned=pruned),
        )

    firsts = [record(0, 0.9), record(1, 0.8)]
    repeats = [record(2, 0.1, repeats=0, pruned=True), record(3, 0.8, repeats=1)]
    ranked = finals.ranked(firsts, repeats)
    assert [(one.first.number, one.mean) for one in ranked] == [(0, 0.9), (1, 0.8)]
    whole = finals.ranked(firsts, [record(2, 0.1, repeats=0), repeats[1]])
    assert [one.first.number for one in whole] == [1, 0]


def test_a_trial_that_was_cut_is_gone_on_with_though_the_search_was_killed_before_it_said_that_it_ended(
    scripted: ModuleType, section: Section, tmp_path: Path
) -> None:
    config = section(trials=50, steps=120, pruner="none", seeds=1)
    found(scripted.Hill(), config, tmp_path)
    (tmp_path / "ended.json").unlink()
    assert [trial.measured.pruned for trial in found(None, config, tmp_path).trials] == [False, True], "there is nothing to go on with"
    (tmp_path / "ended.json").unlink()
    longer = found(scripted.Hill(), config.model_copy(update={"steps": 160}), tmp_path)
    assert [trial.measured.pruned for trial in longer.trials] == [False, False]


class Clock:
    """Goes on by what each evaluation takes."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def slow(scripted: ModuleType, clock: Clock, seconds: float) -> Any:
    class Slow(scripted.Hill):  # type: ignore[misc, name-defined]
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            def later(point: Point) -> Answer:
                clock.now += seconds
                return report(point)

            return super().train(number, settings, seed, later)

    return Slow()


@pytest.mark.parametrize("budget", [{"minutes": 10}, {"money": 2.0, "price_per_hour": 12.0}])
def test_a_budget_of_time_or_money_is_kept_over_sittings(scripted: ModuleType, section: Section, tmp_path: Path, budget: Any) -> None:
    clock = Clock()
    outcome = found(slow(scripted, clock, 10.0), section(trials=500, **budget), tmp_path, clock=clock)
    assert 480 <= outcome.seconds <= 610
    assert clock.now - 1000 <= 610
    clock.now += 10**6
    again = found(None, section(trials=500, **budget), tmp_path, clock=clock)
    assert again.seconds == outcome.seconds
    assert again.trials == outcome.trials


def test_a_budget_below_one_trial_is_refused_at_once_or_at_the_first_evaluation(
    scripted: ModuleType, section: Section, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"search.steps: 50 is too little for one trial, which takes 80: raise it, or lower train.epochs"):
        found(None, section(steps=50), tmp_path / "a", trial_steps=80)
    with pytest.raises(RecipeError, match=r"search: 1 minutes is too little for one trial, which takes about 2 minutes"):
        found(None, section(minutes=1), tmp_path / "b", trial_seconds=120.0)
    with pytest.raises(RecipeError, match=r"search.steps: 50 is too little for one trial, which takes 80"):
        found(scripted.Hill(), section(steps=50), tmp_path / "c")
    clock = Clock()
    with pytest.raises(RecipeError, match=r"search: 1 minutes is too little for one trial"):
        found(slow(scripted, clock, 20.0), section(minutes=1), tmp_path / "d", clock=clock)
    assert len(found(scripted.Hill(), section(steps=200), tmp_path / "c").trials) >= 2


def test_a_budget_that_is_spent_before_a_trial_began_is_refused_as_one(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    clock = iter(range(1000))
    for _ in range(2):
        with pytest.raises(RecipeError, match=r"search: no trial was begun: the budget of 1e-05 minutes is spent\. Raise it\."):
            found(scripted.Hill(), section(minutes=1e-5), tmp_path, clock=lambda: next(clock))


def test_a_first_trial_that_was_killed_late_goes_on_under_a_budget_of_time(section: Section, tmp_path: Path) -> None:
    clock = Clock()

    class Keeping:
        """Six evaluations of a minute; tells again after a kill what it had told."""

        told: ClassVar[list[Point]] = []

        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            kept = self.told if number == 0 else []
            for point in kept:
                report(point)
            for evaluation in range(len(kept) + 1, 7):
                clock.now += 60
                kept.append(Point(evaluation, evaluation / 6, evaluation))
                report(kept[-1])
                if evaluation == 5 and not (tmp_path / "killed").exists():
                    (tmp_path / "killed").touch()
                    raise KeyboardInterrupt
            return Measured(value=6.0, steps=6, seconds=1.0, curve=tuple(kept))

    config = section(trials=2, minutes=15, seeds=1)
    with pytest.raises(KeyboardInterrupt):
        found(Keeping(), config, tmp_path / "s", clock=clock)
    assert [trial.measured.value for trial in found(Keeping(), config, tmp_path / "s", clock=clock).trials] == [6.0, 6.0]


def test_what_comes_before_the_first_evaluation_is_not_taken_for_training(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    clock = Clock()
    steady = slow(scripted, clock, 10.0)

    class StartsUp:
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            clock.now += 60.0 if number == 0 else 0.0  # workers, imports, rows made into tokens
            measured: Measured = steady.train(number, settings, seed, report)
            return measured

    outcome = found(StartsUp(), section(trials=2, minutes=4, seeds=1, pruner="none"), tmp_path, clock=clock)
    assert [trial.kept for trial in outcome.trials] == [True, True]  # 60 + 80 + 80 of 240 seconds


def test_a_search_whose_every_trial_was_ended_early_still_names_the_best(section: Section, tmp_path: Path) -> None:
    class Ended:
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            return Measured(value=number / 10, steps=1, seconds=0.0, pruned=True, curve=(Point(1, 0.1, number / 10),))

    outcome = found(Ended(), section(trials=5), tmp_path)
    assert outcome.best.number == 4
    assert outcome.finalists == ()


def test_a_training_that_was_taken_up_costs_nothing(section: Section, tmp_path: Path) -> None:
    class TakenUp:
        def train(self, number: int, settings: Settings, seed: int, report: Report) -> Measured:
            curve = (Point(40, 0.5, 0.1), Point(80, 1.0, 0.2))
            for point in curve:
                report(point)
            return Measured(value=0.2, steps=0, seconds=0.0, curve=curve)

    assert found(TakenUp(), section(trials=3), tmp_path).steps == 0


def test_more_than_one_worker_needs_a_factory(scripted: ModuleType, section: Section, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"search\.workers is 2"):
        found(scripted.Hill(), section(workers=2), tmp_path)
