"""The ledger's one way in: typed records go in and come out, each method is one transaction, and recording twice changes nothing.

Not for many small writes a second: every write is fsynced (a few milliseconds). Step-by-step curves belong in a round's folder.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, func, select, update

from tunesmith.core.errors import RecipeError
from tunesmith.ledger import tables
from tunesmith.ledger.ancestry import ancestors
from tunesmith.ledger.audit import Audit
from tunesmith.ledger.exchange import fetch, find, plain, put
from tunesmith.ledger.feedback import Opinions
from tunesmith.ledger.files import Files
from tunesmith.ledger.jobs import Jobs
from tunesmith.ledger.keys import Keys
from tunesmith.ledger.nexts import NextRounds
from tunesmith.ledger.records import (
    Ancestor,
    ArtefactRecord,
    DatasetRecord,
    Edge,
    MetricRecord,
    RoundRecord,
    StageRecord,
    Status,
    TestOpening,
    check_status,
    now,
)
from tunesmith.ledger.requests import Requests
from tunesmith.ledger.schema import bring_to_head
from tunesmith.ledger.sides import FeedbackSides
from tunesmith.ledger.steps import Steps
from tunesmith.ledger.store import address, hurry, make_engine, shown, take_turn, transaction
from tunesmith.ledger.trials import Trials
from tunesmith.ledger.watched import Watched


class Ledger:
    """An open ledger. Threads may share it; processes open their own. Use it as a context manager, or close it."""

    def __init__(self, engine: Engine, url: URL) -> None:
        """Use `Ledger.open`."""
        self._engine = engine
        self.where = shown(url)
        """Its address, as it may be printed."""
        self.keys = Keys(self)
        """Who may do what."""
        self.audit = Audit(self)
        """Who did what to keys, policies and the server."""
        self.requests = Requests(self)
        """What was answered."""
        self.feedback = Opinions(self)
        """What people say of it."""
        self.steps = Steps(self)
        """Who is in service, and who was."""
        self.feedback_sides = FeedbackSides(self)
        """Which opinions may train, and which judge."""
        self.next_rounds = NextRounds(self)
        """What was made of them."""
        self.trials = Trials(self)
        """What became of requests while a challenger was tried."""
        self.files = Files(self)
        """What tenants gave to train on, and what they got back."""
        self.jobs = Jobs(self)
        """Fine-tuning that was asked for."""
        self.watched = Watched(self)
        """Figures of traffic by the hour and the day."""

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Open a ledger, making it where there is none and migrating an older one.

        Args:
            url_or_path: a path (SQLite), or `postgresql://user:password@host:5432/database`.

        Raises:
            RecipeError: neither of the two.
            MachineError: damaged, not a ledger, unreachable, read-only, or written by a newer tunesmith.
            BusyError: locked by another process for 30 s.
        """
        url = address(url_or_path)
        ledger = cls(make_engine(url), url)
        try:
            bring_to_head(ledger._engine, ledger.where)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def wait_at_most(self, seconds: float) -> None:
        """From now on its transactions wait for another process no longer than so: for servers, which have clients that wait in turn."""
        hurry(self._engine, seconds)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # Datasets

    def record_dataset(self, dataset: DatasetRecord) -> DatasetRecord:
        """Keep a dataset. The same content again updates where it lies; parent and creation stay."""
        with self.writing() as connection:
            put(connection, tables.datasets, [dataset], on=("id",), replacing=("path", "task", "counts"))
            return fetch(connection, DatasetRecord, tables.datasets, tables.datasets.c.id == dataset.id)[0]

    def dataset(self, id_or_prefix: str) -> DatasetRecord:
        """The dataset with this id, or the only one whose id begins so. RecipeError where there is none or several."""
        with self.reading() as connection:
            return find(connection, DatasetRecord, tables.datasets, id_or_prefix, "dataset")

    def datasets(self, limit: int | None = None) -> list[DatasetRecord]:
        """Datasets, newest first."""
        with self.reading() as connection:
            return fetch(connection, DatasetRecord, tables.datasets, newest_first=True, limit=limit)

    # Rounds

    def record_round(self, round: RoundRecord) -> RoundRecord:
        """Keep a round that begins; where its id is known already, return it as it stands. RecipeError: the id is another identity's."""
        with self.writing() as connection:
            put(connection, tables.rounds, [round], on=("id",))
            kept = fetch(connection, RoundRecord, tables.rounds, tables.rounds.c.id == round.id)[0]
        if kept.identity != round.identity:
            raise RecipeError(f"Round id '{round.id}' belongs to another recipe, data or base: choose another id.")
        return kept

    def continue_round(self, round_id: str) -> RoundRecord:
        """Take up an unfinished round: running again, counted in `continued`, its error gone. RecipeError where it is done or unknown."""
        c = tables.rounds.c
        values = {"status": "running", "continued": c.continued + 1, "finished": None, "seconds": None, "error": None}
        with self.writing() as connection:
            changed = connection.execute(update(tables.rounds).where(c.id == round_id, c.status != "done").values(values)).rowcount
            kept = self._exactly(connection, round_id)
        if not changed:
            raise RecipeError(f"Round '{round_id}' is done, and a finished round is never changed: make a new one with --again.")
        return kept

    def set_dataset(self, round_id: str, dataset_hash: str) -> RoundRecord:
        """Tell which dataset a round works on, once that is prepared. RecipeError where the round is unknown."""
        return self._change_round(round_id, {"dataset_hash": dataset_hash})

    def finish_round(
        self, round_id: str, status: Status, seconds: float, *, verdict: Mapping[str, Any] | None = None, error: str | None = None
    ) -> RoundRecord:
        """End a round: done with its verdict, or failed or diverged with the reason. One that is done stays as it is.

        Args:
            seconds: how long it took, all continuations together.

        Raises:
            RecipeError: the round is unknown, or the status is not one that ends it.
        """
        check_status(status)
        if status == "running":
            raise RecipeError("A round can't finish as 'running': it ends done, failed or diverged.")
        told = None if verdict is None else plain(verdict, "verdict")
        return self._change_round(round_id, {"status": status, "seconds": seconds, "verdict": told, "error": error, "finished": now()})

    def round(self, id_or_prefix: str) -> RoundRecord:
        """The round with this id, or the only one whose id begins so. RecipeError, with the nearest id, where there is none or several."""
        with self.reading() as connection:
            return find(connection, RoundRecord, tables.rounds, id_or_prefix, "round")

    def rounds(self, limit: int | None = None, *, identity: str | None = None) -> list[RoundRecord]:
        """Rounds, newest first: all of them, or those of one recipe, data and base."""
        where = () if identity is None else (tables.rounds.c.identity == identity,)
        with self.reading() as connection:
            return fetch(connection, RoundRecord, tables.rounds, *where, newest_first=True, limit=limit)

    # Stages

    def record_stage(self, stage: StageRecord) -> StageRecord:
        """Keep a finished stage. The same key again (its output was lost, and it ran anew) replaces what was known."""
        columns = tuple(field.name for field in fields(StageRecord) if field.name != "key")
        with self.writing() as connection:
            put(connection, tables.stages, [stage], on=("key",), replacing=columns)
            return fetch(connection, StageRecord, tables.stages, tables.stages.c.key == stage.key)[0]

    def reusable_stage(self, key: str) -> StageRecord | None:
        """The stage that ran with this key, or None. Whether its output is still whole is for whoever reads that to check."""
        with self.reading() as connection:
            found = fetch(connection, StageRecord, tables.stages, tables.stages.c.key == key)
        return found[0] if found else None

    def stages(self, round_id: str) -> list[StageRecord]:
        """The stages a round ran itself, in order of their first recording."""
        with self.reading() as connection:
            return fetch(connection, StageRecord, tables.stages, tables.stages.c.round_id == round_id)

    # Artefacts and lineage

    def record_artefact(self, artefact: ArtefactRecord) -> ArtefactRecord:
        """Keep that content lies at a path. The same again updates its kind and size; round and creation stay."""
        c = tables.artefacts.c
        with self.writing() as connection:
            put(connection, tables.artefacts, [artefact], on=("content_hash", "path"), replacing=("kind", "bytes"))
            return fetch(connection, ArtefactRecord, tables.artefacts, c.content_hash == artefact.content_hash, c.path == artefact.path)[0]

    def artefacts(self, *, content_hash: str | None = None, round_id: str | None = None, kind: str | None = None) -> list[ArtefactRecord]:
        """Artefacts that fit all that is named, in order of recording."""
        wanted = {"content_hash": content_hash, "round_id": round_id, "kind": kind}
        where = [tables.artefacts.c[name] == value for name, value in wanted.items() if value is not None]
        with self.reading() as connection:
            return fetch(connection, ArtefactRecord, tables.artefacts, *where)

    def record_edges(self, edges: Iterable[Edge]) -> None:
        """Keep what was made from what. Content made from itself (a stage that changed nothing) says nothing and is left out."""
        with self.writing() as connection:
            put(connection, tables.lineage, [edge for edge in edges if edge.child != edge.parent], on=("child", "parent", "relation"))

    def lineage(self, content_hash: str) -> list[Ancestor]:
        """All that content was made from, nearest first; each once, by its shortest way."""
        with self.reading() as connection:
            return ancestors(connection, content_hash)

    def parents(self, content_hash: str) -> list[Edge]:
        """What content was made from directly, in every relation."""
        with self.reading() as connection:
            return fetch(connection, Edge, tables.lineage, tables.lineage.c.child == content_hash)

    # Metrics

    def record_metrics(self, metrics: Iterable[MetricRecord]) -> None:
        """Keep figures, all of them or none; the same round, system, name and side again replaces the figure."""
        with self.writing() as connection:
            put(connection, tables.metrics, list(metrics), on=("round_id", "system", "name", "side"), replacing=("value", "low", "high"))

    def metrics(self, round_id: str) -> list[MetricRecord]:
        """A round's figures, in order of their first recording."""
        with self.reading() as connection:
            return fetch(connection, MetricRecord, tables.metrics, tables.metrics.c.round_id == round_id)

    # Openings of test sets

    def open_test_set(self, test_hash: str, round_id: str) -> int:
        """Count that a round looks at a test set; return how many rounds have, with this one. Resuming counts nothing new."""
        opening = TestOpening(test_set_hash=test_hash, round_id=round_id, created=now())
        with self.writing() as connection:
            take_turn(connection, tables.test_openings.name)
            put(connection, tables.test_openings, [opening], on=("test_set_hash", "round_id"))
            counted = select(func.count()).select_from(tables.test_openings).where(tables.test_openings.c.test_set_hash == test_hash)
            return connection.execute(counted).scalar_one()

    def test_openings(self, test_hash: str) -> list[TestOpening]:
        """Who has looked at a test set, first to last."""
        with self.reading() as connection:
            return fetch(connection, TestOpening, tables.test_openings, tables.test_openings.c.test_set_hash == test_hash)

    def reading(self) -> AbstractContextManager[Connection]:
        """One transaction that only reads."""
        return transaction(self._engine, self.where, writes=False)

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction that writes: all of it or nothing."""
        return transaction(self._engine, self.where, writes=True)

    def _change_round(self, round_id: str, values: dict[str, Any]) -> RoundRecord:
        """Change a round that is not done, and return it as it stands."""
        c = tables.rounds.c
        with self.writing() as connection:
            connection.execute(update(tables.rounds).where(c.id == round_id, c.status != "done").values(values))
            return self._exactly(connection, round_id)

    def _exactly(self, connection: Connection, round_id: str) -> RoundRecord:
        """The round with this id and no prefix of it: what is written must not depend on which other rounds there are."""
        found = find(connection, RoundRecord, tables.rounds, round_id, "round")
        if found.id != round_id:
            raise RecipeError(f"There is no round '{round_id}'. Did you mean '{found.id}'?")
        return found
