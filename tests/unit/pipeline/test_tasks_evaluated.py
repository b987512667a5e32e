"""Every task from rows to a report card, without training: a head or a base stands in for the tuned model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from markupsafe import escape

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.evaluate.config import GatesConfig
from tunesmith.evaluate.measures import resolve
from tunesmith.evaluate.verdict import Judgement, judge
from tunesmith.models.config import BaseConfig
from tunesmith.models.heads import Head, Headed
from tunesmith.models.load import load_base
from tunesmith.pipeline.evaluation import Sides, answerer, errors_to_read, saved, score_baselines, score_tuned, systems_of
from tunesmith.recipe import Recipe
from tunesmith.report.card import card
from tunesmith.report.terminal import verdict_text
from tunesmith.score.meanings import write_labels, write_number, write_spans
from tunesmith.score.spans import bio_classes

THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat")
ROWS = 40


def _labels(number: int) -> dict[str, Any]:
    labels = tuple(sorted({("red", "green")[number % 2], ("big", "small", "big")[number % 3]})) if number % 5 else ()
    return {"labels": labels, "answer": write_labels(labels)}


def _value(number: int) -> dict[str, Any]:
    return {"value": number / 8, "answer": write_number(number / 8)}


def _tags(number: int) -> dict[str, Any]:
    text, thing = _text(number), THINGS[number % len(THINGS)]
    start = text.index(thing)
    tags = ((start, start + len(thing), "thing"),)
    return {"tags": tags, "answer": write_spans(text, tags)}


def _pair(number: int) -> dict[str, Any]:
    return {"answer": f"Of course, the {THINGS[number % 8]}.", "rejected": "No."}


def _judged(number: int) -> dict[str, Any]:
    return {"answer": f"Answer {number}.", "wanted": number % 2 == 0}


def _text(number: int) -> str:
    return f"I want {number} times the {THINGS[number % len(THINGS)]} now"


CASES: dict[str, tuple[str, Callable[[int], dict[str, Any]], str | None, tuple[str, ...], str]] = {
    "multilabel": ("multilabel", _labels, "multilabel", ("zero-shot", "few-shot", "majority", "linear", "tuned"), "micro F1"),
    "multilabel by text": ("multilabel", _labels, None, ("zero-shot", "few-shot", "majority", "linear", "tuned"), "micro F1"),
    "regress": ("regress", _value, "regression", ("zero-shot", "few-shot", "mean", "neighbour", "linear", "tuned"), "Pearson correlation"),
    "regress by text": ("regress", _value, None, ("zero-shot", "few-shot", "mean", "neighbour", "linear", "tuned"), "Pearson correlation"),
    "tag": ("tag", _tags, "tags", ("word-tags", "tuned"), "span F1"),
    "prefer": ("prefer", _pair, None, ("zero-shot", "few-shot", "length", "tuned"), "preference accuracy"),
    "judged": ("prefer", _judged, None, ("zero-shot", "few-shot", "tuned"), "AUC of wanted answers"),
}


@pytest.fixture(scope="module", params=sorted(CASES))
def evaluated(
    request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Judgement, Sides, Path]:
    name: str = request.param
    task, target, kind, _, _ = CASES[name]
    rows = [Row(id=f"r{n}", prompt=(Message("user", _text(n)),), **target(n)) for n in range(3 * ROWS)]
    labels = (
        tuple(sorted({label for row in rows for label in (row.labels or ())} | {one[2] for row in rows for one in (row.tags or ())}))
        or None
    )
    sides = Sides(rows[:ROWS], rows[ROWS : 2 * ROWS], rows[2 * ROWS :], labels, task)
    recipe = Recipe.model_validate(
        {"data": {"path": "x"}, "evaluate": {"few_shot": [0, 1], "select_rows": 8, "max_new_tokens": 4, "resamples": 200}}
    )
    base = load_base(BaseConfig(path=str(tiny_base)), seed=0)
    written = {label: f"{label} one" for label in labels or ()} if task == "multilabel" else {}
    renderer = Renderer(base.tokenizer, max_tokens=256, label_texts=written)
    metrics = resolve(Task(task), judged=sides.judged)
    folder = tmp_path_factory.mktemp("answers")
    piece = score_baselines(lambda: answerer(base.model, renderer, sides, recipe), sides, recipe, metrics, folder, lambda event: None)
    torch.manual_seed(1)
    outputs = 1 if kind == "regression" else len(bio_classes(labels or ())) if kind == "tags" else len(labels or ())
    model = base.model if kind is None else Headed(base.model, Head(32, outputs, kind=kind))  # type: ignore[arg-type]
    saved(folder / "tuned.jsonl", lambda: score_tuned(answerer(model, renderer, sides, recipe), sides, lambda event: None))
    systems = systems_of(folder, folder / "tuned.jsonl", piece)
    made = judge(systems, task=Task(task), metrics=metrics, resamples=200, seed=0, gates=GatesConfig(gain=0.01))
    return name, made, sides, folder


def test_the_systems_are_those_of_the_task(evaluated: Any) -> None:
    name, made, _, _ = evaluated
    keys = tuple(one.system.key for one in made.systems)
    assert keys == CASES[name][3]
    assert all(one.system.name and one.system.name != one.system.key for one in made.systems)
    assert all(len(one.system.predictions) == ROWS for one in made.systems)


def test_every_measure_has_a_value_and_the_sentence_names_the_first(evaluated: Any) -> None:
    name, made, sides, _ = evaluated
    for one in made.systems:
        assert all(held is not None and held.low <= held.value <= held.high for held in one.metrics.values())
    assert f"{CASES[name][4]} " in made.sentence and made.confusion is None
    if sides.task == "prefer":
        assert "learned nothing" not in " ".join(made.notes)


def test_it_becomes_a_report_card(evaluated: Any) -> None:
    name, made, sides, _ = evaluated
    errors = errors_to_read(made.systems[-1].system.predictions, sides.test, 5)
    assert bool(errors) == (name != "judged")
    report = {
        "schema": 1,
        "round": {"id": "r-1"},
        **made.to_json(),
        "errors": errors,
        "data": {"task": sides.task, "sides": {"test": ROWS}},
    }
    page, text = card(report), verdict_text(report)
    assert str(escape(made.sentence.split(":")[0])) in page and "Fine-tuned" in text


def test_answered_once_it_is_read_back(evaluated: Any) -> None:
    _, made, _, folder = evaluated
    again = systems_of(folder, folder / "tuned.jsonl", {"k": 1, "form": "plain"})
    assert [list(one.predictions) for one in again] == [list(one.system.predictions) for one in made.systems]


def test_a_base_that_writes_no_number_is_taken_for_the_mean(evaluated: Any) -> None:
    name, made, sides, _ = evaluated
    if not name.startswith("regress"):
        pytest.skip("of numbers only")
    values = [row.value for row in sides.train]
    zero = made.systems[0].system.predictions
    assert all(min(values) <= one.found <= max(values) for one in zero)
    assert sum(values) / len(values) in [one.found for one in zero] or len({one.found for one in zero}) > 1


def test_a_pair_is_weighed_like_its_rows_alone(tiny_base: Path) -> None:
    from tunesmith.infer.choices import row_logps
    from tunesmith.tree.plan import answer_only

    base = load_base(BaseConfig(path=str(tiny_base)), seed=0)
    renderer = Renderer(base.tokenizer, max_tokens=256)
    rows = [Row(id=str(n), prompt=(Message("user", _text(n)),), **_pair(n)) for n in range(4)]
    sides = Sides(rows, rows, rows, None, "prefer")
    found = answerer(base.model, renderer, sides, Recipe.model_validate({"data": {"path": "x"}})).answer(rows)
    for row, one in zip(rows, found, strict=True):
        for side, logp, tokens in zip(
            renderer.pair(row), (one.reference_logprob, one.rejected_logprob), (one.reference_tokens, one.rejected_tokens), strict=True
        ):
            sums, counts = row_logps(base.model, [answer_only(side.ids, side.answer_start)], device=torch.device("cpu"))
            assert (logp, tokens) == (pytest.approx(sums[0], abs=1e-4), counts[0])
