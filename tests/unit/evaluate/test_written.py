"""How sure a written answer is: told without changing it, believable after calibration, and of no use where it carries no truth."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.calibration import applied, calibrate
from tunesmith.evaluate.config import CalibrateConfig
from tunesmith.evaluate.generation_config import DecodingConfig
from tunesmith.evaluate.systems import Answerer
from tunesmith.evaluate.written import Sure, decoding_of, draw, write
from tunesmith.infer.generate import Wanted, answers
from tunesmith.models.config import BaseConfig
from tunesmith.models.load import load_base
from tunesmith.score.calibration import figures
from tunesmith.score.chances import chances_of
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.sureness import gist

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 10, 11], [40, 41]]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Any:
    return load_base(BaseConfig(path=str(tiny_base)), seed=0)


@pytest.fixture(scope="module")
def renderer(base: Any) -> Renderer:
    return Renderer(base.tokenizer, max_tokens=64)


@pytest.fixture
def wanted(renderer: Renderer) -> Wanted:
    return Wanted(end_ids=tuple(renderer.end_ids), max_new_tokens=6)


def test_likelihood_changes_no_answer_and_is_the_mean_of_its_tokens(base: Any, renderer: Renderer, wanted: Wanted) -> None:
    plain = write(base.model, PROMPTS, wanted, renderer, CPU)
    sure = write(base.model, PROMPTS, wanted, renderer, CPU, sure=Sure())
    assert [(one.text, one.tokens) for one in sure] == [(one.text, one.tokens) for one in plain]
    assert all(one.confidence is None for one in plain)
    made = answers(base.model, PROMPTS, Wanted(end_ids=wanted.end_ids, max_new_tokens=6), device=CPU)
    for prompt, (one,), told in zip(PROMPTS, made, sure, strict=True):
        with torch.inference_mode():
            logits = base.model(torch.tensor([[*prompt, *one.made]])).logits[0, len(prompt) - 1 : -1]
        logps = torch.log_softmax(logits, -1).gather(1, torch.tensor(one.made)[:, None])
        assert told.confidence == pytest.approx(math.exp(float(logps.mean())), rel=1e-4)


def test_agreement_counts_the_samples_that_say_the_answer(base: Any, renderer: Renderer, wanted: Wanted) -> None:
    cold, hot = Sure(samples=3, temperature=0.01, seed=1), Sure(samples=3, temperature=100.0, seed=1)
    assert [one.confidence for one in write(base.model, PROMPTS, wanted, renderer, CPU, sure=cold)] == [3.5 / 4] * 4
    told = write(base.model, PROMPTS, wanted, renderer, CPU, sure=hot)
    drawn = draw(base.model, PROMPTS, replace(wanted, sampling=hot.sampling), renderer, CPU)
    assert [len(some) for some in drawn] == [3] * 4
    for one, some in zip(told, drawn, strict=True):
        assert one.confidence == (sum(gist(text) == gist(one.text) for text in some) + 0.5) / 4
    assert [one.text for one in told] == [one.text for one in write(base.model, PROMPTS, wanted, renderer, CPU)]


def test_what_is_timed_is_the_answer_that_is_counted_and_not_its_samples(
    base: Any, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that ticks once for each answer asked for: 1 and a sample of 4 is still 1."""
    ticks = [0.0]

    def counted(model: Any, prompts: Any, wanted: Wanted, **more: Any) -> Any:
        ticks[0] += len(prompts) * wanted.sampling.samples
        return answers(model, prompts, wanted, **more)

    monkeypatch.setattr("tunesmith.evaluate.written.answers", counted)
    monkeypatch.setattr("tunesmith.evaluate.running.time.perf_counter", lambda: ticks[0])
    rows = [Row(id=str(n), prompt=(Message("user", "red " * (n + 1)),), answer="blue") for n in range(3)]
    plain = Answerer(model=base.model, renderer=renderer, device=CPU, labels=None, max_new_tokens=4)
    for answerer in (plain, replace(plain, sure=Sure(samples=4))):
        made = answerer.answer(rows)
        assert [one.seconds for one in made] == [1.0] * 3
        assert [one.answer_tokens for one in made] == [one.answer_tokens for one in plain.answer(rows)]
    assert all(one.confidence is not None for one in made)


def test_an_answer_is_cut_before_its_stop(base: Any, renderer: Renderer) -> None:
    (free,) = write(base.model, PROMPTS[:1], Wanted(end_ids=(), max_new_tokens=12), renderer, CPU)
    middle = free.text[len(free.text) // 2 :][:3]
    decoding = decoding_of(DecodingConfig(stop=[middle]))
    wanted = decoding.wanted(base.model, renderer.tokenizer, end_ids=(), max_new_tokens=12)
    (stopped,) = write(base.model, PROMPTS[:1], wanted, renderer, CPU)
    assert stopped.text == free.text[: free.text.index(middle)].strip()
    assert middle not in stopped.text and stopped.tokens <= free.tokens


def written_rows(count: int, seed: int, *, noise: bool = False) -> list[Prediction]:
    """Answers whose likelihood p says that they are right with the odds of p squared, by e^2 less; or says nothing."""
    random = np.random.default_rng(seed)
    odds = random.normal(1.0, 1.5, count)
    chance = np.full(count, 0.6) if noise else 1 / (1 + np.exp(-(2 * odds - 2)))
    right = random.random(count) < chance
    return [
        Prediction(
            row_id=str(row),
            reference=f"so #### {row}",
            answer=f"well #### {row if hit else row + 1}",  # never the reference word for word
            confidence=float(1 / (1 + math.exp(-odd))),
        )
        for row, (odd, hit) in enumerate(zip(odds, right, strict=True))
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_likelihood_that_carries_the_truth_is_calibrated_to_within_noise(seed: int) -> None:
    right = measure("numeric_match").right
    assert right is not None
    found = calibrate(written_rows(1000, seed), CalibrateConfig(risk=0.1), right=right)
    assert found.judged and found.calibrator.name in ("platt", "isotonic")
    assert found.threshold is not None and 0.2 < found.threshold.coverage < 0.9
    fresh = written_rows(4000, seed + 100)
    before, after = (chances_of(rows, right=right) for rows in (fresh, applied(fresh, found)))
    assert before is not None and after is not None
    assert found.measured is not None and found.measured.after.ece < 2.5 * found.measured.after.by_chance
    assert figures(before).ece > 0.15 and figures(after).ece < figures(before).ece / 3
    given = after.confidence_R >= found.threshold.confidence
    assert (~after.right_R[given]).mean() <= 0.1


def test_likelihood_that_is_noise_becomes_the_base_rate_and_gets_no_threshold() -> None:
    right = measure("numeric_match").right
    assert right is not None
    spreads, means = [], []
    for seed in range(20):
        found = calibrate(written_rows(400, seed, noise=True), CalibrateConfig(risk=0.1), right=right)
        assert found.threshold is None
        after = [one.confidence or 0.0 for one in applied(written_rows(400, seed + 50, noise=True), found)]
        spreads.append(np.quantile(after, 0.95) - np.quantile(after, 0.05))
        means.append(np.mean(after))
    assert np.median(spreads) < 0.1 and np.mean(means) == pytest.approx(0.6, abs=0.02)  # likelihood itself spreads over 0.6


def test_what_counts_as_right_is_the_deciding_measure() -> None:
    rows = written_rows(300, 4)
    by_words, by_number = (chances_of(rows, right=measure(name).right) for name in ("exact_match", "numeric_match"))  # type: ignore[arg-type]
    assert by_words is not None and by_number is not None
    assert not by_words.right_R.any() and by_number.right_R.mean() > 0.5
    nameless = [Prediction(row_id="1", reference="none", answer="1", confidence=0.5)]
    assert chances_of(nameless, right=measure("numeric_match").right) is None  # type: ignore[arg-type]
