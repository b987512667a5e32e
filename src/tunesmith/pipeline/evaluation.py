"""The evaluation stage: choose the base's best prompt on `select`, then score every system on test in one opening."""

from collections import Counter
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
class Prompted:
    """The base with one way of prompting it, and how good that was on `select`."""

    base: Answerer
    form: PromptForm
    value: float

    @property
    def name(self) -> str:
        """The form, and how label scores are scaled where that is not the plain sum."""
        scale = self.base.scale
        return self.form.name + (f", {scale.name}" if scale is not None and scale.name != "sum" else "")

    @property
    def cost(self) -> tuple[int, bool, bool]:
        """What decides between equals: fewer examples, no list, no scaling."""
        return (self.form.k, self.form.name == LISTED, self.name != self.form.name)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The prompts of the base that go to the test set."""

    zero: "Prompted"
    few: "Prompted | None"
    piece: dict[str, Any]
    """The `few_shot` piece of report.json."""


def choose_prompts(base: Answerer, sides: Sides, recipe: Recipe, metrics: Sequence[str], listen: Listener) -> Chosen:
    """Try each form, k and scale on `select`; the best without examples and the best with them go on.

    Forms whose longest prompt would leave no room within the context are left out, and named.
    """
    if sides.task == "text":
        return Chosen(Prompted(base, PromptForm(PLAIN), 0.0), None, {"k": 0, "form": PLAIN, "tried": [], "rows": 0})
    rows = list(sides.select[: recipe.evaluate.select_rows])
    best: list[Prompted] = []
    written = base.renderer.written
    for form in prompt_forms(sides.train, recipe.evaluate.few_shot, sides.labels, written=written, seed=recipe.seed):
        bare = form.k == 0 and form.name == PLAIN  # always scored: what is too long is cut, and preflight has said so
        if not bare and not _fits(base, form, [*rows, *sides.test]):
            listen(Said(f"{form.k} examples ({form.name}) don't fit the base's context of {base.renderer.max_tokens} tokens: left out."))
            continue
        scored = base.under_each_scale(rows, form.messages, work=f"choose the base's prompt: k = {form.k}, {form.name}", listen=listen)
        found = [(one, values(predictions, metrics[:1])[metrics[0]]) for one, predictions in scored]
        best.append(_best([Prompted(one, form, value) for one, value in found if value is not None], metrics[0]))
    zeros = [one for one in best if one.form.k == 0]
    shots = [one for one in best if one.form.k > 0]
    few = _best(shots, metrics[0]) if shots else None
    shown = few or _best(zeros, metrics[0])
    tried = [{"k": one.form.k, "form": one.name, "value": one.value} for one in best]
    return Chosen(_best(zeros, metrics[0]), few, {"k": shown.form.k, "form": shown.name, "tried": tried, "rows": len(rows)})


def _best(tried: Sequence[Prompted], metric: str) -> Prompted:
    """The best value; the cheaper way where they tie."""
    found = tried[0]
    for candidate in tried[1:]:
        if better(metric, candidate.value, found.value) or (candidate.value == found.value and candidate.cost < found.cost):
            found = candidate
    return found


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

    def answers(one: Prompted, work: str) -> list[Prediction]:
        if sides.task == "text":
            return base.read_texts(sides.test, work=work, listen=listen)
        return one.base.answer(sides.test, one.form.messages, work=work, listen=listen)

    saved(folder / "zero-shot.jsonl", lambda: answers(chosen.zero, "score zero-shot on test"))
    few = chosen.few
    if few is not None:
        saved(folder / "few-shot.jsonl", lambda: answers(few, "score few-shot on test"))
    if sides.labels is not None:
        saved(folder / "majority.jsonl", lambda: always_commonest(sides.train, sides.test))
    if sides.labels is not None and recipe.evaluate.linear_floor:
        saved(folder / "linear.jsonl", lambda: linear_floor(sides.train, sides.test, seed=recipe.seed))
    return chosen.piece | {"zero_form": chosen.zero.name}


def always_commonest(train: Sequence[Row], test: Sequence[Row]) -> list[Prediction]:
    """The commonest training label as the answer to every row: what a model that learned only the labels' shares would say."""
    counts = Counter(row.answer for row in train)
    label = min(counts, key=lambda one: (-counts[one], one))
    return [Prediction(row_id=row.id, reference=row.answer, answer=label, confidence=counts[label] / len(train)) for row in test]


def systems_of(folder: Path, tuned: Path, few_shot: dict[str, Any]) -> list[System]:
    """Every system scored, in the order of the report."""
    listed = ", labels listed" if few_shot["form"].startswith(LISTED) else ""
    names: dict[str, tuple[str, Literal["baseline", "floor"]]] = {
        "zero-shot": ("Base, zero-shot", "baseline"),
        "few-shot": (f"Base, few-shot (k = {few_shot['k']}{listed})", "baseline"),
        "majority": ("Always the commonest label", "baseline"),
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
