"""Opinions belong to the line whose models they are about."""

from pathlib import Path
from typing import Any

from tunesmith.feedback.next_config import NextConfig
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.sides import SideRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.next_line import about
from tunesmith.pipeline.next_plan import not_due
from tunesmith.pipeline.next_rows import fresh

MODELS = ("support", "poems", "r-a", "r-b", "made", "r-tried", "elsewhere", None)


def opinions() -> list[FeedbackRecord]:
    given: dict[str, Any] = {"tenant": "t", "key_id": "k", "kind": "label", "value": "a", "state": "accepted"}
    return [FeedbackRecord(id=f"fb-{place}", completion_id=f"c-{place}", model=name, **given) for place, name in enumerate(MODELS)]


def promoted(ledger: Ledger, line: str, model: str) -> None:
    ledger.steps.take(StepRecord(line=line, action="promote", model=model, who="ann", why="good"))


def test_a_line_learns_what_is_about_its_own_models_and_what_names_none_where_it_is_alone(tmp_path: Path) -> None:
    records = opinions()
    with Ledger.open(tmp_path / "ledger.db") as ledger:

        def told(line: str) -> list[str | None]:
            return [one.model for one in about(line, records, ledger)]

        promoted(ledger, "support", "r-a")
        promoted(ledger, "support", "/somewhere/made/model")
        ledger.steps.take(StepRecord(line="support", action="challenge", model="r-tried", mode="shadow", who="ann", why="try it"))
        assert told("support") == ["support", "r-a", "made", "r-tried", None]
        promoted(ledger, "poems", "r-b")
        assert told("support") == ["support", "r-a", "made", "r-tried"] and told("poems") == ["poems", "r-b"]


def test_opinions_about_other_models_are_counted_and_told(tmp_path: Path) -> None:
    records = opinions()
    stand = {one.id: SideRecord(feedback_id=one.id, side="train") for one in records}
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.feedback.give(records)
        promoted(ledger, "support", "r-a")
        promoted(ledger, "poems", "r-b")
        seen = fresh(ledger, "poems", "r-b", stand, NextConfig())
    assert [one.id for one in seen.usable] == ["fb-1", "fb-3"] and seen.elsewhere == 6
    assert "6 are about models that are none of this line" in not_due(seen, 0, NextConfig())
