"""How a model fares in service: its traffic, what people say of it, and whether something drifts, in words.

`monitor` reads the ledger alone, so that it may be asked beside a running gateway or without one. What was served in the last minute is not
in it yet.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError, TunesmithError
from tunesmith.ledger.steps import LINE, InService
from tunesmith.pipeline.drift_in_words import sentence
from tunesmith.pipeline.references import Reference, found_reference
from tunesmith.pipeline.traffic import OPINION_WEEKS, WEEK, ago, hours_of, opinions_of, own_names, quality_of, traffic_of
from tunesmith.score.drift import ALPHA, MATERIAL, Shift, Signal, look
from tunesmith.score.sketch import Frame, Sketch
from tunesmith.serve.metrics import SECONDS

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.ledger.watched import WatchedRecord
    from tunesmith.pipeline.workspace import Workspace

ENOUGH = 500
"""The latest days are taken until they hold so many answers, or are a week."""
TRAINING, LAST_WEEK = "training", "last week"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is looked at."""

    name: str
    """As it is served."""
    hash: str | None
    folder: Path | None
    """Where it lies, if that is known."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a model in service."""

    model: str
    traffic: dict[str, Any]
    feedback: dict[str, Any]
    signals: tuple[Signal, ...] = ()
    """All that could be tested."""
    reasons: tuple[str, ...] = ()
    """A sentence for each drift that was found."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, and why."""
    drifted: bool | None = None
    """None where nothing could be tested."""
    shown: dict[str, str] = field(default_factory=dict)
    """`signal against reference` -> what moved most, found or not."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


# What is asked from outside


def drifted(place: "Workspace", line: str = LINE) -> bool | None:
    """Whether the champion of a line drifts now; None where there is no champion, or too little traffic to tell."""
    return drift_of(place, line)[0]


def drift_of(place: "Workspace", line: str = LINE) -> tuple[bool | None, tuple[str, ...]]:
    """The same with its reasons, a sentence each."""
    with place.ledger() as ledger:
        champion = ledger.steps.standing(line).champion
        if champion is None:
            return None, (f"'{line}' has no champion.",)
        state = state_of(place, ledger, _champion(place, ledger, champion), days=WEEK)
    return state.drifted, state.reasons or state.notes


def monitor(place: "Workspace", model: str | None = None, line: str | None = None, *, days: float = WEEK) -> list[State]:
    """The state of one model, of a line's champion, or of every model that was served.

    Args:
        place: the workspace.
        model: a round or a folder.
        line: a line of service.
        days: traffic and feedback are counted over so many.

    Raises:
        RecipeError: both are named; there is no such model or champion; nothing was served here.
    """
    if model is not None and line is not None:
        raise RecipeError("A model and a line were both named: leave one out.")
    with place.ledger() as ledger:
        return [state_of(place, ledger, subject, days=days) for subject in _subjects(place, ledger, model, line)]


def _subjects(place: "Workspace", ledger: "Ledger", model: str | None, line: str | None) -> list[Subject]:
    if model is not None:
        from tunesmith.pipeline.naming import named_model

        named = named_model(model, place)
        return [Subject(named.name, _hash_of(ledger, named.folder), named.folder)]
    if line is not None:
        champion = ledger.steps.standing(line).champion
        if champion is None:
            raise RecipeError(f"'{line}' has no champion: promote a model first, or name one to look at.")
        return [_champion(place, ledger, champion)]
    served = served_lately(place, ledger)
    if not served:
        raise RecipeError(f"Nothing was served from {place.root} in the last {WEEK} days: start a gateway with `tunesmith serve`.")
    return served


def served_lately(place: "Workspace", ledger: "Ledger") -> list[Subject]:
    """The models that answered in the last week, by name; of a line, through which several answer, its champion."""
    seen: dict[str, str | None] = {}
    for record in [*ledger.watched.list("hour", since=ago(WEEK)), *ledger.watched.list("day", since=ago(WEEK))]:
        if record.model:
            seen[record.model] = record.model_hash or seen.get(record.model)
    for name in seen:
        champion = ledger.steps.standing(name).champion
        if champion is not None and champion.model_hash is not None:
            seen[name] = champion.model_hash
    return [Subject(name, hash_, folder_of(place, ledger, hash_)) for name, hash_ in sorted(seen.items())]


def _champion(place: "Workspace", ledger: "Ledger", champion: InService) -> Subject:
    """Who is in service; it may be served under another name, and is known by its content."""
    folder = Path(champion.model) if Path(champion.model).is_absolute() else place.rounds / champion.model / "model"
    hash_ = champion.model_hash or (_hash_of(ledger, folder) if folder.is_dir() else None)
    return Subject(Path(champion.model).name, hash_, folder)


def folder_of(place: "Workspace", ledger: "Ledger", hash_: str | None) -> Path | None:
    """Where a model of this content lies, as far as the ledger knows."""
    if hash_ is None:
        return None
    found = [Path(one.path) for one in ledger.artefacts(content_hash=hash_, kind="model")]
    return next((path for path in reversed(found) if (path / "tunesmith.json").is_file()), None)


def _hash_of(ledger: "Ledger", folder: Path) -> str:
    known = [one for one in ledger.artefacts(kind="model") if Path(one.path) == folder.resolve()]
    if known:
        return known[-1].content_hash
    from tunesmith.models.package import model_digest

    return model_digest(folder)


# One model


def state_of(place: "Workspace", ledger: "Ledger", subject: Subject, *, days: float) -> State:
    """All that the ledger knows of a model in service: of its content, under whatever names it was served, and of no other that shared one."""
    rows = ledger.watched.list("day", since=ago(2 * WEEK + 1), model_hash=subject.hash, model=None if subject.hash else subject.name)
    called = {subject.name, *(row.model for row in (*rows, *hours_of(ledger, (), subject.hash, days)))}
    names = own_names(ledger, sorted(called), subject.hash)
    traffic = traffic_of(hours_of(ledger, names, subject.hash, days))
    reference = None if subject.folder is None else found_reference(place, ledger, subject.folder)
    quality = quality_of(ledger, names, subject.hash)
    signals, notes, frame = _looked(rows, reference, also=0 if quality is None else 1)
    others = hours_of(ledger, sorted(called.difference(names)), None, days)
    if shared := traffic_of([row for row in others if row.model_hash is None])["requests"]:
        notes.append(f"{shared:,} requests under a name that several models shared don't tell which of them answered: they count for none.")
    if quality is not None:
        p, before, now, answers, earlier = quality
        together = len(signals) + 1
        found = p * together <= ALPHA and abs(now - before) >= MATERIAL
        shift = Shift("good", 0, before, now)
        signals.append(Signal("feedback", f"the {OPINION_WEEKS} weeks before", p, min(1.0, p * together), shift, answers, earlier, found))
    shown = {f"{one.name} against {one.against}": sentence(one, frame) for one in signals}
    return State(
        model=subject.name,
        traffic=traffic,
        feedback=opinions_of(ledger, names, subject.hash, days),
        signals=tuple(signals),
        reasons=tuple(sentence(one, frame) for one in signals if one.found),
        notes=tuple(notes),
        drifted=any(one.found for one in signals) if signals else None,
        shown=shown,
    )


def _looked(rows: Sequence["WatchedRecord"], reference: Reference | None, also: int) -> tuple[list[Signal], list[str], Frame | None]:
    """The day's signals, what could not be looked at, and the frame they are of."""
    notes = []
    if reference is None:
        notes.append("What the model was trained on is not known here (no watch.json beside it): it is held against last week alone.")
    elif reference.sketch is None:
        notes.append("The model's own rows are too few to hold traffic against.")
    frame = _frame_of(rows, reference)
    if frame is None:
        return [], [*notes, "No traffic has been sketched yet: a day's sketch begins at some hundred answers."], None
    days = _by_day(rows, frame)
    if max(days, default="") < ago(WEEK + 1):
        return [], [*notes, "There was no traffic in the last week that can be read."], frame
    now, first = _latest(days, frame)
    references = {}
    if reference is not None and reference.sketch is not None and reference.frame.id == frame.id:
        references[TRAINING] = reference.sketch
    earlier = [sketch for day, sketch in days.items() if _minus(first, WEEK) <= day < first]
    if earlier:
        references[LAST_WEEK] = _sum(earlier)
    found = look(now, references, frame, also=also)
    if not found:
        notes.append("There is too little traffic to tell a drift: some hundred answers are needed on each side.")
    return found, notes, frame


def _frame_of(rows: Sequence["WatchedRecord"], reference: Reference | None) -> Frame | None:
    """The frame of the latest sketch, if it can be had: the model's own, or the plain one of models whose rows are not known."""
    from tunesmith.score.sketch import plain_frame

    if not rows:
        return None
    wanted = rows[-1].figures.get("frame")
    if reference is not None and reference.frame.id == wanted:
        return reference.frame
    labels = rows[-1].figures.get("labels")
    plain = plain_frame(labels)
    return plain if plain.id == wanted else None


def _by_day(rows: Sequence["WatchedRecord"], frame: Frame) -> dict[str, Sketch]:
    days: dict[str, Sketch] = {}
    for row in rows:
        if row.figures.get("frame") != frame.id:
            continue
        with suppress(KeyError, TypeError, ValueError):  # a damaged row is no traffic
            sketch = Sketch.from_json(row.figures["counts"], frame.bins)
            days[row.start] = days[row.start] + sketch if row.start in days else sketch
    return dict(sorted(days.items()))


def _latest(days: Mapping[str, Sketch], frame: Frame) -> tuple[Sketch, str]:
    """The latest days until they hold enough, and the first of them."""
    taken: list[Sketch] = []
    last = first = max(days)
    for day in sorted(days, reverse=True):
        if taken and (sum(_answers(one, frame) for one in taken) >= ENOUGH or day <= _minus(last, WEEK)):
            break
        taken.append(days[day])
        first = day
    return _sum(taken), first


def _answers(sketch: Sketch, frame: Frame) -> int:
    return sum(int(part[:, : frame.variables[0].bins].sum()) for part in sketch.counts)


def _sum(sketches: Sequence[Sketch]) -> Sketch:
    made = sketches[0]
    for one in sketches[1:]:
        made = made + one
    return made


def _minus(day: str, days: int) -> str:
    return (datetime.fromisoformat(day) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


# In words


def told(state: State) -> list[str]:
    """The state in lines for people."""
    t, f = state.traffic, state.feedback
    failed = ", ".join(f"{count:,} {kind}" for kind, count in t["errors"].items()) or "none failed"
    lines = [f"{state.model}", f"  requests    {t['requests']:,} ({failed}); {t['answers']:,} answers"]
    if sum(t["seconds"]):
        first = f"; first token of 95% {_within(t['first_p95_seconds'])}" if sum(t["first"]) else ""
        lines.append(f"  time        half {_within(t['p50_seconds'])}, 95% {_within(t['p95_seconds'])}{first}")
    lines.append(f"  tokens      {t['read']:,} read, {t['written']:,} written")
    if t["blocked"]:
        lines.append("  blocked     " + ", ".join(f"{count:,} by {rule}" for rule, count in t["blocked"].items()))
    if t["answers"]:
        lines.append(f"  abstained   {t['abstained'] / t['answers']:.1%} of answers")
    if f["share"] is not None:
        lines.append(f"  feedback    {f['share']:.1%} good ({f['low']:.1%} to {f['high']:.1%}) of {f['opinions']:,} opinions")
    verdict = {None: "can't be told yet", False: "none found", True: "FOUND"}[state.drifted]
    lines.append(f"  drift       {verdict}")
    lines += [f"    {reason}" for reason in state.reasons]
    lines += [f"    {note}" for note in state.notes]
    return lines


def _within(seconds: float | None) -> str:
    return f"beyond {SECONDS[-1]:g} s" if seconds is None else f"within {seconds:g} s"


def all_found(states: Sequence[State]) -> bool:
    """Whether any of them drifts."""
    return any(state.drifted for state in states)


def watched_frames(
    place: "Workspace", ledger: "Ledger", folders: Mapping[str, Path], labels: Callable[[str, str | None], Sequence[str] | None]
) -> Any:
    """What gives `serve.watching` the frame of a model: its own where its rows are known, else the plain one.

    Args:
        place: the workspace.
        ledger: open as long as it is asked.
        folders: model's name -> its folder; others are found by their content.
        labels: model's name and content hash -> the labels it knows, asked when the frame is.
    """
    from tunesmith.score.sketch import plain_frame

    def frame(name: str, hash_: str | None) -> Frame:
        folder = folders.get(name)
        with suppress(TunesmithError):
            folder = folder_of(place, ledger, hash_) or folder
        found = None if folder is None else found_reference(place, ledger, folder)
        return plain_frame(labels(name, hash_)) if found is None else found.frame

    return frame
