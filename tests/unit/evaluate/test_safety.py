"""What is said of unwanted answers: planted ones are found and tested, equal models are not called worse, nothing written is shown."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binom

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Message
from tunesmith.data.lexicon import read_lexicon
from tunesmith.embedded import harmless_path, lexicon_path
from tunesmith.evaluate.safety import Fault, Judged, by_lexicon, by_probability, by_refusal, either, safety, unwanted_gate
from tunesmith.evaluate.safety_config import SafetyConfig
from tunesmith.evaluate.safety_prompts import Asked, read_asked
from tunesmith.evaluate.writing import kept_writing, key_of
from tunesmith.score.lexicon import Lexicon, Term

LEXICON = Lexicon.of([Term("zorgle", "Strong")])


def asked(count: int, text: str = "Say something.") -> tuple[Asked, ...]:
    return tuple(Asked(f"asked.jsonl:{place + 1}", (Message("user", text),)) for place in range(count))


def judged(rule: Any, base: list[bool], tuned: list[bool]) -> Judged:
    faults = [[Fault("z*****") if one else None for one in some] for some in (base, tuned)]
    return Judged(rule=rule, prompts=asked(len(base)), base=faults[0], tuned=faults[1])


def test_a_planted_word_in_one_answer_of_five_is_called_worse_and_its_p_value_is_mcnemars() -> None:
    prompts, clean = asked(60), ["Good day."] * 60
    spoilt = ["You Z0RGLE!" if place % 5 == 0 else "Good day." for place in range(60)]
    judge = by_lexicon(LEXICON)
    found = safety([Judged(rule="lexicon", prompts=prompts, base=judge(prompts, clean), tuned=judge(prompts, spoilt))])
    (one,) = found.measures
    assert (one.base.value, one.tuned.value, one.against.value) == (0.0, 0.2, 0.2)
    assert one.p_worse == pytest.approx(binom.sf(11, 12, 0.5)) == one.p_corrected
    assert found.outcome == "worse" and "20.0% of its answers to 60 prompts" in found.sentence


def test_the_same_answers_are_not_worse_however_bad_they_are() -> None:
    found = safety([judged("lexicon", [True] * 50, [True] * 50), judged("refused", [False] * 50, [False] * 50)])
    assert found.outcome == "not worse" and all(one.p_worse == 1.0 for one in found.measures)


def test_a_better_model_is_not_worse() -> None:
    assert safety([judged("lexicon", [True] * 50, [False] * 50)]).outcome == "not worse"


def test_holms_correction_is_over_what_was_tested_and_not_over_the_sum_of_both() -> None:
    seven, six, none = [place < 7 for place in range(50)], [place < 6 for place in range(50)], [False] * 50
    found = safety(
        [judged("lexicon", none, seven), judged("classifier", none, six), judged("unwanted", none, seven), judged("refused", none, none)]
    )
    corrected = {one.name: one.p_corrected for one in found.measures}
    assert corrected["lexicon"] == pytest.approx(3 * 0.5**7) and corrected["classifier"] == pytest.approx(2 * 0.5**6 + 0 * 1)
    assert corrected["unwanted"] is None and corrected["refused"] == 1.0
    assert [one.name for one in found.measures if one.worse] == ["lexicon"]


def test_models_that_are_as_bad_as_each_other_are_called_worse_one_time_in_forty_at_most() -> None:
    random, alarms, runs = np.random.default_rng(0), 0, 200
    for _ in range(runs):
        draws = [list(random.random(100) < share) for share in (0.1, 0.1, 0.3, 0.3)]
        found = safety([judged("lexicon", draws[0], draws[1]), judged("refused", draws[2], draws[3])])
        alarms += found.alarm
    assert alarms / runs <= 0.025 + 3 * (0.025 * 0.975 / runs) ** 0.5


def test_the_gate_looks_at_the_upper_end_of_either_rule() -> None:
    found = safety([judged("lexicon", [False] * 200, [False] * 200), judged("unwanted", [False] * 200, [False] * 200)])
    gate = unwanted_gate(found, 0.05)
    assert gate is not None and gate.holds and gate.value == found.measures[1].tuned.high > 0
    strict = unwanted_gate(found, 0.001)
    assert strict is not None and not strict.holds
    assert unwanted_gate(safety([judged("refused", [False], [False])]), 0.05) is None


def test_what_only_repeats_the_prompt_is_told() -> None:
    prompts = (*asked(1, "What is a zorgle?"), *asked(1))
    faults = by_lexicon(LEXICON)(prompts, ["A zorgle is a bird.", "A zorgle is a bird."])
    assert [fault is not None and fault.echoed for fault in faults] == [True, False]
    found = safety([Judged(rule="lexicon", prompts=prompts, base=[None, None], tuned=faults)])
    assert "1 repeat only what their prompt says" in " ".join(found.notes)


def test_nothing_of_an_answer_is_in_what_is_reported() -> None:
    prompts = asked(20)
    answers = ["zorgle and secret words"] * 20
    told = json.dumps(
        safety(
            [
                Judged(rule="lexicon", prompts=prompts, base=[None] * 20, tuned=by_lexicon(LEXICON)(prompts, answers)),
                Judged(rule="refused", prompts=prompts, base=[None] * 20, tuned=by_refusal(prompts, ["I can't help, secret words."] * 20)),
            ]
        ).to_json()
    )
    assert "zorgle" not in told and "secret" not in told and "z***** (strong)" in told and '"cannot"' in told


def test_either_judge_is_enough_and_the_threshold_itself_counts() -> None:
    lexicon, classifier = [Fault("a"), None, None], by_probability([0.9, 0.5, 0.49], 0.5)
    assert [one and one.detail for one in either([lexicon, classifier])] == ["a", "0.50", None]


def test_a_killed_writer_goes_on_where_it_was(tmp_path: Path) -> None:
    calls: list[int] = []

    def write(some: Any) -> list[str]:
        if len(calls) == 1:
            calls.append(0)
            raise KeyboardInterrupt
        calls.append(len(some))
        return [f"said {ids[0]}" for ids in some]

    prompts = [(place,) for place in range(100)]
    with pytest.raises(KeyboardInterrupt):
        kept_writing(prompts, write, tmp_path, lambda done: None)
    assert kept_writing(prompts, write, tmp_path, lambda done: None) == [f"said {place}" for place in range(100)]
    assert calls == [64, 0, 36]


def test_answers_are_named_by_all_that_they_end_by() -> None:
    """Two models' answers are held against each other only where both may be as long and end alike."""
    prompts = [(place,) for place in range(3)]

    def key(asked: Any, most: int, max_tokens: int = 64, end_ids: tuple[int, ...] = (1,)) -> str:
        return key_of(asked, SimpleNamespace(max_tokens=max_tokens, end_ids=end_ids), most)  # type: ignore[arg-type]

    keys = [
        key(prompts, 8),
        key(prompts, 9),
        key(prompts[1:], 9),
        key(prompts, 9, end_ids=(2,)),
        key(prompts, 9, max_tokens=10),
    ]
    assert len(set(keys)) == len(keys)
    assert key(prompts, 40) == key(prompts, 50) == key(prompts, 32)  # half of what the model takes is the most there can be


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("a.txt", "What?\nWhy?\n", "What?"),
        ("a.jsonl", '{"prompt": "What?"}\n{"prompt": "Why?"}\n', "What?"),
        ("a.jsonl", '{"prompt": "What?", "category": 3}\n{"prompt": "Why?", "category": 4}\n', "What?"),
        ("a.jsonl", '{"prompt": "What?", "chosen": "A", "rejected": "B"}\n{"prompt": "Why?", "chosen": "A", "rejected": "B"}\n', "What?"),
        ("a.csv", "question,answer\nWhat?,That\nWhy?,Because\n", "What?"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A"}]}\n' * 2, "What?"),
    ],
)
def test_prompts_are_read_from_any_form(tmp_path: Path, name: str, text: str, first: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_asked(str(tmp_path / name), most=10, seed=0, instruction="Be kind.")
    assert [message.content for message in found.prompts[0].messages] == ["Be kind.", first]
    assert found.prompts[0].where.startswith(name) and len(found.prompts) + found.repeated == 2


def test_no_more_prompts_than_asked_for_are_drawn_and_the_seed_says_which() -> None:
    draws = [read_asked("builtin", most=20, seed=seed).prompts for seed in (0, 0, 1)]
    assert len(draws[0]) == 20 and draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("terms.txt", "# remarks\nzorgle\n\nblue moon\n"),
        ("terms.csv", "text,severity_description\nzorgle,Strong\nblue moon,Mild\n"),
        ("terms.jsonl", '{"term": "zorgle", "severity": "Strong"}\n{"term": "blue moon", "severity": "Mild"}\n'),
    ],
)
def test_lexicons_are_read_from_lines_and_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    lexicon = read_lexicon(str(tmp_path / name))
    assert len(lexicon.find("a z0rgle under a blue moon")) == 2
    if not name.endswith("txt"):
        assert [hit.severity for hit in read_lexicon(str(tmp_path / name), ["Strong"]).find("zorgle, blue moon")] == ["Strong"]


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("a.txt", "# nothing\n", DataError, "no term"),
        ("a.txt", "sha256:12\n", DataError, "64 hex"),
        ("a.csv", "colour,size\nred,1\n", RecipeError, "no column of terms"),
        ("a.jsonl", "{broken\n", DataError, "can't be read"),
    ],
)
def test_what_is_no_lexicon_is_refused(tmp_path: Path, name: str, text: str, error: type[Exception], words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=words):
        read_lexicon(str(tmp_path / name))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"harmless": None}, "nothing would be asked"),
        ({"prompts": "a", "lexicon": None}, "nothing judges"),
        ({"classifier": "a"}, "belong together"),
        ({"toxic_labels": ["a"]}, "belong together"),
        ({"prompts": "a", "lexicon": None, "classifier": "a", "toxic_labels": ["a"], "severities": ["b"]}, "of a lexicon"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SafetyConfig(**setting)


def test_what_comes_along_is_as_its_readme_says() -> None:
    told = (harmless_path().parent / "README.md").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in harmless_path().read_text(encoding="utf-8").splitlines()]
    topics = [row["topic"] for row in rows]
    assert len({row["prompt"] for row in rows}) == 63 and all(row["prompt"].endswith("?") for row in rows)
    assert all(f"{topic} ({topics.count(topic)})" in told for topic in topics)
    lexicon = read_lexicon(str(lexicon_path()))
    kinds = list(lexicon.hashed.values())
    assert not lexicon.plain and f"{len(kinds)} English words" in told
    assert (
        f"slurs, {kinds.count('severe')}" in told
        and f"sexual words, {kinds.count('strong')}" in told
        and f"mild ({kinds.count('mild')})" in told
    )
    assert not any(lexicon.find(row["prompt"]) for row in rows) and lexicon.find("well, d4mn it")
