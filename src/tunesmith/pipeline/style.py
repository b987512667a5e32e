"""A style guide from end to end: how far a model keeps to it, with intervals, and preference rows for a round that keeps to it better.

Prompts are divided by what is asked: half are for rows and never measure, half measure and never make rows, whoever is asked and whenever;
else a model trained on the rows would be measured by prompts it was trained on. Costs an answer to each prompt that measures, and where
rows are asked for `samples` drawn ones to each of the others.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import home_path, write_jsonl
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener
from tunesmith.core.rows import Message, Row
from tunesmith.feedback.style import answer_rows, guide_rows
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe.guide import read_guide

if TYPE_CHECKING:
    from tunesmith.data.settings.style import StyleGuide
    from tunesmith.evaluate.ready import Ready
    from tunesmith.score.style import Style

RESAMPLES = 2000
NO_TEXT = ("classify", "multilabel", "regress", "tag")


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleConfig:
    """What is asked, and how rows are made."""

    samples: int = 4
    """Answers drawn to each prompt."""
    temperature: float = 0.9
    """At which they are drawn."""
    most: int = 500
    """Prompts that are asked."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise RecipeError(f"samples is {self.samples}, and ranking takes two answers: draw 2 or more.")
        if not 0 < self.temperature <= 100:
            raise RecipeError(f"temperature is {self.temperature:g}, at which answers can't differ: take one above 0, as 0.9.")
        if self.most < 1:
            raise RecipeError(f"most is {self.most}, and without a prompt nothing is asked: take 1 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How far answers keep to a rule, or to all: a share with its 95% interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Styled:
    """What came of it."""

    rules: list[str]
    """The guide's."""
    prompts: int
    """That measured."""
    row_prompts: int
    """That rows were made of."""
    kept: list[Kept]
    """Of the model's own answers: `style`, `style_all`, then each rule; empty without a model."""
    rows: dict[str, int]
    """Rows by how they were made: guide, ranked, reworded."""
    out: str | None
    """Where they are."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def styled(
    guide: Path, model: str | None, prompts: str | None, out: Path | None, config: StyleConfig, place: Workspace, listen: Listener
) -> Styled:
    """Measure a model by a guide, and write preference rows.

    Args:
        guide: the guide's file.
        model: a round, a folder or a line of service; None: the guide's pairs alone.
        prompts: a file of prompts; None: those of kept requests, or of the guide's own pairs.
        out: where rows go; None: none are made.
        config: how.
        place: the workspace.
        listen: told of progress.

    Raises:
        RecipeError: the guide, the model or the prompts can't be meant; a model that writes no text.
        DataError: no prompt, none that measures, or no row.
    """
    read = read_guide(guide)
    rows = guide_rows(read)
    kept: list[Kept] = []
    measuring: list[tuple[Message, ...]] = []
    making: list[tuple[Message, ...]] = []
    if model is not None:
        ready = _ready(model, place)
        for prompt in _prompts(prompts, read, ready, place, config):
            (measuring if measures(prompt, read) else making).append(prompt)
        if out is None and not measuring:
            raise DataError(
                f"None of the {len(making):,} prompts measures: those of the guide's pairs and half of all others are for rows. Give more with --prompts."
            )
        if read.style.rules and measuring:
            kept = _measured(ready, measuring, read.style, config, listen)
        if out is not None and making:
            drawn = ready.drawn(_rows(making), samples=config.samples, temperature=config.temperature, seed=config.seed, listen=listen)
            rows += [row for prompt, answers in zip(making, drawn, strict=True) for row in answer_rows(prompt, answers, read)]
    elif out is None:
        raise RecipeError("There is nothing to do: name a --model to measure, or --out for the rows that the guide's pairs make.")
    counts = {kind: sum(row["made"] == kind for row in rows) for kind in ("guide", "ranked", "reworded")}
    if out is not None:
        if not rows:
            raise DataError("No row was made: no pair of the guide has a prompt, and no two answers differ in the rules they keep.")
        write_jsonl(out, rows)
    return Styled(
        rules=read.style.rules,
        prompts=len(measuring),
        row_prompts=len(making),
        kept=kept,
        rows=counts,
        out=None if out is None else str(out),
    )


def measures(prompt: tuple[Message, ...], guide: "StyleGuide") -> bool:
    """Whether a prompt measures, and never makes rows. It goes by the user's last words: instructions change from model to model."""
    said = _folded(next((turn.content for turn in reversed(prompt) if turn.role == "user"), prompt[-1].content))
    if any(pair.prompt is not None and _folded(pair.prompt) == said for pair in guide.pairs):
        return False
    return int(digest(said)[:8], 16) % 2 == 0


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _ready(model: str, place: Workspace) -> "Ready":
    from tunesmith.evaluate.ready import load_ready
    from tunesmith.pipeline.naming import named_model

    found = load_ready(named_model(model, place).folder)
    if found.bundle.task in NO_TEXT:
        raise RecipeError(
            f"{model} answers with labels or numbers (task {found.bundle.task}), and these have no style: name one that writes."
        )
    return found


def _prompts(file: str | None, guide: "StyleGuide", ready: "Ready", place: Workspace, config: StyleConfig) -> list[tuple[Message, ...]]:
    """Distinct prompts: a file's, else those of requests kept with their words and of the guide's pairs."""
    if file is not None:
        from tunesmith.evaluate.safety_prompts import read_asked

        found = read_asked(str(home_path(file)), most=config.most, seed=config.seed, instruction=ready.bundle.instruction)
        return [one.messages for one in found.prompts]
    told = [ready.prompt(pair.prompt) for pair in guide.pairs if pair.prompt is not None]
    if place.root.is_dir():
        with place.ledger() as ledger:
            told += [record.prompt for record in ledger.requests.list(sampled=True) if record.prompt and record.kind == "chat"]
    distinct = list(dict.fromkeys(told))[: config.most]
    if not distinct:
        raise DataError(
            "There is no prompt to ask: give a file with --prompts, or keep requests with `tunesmith serve --keep-requests 0.1`."
        )
    return distinct


def _rows(prompts: list[tuple[Message, ...]]) -> list[Row]:
    return [Row(id=str(number), prompt=prompt) for number, prompt in enumerate(prompts)]


def _measured(ready: "Ready", asked: list[tuple[Message, ...]], style: "Style", config: StyleConfig, listen: Listener) -> list[Kept]:
    from tunesmith.evaluate.systems import held_against
    from tunesmith.score.intervals import intervals
    from tunesmith.score.measures import measure
    from tunesmith.score.resampling import Resamples

    answers = held_against(ready.answer(_rows(asked), work="answer", listen=listen), style)
    measures = [measure(name) for name in ("style", "style_all", *(f"style_{rule}" for rule in style.rules))]
    found = intervals(measures, answers, Resamples(rows=len(answers), count=RESAMPLES, seed=config.seed))
    return [Kept(name=name, value=one.value, low=one.low, high=one.high) for name, one in found.items() if one is not None]
