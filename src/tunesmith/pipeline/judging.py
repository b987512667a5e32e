"""A trial that may end by itself is judged now and then, where there are new opinions.

In a thread of its own, one trial at a time: the sum over ten thousands of opinions takes a second, and a rollback waits for nothing. What
is refused is told once a trial. Whoever closes it waits for the look under way, and no other begins.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tunesmith.core.errors import RecipeError, TunesmithError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import Standing
from tunesmith.pipeline.trial import verdict_step

JUDGE_SECONDS = 10.0
"""So often a trial is looked at."""


class Judge:
    """Takes the step that a trial's opinions ask for, where whoever began it allowed that."""

    def __init__(self, ledger: Ledger, line: str, tell: Callable[[str, bool], None]) -> None:
        self._ledger, self._line, self._tell = ledger, line, tell
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._stop = threading.Event()
        self._looked = 0.0
        self._seen: object = None
        self._told: tuple[int, str] = (0, "")
        self.under_way: Future[None] | None = None
        """The look that was begun last."""

    def look(self, standing: Standing, time: float) -> None:
        """Begin to judge where that is due. Comes back at once."""
        due = standing.mode == "share" and time - self._looked >= JUDGE_SECONDS and not self._stop.is_set()
        if due and (self.under_way is None or self.under_way.done()):
            self._looked = time
            self.under_way = self._thread.submit(self._judge, standing)

    def close(self) -> None:
        """End the thread, once the look under way is done."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _judge(self, standing: Standing) -> None:
        try:
            self._decide(standing)
        except TunesmithError as error:  # somebody else was first, the ledger is locked, one key speaks for most: the next look tells
            self._complain(standing, type(error).__name__, str(error)[:400])
        except Exception as error:  # whatever it is, what serves goes on serving
            self._complain(standing, type(error).__name__, f"{type(error).__name__}.")

    def _decide(self, standing: Standing) -> None:
        trials = self._ledger.trials
        rule = trials.rule(standing.number)
        if not (rule.promote_when_better or rule.end_when_worse):
            return
        seen = (standing.number, trials.opinion_count(standing.number))
        if seen == self._seen:
            return
        try:
            step = verdict_step(self._ledger, self._line, standing, rule)
        except RecipeError:  # the same opinions would be refused again
            self._seen = seen
            raise
        if step is not None and not self._stop.is_set():
            self._ledger.steps.take(step, after=standing.number)
        self._seen = seen

    def _complain(self, standing: Standing, kind: str, why: str) -> None:
        if self._told != (standing.number, kind):
            self._tell(f"The trial of '{self._line}' takes no step by itself: {why}", True)
        self._told = (standing.number, kind)
