"""Who is in service: a model promoted, the one before it taken back, and the story of it.

A model is promoted by what its round recorded: done, its gates held, its bytes unchanged. Costs reading the model's files once.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import GateError, MachineError, RecipeError
from tunesmith.core.files import make_folder, whole_folder
from tunesmith.core.login import login_name
from tunesmith.ledger.steps import LINE, InService, Standing, StepRecord
from tunesmith.pipeline.naming import Named, known_model, named_model
from tunesmith.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.ledger.records import RoundRecord

DEFAULT = Path(".tunesmith")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of service: who stands, and every step that was taken."""

    standing: Standing
    history: tuple[StepRecord, ...]
    """Oldest first."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        now = self.standing
        return {
            "line": now.line,
            "number": now.number,
            "champion": _told(now.champion),
            "former": [_told(one) for one in now.former],
            "challenger": _told(now.challenger),
            "mode": now.mode,
            "share": now.share,
            "history": [{name: getattr(step, name) for name in StepRecord.__slots__} for step in self.history],
        }


def _told(one: InService | None) -> dict[str, Any] | None:
    return None if one is None else {"model": one.model, "model_hash": one.model_hash, "since": one.since}


def promote(
    model: str, *, why: str | None = None, who: str | None = None, line: str = LINE, workspace: Path = DEFAULT, anyway: bool = False
) -> Standing:
    """Make a model the champion of a line.

    Args:
        model: a round, a folder, or another line's champion; see `pipeline.naming`.
        why: the reason; what its round found where absent.
        who: who decided; the login name where absent.
        line: of service.
        workspace: where rounds and ledger lie.
        anyway: promote it although a gate of its round said no; needs a reason.

    Raises:
        RecipeError: no such model, a twin, or the champion already.
        MachineError: its round is not done, or its files are not those that the round made.
        GateError: a gate of its round said no, or `tunesmith next` refused it.
    """
    place = Workspace(Path(workspace))
    named = named_model(model, place)
    with place.ledger() as ledger:
        record, content = checked(named, ledger)
        refused = refused_by(record, ledger)
        if refused and not anyway:
            raise GateError(
                f"{named.name} is not promoted: its round did not hold {refused}; --anyway with --why promotes it all the same."
            )
        if refused and not (why or "").strip():
            raise RecipeError(f"{named.name} did not hold {refused}: say why it is promoted all the same, with --why.")
        sentence = None if record is None or record.verdict is None else str(record.verdict.get("sentence") or "") or None
        reason = (why or "").strip() or sentence or "promoted by hand"
        step = StepRecord(
            line=line,
            action="promote",
            model=lasting(named, record, place),
            model_hash=content,
            who=who or login_name() or "somebody",
            why=reason,
        )
        return ledger.steps.take(step)


def rollback(*, why: str | None = None, who: str | None = None, line: str = LINE, workspace: Path = DEFAULT) -> Standing:
    """Put the former champion of a line back.

    Raises:
        RecipeError: there is none.
        MachineError: its folder is gone.
    """
    place = Workspace(Path(workspace))
    _must_exist(place)
    with place.ledger() as ledger:
        before = ledger.steps.standing(line)
        if before.former:
            known_model(before.former[-1].model, place, ledger)  # one that can't be served helps nobody
        step = StepRecord(
            line=line, action="rollback", who=who or login_name() or "somebody", why=(why or "").strip() or "rolled back by hand"
        )
        return ledger.steps.take(step, after=before.number)


def champions(*, workspace: Path = DEFAULT) -> list[Line]:
    """Every line of service with its story, by name."""
    place = Workspace(Path(workspace))
    _must_exist(place)
    with place.ledger() as ledger:
        return [Line(ledger.steps.standing(line), tuple(ledger.steps.history(line))) for line in ledger.steps.lines()]


def _must_exist(place: Workspace) -> None:
    if not place.root.is_dir():
        raise RecipeError(f"There is no workspace at {place.root}: name one with --workspace.")


def round_of(named: Named, content: str, ledger: "Ledger") -> "RoundRecord | None":
    """The round that a model is of, by its name or else by its bytes; None where the ledger knows of none."""
    if named.round_id is not None:
        return ledger.round(named.round_id)
    made = sorted({one.round_id for one in ledger.artefacts(content_hash=content, kind="model") if one.round_id is not None})
    return ledger.round(made[0]) if made else None


def checked(named: Named, ledger: "Ledger") -> "tuple[RoundRecord | None, str]":
    """A model's round, if it has one, and its content hash.

    Raises:
        RecipeError: a twin.
        MachineError: its round is not done, or its files are not those that the round made.
    """
    from tunesmith.models.package import load_bundle, model_digest

    load_bundle(named.folder)  # refuses a twin
    content = model_digest(named.folder)
    record = round_of(named, content, ledger)
    if record is not None and record.status != "done":
        raise MachineError(f"Round {record.id} is {record.status}: finish it with `tunesmith run`, then promote it.")
    if named.round_id is not None and content not in {one.content_hash for one in ledger.artefacts(round_id=named.round_id, kind="model")}:
        raise MachineError(
            f"The files in {named.folder} are not those that round {named.round_id} recorded: somebody changed them; "
            "put them back, or run the round again with --again."
        )
    return record, content


def refused_by(record: "RoundRecord | None", ledger: "Ledger") -> str:
    """The gates that said no, and what `tunesmith next` found against it, listed; empty where nothing did."""
    if record is None:
        return ""
    gates = (record.verdict or {}).get("gates") or []
    said = [str(gate["name"]) for gate in gates if not gate["holds"]]
    judged = ledger.next_rounds.of_round(record.id)
    if judged is not None and judged.state == "refused":
        said.append(f"what `tunesmith next` asks ({judged.why.partition('; ')[0]})")
    return ", ".join(said)


def lasting(named: Named, record: "RoundRecord | None", place: Workspace) -> str:
    """The round's id where the model lies in it, else the absolute path; of a job's model that of a copy, since its tenant may delete it."""
    folder = named.folder.resolve()
    if folder.is_relative_to((place.root / "jobs").resolve()):
        return str(_copied(folder, place))
    if record is not None and folder == (place.rounds / record.id / "model").resolve():
        return record.id
    return str(folder)


def _copied(folder: Path, place: Workspace) -> Path:
    """The same model under the workspace's `models`, by its content."""
    from tunesmith.models.package import model_digest

    copy = (place.root / "models" / model_digest(folder)[:16]).resolve()
    if not copy.is_dir():
        make_folder(copy.parent)
        with whole_folder(copy) as unfinished:
            shutil.copytree(folder, unfinished, dirs_exist_ok=True)
    return copy
