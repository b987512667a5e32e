"""Preflight: refuse a broken run before any training, and show rows as the model will see them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.chat import places
from tunesmith.chat.render import Rendered, Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.data.checks import labels_of
from tunesmith.data.config import Task
from tunesmith.data.quoting import shown_label
from tunesmith.recipe import Recipe, head_of, objective_of
from tunesmith.score.spans import reachable

SHOWN = 3
SPANNED = 500
"""Rows whose spans are followed through the template."""
PROBED = 50
"""Rows whose template is rendered both ways, as in training and as at inference."""


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A row for reading: pieces of (text, supervised, control token)."""

    row_id: str
    pieces: list[tuple[str, bool, bool]]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What preflight found."""

    problems: list[str] = field(default_factory=list)
    """Each refuses the run."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    examples: list[RenderedRow] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def preflight(
    sides: Mapping[str, Sequence[Row]],
    renderer: Renderer,
    recipe: Recipe,
    task: Task,
    labels: tuple[str, ...] | None,
    context: int,
    pretrained_tokens: int,
    replay: Sequence[Row] = (),
) -> CheckReport:
    """Look at every training row and at the template.

    Args:
        sides: train, select, calibrate and test rows, instruction included.
        renderer: the one used for training and evaluation.
        recipe: for its bounds.
        task: what the rows ask for.
        labels: the label set, where the task has one.
        context: most tokens the base was made for.
        pretrained_tokens: rows of the base's embedding.
        replay: general rows with answers, mixed in while training; raw text is cut into windows and always fits.
    """
    problems: list[str] = []
    warnings: list[str] = []
    notes: list[str] = []
    train = sides["train"]
    head, objective = head_of(recipe, task), objective_of(recipe, task, judged=any(row.wanted is not None for row in train[:1]))
    refused: dict[str, list[str]] = {}
    every = {side: _render(rows, renderer, refused.setdefault(side, []), head) for side, rows in sides.items()}
    rendered = every["train"]
    problems += _said_once(refused)
    if renderer.max_tokens > context:
        problems.append(f"train.max_tokens is {renderer.max_tokens}, and the base was made for {context}: set it to {context} or less.")
    if head == "tokens":
        _check_masks(rendered, problems)
    _check_end(renderer, pretrained_tokens, problems, notes)
    _check_template(train, renderer, problems, warnings)
    cut = [item for item in rendered if item.cut_tokens]
    instruction = len(renderer.tokenizer.encode(recipe.data.instruction or "", add_special_tokens=False))
    if instruction >= renderer.max_tokens:
        problems.append(
            f"data.instruction takes {instruction} tokens, and a whole row has {renderer.max_tokens}: shorten the instruction, "
            "or raise train.max_tokens as far as the base's context goes."
        )
    elif len(cut) > recipe.train.truncate_share * max(1, len(rendered)):
        problems.append(
            f"{len(cut)} of {len(rendered)} training rows are longer than {renderer.max_tokens} tokens and would be cut, above "
            f"train.truncate_share {recipe.train.truncate_share:g}: raise train.max_tokens, shorten the rows, or raise the share."
        )
    elif cut:
        warnings.append(
            f"{len(cut)} of {len(rendered)} training rows lose the start of their prompt: longer than {renderer.max_tokens} tokens."
        )
    for side in ("select", "calibrate", "test"):
        others = every[side]
        if shorter := sum(item.cut_tokens > 0 for item in others):
            warnings.append(
                f"{shorter} of {len(others)} {side} rows lose the start of their prompt: longer than {renderer.max_tokens} tokens."
            )
    broken = sum(1 for item in rendered if item.neutralised)
    if broken:
        warnings.append(f"{broken} training rows hold control strings such as <|im_end|>: neutralised, they stay text.")
    if objective == "sft" and any(row.rejected is not None for row in train):
        warnings.append("Preference pairs: only the chosen answers are learnt (objective.name: sft); the rejected ones are used to score.")
    unwanted = sum(row.wanted is False for row in train)
    if objective in ("sft", "distill") and unwanted:
        warnings.append(
            f"{unwanted} of {len(train)} training rows hold unwanted answers, from which objective.name: {objective} learns nothing."
        )
    _check_labels(sides, task, labels, problems, warnings)
    if head == "tags":
        _check_spans(train, renderer, problems, warnings)
    _check_leaks(sides, problems)
    _check_replay(replay, renderer, problems, warnings)
    lengths = sorted(len(item.ids) for item in rendered)
    facts = {
        "rows": {side: len(rows) for side, rows in sides.items()},
        "tokens": sum(lengths),
        "median_tokens": lengths[len(lengths) // 2] if lengths else 0,
        "longest_tokens": lengths[-1] if lengths else 0,
        "supervised_tokens": sum(len(item.answer_ids) for item in rendered),
        "truncated": len(cut),
        "neutralised": broken,
        "max_tokens": renderer.max_tokens,
        "end_of_answer": renderer.tokenizer.decode(list(renderer.end_ids), skip_special_tokens=False),
        "own_template": renderer.has_own_template,
    }
    shown = [show_row(item, renderer) for item in rendered[:SHOWN]]
    return CheckReport(problems, warnings, notes, shown, facts)


def _render(rows: Sequence[Row], renderer: Renderer, refused: list[str], head: str) -> list[Rendered]:
    """Every row rendered, for a head without its answer, a pair with its longer one; why for each that can't be."""
    rendered: list[Rendered] = []
    for row in rows:
        try:
            rendered.append(_rendered(row, renderer, head))
        except DataError as error:
            refused.append(str(error))
    return rendered


def _said_once(refused: Mapping[str, Sequence[str]]) -> list[str]:
    """The first of the refusals, and how many there are of each side."""
    counts = {side: len(found) for side, found in refused.items() if found}
    if not counts:
        return []
    first = next(found[0] for found in refused.values() if found)
    named = ", ".join(f"{count} of {side}" for side, count in counts.items())
    return [first + (f" ({sum(counts.values())} rows have this or a like problem: {named}.)" if sum(counts.values()) > 1 else "")]


def _rendered(row: Row, renderer: Renderer, head: str) -> Rendered:
    if head != "tokens":
        prompt = renderer.prompt(row.prompt)
        return Rendered(row.id, prompt.ids, len(prompt.ids), prompt.cut_tokens, prompt.neutralised)
    return renderer.row(row, whole=True) if row.rejected is None else max(renderer.pair(row), key=lambda one: len(one.ids))


def _check_spans(rows: Sequence[Row], renderer: Renderer, problems: list[str], warnings: list[str]) -> None:
    """Whether texts can be followed through the template, and how many spans begin or end inside a token."""
    spans = lost = 0
    for row in rows[:SPANNED]:
        try:
            offsets = places.place(renderer, row).offsets_T
        except DataError as error:
            problems.append(str(error))
            return
        spans += len(row.tags or ())
        lost += len(set(row.tags or ()) - set(reachable(row.text(), offsets, row.tags or ())))
    if lost:
        warnings.append(f"{lost} of {spans} spans begin or end inside a token of this base, or were cut: they can't be found exactly.")


def _check_masks(rendered: Sequence[Rendered], problems: list[str]) -> None:
    empty = [item for item in rendered if len(item.ids) - max(1, item.answer_start) < 1]
    if empty:
        problems.append(
            f"{len(empty)} training rows have no supervised token (the first is {empty[0].row_id}): they would teach nothing. Drop them."
        )
    bare = [item for item in rendered if item.answer_start and len(item.answer_ids) == 1]
    if bare:
        problems.append(f"{len(bare)} training rows have an empty answer (the first is {bare[0].row_id}): fill or drop them.")


def _check_end(renderer: Renderer, vocabulary: int, problems: list[str], notes: list[str]) -> None:
    if any(token >= vocabulary for token in renderer.end_ids):
        problems.append(
            f"The end-of-answer token {renderer.end_ids} lies outside the base's {vocabulary} embeddings: the tokenizer is not this model's."
        )
    if not renderer.has_own_template:
        notes.append("The base has no chat template of its own: a plain one is used (User: / Assistant:), and is saved with the model.")


def _check_template(rows: Sequence[Row], renderer: Renderer, problems: list[str], warnings: list[str]) -> None:
    """The prompt shown at inference must be how the row begins in training, and tokenise alike when joined."""
    joined = 0
    for row in [row for row in rows if row.prompt][:PROBED]:
        answer = Message("assistant", row.answer)
        try:
            at_inference = renderer.text(row.prompt, generation=True)
            in_training = renderer.text([*row.prompt, answer], generation=False)
        except DataError as error:
            problems.append(str(error))
            return
        if not in_training.startswith(at_inference):
            place = next((i for i, (a, b) in enumerate(zip(in_training, at_inference, strict=False)) if a != b), len(in_training))
            problems.append(
                f"The chat template renders the prompt of row {row.id} differently at inference (from character {place}: "
                f"{at_inference[place : place + 40]!r}) than in training ({in_training[place : place + 40]!r}): mend its generation prompt, or take another base."
            )
            return
        encode = renderer.tokenizer.encode
        together = encode(at_inference + row.answer, add_special_tokens=False)
        apart = [*encode(at_inference, add_special_tokens=False), *encode(row.answer, add_special_tokens=False)]
        joined += together != apart
    if joined:
        warnings.append(
            f"{joined} of the first {PROBED} rows tokenise otherwise when prompt and answer are joined first; here they are always tokenised apart."
        )


def _check_labels(
    sides: Mapping[str, Sequence[Row]], task: Task, labels: tuple[str, ...] | None, problems: list[str], warnings: list[str]
) -> None:
    if labels is None:
        return
    known = Counter(label for row in sides["train"] for label in labels_of(row, task))
    for side in ("select", "calibrate", "test"):
        missing = sorted({label for row in sides[side] for label in labels_of(row, task)} - known.keys())
        if missing:
            named = ", ".join(repr(shown_label(label)) for label in missing[:5]) + (" ..." if len(missing) > 5 else "")
            told = problems if task is Task.CLASSIFY else warnings  # of several labels, or spans, the others can still be learnt
            told.append(
                f"Labels {named} of {side} never occur in training, so no model could learn them: add training rows, or drop those rows."
            )
    few = sum(count < 3 for count in known.values())
    if few:
        warnings.append(f"{few} of {len(known)} labels {'has' if few == 1 else 'have'} fewer than 3 training rows.")


def _check_replay(rows: Sequence[Row], renderer: Renderer, problems: list[str], warnings: list[str]) -> None:
    """General rows that don't fit are left out of training."""
    left_out = 0
    for row in rows:
        try:
            _rendered(row, renderer, "tokens")
        except DataError:
            left_out += 1
    if rows and left_out == len(rows):
        problems.append(
            f"No row of train.regularise.replay.path fits within {renderer.max_tokens} tokens: raise train.max_tokens, or take another file."
        )
    elif left_out:
        warnings.append(f"{left_out} of {len(rows)} rows to replay are longer than {renderer.max_tokens} tokens: they will be left out.")


def _check_leaks(sides: Mapping[str, Sequence[Row]], problems: list[str]) -> None:
    def key(row: Row) -> tuple[str, str]:
        return (" ".join(row.text().casefold().split()), row.answer if not row.prompt else "")

    trained = {key(row) for row in sides["train"]}
    leaked = [row for row in sides["test"] if key(row) in trained]
    if leaked:
        problems.append(
            f"{len(leaked)} test rows also stand in train (the first is {leaked[0].id}): the score would be memory. Drop them from one side."
        )


def show_row(item: Rendered, renderer: Renderer) -> RenderedRow:
    """A rendered row as text, in runs of supervised or not, control token or not."""
    controls = set(renderer.added.values())
    pieces: list[tuple[str, bool, bool]] = []
    run: list[int] = []
    kind = (False, False)
    for place, token in enumerate(item.ids):
        now = (place >= max(1, item.answer_start), token in controls)
        if run and now != kind:
            pieces.append((renderer.tokenizer.decode(run, skip_special_tokens=False), *kind))
            run = []
        run.append(token)
        kind = now
    if run:
        pieces.append((renderer.tokenizer.decode(run, skip_special_tokens=False), *kind))
    return RenderedRow(item.row_id, pieces)
