"""`--probe`: short trainings of bases x methods on a sample of the rows, by successive halving, in the time that is given.

Every arm first takes two steps that are thrown away, which tell what a step, a load and a judgement cost; from these follows how far
the rungs may go. Each arm starts from the same seed and sees the same rows in the same order. The time is held: before each step it is
asked whether the step, and what judging takes, still fit; only a first load can outlast it. Every judgement is kept in the workspace,
so that the same command goes on after kill -9, from the rung it was in, with the time that is left.

What wins here won on a few hundred rows of `select` after few steps, as the best of several: a ranking to start from, no verdict.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tunesmith.core.errors import DataError, DivergedError, MachineError, RecipeError, TunesmithError
from tunesmith.core.files import make_folder, only_one, read_jsonl, write_json, write_jsonl
from tunesmith.core.progress import Advanced, Ended, Listener, Said, Started, silent
from tunesmith.score.measures import Measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import Resamples
from tunesmith.search.arms import Arm, Open, Sample, pace_of, without_times
from tunesmith.search.halving import Pace, arms_of, least_steps, steps_of, steps_within
from tunesmith.search.probed import Kept, Probed, Seen, Standing
from tunesmith.train.checkpoint import read_as

PACING_STEPS = 2
PACING_SHARE = 0.4
"""Of the time, what telling the arms' pace may take at most; arms that are left then are not tried."""
SAFE = 0.85
"""Of the time left after that, what is planned with: paces are measured on two steps."""
_SAVED_SECONDS = 2.0
_SEED = 0
_LATER = frozenset({"failed"})
"""Fields that probes kept before they were there lack."""


class Probe:
    """One probe: its arms, its sample, its folder and its clock."""

    def __init__(
        self,
        arms: Sequence[Arm],
        sample: Sample,
        measure: Measure,
        folder: Path,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A probe, or the one that was begun in this folder before.

        Args:
            arms: what is tried, the likelier ones first.
            sample: rows to train on and to judge by.
            measure: what decides.
            folder: where it is kept.
            seconds: that may be spent, those of earlier calls included.
            clock: tells seconds.

        Raises:
            DataError: there is no select row to judge by.
        """
        if not sample.select:
            raise DataError("--probe judges by the select rows, and there are none: give data.split.validation a larger share.")
        self.arms = {arm.key: arm for arm in arms}
        self.sample, self.measure, self.folder, self.seconds, self.clock = sample, measure, folder, seconds, clock
        self._file = folder / "probe.json"
        self.kept = Kept()
        self._resamples = Resamples(rows=len(sample.select), count=2000, seed=_SEED)

    def run(self, listen: Listener = silent) -> Probed:
        """Go through all that is left.

        Raises:
            RecipeError: the time is too short for a single arm.
            MachineError: what was kept is damaged.
        """
        make_folder(self.folder)
        with only_one(self.folder / "lock", "The probe"):
            if self._file.exists():
                self.kept = read_as(self._file, Kept, f"remove {self.folder} and run the same command again", later=_LATER)
            self._began, self._before, self._saved = self.clock(), self.kept.spent, self.clock()
            self._told = 0
            listen(Started("probe", None, "steps"))
            if not self.kept.over:
                self._pace(listen)
                self._plan()
                self._rungs(listen)
                self.kept.over = True
                self._save()
                for arm in self.arms.values():
                    arm.forget()
            listen(Ended("probe", self.kept.spent, reused=self._told == 0))
        return self._standing().outcome((len(self.sample.train), len(self.sample.select)))

    def left(self) -> float:
        """Seconds that may still be spent."""
        self.kept.spent = self._before + self.clock() - self._began
        return self.seconds - self.kept.spent

    def _save(self) -> None:
        self.left()
        self._saved = self.clock()
        write_json(self._file, asdict(self.kept))

    def _pace(self, listen: Listener) -> None:
        """What each arm takes. Arms beyond the share of time for this are left out."""
        for arm in self.arms.values():
            if arm.key in self.kept.paces or arm.key in self.kept.untried:
                continue
            if self.kept.paces and self.left() < (1 - PACING_SHARE) * self.seconds:
                self.kept.untried[arm.key] = "telling the pace of those before it took its share of the time"
                continue
            listen(Advanced("probe", self._told, f"pace of {arm.name}"))
            try:
                told = pace_of(arm, self.sample, PACING_STEPS, lambda: self.left() > 0, self.clock)
                if told is None:
                    self.kept.untried[arm.key] = "the time was over before its pace was told"
                else:
                    self.kept.paces[arm.key] = Pace(*told)
            except Exception as error:  # its weights are damaged, it diverges at once, its code fails: the others can still be tried
                self.kept.untried[arm.key] = _why(error)
                listen(Said(f"{arm.name} is not tried: {_why(error)}", warning=True))
            arm.forget()
            self._save()

    def _plan(self) -> None:
        """How far the last rung goes, and which arms there is no time for: the last ones.

        Raises:
            RecipeError: not even one arm fits.
            MachineError: none could be trained at all.
        """
        if self.kept.total:
            return
        tried = [key for key in self.arms if key in self.kept.paces]
        time_left = SAFE * self.left()
        while tried:
            paces = [self.kept.paces[key] for key in tried]
            most = max(self.arms[key].own_length(len(self.sample.train)) for key in tried)
            total = steps_within(paces, time_left, most)
            if total >= min(most, least_steps(len(tried))):
                self.kept.total = total
                self._save()
                return
            last = tried.pop()
            if tried:
                del self.kept.paces[last]
                self.kept.untried[last] = "there is no time for it beside those before it"
        wanted = [pace.load + pace.judge + pace.step * least_steps(1) for pace in self.kept.paces.values()]
        reasons, spent = list(self.kept.untried.values()), self.kept.spent
        self.kept = Kept()
        self._file.unlink(missing_ok=True)  # the next call is asked for more, or finds what was amiss mended
        if not wanted and spent < self.seconds:
            raise MachineError(f"--probe: not one option could take a step: {reasons[0]}")
        minutes = f"{(spent + wanted[0] / SAFE) / 60 + 0.1:.1f} minutes or more" if wanted else "more minutes"
        raise RecipeError(f"--probe {self.seconds / 60:g} is too short for one trial: give {minutes}, or fewer and smaller bases.")

    def _rungs(self, listen: Listener) -> None:
        """Every rung that the time allows; the worse half is left after each."""
        alive = [self.arms[key] for key in self.arms if key in self.kept.paces]
        counts = arms_of(len(alive))
        for rung, step in enumerate(steps_of(self.kept.total, len(counts))):
            for arm in alive:
                if self._at(rung, arm.key) is None and not self._train(arm, rung, step, listen):
                    return
            following = counts[rung + 1] if rung + 1 < len(counts) else len(alive)
            alive = [self.arms[key] for key in self._standing().ranked([arm.key for arm in alive], rung)[:following]]

    def _at(self, rung: int, key: str) -> Seen | None:
        return self._standing().at(rung, key)

    def _standing(self) -> Standing:
        names = {key: arm.name for key, arm in self.arms.items()}
        return Standing(self.kept, names, self.measure, self._answers, self._resamples)

    def _train(self, arm: Arm, rung: int, step: int, listen: Listener) -> bool:
        """Take an arm to the end of a rung and judge it; False where the time ended before."""
        pace = self.kept.paces[arm.key]
        last = self._at(rung - 1, arm.key)
        if last is not None and last.value is None:
            self._note(arm, rung, last.step, None)
            return True
        if self.left() < pace.load + pace.step + pace.judge:
            listen(Said("The probe's time is over before its last rung is: what was seen so far decides.", warning=True))
            return False
        try:
            return self._to_rung(arm, rung, step, pace, listen)
        except (TunesmithError, OSError):
            raise
        except Exception as error:  # whatever one odd model raises: the others go on
            self.kept.failed[arm.key] = _why(error)
            listen(Said(f"{arm.name} is left out: {_why(error)}", warning=True))
            self._note(arm, rung, 0 if last is None else last.step, None)
            return True

    def _to_rung(self, arm: Arm, rung: int, step: int, pace: Pace, listen: Listener) -> bool:
        with arm.opened(self.sample, self.kept.total) as held:
            try:
                for _ in held.train_to(step, lambda: self.left() >= pace.step + pace.judge):
                    self._tick(arm, held, listen)
            except DivergedError:
                self._note(arm, rung, held.step, None)
                return True
            if held.step < min(step, held.run.feed.steps):
                listen(Said("The probe's time is over before its last rung is: what was seen so far decides.", warning=True))
                return False
            answers = without_times(held.answers())
            if step < self.kept.total:
                held.save()
        write_jsonl(self._answers_file(rung, arm.key), (one.to_json() for one in answers))
        self._note(arm, rung, step, self.measure.of(answers))
        return True

    def _tick(self, arm: Arm, held: Open, listen: Listener) -> None:
        self._told += 1
        listen(Advanced("probe", self._told, f"{arm.name}, step {held.step}", max(0.0, self.left())))
        if self.clock() - self._saved >= _SAVED_SECONDS:
            self._save()

    def _note(self, arm: Arm, rung: int, step: int, value: float | None) -> None:
        self.kept.seen.append(Seen(arm.key, rung, step, value))
        self._save()

    def _answers_file(self, rung: int, key: str) -> Path:
        return self.folder / "answers" / f"{rung}-{list(self.arms).index(key)}.jsonl"

    def _answers(self, rung: int, key: str) -> list[Prediction]:
        return [Prediction.from_json(value) for value in read_jsonl(self._answers_file(rung, key))]


def _why(error: Exception) -> str:
    """What an arm failed of, in a line; of errors that may hold a row's text, their kind alone."""
    if isinstance(error, TunesmithError):
        return str(error)
    first = next(iter(str(error).strip().splitlines()), "")[:200] if isinstance(error, RuntimeError) else ""
    return f"its training failed ({type(error).__name__}{': ' if first else ''}{first})"
