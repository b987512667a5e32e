"""What a person, a program or the command line calls: run, check, prepare, show, list, compare.

Looking at rounds imports no torch: what trains and answers is imported where it is needed.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import only_one, read_json, write_json
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener, Said, silent
from tunesmith.ledger.records import RoundRecord
from tunesmith.pipeline.preflight import CheckReport, RenderedRow
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.recipe.model import with_schema

if TYPE_CHECKING:
    from tunesmith.data.settings.synthesise import SynthesiseConfig
    from tunesmith.evaluate.between import Pair
    from tunesmith.ledger.ledger import Ledger

__all__ = [
    "CheckReport",
    "PreparedDataset",
    "RenderedRow",
    "Round",
    "between",
    "check",
    "compare",
    "prepare",
    "rounds",
    "run",
    "show",
    "synthesise",
]

DEFAULT = Path(".tunesmith")


@dataclass(frozen=True, slots=True)
class Round:
    """One execution of a recipe, as the ledger and its folder tell it."""

    id: str
    status: str
    folder: Path
    report: dict[str, Any] | None
    """report.json, where the round is done; see tunesmith.report.card for its shape."""
    created: str
    sentence: str | None
    """The verdict."""
    error: str | None
    card: Path | None
    """The report card, an HTML file."""
    finished_before: bool = False
    """True where `run` found the round done already."""

    @property
    def gates_hold(self) -> bool:
        """False where a gate of the recipe says no."""
        gates = self.report["verdict"]["gates"] if self.report else []
        return all(gate["holds"] for gate in gates)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "id": self.id,
            "status": self.status,
            "folder": str(self.folder),
            "created": self.created,
            "sentence": self.sentence,
            "error": self.error,
            "card": str(self.card) if self.card else None,
            "finished_before": self.finished_before,
            "gates_hold": self.gates_hold,
            "report": self.report,
        }


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """A dataset on disk."""

    id: str
    folder: Path
    report: dict[str, Any]
    """The `data` piece of report.json."""
    card: Path
    """The data report, one page."""
    review: Path | None = None
    """Labels that look wrong, to be filled in and named in `data.relabel.review`; None where none does."""
    first: tuple[str, ...] = ()
    """What to look at, the costliest first, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        review = str(self.review) if self.review else None
        told = {"id": self.id, "folder": str(self.folder), "report": self.report, "card": str(self.card)}
        return told | {"review": review, "first": list(self.first)}


def _round(record: RoundRecord, workspace: Workspace, *, finished_before: bool = False) -> Round:
    folder = workspace.rounds / record.id
    report_file, card = folder / "report.json", folder / "report.html"
    report = read_json(report_file) if record.status == "done" and report_file.exists() else None
    return Round(
        id=record.id,
        status=record.status,
        folder=folder,
        report=report,
        created=record.created,
        sentence=record.verdict["sentence"] if record.verdict else None,
        error=record.error,
        card=card if report is not None and card.exists() else None,
        finished_before=finished_before,
    )


def run(
    recipe: Recipe,
    *,
    workspace: Path = DEFAULT,
    again: bool = False,
    listen: Listener = silent,
    chosen_by: Mapping[str, Any] | None = None,
) -> Round:
    """Take a recipe through a whole round.

    An unfinished round of the same recipe, data and base is continued; a finished one is shown.

    Args:
        recipe: what to do; relative paths count from the current folder.
        workspace: where rounds, datasets, cache and ledger lie.
        again: make a new round even where one is finished.
        listen: told of progress.
        chosen_by: the search that chose the recipe, as its card tells of it (`tunesmith.search.searching`).

    Raises:
        TunesmithError: one of its kinds, with a sentence that says what to do.
    """
    from tunesmith.models.load import base_hash
    from tunesmith.pipeline.datasets import data_content, looked_at_content, other_content
    from tunesmith.pipeline.looks.searched import CHOSEN_BY
    from tunesmith.pipeline.naming import with_champions
    from tunesmith.pipeline.rivals import rivals_of
    from tunesmith.pipeline.rounds import start_folder

    place = Workspace(Path(workspace))
    if recipe.search is not None:
        listen(Said("A round passes over the recipe's search section: `tunesmith search` takes the same recipe and searches first."))
    recipe = with_champions(with_schema(recipe, Path()), place)
    base, content = base_hash(recipe.base), data_content(recipe.data)
    against = (f"against {rival.content}" for rival in rivals_of(recipe, place))
    identity = digest([recipe.identity(), content, base, *other_content(recipe), *looked_at_content(recipe), *against])
    with place.ledger() as ledger:
        earlier = ledger.rounds(identity=identity)
        unfinished = [record for record in earlier if record.status != "done"]
        if earlier and not again and not unfinished:
            return _round(earlier[0], place, finished_before=True)
        if unfinished and not again:
            record = unfinished[0]
        else:
            number = len(earlier) + 1
            name = f"r-{identity[:10]}" + (f"-{number}" if number > 1 else "")
            record = RoundRecord(
                id=name, identity=identity, recipe=recipe.model_dump(mode="json"), recipe_hash=recipe.identity(), base_hash=base
            )
        folder = place.rounds / record.id
        start_folder(folder, recipe)
        with only_one(folder / ".lock", f"Round {record.id}"):
            if chosen_by is not None:
                write_json(folder / CHOSEN_BY, dict(chosen_by))
            if unfinished and not again:
                ledger.continue_round(record.id)
                listen(Said(f"Continuing round {record.id}."))
            else:
                ledger.record_round(record)
            _execute(recipe, place, ledger, ledger.round(record.id), base, listen)
        return _round(ledger.round(record.id), place)


def _execute(recipe: Recipe, place: Workspace, ledger: "Ledger", record: RoundRecord, base: str, listen: Listener) -> None:
    from tunesmith.pipeline.rounds import Execution

    number = record.id.removeprefix(f"r-{record.identity[:10]}").lstrip("-")
    execution = Execution(
        recipe=recipe,
        workspace=place,
        base_hash=base,
        round_id=record.id,
        identity=record.identity,
        again=int(number or 1),
        ledger=ledger,
        listen=listen,
        started=time.monotonic(),
    )
    with execution.failures_recorded():
        execution.go()


def check(recipe: Recipe, *, workspace: Path = DEFAULT, listen: Listener = silent) -> CheckReport:
    """Preflight: prepare the data, render every row, say what would go wrong. Trains nothing, records no round."""
    from tunesmith.models.load import base_hash
    from tunesmith.pipeline.bench import bench_of
    from tunesmith.pipeline.naming import with_champions

    place = Workspace(Path(workspace))
    recipe = with_champions(with_schema(recipe, Path()), place)
    return bench_of(recipe, place, listen, base_hash(recipe.base)).check()


def prepare(recipe: Recipe, *, workspace: Path = DEFAULT, listen: Listener = silent) -> PreparedDataset:
    """Read, clean and split the data into an immutable dataset."""
    from tunesmith.pipeline.data_report import count_tokens, data_report
    from tunesmith.pipeline.datasets import REVIEW, prepared_dataset, record_dataset
    from tunesmith.pipeline.naming import with_champions
    from tunesmith.report.data_card import write_data_card
    from tunesmith.report.data_look import first_to_look

    place = Workspace(Path(workspace))
    recipe = with_champions(recipe, place)
    dataset, folder = prepared_dataset(recipe, place, listen)
    with place.ledger() as ledger:
        record_dataset(ledger, dataset)
    whole = read_json(folder / "report.json")
    if not whole.get("tokens"):
        whole["tokens"] = count_tokens(dataset, recipe)
        write_data_card(whole, folder)
    review = folder / REVIEW
    return PreparedDataset(
        id=dataset.id,
        folder=folder,
        report=data_report(dataset),
        card=folder / "report.html",
        review=review if review.exists() else None,
        first=tuple(pointer.sentence for pointer in first_to_look(whole)),
    )


def synthesise(
    documents: str,
    out: Path,
    config: "SynthesiseConfig | None" = None,
    *,
    seed: int = 0,
    workspace: Path = DEFAULT,
    listen: Listener = silent,
) -> dict[str, Any]:
    """Make questions of documents, each checked against the passage it rests on; returns the account of what was made.

    Args:
        documents: a document, a folder or a glob of documents.
        out: folder for rows.jsonl (training rows), anki.txt, items.csv, quiz.html and account.json.
        config: kinds, checks, engine; blanks and definitions where absent, which need no model.
        seed: chooses among what could be asked.
        workspace: where an engine's answers are kept, so that none is paid for twice.
        listen: told of progress.
    """
    from tunesmith.data.settings.synthesise import SynthesiseConfig
    from tunesmith.pipeline.synthesising import synthesised

    return synthesised(str(documents), Path(out), config or SynthesiseConfig(), seed, Workspace(Path(workspace)), listen)


def show(round_id: str, *, workspace: Path = DEFAULT) -> Round:
    """A round by its id or the beginning of it. Raises RecipeError where there is none."""
    place = Workspace(Path(workspace))
    _must_exist(place)
    with place.ledger() as ledger:
        return _round(ledger.round(round_id), place)


def rounds(*, workspace: Path = DEFAULT) -> list[Round]:
    """All rounds of a workspace, newest first."""
    place = Workspace(Path(workspace))
    _must_exist(place)
    with place.ledger() as ledger:
        return [_round(record, place) for record in ledger.rounds()]


def compare(ids: Sequence[str], *, workspace: Path = DEFAULT) -> list[Round]:
    """Several rounds side by side, in the order named. Raises RecipeError where one is unknown or not done."""
    found = [show(round_id, workspace=workspace) for round_id in ids]
    for one in found:
        if one.report is None:
            raise RecipeError(f"Round {one.id} is {one.status}, so there is nothing to compare yet: finish it with `tunesmith run`.")
    return found


def between(found: Sequence[Round], *, workspace: Path = DEFAULT) -> list["Pair"]:
    """Every two of some finished rounds, paired over the test rows that both answered, by the first one's deciding measure."""
    from tunesmith.pipeline.comparing import pairs_of

    return pairs_of(found, Workspace(Path(workspace)))


def _must_exist(place: Workspace) -> None:
    if not place.root.is_dir():
        raise RecipeError(f"There is no workspace at {place.root}: name one with --workspace, or make one with `tunesmith run RECIPE`.")
