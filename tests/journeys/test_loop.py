"""The whole loop, small: served, asked through the official client, told, reviewed, trained again, promoted where it is better, and not where it is not.

The full measure, with its figures, is benchmarks/loop.py; this holds the parts together on a few requests.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("openai")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COLOURS = ("red", "green", "blue")
THINGS = "car house boat shirt door cup chair hat lamp book bag coat fence wall bike plate"
QUICK: dict[str, Any] = {
    "method": {"name": "features", "head": "class"},
    "train": {"epochs": 40, "learning_rate": 0.01, "threads": 1, "evaluations_per_epoch": 1, "early_stopping": {"patience": None}},
    "evaluate": {
        "few_shot": [0],
        "select_rows": 8,
        "resamples": 200,
        "forgetting": {"enabled": False},
        "slices": False,
        "linear_floor": False,
    },
}


@pytest.fixture(scope="module")
def journey() -> Iterator[ModuleType]:
    """The module `looping.journey` of the benchmark."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from looping import journey

        yield journey
    finally:
        sys.path.remove(str(BENCHMARKS))


def rows_of(looping: ModuleType) -> Any:
    """A champion that learnt one word for each of three colours, users who have others, and a test set of all."""
    words = {
        "red": ("red", "scarlet", "crimson", "ruby"),
        "green": ("green", "emerald", "olive", "lime"),
        "blue": ("blue", "navy", "azure", "cobalt"),
    }
    things = THINGS.split()
    openings = ("I want a", "Please send the", "We sold one", "She painted her")

    def said(ways: slice, which: range, turn: int) -> list[tuple[str, str]]:
        return [
            (f"{openings[(n + turn) % 4]} {way} {things[n]}", colour) for n in which for colour in COLOURS for way in words[colour][ways]
        ]

    known, all_words, new = slice(0, 1), slice(0, 4), slice(1, 4)
    return looping.LoopRows(
        labels=COLOURS,
        champion=said(known, range(16), 0),
        traffic=[*said(new, range(8), 1), *said(new, range(8), 0), *said(new, range(8), 3), *said(known, range(8, 16), 1)],
        test=said(all_words, range(8), 2),
        arbiter=said(all_words, range(8, 16, 2), 3),
    )


def test_a_champion_gets_better_by_what_its_users_say(journey: ModuleType, tmp_path: Path, command: Any) -> None:
    told: list[str] = []
    rows = rows_of(journey)
    loop = journey.Journey(
        "colours",
        journey.Sizes(traffic=len(rows.traffic)),
        0,
        tmp_path,
        told.append,
        recipe=QUICK,
        parts=rows,
    )
    done = loop.loop("clean")
    assert done.replayed["requests"] == len(rows.traffic) == 240 and 180 <= done.replayed["opinions"] <= 240
    assert done.reviewed["accepted"] + done.reviewed["rejected"] == done.replayed["opinions"] and done.reviewed["state_new"] == 0
    assert done.promoted, done.why
    assert done.test_after >= done.test_before + 0.03 and done.arbiter_after == done.challenger and not done.worse
    assert done.gain is not None and done.gain["low"] > 0 and abs(done.gain["value"] - (done.test_after - done.test_before)) < 1e-6
    listed = command("champions", "--workspace", tmp_path / "clean", "--json")
    assert listed.code == 0 and "tunesmith next" in listed.out
    assert any("reviewer accepted" in line for line in told) and any("frozen test set" in line for line in told)


def test_the_sample_alone_has_rows_for_a_loop_and_no_part_shares_a_template_with_another(journey: ModuleType) -> None:
    import loop
    from looping.rows import rows_of

    asked = argparse.Namespace(task="sample", champion=None, requests=None)
    for seed in range(5):
        rows = rows_of("sample", loop._sizes(asked), seed)
        parts = {name: [text for text, _ in getattr(rows, name)] for name in ("champion", "traffic", "test", "arbiter")}
        assert len(rows.labels) == 5 and {label for _, label in rows.champion} == set(rows.labels)
        assert len(parts["traffic"]) >= 440 and len(parts["test"]) >= 230 and len(parts["arbiter"]) >= 130
        texts = [text for part in parts.values() for text in part]
        assert len(texts) == len(set(texts))
        templates = [{_template(text) for text in part} for part in parts.values()]
        assert sum(map(len, templates)) == len(set.union(*templates))


@cache
def _templates() -> dict[str, str]:
    from tunesmith.embedded import sample_path

    found = {}
    for line in sample_path().read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            found[str(row.get("message")).strip()] = str(row["template"])
    return found


def _template(text: str) -> str:
    return _templates()[text]


def test_a_story_says_first_what_is_simulated_and_what_is_real(
    journey: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import loop

    played: list[str] = []

    class Played:
        def __init__(self, task: str, *_: Any, **__: Any) -> None:
            played.append(task)

        def loop(self, kind: str) -> Any:
            loop.story(f"playing {kind}")
            raise LookupError("enough")

    monkeypatch.setattr(loop, "Journey", Played)
    monkeypatch.setattr(sys, "argv", ["loop.py", "--story", "--task", "sample"])
    assert loop.main() == 1 and played == ["sample"]
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].startswith("Simulated: who asks")
        and "five of the labels of the sample" in lines[1]
        and lines[2].startswith("Real: the server")
    )
    assert [line for line in lines if line.endswith(":")] == [
        "With honest users, most of them careful:",
        "With 30% malicious users, reviewed:",
    ]
