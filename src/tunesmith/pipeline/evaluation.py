"""The evaluation stage: the base's best prompt is chosen on `select`, then every system is scored on test in one opening."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.files import read_jsonl, write_jsonl
from tunesmith.core.progress import Listener, Said
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.constant import always_commonest, always_mean, always_same_labels
from tunesmith.evaluate.heads import HeadAnswerer
from tunesmith.evaluate.linear import linear_floor
from tunesmith.evaluate.linear_more import linear_labels, linear_value
from tunesmith.evaluate.measures import better
from tunesmith.evaluate.neighbour import neighbour_answer, neighbour_labels, neighbour_value
from tunesmith.evaluate.pairs import PairAnswerer, longer_answer
from tunesmith.evaluate.prompts import LISTED, NEAREST, PLAIN, RANGED
from tunesmith.evaluate.systems import Answerer, Answers, held_against, own_prompt
from tunesmith.evaluate.trial import PROMPTS, is_rival
from tunesmith.evaluate.verdict import System
from tunesmith.evaluate.word_tags import most_frequent_tags
from tunesmith.evaluate.written import Sure, decoding_of
from tunesmith.infer.decoding import Decoding
from tunesmith.infer.generate import Wanted
from tunesmith.models.heads import Headed
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.prompting import Prompted, choose_prompts
from tunesmith.pipeline.sides import Sides, meant
from tunesmith.recipe import Recipe
from tunesmith.score.prediction import Prediction
from tunesmith.score.style import Style

__all__ = ["Sides", "answerer", "errors_to_read", "meant", "saved", "score_baselines", "score_others", "score_tuned", "systems_of"]


def _longest(sides: Sides, renderer: Renderer) -> int:
    """Tokens after which nobody listens any longer: twice the longest label set or number of training rows, and a few words more."""
    if sides.task not in (Task.MULTILABEL, Task.REGRESS):
        return renderer.max_tokens
    answers = {row.answer for row in sides.train}
    return 8 + 2 * max(len(renderer.answer(answer)) for answer in sorted(answers, key=len)[-50:])


def answerer(
    model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe, sure: Sure | None = None, *, decoding: Decoding | None = None
) -> Answers:
    """A model that answers as it will be served.

    Args:
        model: the model.
        renderer: its own.
        sides: the rows; what they ask for tells how it answers.
        recipe: the recipe.
        sure: what the confidence of a written answer is made from; None: it has none.
        decoding: how answers are written; as the recipe has it where absent.
    """
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
        wanted=_wanted(model, renderer, sides, recipe, decoding or decoding_of(recipe.evaluate.decoding)),
        sure=sure,
        style=style_of(recipe),
    )


def style_of(recipe: Recipe) -> Style | None:
    """What written answers are held against."""
    return None if recipe.evaluate.guide is None else recipe.evaluate.guide.style


def wanted_of(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe) -> Wanted | None:
    """How answers are written, where the recipe asks for something else than the likeliest tokens."""
    return _wanted(model, renderer, sides, recipe, decoding_of(recipe.evaluate.decoding))


def _wanted(model: nn.Module, renderer: Renderer, sides: Sides, recipe: Recipe, decoding: Decoding) -> Wanted | None:
    if decoding.plain or sides.task in (Task.CLASSIFY, Task.TEXT):
        return None
    most = min(recipe.evaluate.max_new_tokens, _longest(sides, renderer))
    return decoding.wanted(model, renderer.tokenizer, end_ids=tuple(renderer.end_ids), max_new_tokens=most)


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
        return {"k": 0, "form": PLAIN, "by": "random", "tried": [], "rows": 0, "zero_form": PLAIN, "names": names}
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
        made["neighbour"] = (
            "The answer of the nearest training row",
            lambda: held_against(neighbour_answer(train, test), style_of(recipe)),
        )
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
    form = few_shot["form"]
    listed = next((f", {told}" for told in (LISTED, RANGED) if form.startswith(told)), "")
    nearest = f", {NEAREST} examples" if few_shot.get("by") == "similar" else ""
    named: dict[str, str] = few_shot.get("names", {})
    names: dict[str, tuple[str, Literal["baseline", "floor"]]] = {
        "zero-shot": ("Base, zero-shot", "baseline"),
        "few-shot": (f"Base, few-shot (k = {few_shot['k']}{listed}{nearest})", "baseline"),
        **{key: (named.get(key, key), "baseline") for key in ("majority", "mean", "word-tags")},
        **{key: (named.get(key, key), "floor") for key in ("neighbour", "linear", "length")},
        **{key: (name, "baseline") for key, name in named.items() if is_rival(key)},
    }
    systems = []
    for key, (name, kind) in names.items():
        path = folder / f"{key}.jsonl"
        if path.exists():
            systems.append(System(key=key, name=name, kind=kind, predictions=_read(path)))
    systems.append(System(key="tuned", name="Fine-tuned", kind="tuned", predictions=_read(tuned)))
    return systems


def best_prompt(few_shot: Mapping[str, Any], metric: str) -> str | None:
    """Key of the base's prompt that did best on `select`, the one without examples where both did as well; None where none was tried.

    Args:
        few_shot: the `few_shot` piece of report.json; `tried` is read.
        metric: the deciding measure, in which its values are.
    """
    best: dict[str, float] = {}
    for one in few_shot["tried"]:
        key, value = PROMPTS[one["k"] > 0], float(one["value"])
        if key not in best or better(metric, value, best[key]):
            best[key] = value
    if len(best) < len(PROMPTS):
        return next(iter(best), None)
    bare, with_examples = PROMPTS
    return with_examples if better(metric, best[with_examples], best[bare]) else bare


def _read(path: Path) -> list[Prediction]:
    return [Prediction.from_json(value) for value in read_jsonl(path)]


def score_tuned(tuned: Answers, sides: Sides, listen: Listener, *, who: str = "fine-tuned") -> list[Prediction]:
    """A fine-tuned model on test, from its own plain prompt; `who` is what it is called in progress."""
    if isinstance(tuned, Answerer) and sides.task == "text":
        return tuned.read_texts(sides.test, work=f"score {who} on test", listen=listen)
    return tuned.answer(sides.test, own_prompt, work=f"score {who} on test", listen=listen)


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
