"""A probe finds what is planted, tells nothing apart that is alike, holds its time, and goes on where it was killed.

Time is a count of looks at the clock, so nothing here depends on how fast the machine is.
"""

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import read_json
from tunesmith.core.progress import Advanced, Event
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.embedded import base_path, sample_path
from tunesmith.recipe.model import Recipe
from tunesmith.score.measures import measure
from tunesmith.search import arms as searched
from tunesmith.search.arms import Arm, Sample
from tunesmith.search.probing import Probe
from tunesmith.train import loop

LABELS = ("blue", "green", "red")
THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat", "fence", "wall", "bike", "plate")


class Work:
    """A clock that only work moves: 5 s to load a base, 1 s for a step, 2 s to judge."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 1.0

    def __call__(self) -> float:
        return self.now


def row(place: int, text: str, label: str) -> Row:
    return Row(id=f"{place:04}", prompt=(Message("user", text),), answer=label)


@pytest.fixture(scope="module")
def colours() -> Sample:
    """Twenty-four rows to train on and fifteen to judge by: the colour named in a sentence."""
    rows = [row(place, f"please send the {LABELS[place % 3]} {THINGS[place % 16]}", LABELS[place % 3]) for place in range(39)]
    return Sample(train=tuple(rows[:24]), select=tuple(rows[24:]), labels=LABELS, task=Task.CLASSIFY)


@pytest.fixture(scope="module")
def tickets() -> Sample:
    """Short rows of the sample data: 200 to train on, 120 to judge by."""
    found: list[Row] = []
    for line in sample_path().read_text(errors="replace").splitlines():
        with suppress(ValueError, KeyError, AttributeError, TypeError):  # the sample has broken lines on purpose
            said = json.loads(line)
            if said["intent"] and 0 < len(said["message"].split()) <= 20:
                found.append(row(len(found), said["message"], said["intent"]))
    random.Random(0).shuffle(found)
    labels = tuple(sorted({one.answer for one in found}))
    return Sample(train=tuple(found[:200]), select=tuple(found[200:320]), labels=labels, task=Task.CLASSIFY)


@pytest.fixture(autouse=True)
def _no_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's peak is measured for a tenth of a second each time a training begins; nothing here asks for it."""
    monkeypatch.setattr("tunesmith.pipeline.training.peak_flops", lambda *given: None)


@pytest.fixture
def arms(tmp_path: Path) -> Callable[..., list[Arm]]:
    """An arm for each base, a head on the frozen base."""

    def made(*bases: Path | str, **train: Any) -> list[Arm]:
        settings = {"epochs": 4, "batch_rows": 8, "threads": 1, "learning_rate": 0.02} | train
        recipes = [
            Recipe.model_validate(
                {
                    "data": {"path": "unused"},
                    "base": {"path": str(base)},
                    "method": {"name": "features", "head": "class"},
                    "train": settings,
                }
            )
            for base in bases
        ]
        return [Arm(f"arm {place}", f"base {place}", recipe, tmp_path / f"arm{place}") for place, recipe in enumerate(recipes)]

    return made


def probe(arms: list[Arm], sample: Sample, folder: Path, *, seconds: float = 1e9, clock: Work | None = None) -> Probe:
    return Probe(arms, sample, measure("accuracy"), folder, seconds, clock=clock or Work())


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """The clock of a test in which work takes its time."""
    clock, load, take, say = Work(), searched.load_base, loop.next_step, searched.Open.answers

    def loaded(*given: Any, **named: Any) -> Any:
        clock.now += 5
        return load(*given, **named)

    def stepped(*given: Any) -> Any:
        clock.now += clock.step
        return take(*given)

    def answered(self: searched.Open) -> Any:
        clock.now += 2
        return say(self)

    monkeypatch.setattr(searched, "load_base", loaded)
    monkeypatch.setattr(loop, "next_step", stepped)
    monkeypatch.setattr(searched.Open, "answers", answered)
    return clock


@pytest.fixture(scope="module")
def unlearnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded base's architecture and tokenizer with random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("unlearnt")
    torch.manual_seed(1)
    build: Any = AutoModelForCausalLM.from_config
    build(AutoConfig.from_pretrained(base_path())).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base_path() / name, folder / name)
    return folder


def test_a_pretrained_base_beats_random_weights(arms: Callable[..., list[Arm]], tickets: Sample, unlearnt: Path, tmp_path: Path) -> None:
    """The one with random weights comes first in the list, so that its place is no help to the other."""
    made = arms(unlearnt, "embedded", epochs=8, batch_rows=16, learning_rate=0.005)
    found = probe(made, tickets, tmp_path / "probe").run()
    assert [one.name for one in found.placed] == ["base 1", "base 0"]
    first, second = found.placed
    assert not second.tied
    assert second.against_first is not None
    assert second.against_first.is_gain
    assert "the first is better by" in second.told
    assert first.value is not None
    assert second.value is not None
    assert first.value > second.value
    assert found.whole


def test_two_copies_of_one_base_are_not_told_apart(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_base, tmp_path / "copy"))
    found = probe(arms(tiny_base, copy), colours, tmp_path / "probe").run()
    first, second = found.placed
    assert (first.name, first.value) == ("base 0", second.value)
    assert second.tied
    assert "it can't be told apart from the first" in second.told
    assert first.against_first is None


def test_of_four_arms_half_are_left_and_go_on_as_if_they_had_never_been(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    """The rest go twice as far; and through a checkpoint between two rungs the answers are those of one training in a piece."""
    four = probe(arms(tiny_base, tiny_base, tiny_base, tiny_base), colours, tmp_path / "four")
    found = four.run()
    assert [(one.rung, one.step) for one in found.placed] == [(1, 12), (1, 12), (0, 6), (0, 6)]
    assert found.steps == 12  # four epochs of 24 rows, eight a step
    one = probe(arms(tiny_base), colours, tmp_path / "one")
    one.run()
    answers = [[(each.answer, each.confidence) for each in held._answers(rung, "arm 0")] for held, rung in ((four, 1), (one, 0))]
    assert answers[0] == answers[1]


def test_killed_anywhere_it_ends_as_if_it_had_not_been(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    """Killed after three things it says, then fifteen, it goes on each time and places everyone alike."""
    made = arms(tiny_base, tiny_base, tiny_base)
    undisturbed = probe(made, colours, tmp_path / "whole").run()
    killed = 0
    for turn in count(3, 12):
        said = count()

        def strike(event: Event, said: Any = said, turn: int = turn) -> None:
            if isinstance(event, Advanced) and next(said) == turn:
                raise KeyboardInterrupt

        try:
            found = probe(made, colours, tmp_path / "struck").run(strike)
        except KeyboardInterrupt:
            killed += 1
            continue
        break
    assert killed >= 2
    assert [(one.key, one.rung, one.value, one.told) for one in found.placed] == [
        (one.key, one.rung, one.value, one.told) for one in undisturbed.placed
    ]


def test_a_finished_probe_is_shown_again_without_a_step(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    made = arms(tiny_base, tiny_base)
    first = probe(made, colours, tmp_path / "probe").run()
    heard: list[Event] = []
    again = probe(made, colours, tmp_path / "probe").run(heard.append)
    assert not [event for event in heard if isinstance(event, Advanced)]
    assert again == first
    assert not [folder for folder in tmp_path.glob("arm*") if folder.exists()]


def test_the_time_is_held_to_less_than_a_step(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path, work: Work
) -> None:
    """Steps get four times as dear after their pace was told: the probe ends hardly after its time, and places nobody by half a rung."""
    held = probe(arms(tiny_base, tiny_base), colours, tmp_path / "probe", seconds=60.0, clock=work)
    pace = held._pace
    held._pace = lambda listen: (pace(listen), setattr(work, "step", 4.0))[0]  # type: ignore[method-assign]
    found = held.run()
    assert not found.whole
    assert not found.placed
    assert 56 < found.seconds == work.now < 64
    assert [why for _, why in found.untried] == ["the time ended before it was judged"] * 2
    assert read_json(tmp_path / "probe" / "probe.json")["over"]


def test_a_probe_whose_paces_hold_ends_within_its_time(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path, work: Work
) -> None:
    found = probe(arms(tiny_base, tiny_base), colours, tmp_path / "probe", seconds=60.0, clock=work).run()
    assert found.whole
    assert found.steps == 10  # two paces of 9 s leave 42, of which 85% are planned with: two arms, each 7 s and 10 steps
    assert found.seconds == work.now == 52


def test_a_time_too_short_for_one_trial_is_refused_with_what_it_takes(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path, work: Work
) -> None:
    with pytest.raises(RecipeError, match=r"--probe 0\.2 is too short for one trial: give 0\.6 minutes or more"):
        probe(arms(tiny_base), colours, tmp_path / "probe", seconds=12.0, clock=work).run()
    assert probe(arms(tiny_base), colours, tmp_path / "probe", seconds=36.0, clock=work).run().whole


def test_arms_there_is_no_time_for_are_named(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path, work: Work
) -> None:
    """Four paces of 9 s: the third begins within two fifths of 60 s, the fourth does not; and two rungs of three arms don't fit."""
    found = probe(arms(tiny_base, tiny_base, tiny_base, tiny_base), colours, tmp_path / "probe", seconds=60.0, clock=work).run()
    assert [name for name, _ in found.untried] == ["base 3", "base 2", "base 1"]
    assert [one.name for one in found.placed] == ["base 0"]
    assert "its share of the time" in found.untried[0][1]
    assert "no time for it" in found.untried[1][1]


def test_without_select_rows_nothing_can_be_judged(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    bare = Sample(train=colours.train, select=(), labels=LABELS, task=Task.CLASSIFY)
    with pytest.raises(DataError, match="there are none"):
        probe(arms(tiny_base), bare, tmp_path / "probe")


def test_an_arm_whose_weights_are_damaged_is_left_out_with_why(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(tiny_base, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"rubbish")
    found = probe(arms(broken, tiny_base), colours, tmp_path / "probe").run()
    assert [one.name for one in found.placed] == ["base 1"]
    assert found.untried[0][0] == "base 0"
    assert "damaged" in found.untried[0][1]


@pytest.mark.parametrize("failing", [1, 3], ids=["at its pace", "in a rung"])
@pytest.mark.parametrize("error", [RuntimeError("no kernel for this model\nat line 3"), MemoryError(), KeyError("what a row says")])
def test_one_odd_model_does_not_end_the_probe_of_the_others(
    arms: Callable[..., list[Arm]],
    colours: Sample,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    failing: int,
) -> None:
    load, loads = searched.load_base, count(1)
    tried = arms(tiny_base, tiny_base)

    def loaded(*given: Any, **named: Any) -> Any:
        if next(loads) == failing:
            raise error
        return load(*given, **named)

    monkeypatch.setattr(searched, "load_base", loaded)
    found = probe(tried, colours, tmp_path / "probe").run()
    assert found.placed[0].name == "base 1"
    assert found.placed[0].value is not None
    told = dict(found.untried) | {one.name: one.told for one in found.placed}
    assert type(error).__name__ in told["base 0"]
    assert "what a row says" not in told["base 0"]
    assert "line 3" not in told["base 0"]


def test_a_probe_kept_before_failures_were_is_taken_up(
    arms: Callable[..., list[Arm]], colours: Sample, tiny_base: Path, tmp_path: Path
) -> None:
    first = probe(arms(tiny_base), colours, tmp_path / "probe").run()
    file = tmp_path / "probe" / "probe.json"
    file.write_text(json.dumps({name: value for name, value in read_json(file).items() if name != "failed"}))
    assert probe(arms(tiny_base), colours, tmp_path / "probe").run() == first


def test_written_answers_are_weighed_a_character(tiny_base: Path, tmp_path: Path) -> None:
    """A base that learnt to answer finds the references likelier, whatever its tokenizer cuts them into."""
    rows = [row(place, f"colour of the {thing}", f"the {thing} is red") for place, thing in enumerate(THINGS)]
    sample = Sample(train=tuple(rows), select=tuple(rows), labels=None, task=Task.GENERATE)
    made = [
        Arm(
            f"rate {rate}",
            f"rate {rate}",
            Recipe.model_validate(
                {
                    "data": {"path": "unused"},
                    "base": {"path": str(tiny_base)},
                    "method": {"name": "full", "head": "tokens"},
                    "train": {"epochs": 20, "batch_rows": 8, "threads": 1, "learning_rate": rate},
                }
            ),
            tmp_path / f"arm{rate}",
        )
        for rate in (1e-7, 1e-2)
    ]
    found = Probe(made, sample, measure("perplexity"), tmp_path / "probe", 1e9, clock=Work()).run()
    assert [one.key for one in found.placed] == ["rate 0.01", "rate 1e-07"]
    first, second = (one.value for one in found.placed)
    assert first is not None
    assert second is not None
    assert 1 < first < second
    assert found.placed[1].against_first is not None
    assert found.placed[1].against_first.is_gain
