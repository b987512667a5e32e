"""What looks found reaches the model card as far as they say it may, and every look is told there or named as not measured."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunesmith.core.rows import Message, Row
from tunesmith.engines.asking import ChatRequest, Completion, EngineError
from tunesmith.evaluate.judging import Pair, judge_pairs
from tunesmith.evaluate.slices import judge_slices
from tunesmith.pipeline.looks import LOOKS, Found, published
from tunesmith.pipeline.looks.judge import public_of as judge_in_public
from tunesmith.pipeline.looks.slices import public_of as slices_in_public
from tunesmith.report.limits import TITLES, title
from tunesmith.report.loading import Loading
from tunesmith.report.model_card import Origin, model_card
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction

WHOLE = Loading(form="whole", task="generate", end_ids=(2,))
ENGINE = "http://host:8000/v1 /home/x/judge.gguf"


def card(findings: Mapping[str, Found | None], *notes: str) -> str:
    verdict: Any = SimpleNamespace(notes=notes)
    return model_card({"schema": 1, "round": {"id": "r-0"}, "published": published(verdict, findings)}, Origin(), WHOLE)


def test_every_look_has_a_name_for_people() -> None:
    assert set(TITLES) == {*LOOKS, "calibration"}


@pytest.mark.parametrize("name", [*LOOKS, "calibration", "a_look_of_tomorrow"])
def test_every_look_is_told_or_named_as_kept_back_or_as_not_measured(name: str) -> None:
    others: dict[str, Found | None] = dict.fromkeys((*LOOKS, name))
    told = card(others | {name: Found(piece={}, public=f"What {name} found.")})
    assert f"- **{title(name)}.** What {name} found." in told
    assert title(name).lower() not in told.split("Not measured: ")[1].splitlines()[0]
    kept = card(others | {name: Found(piece={"secret": "Anna"}, alarm="Anna fares worse.")})
    assert f"as it shows rows: {title(name).lower()}." in kept and "Anna" not in kept
    assert title(name).lower() in card(others).split("Not measured: ")[1].splitlines()[0]


def test_the_gravest_findings_stand_beneath_the_verdict() -> None:
    worse = "The tuned model gives more unwanted answers than the base: 31.0% against 2.0% of 200 prompts."
    seeds = "Over 3 seeds accuracy is 61.0%; a gain in 1 of 3 only, so another seed would have had another verdict."
    found = {"safety": Found(piece={}, alarm=worse, public=worse), "over_seeds": Found(piece={}, alarm=seeds, public=seeds)}
    top = card(found, "Few-shot prompting costs more.").split("## The comparison")[0]
    assert all(f"- {text}" in top for text in (worse, seeds, "Few-shot prompting costs more."))


class Judge:
    """Finds our answers the poorer ones, wherever they stand; its name is an address and a path."""

    name = ENGINE

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | EngineError]:
        said = [request.messages[-1].content for request in requests]
        return [Completion(text=f'{{"verdict": "{"A" if text.index("theirs") < text.index("ours") else "B"}"}}') for text in said]


def test_a_judge_is_told_of_without_its_address() -> None:
    judging = judge_pairs(Judge(), [Pair(row_id=str(n), question="?", ours=f"ours {n}", theirs=f"theirs {n}") for n in range(40)])
    assert ENGINE in judging.sentence and judging.counts["theirs"] == 40
    text = judge_in_public(judging, "few-shot")
    assert text.startswith("Beside the base, few-shot: Another model, as a judge, preferred ours in 0 and theirs in 40 of 40 pairs")
    shown = card({"judge": Found(piece={"judge": ENGINE}, alarm=f"A judge prefers the base: {judging.sentence}", public=text)})
    assert "theirs in 40 of 40 pairs" in shown
    assert "host" not in shown and "judge.gguf" not in shown


@pytest.mark.parametrize(("column", "value"), [("customer", "Anna Example"), ("length", "of Anna Example"), ("label", "Anna Example")])
def test_a_worse_part_is_told_without_the_value_of_its_column(column: str, value: str) -> None:
    random = np.random.default_rng(0)
    rows = [
        Row(id=str(n), prompt=(Message("user", "word"),), answer="yes" if n % 2 else "no", fields={column: value if n % 3 else "other"})
        for n in range(300)
    ]
    right = [random.random() < (0.2 if row.fields[column] == value else 0.95) for row in rows]
    answers = [
        Prediction(row_id=row.id, reference=row.answer, answer=row.answer if hit else "?") for row, hit in zip(rows, right, strict=True)
    ]
    decisive = measure("accuracy")
    found = judge_slices(decisive, rows, answers, resamples=500, seed=0)
    assert found is not None and value in found.sentence
    told = slices_in_public(found, decisive, ("yes", "no"))
    assert f"rows of one {column} (" in told and "Anna" not in told
