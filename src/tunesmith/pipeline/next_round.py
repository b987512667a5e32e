"""The next round: from what people said of the champion's answers to a champion that is shown to be better, or to why there is none.

One at a time for each line of service. What it uses stands in the ledger before anything is trained, its rows in the workspace's `next`
folder; killed at any moment, it goes on as the same round, and nothing is promoted twice. Costs a round, and both models' answers to the
opinions that judge. When it begins and from what stands in `next_plan`, how rows are made in `next_rows`, what decides in
`next_look` and `next_judging`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tunesmith.core.errors import BusyError, DataError, DivergedError, MachineError, RecipeError, TunesmithError
from tunesmith.core.files import make_folder, only_one, read_json, write_json, write_jsonl
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener, Said, silent
from tunesmith.feedback.config import ScreenConfig
from tunesmith.feedback.next_config import NextConfig
from tunesmith.feedback.screening import foreseen, screen
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.nexts import NextRecord
from tunesmith.ledger.sides import SideRecord
from tunesmith.ledger.steps import LINE, StepRecord
from tunesmith.pipeline.naming import Named, known_model
from tunesmith.pipeline.next_judging import Found, decide, duel, witnesses
from tunesmith.pipeline.next_line import about
from tunesmith.pipeline.next_look import look
from tunesmith.pipeline.next_plan import WHO, Lineage, due, lineage_of, missing, not_due, undone
from tunesmith.pipeline.next_rows import ROWS, Mixture, fresh, mixture, next_recipe, taught
from tunesmith.pipeline.promotion import checked
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe
from tunesmith.report.judged import OPENINGS_TO_WARN

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger
    from tunesmith.pipeline.api import Round

DEFAULT = Path(".tunesmith")


class Gain(TypedDict):
    """Of the deciding measure on the champion's test set, as a fraction; low and high at the level of this look."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class NextOutcome:
    """What a next round came to."""

    round_id: str | None
    """None where none was due."""
    promoted: bool
    why: str
    used: int
    """Opinions that made rows; the stages of `data` may still drop some."""
    gain: Gain | None
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Why opinions that may train made no row -> how many."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def next_round(
    *,
    workspace: Path = DEFAULT,
    line: str = LINE,
    config: NextConfig | None = None,
    listen: Listener = silent,
    recipe: Recipe | None = None,
    check: bool = False,
    after_rollback: bool = False,
) -> NextOutcome:
    """Learn from feedback, and promote what was learned where it is shown to be better.

    Args:
        workspace: where rounds and ledger lie.
        line: of service, whose champion goes on.
        config: `next` of the recipe where absent.
        listen: told of progress.
        recipe: in place of the champion's own; its data is the champion's all the same.
        check: tell what would be done, and do nothing.
        after_rollback: begin one also where the last one's model was rolled back.

    Raises:
        RecipeError: no champion, or one that is of no round of this workspace.
        DataError: opinions that make no rows to learn from.
        MachineError: see `api.run`; the same call goes on.
    """
    place = Workspace(Path(workspace))
    if not place.root.is_dir():
        raise RecipeError(f"There is no workspace at {place.root}: name one with --workspace.")
    try:
        with only_one(place.root / "next" / f".{digest(line)[:16]}.lock", f"The next round of '{line}'"), place.ledger() as ledger:
            return _Next(place, ledger, line, config, recipe, listen).go(check=check, after_rollback=after_rollback)
    except BusyError as error:
        if "next round" not in str(error):
            raise
        return NextOutcome(None, False, str(error), 0, None)


@dataclass(slots=True)
class _Next:
    """One call."""

    place: Workspace
    ledger: "Ledger"
    line: str
    config: NextConfig | None
    recipe: Recipe | None
    listen: Listener

    def go(self, *, check: bool, after_rollback: bool = False) -> NextOutcome:
        """Go on with what is open, else begin where one is due."""
        under_way = self.ledger.next_rounds.open(self.line)
        if under_way is not None:
            return self._told(under_way) if check else self._made(under_way)
        lineage = lineage_of(self.line, self.place, self.ledger, self.recipe)
        if not after_rollback and (held := undone(self.line, self.ledger)) is not None:
            return NextOutcome(None, False, held, 0, None)
        config = self.config or lineage.recipe.next
        records, stand = foreseen(self.ledger, ScreenConfig()) if check else self._screened()
        found = fresh(self.ledger, self.line, lineage.champion.model, stand, config, records)
        if not found.usable:
            return NextOutcome(None, False, not_due(found, 0, config), 0, None)
        former, _ = lineage.dataset(self.place)
        made = taught(found, former, config)
        why = due(made.unused, config, self.line, self.place, self.ledger, check=check)
        if why is None:
            return NextOutcome(None, False, not_due(found, made.unused, config), 0, None, made.left_out)
        rows = mixture(made, found, former, lineage.recipe, config)
        if check:
            told = f"a round is due ({why}): {len(rows.uses):,} opinions make rows of {rows.form}, {rows.replayed:,} more are the champion's own"
            return NextOutcome(None, False, told, len(rows.uses), None, rows.left_out)
        return self._made(self._begin(rows, lineage, config, why))

    def _screened(self) -> tuple[list[FeedbackRecord], dict[str, SideRecord]]:
        """All opinions and their sides, settled."""
        screen(self.ledger, ScreenConfig())
        return self.ledger.feedback.list(), {one.feedback_id: one for one in self.ledger.feedback_sides.list()}

    def _told(self, record: NextRecord) -> NextOutcome:
        used = len(self.ledger.next_rounds.uses(record.id))
        return NextOutcome(record.round_id, False, f"next round {record.id} is under way, and would go on ({record.why})", used, None)

    def _made(self, record: NextRecord) -> NextOutcome:
        """What becomes of a round, with what its rows leave out."""
        plan = self._folder(record) / "plan.json"
        left_out = read_json(plan).get("left_out", {}) if plan.is_file() else {}
        return replace(self._finish(record), left_out=left_out)

    def _folder(self, record: NextRecord) -> Path:
        return self.place.root / "next" / record.id

    def _begin(self, rows: Mixture, lineage: Lineage, config: NextConfig, why: str) -> NextRecord:
        """Write rows and recipe, then the record with what it uses: from then on it is this round that goes on."""
        from tunesmith.models.package import model_digest
        from tunesmith.pipeline.starting import starting_point

        champion, named = lineage.champion, lineage.named
        content = model_digest(named.folder)
        number = len(self.ledger.next_rounds.list(self.line)) + 1
        name = f"n-{digest([self.line, number, content, [use.feedback_id for use in rows.uses]])[:10]}"
        folder = make_folder(self.place.root.resolve() / "next" / name)
        write_jsonl(folder / ROWS, rows.rows)
        former, held_out = lineage.dataset(self.place)
        made = next_recipe(lineage.recipe, rows, folder, former, held_out.resolve(), named.round_id or str(named.folder.resolve()))
        base = starting_point(named.folder, lineage.recipe.base, self.place)
        write_json(folder / "recipe.json", made.model_copy(update={"base": base, "next": config}).model_dump(mode="json"))
        counts = {"form": rows.form, "opinions": len(rows.uses), "replayed": rows.replayed, "left_out": dict(rows.left_out)}
        write_json(folder / "plan.json", counts | {"origin": lineage.origin})
        record = NextRecord(id=name, line=self.line, champion=champion.model, champion_hash=content, after_step=lineage.number, why=why)
        return self.ledger.next_rounds.begin(record, rows.uses)

    def _finish(self, record: NextRecord) -> NextOutcome:
        """Train, judge, promote or say why not; whatever of it was done before is not done again."""
        from tunesmith.pipeline import api

        used = len(self.ledger.next_rounds.uses(record.id))
        if record.round_id is not None and self._was_promoted(record):
            return self._ended(record, Found.from_json(read_json(self._folder(record) / "found.json")), used)
        if (other := self._overtaken(record)) is not None:
            return other
        recipe = Recipe.model_validate(read_json(self._folder(record) / "recipe.json"))
        self.listen(Said(f"Next round {record.id}: {record.why}; {used:,} opinions make rows."))
        try:
            done = api.run(recipe, workspace=self.place.root, listen=self.listen)
        except (RecipeError, DataError, DivergedError) as error:
            if (gone := missing(recipe, self.place)) is not None:
                raise MachineError(f"{gone} is not there, so next round {record.id} waits: put it back; the same call goes on.") from error
            self.ledger.next_rounds.end(record.id, "failed", str(error))
            raise
        self.ledger.next_rounds.tell_round(record.id, done.id)
        found = self._found(record, recipe.next, done)
        if (other := self._overtaken(record)) is not None:
            return other
        if not found.promoted:
            self.ledger.next_rounds.end(record.id, "refused", found.why, found.to_json())
            return NextOutcome(done.id, False, f"not promoted: {found.why}", used, _gain(found))
        return self._promoted(record, done, found, used)

    def _found(self, record: NextRecord, config: NextConfig, done: "Round") -> Found:
        """What decides, kept in a file: the same figures after a kill."""
        path = self._folder(record) / "found.json"
        if path.exists():
            return Found.from_json(read_json(path))
        report = done.report
        assert report is not None
        stand = {one.feedback_id: one for one in self.ledger.feedback_sides.list()}
        of_line = about(self.line, self.ledger.feedback.list(), self.ledger)
        judging = [one for one in of_line if one.id in stand and stand[one.id].side == "judge"]
        told = witnesses(judging, stand, config)
        champion = known_model(record.champion, self.place, self.ledger).folder
        seen = look(self._folder(record), champion, done, self.place, self.ledger, self.listen)
        new, groups = done.folder / "model", told.givers
        traffic, failures = (duel(rows, champion, new, seen.metric, self.listen, groups) for rows in (told.traffic, told.failures))
        found = decide(report["verdict"]["gates"], seen.test, traffic, failures, told.why, config.gain)
        if seen.openings >= OPENINGS_TO_WARN:
            found = replace(found, why=f"{found.why}; this test set has been opened {seen.openings} times, and flatters more with each")
        write_json(path, found.to_json())
        return found

    def _promoted(self, record: NextRecord, done: "Round", found: Found, used: int) -> NextOutcome:
        _, content = checked(Named(done.id, done.folder / "model", done.id), self.ledger)
        step = StepRecord(line=self.line, action="promote", model=done.id, model_hash=content, who=WHO, why=found.why)
        while True:
            standing = self.ledger.steps.standing(self.line)
            if (other := self._overtaken(record)) is not None:
                return other
            try:
                self.ledger.steps.take(step, after=standing.number)
            except RecipeError:
                if self.ledger.steps.standing(self.line).number == standing.number:
                    raise
                continue  # somebody took a step meanwhile: look at what stands now
            return self._ended(record, found, used, done.id)

    def _ended(self, record: NextRecord, found: Found, used: int, round_id: str | None = None) -> NextOutcome:
        self.ledger.next_rounds.end(record.id, "promoted", found.why, found.to_json())
        return NextOutcome(round_id or record.round_id, True, f"promoted: {found.why}", used, _gain(found))

    def _was_promoted(self, record: NextRecord) -> bool:
        """Whether it was promoted before it was killed."""
        later = [step for step in self.ledger.steps.history(self.line) if step.number > record.after_step and step.action == "promote"]
        return any(step.model == record.round_id and step.who == WHO for step in later)

    def _overtaken(self, record: NextRecord) -> NextOutcome | None:
        """Ends it where the champion it began from is not the champion any more; what it used is free again."""
        now = self.ledger.steps.standing(self.line).champion
        if now is not None and now.model == record.champion:
            return None
        why = f"another model ({now.model if now else 'none'}) became champion meanwhile: its feedback is free for the next one"
        if now is not None and now.model == record.round_id:
            why = "somebody made its model champion meanwhile: its feedback is learned"
        self.ledger.next_rounds.end(record.id, "overtaken", why)
        return NextOutcome(record.round_id, False, f"not promoted: {why}", 0, None)


def _gain(found: Found) -> Gain | None:
    return None if found.test is None else Gain(value=found.test.difference, low=found.test.low, high=found.test.high)


def watch(
    call: Callable[[], NextOutcome], tell: Callable[[NextOutcome | TunesmithError], None], seconds: float, stop: threading.Event
) -> None:
    """Try again and again until `stop` is set, `seconds` after each try; told are outcomes that changed, and errors.

    A signal's handler may set `stop`, or raise: the same call goes on later. What can't be helped by waiting is raised.

    Raises:
        RecipeError: no champion, or a recipe that can't be.
    """
    last: object = None
    while not stop.is_set():
        now: NextOutcome | TunesmithError
        try:
            now = call()
        except RecipeError:
            raise
        except TunesmithError as error:
            now = error
        if str(now) != last:
            tell(now)
        last = str(now)
        stop.wait(seconds)
