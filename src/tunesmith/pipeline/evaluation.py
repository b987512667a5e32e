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
from tunesmith.data.config import Task
from tunesmith.evaluate.constant import always_commonest, always_mean, always_same_labels
from tunesmith.evaluate.heads import HeadAnswerer
from tunesmith.evaluate.linear import linear_floor
from tunesmith.evaluate.linear_more import linear_labels, linear_value
from tunesmith.evaluate.meant import LabelSets, Meant, Numbers
from tunesmith.evaluate.measures import better, values
from tunesmith.evaluate.neighbour import neighbour_answer, neighbour_labels, neighbour_value
from tunesmith.evaluate.pairs import PairAnswerer, longer_answer
from tunesmith.evaluate.prompts import LISTED, PLAIN, RANGED, PromptForm, one_of, prompt_forms
from tunesmith.evaluate.systems import Answerer, Answers, own_prompt
from tunesmith.evaluate.verdict import System
from tunesmith.evaluate.word_tags import most_frequent_tags
from tunesmith.evaluate.written import Sure, decoding_of
from tunesmith.infer.generate import Wanted
from tunesmith.models.heads import Headed
from tunesmith.pipeline.decisions import device_here
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows evaluation may see, instruction included."""

    train: Sequence[Row]
    select: Sequence[Row]
    test: Sequence[Row]
    labels: tuple[str, ...] | None
    """The label set of classify, multilabel and tag."""
    task: str

    @property
    def judged(self) -> bool:
        """Whether single answers are marked as wanted or not."""
        return any(row.wanted is not None for row in self.train[:1])


def meant(sides: Sides, renderer: Renderer) -> Meant | None:
    """How generated answers are understood, where they stand for something else than their words."""
    if sides.task == Task.MULTILABEL:
        return LabelSets({label: renderer.written(label) for label in sides.labels or ()})
    return Numbers.of(sides.train) if sides.task == Task.REGRESS else None


def _longest(sides: Sides, renderer: Renderer) -> int:
    """Tokens after which nobody listens any longer: twice the longest label set or number of training rows, and a few words more."""
    if sides.task not in (Task.MULTILABEL, Task.REGRESS):
        return renderer.max_tokens
    answers = {row.answer for row in sides.train}
    return 8 + 2 * max(len(renderer.answer(answer)) for answer in sorted(answers, key=len)[-50:])


def answerer(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe, sure: Sure | None = None) -> Answers:
    """A model that answers as it will be served; `sure` is what the confidence of a written answer is made from."""
    device = device_here()
    model = model.to(device).eval()
    precision = "bf16" if device.type == "cuda" else "fp32"
    if sides.task == Task.PREFER:
        return PairAnswerer(model=model, renderer=renderer, device=device, precision=precision)
    if isinstance(model, Headed) and model.kind != "class":
        return HeadAnswerer(model=model, renderer=renderer, device=device, labels=sides.labels, precision=precision)
    return Answerer(
        model=model,
        renderer=renderer,
        device=device,
        labels=sides.labels if sides.task == Task.CLASSIFY else None,
        max_new_tokens=min(recipe.evaluate.max_new_tokens, _longest(sides, renderer)),
        precision=precision,
        meant=meant(sides, renderer),
        wanted=wanted_of(model, renderer, sides, recipe),
        sure=sure,
    )


def wanted_of(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe) -> Wanted | None:
    """How answers are written, where the recipe asks for something else than the likeliest tokens."""
    decoding = decoding_of(recipe.evaluate.decoding)
    if decoding.plain or sides.task in (Task.CLASSIFY, Task.TEXT):
        return None
    most = min(recipe.evaluate.max_new_tokens, _longest(sides, renderer))
    return decoding.wanted(model, renderer.tokenizer, end_ids=tuple(renderer.end_ids), max_new_tokens=most)


@dataclass(frozen=True, slots=True)
class Prompted:
    """The base with one way of prompting it, and how good that was on `select`."""

    base: Answers
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
        return (self.form.k, bool(self.form.asked), self.name != self.form.name)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The prompts of the base that go to the test set."""

    zero: "Prompted"
    few: "Prompted | None"
    piece: dict[str, Any]
    """The `few_shot` piece of report.json."""


def choose_prompts(base: Answers, sides: Sides, recipe: Recipe, metrics: Sequence[str], listen: Listener) -> Chosen:
    """Try each form, k and scale on `select`; the best without examples and the best with them go on.

    Forms whose longest prompt would leave no room within the context are left out, and named.
    """
    if sides.task == "text":
        return Chosen(Prompted(base, PromptForm(PLAIN), 0.0), None, {"k": 0, "form": PLAIN, "tried": [], "rows": 0})
    rows = list(sides.select[: recipe.evaluate.select_rows])
    best: list[Prompted] = []
    written = base.renderer.written
    told, by_answer = _told(sides, base.renderer), sides.task in (Task.CLASSIFY, Task.MULTILABEL)
    for form in prompt_forms(sides.train, recipe.evaluate.few_shot, told=told, by_answer=by_answer, written=written, seed=recipe.seed):
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


def _told(sides: Sides, renderer: Renderer) -> tuple[str, str] | None:
    """The name of the other way of prompting, and what the base is told in it."""
    if sides.task == Task.CLASSIFY:
        return LISTED, one_of(sides.labels or (), renderer.written)
    understood = meant(sides, renderer)
    return None if understood is None else (RANGED if sides.task == Task.REGRESS else LISTED, understood.question())


def _fits(base: Answers, form: PromptForm, rows: Sequence[Row]) -> bool:
    """Whether no prompt of this form would be cut, judged by the rows with the longest texts."""
    longest = sorted(rows, key=lambda row: -sum(len(message.content) for message in row.prompt))[:8]
    try:
        return all(base.renderer.prompt(form.messages(row), room=base.room(row)).cut_tokens == 0 for row in longest)
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
    make_base: Callable[[], Answers], sides: Sides, recipe: Recipe, metrics: Sequence[str], folder: Path, listen: Listener
) -> dict[str, Any]:
    """Choose the prompts and score the base and what looks at no model on test, into `folder`; returns the `few_shot` piece."""
    names = score_others(sides, recipe, metrics, folder)
    if sides.task == Task.TAG:
        listen(Said("A base that was not trained can't be asked for spans: the most frequent tag of each word stands in its place."))
        return {"k": 0, "form": PLAIN, "tried": [], "rows": 0, "zero_form": PLAIN, "names": names}
    base = make_base()
    chosen = choose_prompts(base, sides, recipe, metrics, listen)

    def answers(one: Prompted, work: str) -> list[Prediction]:
        if isinstance(base, Answerer) and sides.task == "text":
            return base.read_texts(sides.test, work=work, listen=listen)
        return one.base.answer(sides.test, one.form.messages, work=work, listen=listen)

    saved(folder / "zero-shot.jsonl", lambda: answers(chosen.zero, "score zero-shot on test"))
    few = chosen.few
    if few is not None:
        saved(folder / "few-shot.jsonl", lambda: answers(few, "score few-shot on test"))
    return chosen.piece | {"zero_form": chosen.zero.name, "names": names}


def score_others(sides: Sides, recipe: Recipe, metrics: Sequence[str], folder: Path) -> dict[str, str]:
    """Score what a task has beside language models, into `folder`; returns the names of the systems by key."""
    train, test, seed = sides.train, sides.test, recipe.seed
    middle = metrics[0] == "mae"  # the constant that errs least: the median in absolute error, the mean in squared
    made: dict[str, tuple[str, Callable[[], list[Prediction]]]] = {}
    if sides.task == Task.CLASSIFY:
        made["majority"] = ("Always the commonest label", lambda: always_commonest(train, test))
        made["neighbour"] = ("Nearest neighbours by TF-IDF", lambda: neighbour_labels(train, test, seed=seed))
        made["linear"] = ("TF-IDF with logistic regression", lambda: linear_floor(train, test, seed=seed))
    elif sides.task == Task.MULTILABEL:
        made["majority"] = ("Always the commonest labels", lambda: always_same_labels(train, test))
        made["linear"] = ("TF-IDF with a logistic regression for each label", lambda: linear_labels(train, test, seed=seed))
    elif sides.task == Task.REGRESS:
        made["mean"] = ("Always the median" if middle else "Always the mean", lambda: always_mean(train, test, middle=middle))
        made["neighbour"] = ("Nearest neighbours by TF-IDF", lambda: neighbour_value(train, test, seed=seed))
        made["linear"] = ("TF-IDF with ridge regression", lambda: linear_value(train, test, seed=seed))
    elif sides.task == Task.GENERATE:
        made["neighbour"] = ("The answer of the nearest training row", lambda: neighbour_answer(train, test))
    elif sides.task == Task.TAG:
        made["word-tags"] = ("Each word's most frequent tag", lambda: most_frequent_tags(train, test))
    elif sides.task == Task.PREFER and not sides.judged:
        name, answers = longer_answer(train, test)
        made["length"] = (name, lambda: answers)
    if not recipe.evaluate.linear_floor:
        made = {key: one for key, one in made.items() if key not in ("linear", "neighbour", "length")}
    for key, (_, make) in made.items():
        saved(folder / f"{key}.jsonl", make)
    return {key: name for key, (name, _) in made.items()}


def systems_of(folder: Path, tuned: Path, few_shot: dict[str, Any]) -> list[System]:
    """Every system scored, in the order of the report."""
    listed = next((f", {form}" for form in (LISTED, RANGED) if few_shot["form"].startswith(form)), "")
    named: dict[str, str] = few_shot.get("names", {})
    names: dict[str, tuple[str, Literal["baseline", "floor"]]] = {
        "zero-shot": ("Base, zero-shot", "baseline"),
        "few-shot": (f"Base, few-shot (k = {few_shot['k']}{listed})", "baseline"),
        **{key: (named.get(key, key), "baseline") for key in ("majority", "mean", "word-tags")},
        **{key: (named.get(key, key), "floor") for key in ("neighbour", "linear", "length")},
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


def score_tuned(tuned: Answers, sides: Sides, listen: Listener) -> list[Prediction]:
    """The fine-tuned model on test, from its own plain prompt."""
    if isinstance(tuned, Answerer) and sides.task == "text":
        return tuned.read_texts(sides.test, work="score fine-tuned on test", listen=listen)
    return tuned.answer(sides.test, own_prompt, work="score fine-tuned on test", listen=listen)


def _astray(one: Prediction) -> float:
    """How far off a number is, or by how much the worse answer is the likelier one; 0 for other answers."""
    if one.reference_logprob is not None and one.rejected_logprob is not None:
        return one.rejected_logprob - one.reference_logprob
    both = isinstance(one.truth, int | float) and isinstance(one.found, int | float)
    return abs(float(one.found) - float(one.truth)) if both else 0.0  # type: ignore[arg-type]


def errors_to_read(predictions: Sequence[Prediction], rows: Sequence[Row], most: int) -> list[dict[str, Any]]:
    """Wrong answers with what was asked: the most confident first, since they teach most; of numbers those furthest off."""
    by_id = {row.id: row for row in rows}
    wrong = [p for p in predictions if p.answer.strip() != p.reference.strip() and not isinstance(p.truth, bool)]
    wrong.sort(key=lambda p: (-_astray(p), -(p.confidence or 0.0), p.row_id))
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
