"""Who leads a search: says which trial is next, hears of its evaluations, writes down how it ended, and knows when it is enough.

Everything it decides follows from the records and from the seed, so a search that was killed goes on where it was: trials that had not ended
come first, with their own numbers and settings; what had ended is not trained again. With one worker it then asks what it would have asked.
It trains nothing itself (`crew` does), and has the folder for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.core.progress import Advanced, Listener, Said
from tunesmith.recipe.search_config import DEFAULT_TRIALS, SearchConfig
from tunesmith.search import finals
from tunesmith.search.budget import Budget, Spent, for_repeats
from tunesmith.search.crew import Task
from tunesmith.search.curves import curve_of, worths
from tunesmith.search.outcome import TrialRecord
from tunesmith.search.pruning import pruner
from tunesmith.search.records import Folder, Record
from tunesmith.search.sampling import Place, Question, ask
from tunesmith.search.space import Space, key_of
from tunesmith.search.stopping import Prospect, judged, prospect, trials_without_gain
from tunesmith.search.telling import trial_line
from tunesmith.search.trial import BUDGET, Answer, Measured, Point, Settings

WORK = "search"
"""Its name among pieces of work."""
_MOST_DEATHS = 2
_BUDGETS = ("trials", "minutes", "steps", "money", "price_per_hour", "stop_early", "patience")


class Leader:
    """The state of a search: its records, and which of them are being trained now."""

    def __init__(
        self, config: SearchConfig, folder: Folder, *, seed: int, first: Sequence[Settings], clock: Callable[[], float], listen: Listener
    ) -> None:
        self.config, self.folder, self.seed, self.listen = config, folder, seed, listen
        self.space, self.budget, self.prune = Space.of(config), Budget.of(config), pruner(config.pruner)
        self.first = [own for own in map(self.space.named, first) if self.space.coordinates(own) is not None]
        self.clock, self.began = clock, clock()
        self.records = folder.load()
        self.earlier_seconds = max((record.elapsed for record in self.records), default=0.0)
        self.running: set[int] = set()
        self.cut: set[int] = set()
        self.resumed: set[int] = set()
        self.paces: dict[int, tuple[Point, float]] = {}
        """Of the first trials: the first evaluation that was new in this sitting, and when it was heard of."""
        self.prospects: dict[int, Prospect | None] = {}
        self.stopped = self._earlier_end()

    # what it is asked by whoever trains

    def next(self) -> Task | None:
        """The next trial to train; None where there is none to begin now."""
        waiting = next((record for record in self.records if not record.ended and record.number not in self.running), None)
        if waiting is not None:
            return self._again(waiting)
        if self.stopped is None:
            return self._search()
        return self._repeat()

    def heard(self, number: int, point: Point) -> Answer:
        """Take down an evaluation; whether to end the trial there, and why."""
        before = self.records[number]
        record = self._put(before.told(point))
        if record.points != before.points and not any(other.ended for other in self.records):
            self._check_first(number, point)
        if self.budget.spent(self._spent()) is not None and point.share < 1:
            self.cut.add(number)
            return BUDGET
        return self._lags(record, [earlier for earlier in record.points if earlier.step <= point.step])

    def done(self, number: int, measured: Measured) -> None:
        """Write down how a trial ended, and tell of it."""
        self.running.discard(number)
        cut = number in self.cut and measured.pruned
        ended = self.records[number].finished(measured, resumed=number in self.resumed, cut=cut)
        best = self._best()
        self._put(ended)
        self.listen(Said(trial_line(ended, best)))
        self._advance()

    def died(self, number: int, how: str) -> None:
        """The worker of a trial is gone: another one takes the trial up, once."""
        self.running.discard(number)
        record = self._put(replace(self.records[number], deaths=self.records[number].deaths + 1))
        if record.deaths < _MOST_DEATHS:
            self.listen(Said(f"The worker of trial {number} was ended from outside ({how}): another one goes on with it.", warning=True))
            return
        sentence = f"its worker was ended from outside {record.deaths} times ({how}), most often for lack of memory"
        self.done(number, Measured(value=None, steps=record.steps, seconds=0.0, diverged=sentence, curve=record.points))

    # what it knows

    def own(self) -> list[Record]:
        """The search's own trials, without repeats of finalists."""
        return [record for record in self.records if record.repeats is None]

    def repeats(self) -> list[Record]:
        """Trials of finalists under other seeds."""
        return [record for record in self.records if record.repeats is not None]

    def tried(self) -> list[tuple[Place, float]]:
        """Where the ended trials lie in the space, and what each is worth; those that a budget ended are left out."""
        return self._told([record for record in self.own() if record.ended and not record.cut])

    def seconds(self) -> float:
        """That the search has worked, earlier sittings included."""
        return self.earlier_seconds + self.clock() - self.began

    def total(self) -> int:
        """Trials at most."""
        if self.config.trials is not None or self.config.sampler != "grid":
            return self.config.trials or DEFAULT_TRIALS
        return self.space.size or DEFAULT_TRIALS

    def ending(self) -> str:
        """Why the search ended, and what the budget did not allow any more."""
        made = {(record.repeats, record.seed) for record in self.repeats() if record.ended and not record.cut}
        undone = sum(plan not in made for plan in self._planned())
        repeats = "1 repeat of a finalist was" if undone == 1 else f"{undone} repeats of finalists were"
        left = f" {repeats} not made: the budget was spent." if undone else ""
        return f"{self.stopped}{left}"

    # how it decides

    def _check_first(self, number: int, point: Point) -> None:
        """Refuse a budget that is too little for one trial, seen from a new evaluation of the very first one; points that are retold took no time."""
        seconds = self.seconds()
        earlier, at = self.paces.setdefault(number, (point, seconds))
        self.budget.check_first(point, seconds - at, point.share - earlier.share)

    def _search(self) -> Task | None:
        """One trial more, or the end of the search."""
        reason = self._enough()
        settings = self._ask() if reason is None else None
        if settings is not None:
            return self._begin(Record(number=len(self.records), settings=settings, seed=self.seed))
        if not self.running:
            self._end(reason or "every point of the space has been tried.")
            return self.next()
        return None

    def _repeat(self) -> Task | None:
        """One repeat of a finalist more."""
        begun = {(record.repeats, record.seed) for record in self.repeats()}
        missing = [plan for plan in self._planned() if plan not in begun]
        if not missing or self.budget.spent(self._spent()) is not None:
            return None
        number, seed = missing[0]
        return self._begin(Record(number=len(self.records), settings=self.records[number].settings, seed=seed, repeats=number))

    def _planned(self) -> list[tuple[int, int]]:
        return finals.planned(finals.chosen(self.own(), self.config.finalists), self.config.seeds)

    def _again(self, record: Record) -> Task | None:
        """A trial that was not ended: on from where it was; one that had just been found to lag ends there."""
        self.resumed.add(record.number)
        if record.points and self._lags(record, record.points):
            last = record.points[-1]
            self.done(record.number, Measured(value=last.value, steps=0, seconds=0.0, pruned=True, curve=record.points))
            return self.next()
        return self._begin(record)

    def _begin(self, record: Record) -> Task:
        self._put(record)
        self.running.add(record.number)
        return Task(record.number, record.settings, record.seed)

    def _ask(self) -> Settings | None:
        own = self.own()
        visited = frozenset(key_of(record.settings) for record in own)
        for settings in self.first:
            if key_of(settings) not in visited:
                return settings
        running = [self._place(record) for record in own if not record.ended]
        starts = max(4, min(10, self.total() // 3))
        question = Question(self.space, self.seed, len(own), starts, self.tried(), running, visited)
        return ask(question, self.config.sampler)

    def _enough(self) -> str | None:
        """Why to begin no further trial, a sentence; None to go on."""
        own = self.own()
        gone = self.budget.spent(self._spent())
        if gone is not None and any(record.cut for record in own):
            return f"{gone} is spent."
        if len(own) >= self.total():
            return f"all {self.total()} trials were made."
        repeats = min(self.config.finalists, len(own)) * (self.config.seeds - 1) if self.config.finalists > 1 else 0
        spent = self.budget.spent(self._spent(), for_repeats(own, repeats, self._spent()))
        if spent is not None:
            return f"{spent} is spent, but for what the repeats of the finalists take." if repeats else f"{spent} is spent."
        if self.config.patience is not None:
            values = [record.trial().measured.value if record.trial().kept else None for record in own if record.ended]
            if trials_without_gain(values) >= self.config.patience:
                return f"{self.config.patience} trials in a row were not better than the best before them."
        return self._nothing_to_gain() if self.config.stop_early and self.config.sampler in ("tpe", "gp", "random") else None

    def _nothing_to_gain(self) -> str | None:
        values = [record.measured.value for record in self.own() if record.measured is not None and not record.cut]
        count = len(values)
        if not judged(self.space, count - 1):
            return None
        now, before = self._prospect(count), self._prospect(count - 1)
        if now is None or before is None or now.helps or before.helps:
            return None
        if now.alike:  # one that diverged counts as the worst, which may be the only value there is
            return None if None in values else f"a further trial is not expected to help: all {count} came out alike."
        return f"a further trial is not expected to help: it would gain {now.gain:.2g} where it gains most, and one measure varies by {now.noise:.2g}."

    def _prospect(self, count: int) -> Prospect | None:
        """What was to be expected when so many trials had ended, by these alone: the same after a kill; found once."""
        if count not in self.prospects:
            ended = [record for record in self.own() if record.ended and not record.cut]
            first = sorted(ended, key=lambda record: (record.elapsed, record.number))[:count]
            self.prospects[count] = prospect(self.space, self._told(first), self.seed % 2**32)
        return self.prospects[count]

    def _told(self, ended: Sequence[Record]) -> list[tuple[Place, float]]:
        """Where these trials lie, and what each is worth beside the others of them."""
        return list(zip([self._place(record) for record in ended], worths(ended), strict=True))

    def _lags(self, record: Record, points: Sequence[Point]) -> bool:
        if record.repeats is not None or not points:
            return False
        own = self.own()
        others = [curve_of(other) for other in own if other.number != record.number and not other.cut]
        return self.prune(own.index(record), points, others)

    def _end(self, reason: str) -> None:
        self.stopped = reason
        self.folder.end({"stopped": reason, "budget": self._budgets()})

    def _earlier_end(self) -> str | None:
        """Why it ended in an earlier sitting; with another budget it goes on, and trials that the earlier one ended are taken up."""
        ended = self.folder.ended()
        if ended is not None and ended.get("budget") == self._budgets():
            return str(ended.get("stopped"))
        if ended is None and self.budget.spent(self._spent()) is not None:  # killed after it was spent, before that was written
            return None
        for record in self.records:
            if record.cut and record.measured is not None:
                self.records[record.number] = replace(record, measured=None, points=record.measured.curve, cut=False)
        return None

    def _budgets(self) -> dict[str, Any]:
        return self.config.model_dump(mode="json", include=set(_BUDGETS))

    def _spent(self) -> Spent:
        return Spent(sum(record.steps for record in self.records), self.seconds())

    def _place(self, record: Record) -> Place:
        place = self.space.coordinates(record.settings)
        assert place is not None, record.settings
        return place

    def _best(self) -> TrialRecord | None:
        best = finals.chosen(self.own(), 1)
        return best[0].trial() if best else None

    def _put(self, record: Record) -> Record:
        """Write a record down, then know it."""
        stamped = replace(record, elapsed=self.seconds())
        self.folder.write(stamped)
        if record.number == len(self.records):
            self.records.append(stamped)
        else:
            self.records[record.number] = stamped
        return stamped

    def _advance(self) -> None:
        best = self._best()
        value = best.measured.value if best is not None else None
        figures = {"best": value} if value is not None else None
        done = sum(record.ended for record in self.own())
        self.listen(Advanced(WORK, done, f"best {value:.4g}" if value is not None else "", figures=figures))
