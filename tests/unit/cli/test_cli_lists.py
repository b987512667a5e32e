"""Lists that people read: what a key is held to, and who was in service, in a hundred columns."""

from tunesmith.cli.promoting import _steps_told, _told
from tunesmith.cli.serving import _limits
from tunesmith.ledger.keys import KeyRecord
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.next_round import NextOutcome


def test_a_keys_limits_are_told() -> None:
    def key(**more: object) -> KeyRecord:
        return KeyRecord(**{"id": "k", "name": "n", "hash": "h", "tenant": "t", "scopes": ("chat",)} | more)  # type: ignore[arg-type]

    assert _limits(key()) == "-"
    assert _limits(key(tokens_per_minute=9000)) == "9,000 tokens/min"
    whole = key(requests_per_minute=60, tokens_per_minute=9000, policy="school", user_secret="s")
    assert _limits(whole) == "60 requests/min, 9,000 tokens/min, policy school, names users"


def test_steps_of_long_names_and_reasons_fit_a_hundred_columns_and_lose_no_reason() -> None:
    why = "accuracy rose by 3.1 points (1.0 to 5.2) on 400 rows, " * 8
    steps = [
        StepRecord(line="support-of-all-shops", action="challenge", model=f"/srv/models/{'deep/' * 30}r-52f98", mode="shadow",
                   who="somebody with a very long login name", why=why),
        StepRecord(action="promote", model="r-52f988167e", who="ann", why="the first"),
        StepRecord(action="keep", who="ann", why="x" * 300),
    ]  # fmt: skip
    told = _steps_told(steps)
    assert max(map(len, told)) <= 100
    said = [" ".join(line.split()) for line in told]
    assert " ".join(why.split()) in " ".join(said) and "the first" in said and any(line.startswith("cham") for line in told)
    assert any("deep/r-52f98" in line for line in told) and any("r-52f988167e ann" in line for line in said)


def test_what_a_next_round_leaves_out_is_told_line_by_line() -> None:
    found = NextOutcome("r-1", True, "promoted: better", 7, None, {"a label that the champion does not know": 2, "comments": 1_000})
    assert _told(found) == [
        "r-1: promoted: better (7 opinions used)",
        "  2 made no row: a label that the champion does not know",
        "  1,000 made no row: comments",
    ]
    assert found.to_json()["left_out"] == {"a label that the champion does not know": 2, "comments": 1_000}
