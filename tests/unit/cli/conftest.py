"""A stand-in for the pipeline, so that the commands are tried alone."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tunesmith.pipeline
from tunesmith.cli.main import app
from tunesmith.core.errors import RecipeError
from tunesmith.core.progress import Advanced, Ended, Listener, Said, Started

REPORT: dict[str, Any] = {
    "schema": 1,
    "round": {"id": "r-1", "identity": "0" * 64, "status": "done", "created": "2026-01-01T00:00:00Z", "seconds": 2.0},
    "verdict": {
        "outcome": "gain",
        "sentence": "Fine-tuning earned its place.",
        "metric": "accuracy",
        "best_baseline": "few-shot",
        "gain": {"value": 0.21, "low": 0.17, "high": 0.25, "p_value": 0.0005},
        "notes": [],
        "gates": [{"name": "gain", "bound": 0.3, "value": 0.17, "holds": False}],
    },
    "systems": [
        {
            "key": "tuned",
            "name": "Fine-tuned",
            "kind": "tuned",
            "metrics": {"accuracy": {"value": 0.62, "low": 0.58, "high": 0.66}},
            "rows": 300,
            "prompt_tokens": 61.2,
            "answer_tokens": 3.1,
            "seconds_per_answer": 0.012,
            "against": None,
        }
    ],
    "data": {
        "path": "rows.jsonl",
        "format": "text/label",
        "task": "classify",
        "mapping": {"text": "message"},
        "waterfall": [{"stage": "read", "kept": 97, "changed": 0, "dropped": 3, "reasons": {"not valid JSON": 3}}],
        "sides": {"train": 70, "test": 27},
        "labels": {"a": 40, "b": 57},
    },
    "recipe": "data: {path: rows.jsonl}\ntrain: {epochs: 3}\n",
    "hashes": {"dataset": "d1"},
}


@dataclass(frozen=True)
class FakeRound:
    id: str = "r-1"
    status: str = "done"
    folder: Path = Path("w/rounds/r-1")
    report: dict[str, Any] | None = field(default_factory=lambda: REPORT)
    created: str = "2026-01-01T00:00:00Z"
    sentence: str | None = "Fine-tuning earned its place."
    error: str | None = None
    card: Path | None = Path("w/rounds/r-1/card.html")
    finished_before: bool = False
    gates_hold: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"folder": str(self.folder), "card": str(self.card)}


@dataclass(frozen=True)
class FakeExample:
    row_id: str
    pieces: list[tuple[str, bool, bool]]


@dataclass(frozen=True)
class FakeCheck:
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    examples: list[FakeExample] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FakePrepared:
    id: str = "d-1"
    folder: Path = Path("w/datasets/d-1")
    report: dict[str, Any] = field(default_factory=lambda: REPORT["data"])
    card: Path = Path("w/datasets/d-1/report.html")
    review: Path | None = None
    first: tuple[str, ...] = ("12 lines could not be read.",)

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "folder": str(self.folder), "report": self.report}


class FakePipeline(ModuleType):
    """Remembers how it was called; answers what the test put in it, or raises it."""

    def __init__(self) -> None:
        super().__init__("tunesmith.pipeline.api")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.round: FakeRound | BaseException = FakeRound()
        self.found: FakeCheck = FakeCheck()
        self.kept: list[FakeRound] = [FakeRound()]
        self.during: Callable[[], None] = lambda: None

    def _told(self, name: str, **how: Any) -> None:
        self.calls.append((name, how))

    def run(self, recipe: Any, *, workspace: Path, again: bool, listen: Listener) -> FakeRound:
        self._told("run", recipe=recipe, workspace=workspace, again=again)
        listen(Started("train", 100, "steps"))
        listen(Advanced("train", 50, "loss 1.83"))
        listen(Said("a label has [red]few[/red] \x1b[31mrows", warning=True))
        listen(Ended("train", 3.5))
        self.during()
        if isinstance(self.round, BaseException):
            raise self.round
        return self.round

    def check(self, recipe: Any, *, workspace: Path, listen: Listener) -> FakeCheck:
        self._told("check", recipe=recipe, workspace=workspace)
        return self.found

    def prepare(self, recipe: Any, *, workspace: Path, listen: Listener) -> FakePrepared:
        self._told("prepare", recipe=recipe, workspace=workspace)
        return FakePrepared()

    def show(self, round_id: str, *, workspace: Path) -> FakeRound:
        self._told("show", round_id=round_id, workspace=workspace)
        for one in self.kept:
            if one.id == round_id:
                return one
        raise RecipeError(f"{round_id} is no round of this workspace.")

    def rounds(self, *, workspace: Path) -> list[FakeRound]:
        self._told("rounds", workspace=workspace)
        return self.kept

    def compare(self, ids: Sequence[str], *, workspace: Path) -> list[FakeRound]:
        self._told("compare", ids=ids, workspace=workspace)
        return [self.show(one, workspace=workspace) for one in ids]

    def between(self, found: Sequence[FakeRound], *, workspace: Path) -> list[Any]:
        self._told("between", found=found, workspace=workspace)
        return []


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    """The stand-in in place, in an empty current folder."""
    fake = FakePipeline()
    monkeypatch.setitem(sys.modules, "tunesmith.pipeline.api", fake)
    monkeypatch.setattr(tunesmith.pipeline, "api", fake, raising=False)
    monkeypatch.delenv("TUNESMITH_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return fake


@dataclass(frozen=True)
class Spoken:
    """What a command returned and printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def tunesmith_command(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> Callable[..., Spoken]:
    """Call the command line in this process."""

    def call(*arguments: str) -> Spoken:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments), prog_name="tunesmith")
        printed = capsys.readouterr()
        return Spoken(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A small recipe file in the current folder."""
    (tmp_path / "r.yaml").write_text("data: {path: rows.jsonl}\n")
    return "r.yaml"
