"""What a next round learns from: opinions nobody has learned from yet, as rows, mixed with rows of the champion's own training set.

Looked at are opinions about the line's own models (`next_line`). One counts as learned where a next round that led to the present champion
used it, as it was said then, whoever promoted that. What a refused round used is used again beside new opinions, and never begins a round by
itself. What the ledger settles (`feedback.sides`) is not asked again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import write_jsonl
from tunesmith.core.hashing import digest
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.dataset import Dataset
from tunesmith.data.fold import fold
from tunesmith.data.settings.split import SplitConfig
from tunesmith.evaluate.config import EvaluateConfig, GatesConfig, LearningCurveConfig
from tunesmith.feedback.next_config import NextConfig
from tunesmith.feedback.rows import rows_of
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.nexts import NextRecord, Use
from tunesmith.ledger.sides import SideRecord
from tunesmith.pipeline.held_out import HELD_OUT, plain_rows
from tunesmith.pipeline.next_line import about
from tunesmith.recipe import Recipe
from tunesmith.train.config import ObjectiveConfig, RegulariseConfig

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger

_FORMS: dict[Task, tuple[str, ...]] = {Task.CLASSIFY: ("labels",), Task.GENERATE: ("corrections", "pairs", "thumbs")}
"""What a champion of a task can learn from; the first that there is goes first."""
PREFERENCES = ("pairs", "thumbs")
"""Forms that are rows of the task prefer."""
ROWS = "rows.jsonl"
HELD = "held.jsonl"
"""What judges the champion, where rows are of another form than its own: none of it may stand among them."""
_COUNTED = ("open", "promoted", "refused", "failed")
"""Next rounds whose opinions count as used: all but those that another promotion overtook."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Opinions that the champion has not learned."""

    usable: tuple[FeedbackRecord, ...]
    """On the `train` side, reviewed or as the recipe allows."""
    unused: frozenset[str]
    """Ids of those among them that no round has used."""
    judging: int
    """On the `judge` side."""
    torn: int
    waiting: int
    """On the `train` side, or on none yet, and not reviewed."""
    elsewhere: int = 0
    """About models that are none of the line's."""


def said(record: FeedbackRecord) -> str:
    """Names what an opinion says: one that its giver changes says something else."""
    return digest([record.value, record.other])[:16]


def fresh(
    ledger: "Ledger",
    line: str,
    champion: str,
    stand: Mapping[str, SideRecord],
    config: NextConfig,
    records: Sequence[FeedbackRecord] | None = None,
) -> Fresh:
    """What the champion of a line has not learned yet, of `records`, or of all opinions where absent."""
    learned, used = _learned(ledger, line, champion)
    records = ledger.feedback.list() if records is None else records
    of_line = about(line, records, ledger)
    usable, unused, sides, waiting = [], set(), Counter[str](), 0
    for record in of_line:
        side = stand[record.id].side if record.id in stand else "none"
        sides[side] += 1
        name = (record.id, said(record))
        if side == "train" and allowed(record, config) and name not in learned:
            usable.append(record)
            unused |= set() if name in used else {record.id}
        waiting += side in ("train", "none") and not allowed(record, config) and record.state in ("new", "quarantined")
    return Fresh(tuple(usable), frozenset(unused), sides["judge"], sides["torn"], waiting, len(records) - len(of_line))


def allowed(record: FeedbackRecord, config: NextConfig) -> bool:
    """Whether an opinion may be learned from, or judge."""
    return record.state == "accepted" or (config.unreviewed and record.state == "new")


def _learned(ledger: "Ledger", line: str, champion: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What led to the champion, and what any round used. Refused and overtaken rounds lead to one that somebody promoted all the same."""
    rounds = ledger.next_rounds.list(line)
    by_model = {one.round_id: one for one in rounds if one.round_id}
    used = {one.id: {(use.feedback_id, use.said) for use in ledger.next_rounds.uses(one.id)} for one in rounds}
    counted = [used[one.id] for one in rounds if one.state in _COUNTED]
    learned: set[tuple[str, str]] = set()
    here: NextRecord | None = by_model.get(champion)
    passed: set[str] = set()
    while here is not None and here.id not in passed:
        passed.add(here.id)
        learned |= used[here.id]
        here = by_model.get(here.champion)
    return learned, learned.union(*counted)


@dataclass(frozen=True, slots=True)
class Taught:
    """Opinions as rows, of one form."""

    form: str
    rows: list[dict[str, Any]]
    unused: int
    """Of the opinions that make rows of any form, so many were used by no round."""
    left_out: Mapping[str, int]
    """Why opinions made no row of this form -> how many."""


def taught(found: Fresh, former: Dataset, config: NextConfig) -> Taught:
    """The rows that opinions make for a champion of a task; of several forms, the first that holds something new.

    Raises:
        RecipeError: a form that the champion's task does not take.
    """
    forms = _FORMS.get(former.task, ())
    if not forms or config.form not in ("auto", *forms):
        wanted = f"set it to auto, or to {' or '.join(forms)}" if forms else "only models that know labels, or write, learn from feedback"
        raise RecipeError(f"next.form: {config.form} makes no rows for a champion of the task {former.task}: {wanted}.")
    labels = {row.answer for row in former.sides["train"]} if former.task is Task.CLASSIFY else set()
    made, left = rows_of([_taken(record, labels) for record in found.usable])
    unknown = [row for row in made["labels"] if row["label"] not in labels]
    made["labels"] = [row for row in made["labels"] if row["label"] in labels]
    left |= {"a label that the champion does not know": len(unknown)} if unknown and labels else {}
    unused = {form: sum(row["feedback"] in found.unused for row in made[form]) for form in forms}
    chosen = config.form if config.form != "auto" else next((form for form in forms if unused[form]), forms[0])
    left |= {
        f"{other}, for a round of their own" if other in forms else other: len(made[other])
        for other in made
        if other != chosen and made[other]
    }
    return Taught(chosen, made[chosen], sum(unused.values()), left)


def _taken(record: FeedbackRecord, labels: set[str]) -> FeedbackRecord:
    """As it makes a row; thumbs up for a label say that it is the right one."""
    confirms = record.kind == "thumbs" and record.value == "up" and record.answer in labels
    return replace(record, state="accepted", kind="label", value=str(record.answer)) if confirms else replace(record, state="accepted")


@dataclass(frozen=True, slots=True)
class Mixture:
    """Rows to train on."""

    form: str
    rows: list[dict[str, Any]]
    replayed: int
    """Of them the champion's own training rows."""
    uses: tuple[Use, ...]
    """The opinions that made rows."""
    left_out: Mapping[str, int]


def mixture(made: Taught, found: Fresh, former: Dataset, recipe: Recipe, config: NextConfig) -> Mixture:
    """The rows of a next round: those of opinions, and the champion's own.

    Args:
        made: what opinions teach.
        found: the opinions.
        former: the champion's dataset.
        recipe: the champion's.
        config: how much is replayed.

    Raises:
        DataError: no opinion makes a row that this champion can learn.
    """
    if not made.rows:
        why = "; ".join(f"{count:,}: {reason}" for reason, count in made.left_out.items()) or "they repeat one another"
        raise DataError(f"None of {len(found.usable):,} opinions makes a row to learn from ({why}): review others first.")
    rows, again = made.rows, list[dict[str, Any]]()
    if made.form not in PREFERENCES:
        by = recipe.data.split.by
        replayed = replay(former.sides["train"], round(config.replay * len(rows)), recipe.seed)
        again = [row | {"source": "replay"} for row in plain_rows(replayed, former.task, recipe.data.instruction, by)]
        rows = rows if by is None else [row | {by: f"feedback {row['given_by'] or row['feedback']}"} for row in rows]
    if made.form == "labels" and again and "messages" in again[0]:
        rows = [_in_messages(row) for row in rows]
    by_id = {record.id: record for record in found.usable}
    uses = tuple(Use(row["feedback"], said(by_id[row["feedback"]])) for row in rows)
    return Mixture(made.form, [*rows, *again], len(again), uses, made.left_out)


def _in_messages(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in ("text", "label")}
    return kept | {"messages": [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}]}


def replay(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """A seeded sample of so many rows, one of each answer at least where answers are labels that repeat; all where there are no more."""
    order = sorted(rows, key=lambda row: digest(["replay", seed, row.id]))
    answers = Counter(row.answer for row in rows)
    if len(answers) * 2 > len(rows):
        return order[:count]
    firsts: dict[str, Row] = {}
    for row in order:
        firsts.setdefault(row.answer, row)
    chosen = {row.id for row in firsts.values()}
    rest = [row for row in order if row.id not in chosen]
    return [*firsts.values(), *rest[: max(0, count - len(firsts))]]


def next_recipe(recipe: Recipe, rows: Mixture, folder: Path, former: Dataset, held_out: Path, champion: str) -> Recipe:
    """The champion's recipe as it goes on, on new rows, against the champion on its own test set.

    What the champion's rows have gone through already (fill, balance, augment, samples) is not done to them again. Labels that look wrong
    are dropped where the champion's recipe only tells of them: opinions are strangers' words.

    Args:
        recipe: the champion's.
        rows: which form they have.
        folder: where they lie, as `ROWS`.
        former: the champion's dataset.
        held_out: its folder.
        champion: its round, or its folder.
    """
    if rows.form in PREFERENCES:
        return _preferring(recipe, folder, former)
    data, evaluate = recipe.data, recipe.evaluate
    relabel = data.relabel
    if former.task is Task.CLASSIFY and relabel.action not in ("off", "fix"):
        relabel = relabel.model_copy(update={"review": None, "action": "drop"})
    section = DataConfig(
        path=str(folder / ROWS),
        held_out=str(held_out),
        task=former.task,
        relabel=relabel,
        split=SplitConfig(by=data.split.by),
        **_stages(data),
    )
    judged = evaluate.model_copy(update={"against": [champion], "few_shot": [0], "learning_curve": LearningCurveConfig(), "seeds": 1})
    return recipe.model_copy(update={"data": section, "evaluate": judged, "gates": recipe.gates.model_copy(update={"gain": None})})


def _stages(data: DataConfig) -> dict[str, Any]:
    """The stages that new rows go through as the champion's did."""
    anonymise = None if data.anonymise is None else data.anonymise.model_copy(update={"map": None})
    kept = ("instruction", "label_words", "normalise", "filter", "dedup", "contamination")
    return {name: getattr(data, name) for name in kept} | {"anonymise": anonymise}


def _preferring(recipe: Recipe, folder: Path, former: Dataset) -> Recipe:
    """The recipe of a round on preferences; its own test side tells how well it learned them, and decides nothing.

    What the champion's own test set (and its sides for choosing and calibrating) holds is written as `HELD`, and dropped from the pairs as
    texts of a benchmark are. The rate is that of the objective, not of the champion's fine-tuning. Nothing is replayed: the objective holds the model near the champion.
    """
    write_jsonl(folder / HELD, _judging(former, recipe.data.instruction))
    stages = _stages(recipe.data)
    paths = (*recipe.data.contamination.paths, str(folder / HELD))
    stages["contamination"] = recipe.data.contamination.model_copy(update={"paths": paths})
    data = DataConfig(path=str(folder / ROWS), task=Task.PREFER, **stages)
    kept = ("decoding", "max_new_tokens", "forgetting", "resamples", "explain")
    evaluate = EvaluateConfig(few_shot=[0], **{name: getattr(recipe.evaluate, name) for name in kept})
    train = recipe.train.model_copy(update={"learning_rate": None, "regularise": RegulariseConfig()})
    gates = GatesConfig(forgetting=recipe.gates.forgetting)
    return recipe.model_copy(update={"data": data, "objective": ObjectiveConfig(), "train": train, "evaluate": evaluate, "gates": gates})


def _judging(former: Dataset, instruction: str | None) -> list[dict[str, Any]]:
    """Prompts that are held out, and, as prompts of their own, their answers; one that training rows have too gives nothing away."""
    rows = [row for side in HELD_OUT for row in former.sides[side]]
    taught = {fold(row.answer) for row in former.sides["train"]}
    answers = {fold(row.answer): row.answer for row in rows if fold(row.answer) not in taught}
    alone = [Row(id=f"answer-{place}", prompt=(Message("user", answer),), answer=answer) for place, answer in enumerate(answers.values())]
    return plain_rows([*rows, *alone], Task.GENERATE, instruction)
