"""What a reviewer sees first."""

from collections.abc import Callable

from tunesmith.feedback.queue import in_turn, queue
from tunesmith.ledger.feedback import FeedbackRecord

Say = Callable[..., FeedbackRecord]


def test_stopped_then_disputed_then_unsure_then_the_rest_and_suspects_last(say: Say) -> None:
    said = {
        "suspect": say("thumbs", "up", "s", state="quarantined", reason="flood: ..."),
        "sure": say("thumbs", "up", "a", confidence=0.99),
        "unknown": say("thumbs", "up", "b"),
        "less sure": say("thumbs", "up", "c", confidence=0.8),
        "unsure": say("thumbs", "up", "d", confidence=0.6),
        "least sure": say("thumbs", "up", "e", confidence=0.2),
        "yes": say("thumbs", "up", "f", key_id="a", confidence=0.9),
        "stopped": say("comment", "why?", "g", flagged=True),
        "no": say("thumbs", "down", "f", key_id="b", confidence=0.9, state="quarantined", reason="contradiction: ..."),
        "done": say("thumbs", "up", "h", state="accepted", reviewer="ann"),
    }
    names = {record.id: name for name, record in said.items()}
    found = queue(said.values())
    assert [names[one.record.id] for one in found] == [
        "stopped", "yes", "no", "least sure", "unsure", "less sure", "sure", "unknown", "suspect",
    ]  # fmt: skip
    assert [one.why for one in found][:4] == ["stopped by a filter", "opinions differ", "opinions differ", "unsure (0.20)"]


def test_a_flood_does_not_make_answers_disputed_and_its_keys_take_turns(say: Say) -> None:
    honest = say("thumbs", "up", "q", confidence=0.99)
    flood = [say("thumbs", "down", "q", key_id="loud", state="quarantined", reason="flood: ...")]
    assert [one.why for one in queue([honest, *flood])] == ["in order of confidence", "flood: ..."]
    said = [say("thumbs", "up", f"{key}{number}", key_id=key) for key in "ab" for number in range(3)]
    assert [record.key_id for record in in_turn(said)] == ["a", "b"] * 3
