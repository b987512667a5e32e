"""The evaluation stage: choose the base's best prompt on `select`, then score every system on test in one opening."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.files import read_jsonl, write_jsonl
from tunesmith.core.progress import Listener, Said
from tunesmith.core.rows import Row
from tunesmith.evaluate.linear import linear_floor
from tunesmith.evaluate.measures import better, values
from tunesmith.evaluate.prompts import LISTED, PLAIN, PromptForm, prompt_forms
from tunesmith.evaluate.systems import Answerer, own_prompt
from tunesmith.evaluate.verdict import System
from tunesmith.pipeline.training import device_here
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows evaluation may see, instruction included."""

    train: Sequence[Row]
    select: Sequence[Row]
    test: Sequence[Row]
    labels: tuple[str, ...] | None
    task: str


def answerer(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe) -> Answerer:
    """A model that answers as it will be served."""
    device = device_here()
    return Answerer(
        model=model.to(device).eval(),
        renderer=renderer,
        device=device,
        labels=sides.labels,
        max_new_tokens=recipe.evaluate.max_new_tokens,
        precision="bf16" if device.type == "cuda" else "fp32",
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The prompts of the base that go to the test set."""

    zero: PromptForm
    few: PromptForm | None
    piece: dict[str, Any]
    """The `few_shot` piece of report.json."""


def choose_prompts(base: Answerer, sides: Sides, recipe: Recipe, metrics: Sequence[str], listen: Listener) -> Chosen:
    """Try each form and k on `select`; the best without examples and the best with them go on.

    Forms whose longest prompt would leave no room within the context are left out, and named.
    """
    if sides.task == "text":
        return Chosen(PromptForm(PLAIN), None, {"k": 0, "form": PLAIN, "tried": [], "rows": 0})
    rows = list(sides.select[: recipe.evaluate.select_rows])
    tried: list[tuple[float, PromptForm]] = []
    entries: list[dict[str, Any]] = []
    written = base.renderer.written
    for form in prompt_forms(sides.train, recipe.evaluate.few_shot, sides.labels, written=written, seed=recipe.seed):
        if not _fits(base, form, [*rows, *sides.test]):
            listen(Said(f"{form.k} examples ({form.name}) pass the base's context of {base.renderer.max_tokens} tokens: left out."))
            continue
        predictions = base.answer(rows, form.messages, work=f"choose the base's prompt: k = {form.k}, {form.name}", listen=listen)
        value = values(predictions, metrics[:1])[metrics[0]]
        if value is None:
            continue
        tried.append((value, form))
        entries.append({"k": form.k, "form": form.name, "value": value})
    if not any(form.k == 0 for _, form in tried):
        raise DataError("No prompt of the base fits its context, even without examples: shorten data.instruction, or take another base.")
    zero = _best([item for item in tried if item[1].k == 0], metrics[0])
    shots = [item for item in tried if item[1].k > 0]
    few = _best(shots, metrics[0]) if shots else None
    best = few or zero
    return Chosen(zero, few, {"k": best.k, "form": best.name, "tried": entries, "rows": len(rows)})


def _best(tried: Sequence[tuple[float, PromptForm]], metric: str) -> PromptForm:
    """The best value; the shorter prompt where they tie."""
    value, form = tried[0]
    for other, candidate in tried[1:]:
        shorter = (candidate.k, candidate.name == LISTED) < (form.k, form.name == LISTED)
        if better(metric, other, value) or (other == value and shorter):
            value, form = other, candidate
    return form


def _fits(base: Answerer, form: PromptForm, rows: Sequence[Row]) -> bool:
    """Whether no prompt of this form would be cut, judged by the rows with the longest texts."""
    room = base.max_new_tokens if base.labels is None else max(len(base.renderer.answer(label)) for label in base.labels)
    longest = sorted(rows, key=lambda row: -sum(len(message.content) for message in row.prompt))[:8]
    try:
        return all(base.renderer.prompt(form.messages(row), room=room).cut_tokens == 0 for row in longest)
    except DataError:
        return False


def saved(path: Path, make: Callable[[], list[Prediction]]) -> list[Prediction]:
    """Predictions from a file where they were made before, else made now and kept: resuming opens nothing twice."""
    if path.exists():
        return [Prediction.from_json(value) for value in read_jsonl(path)]
    predictions = make()
    write_jsonl(path, (prediction.to_json() for prediction in predictions))
    return predictions


def score_baselines(
    make_base: Callable[[], Answerer], sides: Sides, recipe: Recipe, metrics: Sequence[str], folder: Path, listen: Listener
) -> dict[str, Any]:
    """Choose the prompts and score the base and the floor on test, into `folder`; returns the `few_shot` piece."""
    base = make_base()
    chosen = choose_prompts(base, sides, recipe, metrics, listen)

    def answers(form: PromptForm, work: str) -> list[Prediction]:
        if sides.task == "text":
            return base.read_texts(sides.test, work=work, listen=listen)
        return base.answer(sides.test, form.messages, work=work, listen=listen)

    saved(folder / "zero-shot.jsonl", lambda: answers(chosen.zero, "score zero-shot on test"))
    few = chosen.few
    if few is not None:
        saved(folder / "few-shot.jsonl", lambda: answers(few, "score few-shot on test"))
    if sides.labels is not None and recipe.evaluate.linear_floor:
        saved(folder / "linear.jsonl", lambda: linear_floor(sides.train, sides.test, seed=recipe.seed))
    return chosen.piece | {"zero_form": chosen.zero.name}


def systems_of(folder: Path, tuned: Path, few_shot: dict[str, Any]) -> list[System]:
    """Every system scored, in the order of the report."""
    listed = " and the labels listed" if few_shot["form"] == LISTED else ""
    names: dict[str, tuple[str, Literal["baseline", "floor"]]] = {
        "zero-shot": ("Base, zero-shot", "baseline"),
        "few-shot": (f"Base, few-shot (k = {few_shot['k']}{listed})", "baseline"),
        "linear": ("TF-IDF with logistic regression", "floor"),
    }
    systems = []
    for key, (name, kind) in names.items():
        path = folder / f"{key}.jsonl"
        if path.exists():
            systems.append(System(key=key, name=name, kind=kind, predictions=_read(path)))
    systems.append(System(key="tuned", name="Fine-tuned", kind="tuned", predictions=_read(tuned)))
    return systems


def _read(path: Path) -> list[Prediction]:
    return [Prediction.from_json(value) for value in read_jsonl(path)]


def score_tuned(tuned: Answerer, sides: Sides, path: Path, listen: Listener) -> list[Prediction]:
    """The fine-tuned model on test, from its own plain prompt."""

    def make() -> list[Prediction]:
        if sides.task == "text":
            return tuned.read_texts(sides.test, work="score fine-tuned on test", listen=listen)
        return tuned.answer(sides.test, own_prompt, work="score fine-tuned on test", listen=listen)

    return saved(path, make)


def errors_to_read(predictions: Sequence[Prediction], rows: Sequence[Row], most: int) -> list[dict[str, Any]]:
    """Wrong answers with what was asked: the most confident first, since they teach most."""
    by_id = {row.id: row for row in rows}
    wrong = [p for p in predictions if p.answer.strip() != p.reference.strip()]
    wrong.sort(key=lambda p: (-(p.confidence or 0.0), p.row_id))
    return [
        {
            "row_id": p.row_id,
            "prompt": by_id[p.row_id].text(),
            "reference": p.reference,
            "answer": p.answer,
            "confidence": p.confidence,
        }
        for p in wrong[:most]
    ]

