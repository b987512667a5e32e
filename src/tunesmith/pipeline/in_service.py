"""The gateway follows the ledger: whoever the last step says is champion answers, and whoever challenges is tried.

One thread asks for the number of a line's last step a few times a second (one small query) and exchanges what is loaded; another loads, one
model at a time, so that a rollback never waits behind a load. The champion before the present one is kept loaded, so that going back is one
assignment. A model that can't be loaded leaves the old one in service and is tried again a few times; one whose content is not the step's is
refused until the next step. A ledger that can't be read changes nothing. Costs the memory of at most `most_loaded` models, and of one more
while it takes another's place.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from tunesmith.core.errors import MachineError, RecipeError, TunesmithError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import InService, Standing
from tunesmith.pipeline.judging import Judge
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.answers import Backend
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.service import Arm, Loaded, Now, Service, unused
from tunesmith.serve.trial import GiveWay, Trial

POLL_SECONDS = 0.2
AGAIN_SECONDS = (1.0, 5.0, 25.0)
"""Waits before a model that could not be loaded is tried again; then it is left alone until the next step."""
LINGER_SECONDS = 5.0
"""A model that is needed no longer stays for so long at least: a request may just have been given to it."""

Load = Callable[[InService], Loaded]
Tell = Callable[[str, bool], None]
"""Told a sentence, and whether it is a warning."""


def local_loader(place: Workspace, config: ServeConfig, lent: Mapping[str, Backend] | None = None) -> Load:
    """Loads models into this process, each as it was evaluated, and holds them to the content that their step names.

    Args:
        place: where models lie.
        config: how to serve.
        lent: content hash -> a model that is loaded and served under its own name anyway: it is taken, and not loaded again.
    """

    def load(model: InService) -> Loaded:
        import tunesmith.models.load  # noqa: F401  quiets the libraries that load weights
        from tunesmith.models.package import load_model, model_digest
        from tunesmith.pipeline.naming import named_model
        from tunesmith.serve.local import LocalModel

        named = named_model(model.model, place)
        content = model_digest(named.folder)
        if model.model_hash is not None and content != model.model_hash:
            raise OtherContent(
                f"The folder of {model.model} holds another model than the step names: put that back, or promote this one anew."
            )
        there = (lent or {}).get(content)
        if there is not None:  # it gives way to nobody: what it is asked under its own name is shown
            return Loaded(model, there, content, _bytes_of(there), lent=True)
        weights, tokenizer, bundle = load_model(named.folder)
        if model_digest(named.folder) != content:
            raise OtherContent(f"The folder of {model.model} changed while it was loaded: promote it again once it is whole.")
        backend = LocalModel(named.name, weights, tokenizer, bundle, config)

        def give_way(way: Callable[[], None] | None) -> None:
            backend.engine.give_way = way

        return Loaded(model, backend, content, _bytes_of(backend), give_way)

    return load


def _bytes_of(backend: Backend) -> int:
    """Of its weights."""
    model = getattr(backend, "model", None)
    return 0 if model is None else sum(part.numel() * part.element_size() for part in model.parameters())


class OtherContent(MachineError):
    """A model's folder holds something else than the step names."""


@dataclass(slots=True)
class _Failure:
    """A model that could not be loaded."""

    why: str
    attempts: int = 1
    again_at: float | None = None
    """None: not before the next step."""


@dataclass(slots=True)
class _Loading:
    """The load under way."""

    model: InService
    future: "Future[Loaded]"
    begun: float = field(default_factory=time.monotonic)


class Follower:
    """Keeps a service where the ledger says. `look` is one turn; `start` takes turns in a thread until `close`."""

    def __init__(self, ledger: Ledger, line: str, load: Load, tell: Tell, *, most_loaded: int = 3, keep_days: float = 30) -> None:
        """Load the champion.

        Args:
            ledger: whose steps are followed.
            line: the line of service.
            load: loads a model; runs in another thread, or here at first.
            tell: told of every exchange and failure.
            most_loaded: models that are kept loaded; champion and challenger are in any case.
            keep_days: words of shadow answers are deleted after so many days.

        Raises:
            RecipeError: the line has no champion.
            TunesmithError: it can't be loaded.
        """
        self.ledger, self.line, self._load, self._tell, self._most = ledger, line, load, tell, most_loaded
        self.standing = ledger.steps.standing(line)
        if self.standing.champion is None:
            raise RecipeError(f"'{line}' has no champion to serve: make a model the champion with `tunesmith promote`.")
        self._secret = self._secret_of(self.standing)
        champion = load(self.standing.champion)
        self.service = Service(line, Now(champion, self.standing.number), Trial(ledger.trials, keep_days))
        self.changed: Callable[[], None] = lambda: None
        """Called when other models are loaded than before."""
        self.clock: Callable[[], float] = time.monotonic
        self._failures: dict[InService, _Failure] = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._loading: _Loading | None = None
        self._way: GiveWay | None = None
        self._judge = Judge(ledger, line, tell)
        self._unread = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)

    def names(self) -> dict[str, Backend]:
        """The line, and champions that are loaded under their own names: the present one and the one before it."""
        champions = [self.standing.champion, *self.standing.former[-1:], self.service.now.champion.model]
        loaded = [self.service.find(model) for model in champions if model is not None]
        own = {one.backend.name: one for one in loaded if one is not None}
        arms: dict[str, Backend] = {name: Arm(name, one, now=Now(one), trial=None) for name, one in own.items()}
        return arms | {self.line: self.service}

    def start(self) -> None:
        """Take turns."""
        self._thread.start()

    def close(self) -> None:
        """Take no more turns; the load under way is finished and let go of."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=60)
        self._judge.close()
        self._loader.shutdown(wait=True)  # what waits there is models to close
        self._gather()
        self.service.close(drain=False)

    def _follow(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.look()
            except Exception as error:  # whatever it is, what serves goes on serving
                self._tell(f"'{self.line}' could not be followed ({type(error).__name__}): what serves goes on.", True)
                self._stop.wait(AGAIN_SECONDS[0])

    # One turn

    def look(self) -> None:
        """Learn of steps, and come nearer to what they say."""
        self._learn()
        self._gather()
        self._exchange()
        self._load_next()
        self._let_go()
        if self.standing.number == self.service.now.step and self.service.now.mode == "share":
            self._judge.look(self.standing, self.clock())

    def _learn(self) -> None:
        try:
            if self.ledger.steps.last(self.line) != self.standing.number:
                standing = self.ledger.steps.standing(self.line)
                self.standing, self._secret = standing, self._secret_of(standing)
                self._failures.clear()  # a step is a new chance
            self._unread = False
        except TunesmithError as error:
            if not self._unread:
                self._tell(f"The ledger can't be read ({str(error)[:200]}); what serves goes on.", True)
            self._unread = True

    def _secret_of(self, standing: Standing) -> str:
        return self.ledger.trials.secret(standing.number) if standing.challenger is not None else ""

    def _gather(self) -> None:
        """Take in what was loaded, or note why it wasn't."""
        loading = self._loading
        if loading is None or not loading.future.done():
            return
        self._loading = None
        if loading.future.cancelled():
            return
        error = loading.future.exception()
        if error is None:
            loaded = loading.future.result()
            self.service.pool = (*self.service.pool, loaded)
            self.changed()
            self._failures.pop(loading.model, None)
            seconds = time.monotonic() - loading.begun
            self._tell(f"{loading.model.model} is loaded ({loaded.bytes / 2**20:,.0f} MiB, {seconds:.1f} s).", False)
            return
        self._failed(loading.model, error)

    def _failed(self, model: InService, error: BaseException) -> None:
        self.service.counts["load_failures"] += 1
        said = str(error)[:300] if isinstance(error, TunesmithError) else type(error).__name__
        before = self._failures.get(model)
        attempts = 1 if before is None else before.attempts + 1
        final = isinstance(error, OtherContent) or attempts > len(AGAIN_SECONDS)
        self._failures[model] = _Failure(said, attempts, None if final else self.clock() + AGAIN_SECONDS[attempts - 1])
        then = "it is left alone until the next step" if final else f"it is tried again in {AGAIN_SECONDS[attempts - 1]:g} s"
        self._tell(f"{model.model} can't be loaded: {said} What serves goes on; {then}.", True)

    def _exchange(self) -> None:
        """Let those answer who shall and can."""
        wanted, now = self.standing, self.service.now
        champion = None if wanted.champion is None else self.service.find(wanted.champion)
        challenger = None if wanted.challenger is None or champion is None else self.service.find(wanted.challenger)
        self.service.behind = self._behind(champion, challenger)
        mode = wanted.mode if challenger is not None else None
        share = (wanted.share or 0.0) if mode == "share" else 0.0
        next_ = Now(champion or now.champion, wanted.number, challenger, mode, share, self._secret)
        if next_ == now:
            return
        self._give_way(now, next_)
        self.service.take(next_)
        self.changed()
        if next_.champion is not now.champion or challenger is not now.challenger:
            beside = "" if challenger is None else f", {challenger.model.model} is tried beside it ({wanted.mode})"
            self._tell(f"'{self.line}' is served by {next_.champion.model.model}{beside} (step {wanted.number}).", False)

    def _behind(self, champion: Loaded | None, challenger: Loaded | None) -> str | None:
        for model, there in ((self.standing.champion, champion), (self.standing.challenger, challenger)):
            if model is not None and there is None:
                failure = self._failures.get(model)
                return f"{model.model} is being loaded" if failure is None else f"{model.model} can't be loaded: {failure.why}"
        return None

    def _give_way(self, now: Now, next_: Now) -> None:
        """Only a challenger in shadow lets others go first."""
        trial = self.service.trial
        if now.challenger is not None:
            now.challenger.give_way(None)
            if self._way is not None:
                self._way.release()
        self._way = self._way_for(next_.challenger) if next_.challenger is not None and next_.mode == "shadow" else None
        if self._way is not None and next_.challenger is not None:
            next_.challenger.give_way(self._way)
        if trial is not None:
            trial.let_go()
            trial.way(self._way)

    def _way_for(self, challenger: Loaded) -> GiveWay:
        """A former champion may be asked under its own name meanwhile: these answers are shown too, and wait for nobody."""
        return GiveWay(lambda: not challenger.arms and self.service.busy())

    # Loading and letting go

    def _needed(self) -> list[InService]:
        """Models by how much they are needed; the last of them so that a rollback needs no load."""
        former = self.standing.former[-1:] if self._most > 1 else ()
        named = [self.standing.champion, self.standing.challenger, *former]
        needed = [model for model in named if model is not None]
        most = max(self._most, sum(model is not None for model in named[:2]))
        return needed[:most]

    def _load_next(self) -> None:
        if self._loading is not None or self._stop.is_set():
            return
        for model in self._needed():
            failure = self._failures.get(model)
            due = failure is None or (failure.again_at is not None and self.clock() >= failure.again_at)
            if due and self.service.find(model) is None:
                self._loading = _Loading(model, self._loader.submit(self._load, model))
                return

    def _let_go(self) -> None:
        """Drop models beyond the number kept: those out of use for longest first, and none that a request is on."""
        pool, now = self.service.pool, self.service.now
        needed = [now.champion, now.challenger, *(self.service.find(model) for model in self._needed())]
        for loaded in pool:
            loaded.free_since = None if loaded in needed else loaded.free_since or self.clock()
        spare = sorted((loaded for loaded in pool if loaded.free_since is not None), key=lambda loaded: loaded.free_since or 0.0)
        for gone in spare[: max(0, len(pool) - self._most)]:
            if unused(gone, LINGER_SECONDS, self.clock):
                self.service.pool = tuple(loaded for loaded in self.service.pool if loaded is not gone)
                self.changed()
                self._loader.submit(gone.close, drain=True)
                self._tell(f"{gone.model.model} is let go of.", False)
