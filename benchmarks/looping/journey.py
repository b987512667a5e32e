"""One loop from a champion to the next: what is done, in order, and what it came to.

The champion of a seed is trained once; every kind of loop begins with a copy of its workspace. The loop in which nothing is reviewed
takes up the poisoned one's opinions, so that it is asked and told the same.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from looping.playing import Replayed, replay, review, served
from looping.rows import DATA, Labelled, LoopRows, Sizes, rows_of, write_rows
from tunesmith.core.progress import silent
from tunesmith.feedback.next_config import NextConfig
from tunesmith.feedback.redact import redacted
from tunesmith.feedback.users import Turn, Users, turns_of
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.workspace import Workspace

Kind = Literal["clean", "poisoned", "unreviewed"]
CHAMPION = "champion"
METHOD: dict[str, Any] = {"name": "features", "head": "class"}
TRAIN: dict[str, Any] = {"epochs": 30, "learning_rate": 1e-2, "threads": 1}
EVALUATE: dict[str, Any] = {
    "few_shot": [0],
    "few_shot_by": ["random"],
    "select_rows": 30,
    "resamples": 500,
    "forgetting": {"enabled": False},
    "slices": False,
    "linear_floor": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a loop came to. Accuracies are shares."""

    kind: Kind
    seed: int
    promoted: bool
    why: str
    used: int
    """Opinions that made training rows."""
    gain: dict[str, float] | None
    """What the gate saw on the test set: value, low, high."""
    test_before: float
    test_after: float
    """Of who is in service afterwards: equal to `test_before` where nobody was promoted."""
    arbiter_before: float
    arbiter_after: float
    challenger: float | None
    """The new model on the arbiter's set, promoted or not; None where none was made."""
    replayed: dict[str, int]
    reviewed: dict[str, int]
    seconds: float

    @property
    def worse(self) -> bool:
        """Whether a worse model took the champion's place."""
        return self.promoted and self.arbiter_after < self.arbiter_before

    @property
    def sentence(self) -> str:
        """For people."""
        who = "promoted" if self.promoted else "not promoted"
        challenger = "none" if self.challenger is None else f"{self.challenger:.1%}"
        return (
            f"{who}; test {self.test_before:.1%} to {self.test_after:.1%}, arbiter {self.arbiter_before:.1%} to {self.arbiter_after:.1%}"
            f" (the new model: {challenger}); {self.seconds:.0f} s. {self.why}"
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self) | {"worse": self.worse}


@dataclass(slots=True)
class Journey:
    """The loops of one seed."""

    task: str
    sizes: Sizes
    seed: int
    folder: Path
    tell: Callable[[str], None]
    poisoned: float = 0.3
    reviewer_error: float = 0.05
    data: Path = DATA
    recipe: dict[str, Any] = field(default_factory=dict)
    """Sections of the champion's recipe that differ: for tests, smaller ones."""
    split: dict[str, Any] = field(default_factory=dict)
    """How the champion's rows are divided, where that differs."""
    parts: LoopRows | None = None
    """The rows; drawn by task, sizes and seed where absent."""
    _measured: dict[tuple[str, str], float] = field(default_factory=dict)

    def loop(self, kind: Kind) -> Outcome:
        """Serve, be asked and told, review, train the next round, and look who serves then; what is kept from before is not done again."""
        kept = self.folder / f"{kind}.json"
        if kept.exists():
            return Outcome(**json.loads(kept.read_text()))
        began = time.monotonic()
        users = Users(requests=self.sizes.traffic, poisoned=0.0 if kind == "clean" else self.poisoned)
        turns = turns_of(users, self.rows.traffic, self.rows.labels, self.seed)
        work, told = self._told(kind, users, turns)
        reviewed: dict[str, int] = {}
        if kind != "unreviewed":
            reviewed = review(work, {redacted(turn.text): turn.truth for turn in turns}, self.reviewer_error, self.seed)
            self.tell(f"A reviewer accepted {reviewed['accepted']:,} opinions and rejected {reviewed['rejected']:,}.")
        made = self._next(kind, work, asdict(told), reviewed, began)
        kept.write_text(json.dumps(asdict(made)))
        return made

    @property
    def rows(self) -> LoopRows:
        """The parts of the data."""
        if self.parts is None:
            self.parts = rows_of(self.task, self.sizes, self.seed, self.data)
        return self.parts

    def champion(self) -> Path:
        """The workspace in which the first model was trained and promoted; made once."""
        work = self.folder / "champion"
        if not (work / "promoted").exists():
            shutil.rmtree(work, ignore_errors=True)
            self._train(work)
            (work / "promoted").touch()
        return work

    def _train(self, work: Path) -> None:
        import tunesmith

        rows = {name: str(write_rows(self.folder / f"{name}.jsonl", getattr(self.rows, name))) for name in ("champion", "test")}
        asked = {
            "seed": self.seed,
            "data": {"path": rows["champion"], "test_path": rows["test"], "task": "classify"}
            | ({"split": self.split} if self.split else {}),
            "method": METHOD,
            "train": TRAIN,
            "evaluate": EVALUATE,
        }
        made = tunesmith.run(tunesmith.Recipe.model_validate(asked | self.recipe), workspace=work)
        with Workspace(work).ledger() as ledger:
            ledger.steps.take(StepRecord(action="promote", model=made.id, who="benchmark", why="the first champion"))
        self.tell(f"A first model learnt from {len(self.rows.champion):,} rows and is the champion ({made.id}).")

    def _told(self, kind: Kind, users: Users, turns: Sequence[Turn]) -> tuple[Path, Replayed]:
        """A workspace with everybody's opinions in its ledger, not reviewed; the poisoned ones are asked for once."""
        crowd = "clean" if kind == "clean" else "poisoned"
        kept, work = self.folder / f"told-{crowd}", self.folder / kind
        if not (kept / "replayed.json").exists():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.champion(), kept)
            told = self._replay(kept, users, turns)
            (kept / "replayed.json").write_text(json.dumps(asdict(told)))
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(kept, work)
        return work, Replayed(**json.loads((kept / "replayed.json").read_text()))

    def _replay(self, work: Path, users: Users, turns: Sequence[Turn]) -> Replayed:
        with served(CHAMPION, work, users.keys) as server:
            self.tell(f"It is served at {server.url}; {len(turns):,} requests come in, {users.poisoned:.0%} of them from malicious users.")
            told = replay(server, turns, self.seed)
        self.tell(
            f"{told.right / told.requests:.1%} of answers were right. Users gave {told.opinions:,} opinions: {told.wrong:,} are wrong,"
            f" {told.malicious:,} of malicious users."
        )
        return told

    def _next(self, kind: Kind, work: Path, replayed: dict[str, int], reviewed: dict[str, int], began: float) -> Outcome:
        import tunesmith

        before = self._serving(work)
        done = tunesmith.next_round(workspace=work, config=NextConfig(unreviewed=kind == "unreviewed"), listen=silent)
        after = self._serving(work)
        made = None if done.round_id is None else work / "rounds" / done.round_id / "model"
        arbiter = {
            folder: accuracy(folder, self.rows.arbiter) for folder in {before, after, made} if folder is not None and folder.exists()
        }
        test = {folder: accuracy(folder, self.rows.test) for folder in {before, after}}
        self.tell(f"The next round: {done.why}")
        self.tell(
            f"Accuracy on the frozen test set was {test[before]:.1%} and is {test[after]:.1%}; on rows that nobody saw,"
            f" {arbiter[before]:.1%} and {arbiter[after]:.1%}."
        )
        return Outcome(
            kind=kind,
            seed=self.seed,
            promoted=done.promoted,
            why=done.why,
            used=done.used,
            gain=None if done.gain is None else {name: float(value) for name, value in done.gain.items()},  # type: ignore[arg-type]
            test_before=test[before],
            test_after=test[after],
            arbiter_before=arbiter[before],
            arbiter_after=arbiter[after],
            challenger=None if made is None else arbiter.get(made),
            replayed=replayed,
            reviewed=reviewed,
            seconds=round(time.monotonic() - began, 1),
        )

    def _accuracy(self, model: Path, part: str) -> float:
        """Of a round's model on a part of the rows; measured once."""
        name = (model.parent.name, part)
        if name not in self._measured:
            self._measured[name] = accuracy(model, getattr(self.rows, part))
        return self._measured[name]

    def _serving(self, work: Path) -> Path:
        """The folder of who is in service."""
        with Workspace(work).ledger() as ledger:
            champion = ledger.steps.standing().champion
        assert champion is not None
        return work / "rounds" / champion.model / "model"


def accuracy(model: Path, rows: Sequence[Labelled]) -> float:
    """The share of rows that a model in a folder labels right, as it answers in service."""
    from tunesmith.core.rows import Row
    from tunesmith.evaluate.ready import load_ready

    ready = load_ready(model)
    asked = [Row(id=str(number), prompt=ready.prompt(text)) for number, (text, _) in enumerate(rows)]
    found = ready.answer(asked)
    return sum(one.answer == label for one, (_, label) in zip(found, rows, strict=True)) / len(rows)
