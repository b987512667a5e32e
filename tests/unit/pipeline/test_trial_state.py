"""What is told of a trial, and what a challenge may not do by itself."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tunesmith.core.errors import GateError
from tunesmith.core.files import write_json
from tunesmith.ledger.records import ArtefactRecord, RoundRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.ledger.trials import TriedRecord
from tunesmith.models.package import Bundle, model_digest
from tunesmith.pipeline.trial import Challenge, challenge, shadowed, verdict_words
from tunesmith.pipeline.workspace import Workspace
from tunesmith.score.sequential import Opined, compared


def row(number: int, **more: object) -> TriedRecord:
    return TriedRecord(step=1, id=str(number), arm="champion", asker="a", shown_seconds=1.0 + number, **more)  # type: ignore[arg-type]


def test_figures_of_a_shadow_count_each_request_once() -> None:
    rows = [
        row(0, agrees=True, shown_confidence=0.9, other_confidence=0.7, other_seconds=0.5),
        row(1, agrees=False, shown_confidence=0.5, other_confidence=0.7, other_seconds=2.5),
        row(2, other_seconds=0.1),  # drawn by chance: nothing to agree on
        row(3, lost="full"),
        row(4, lost="full"),
        row(5, lost="failed"),
    ]
    found = shadowed(rows)
    assert (found.requests, found.compared, found.lost, found.agree) == (6, 3, {"full": 2, "failed": 1}, 0.5)
    assert (found.champion_confidence, found.challenger_confidence) == (pytest.approx(0.7), pytest.approx(0.7))
    assert (found.champion_seconds, found.challenger_seconds) == (2.0, 0.5)
    assert found.agree_low is not None and found.agree_low < 0.5 < (found.agree_high or 0)
    nothing = shadowed([])
    assert (nothing.requests, nothing.agree, nothing.champion_seconds) == (0, None, None)


def test_the_verdict_is_one_sentence_with_the_figures_it_rests_on() -> None:
    assert verdict_words(compared([], 0.5)) == "No opinions yet: those of about 4,950 people would show a difference of 5 points."
    sides = [Opined(str(n), n % 2 == 0, n % 2 == 0) for n in range(200)]
    said = verdict_words(compared(sides, 0.5))
    assert said.startswith("The challenger is better: good answers: challenger 100% of 100 opinions by 100, champion 0% of 100")
    alike = verdict_words(compared([Opined(str(n), n % 2 == 0, n % 4 < 2) for n in range(20_000)], 0.5))
    assert "a difference of 5 points should have shown by now" in alike


def test_a_round_that_a_gate_refused_can_be_tried_and_is_not_promoted_by_itself(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    verdict = {"gates": [{"name": "gates.min_gain", "holds": False}, {"name": "gates.unwanted", "holds": True}]}
    with place.ledger() as ledger:
        ledger.record_round(RoundRecord(id="r-1", identity="i", recipe={}, recipe_hash="h", status="done", verdict=verdict))
        ledger.steps.take(StepRecord(action="promote", model="r-0", who="ann", why="first"))
    folder = place.rounds / "r-1" / "model"
    folder.mkdir(parents=True)
    write_json(folder / "tunesmith.json", asdict(Bundle(task="chat", method="full", max_tokens=64)))
    with place.ledger() as ledger:
        made = ArtefactRecord(content_hash=model_digest(folder), kind="model", path=str(folder), bytes=1, round_id="r-1")
        ledger.record_artefact(made)
    asked = {"model": "r-1", "mode": "share", "share": 0.1, "who": "ann", "why": "so"}
    with pytest.raises(GateError, match=r"r-1 did not hold gates\.min_gain: try it without"):
        challenge(Challenge(**asked, promote_when_better=True), place)  # type: ignore[arg-type]
    told = challenge(Challenge(**asked, end_when_worse=True), place)  # type: ignore[arg-type]
    assert told.challenger is not None and told.challenger.model == "r-1" and told.challenger.model_hash is not None
    with place.ledger() as ledger:
        rule = ledger.trials.rule(told.number)
        assert (rule.promote_when_better, rule.end_when_worse) == (False, True)
        assert [step.action for step in ledger.steps.history()] == ["promote", "challenge"]
