"""Simulated users: as many as asked for, as right as asked for, and each attack what its name says."""

from collections import Counter
from random import Random

import pytest

from tunesmith.feedback.users import ATTACKS, Turn, Users, turns_of

LABELS = ["late", "broken", "wrong", "lost"]
ROWS = [(f"request {n} about {LABELS[n % 4]}", LABELS[n % 4]) for n in range(2000)]


def of(turns: list[Turn], attack: str) -> list[Turn]:
    return [turn for turn in turns if turn.key.split("-")[0] == attack]


def test_rates_are_those_asked_for() -> None:
    turns = turns_of(Users(requests=2000, poisoned=0.3), ROWS, LABELS, seed=1)
    bad = [turn for turn in turns if turn.malicious]
    assert len(turns) == 2000 and len(bad) == 600
    assert {attack: len(of(turns, attack)) for attack in ATTACKS} == dict.fromkeys(ATTACKS, 150)
    assert abs(sum(turn.says is not None for turn in turns) / 2000 - 0.9) < 0.03
    assert all(turn.says != turn.truth for turn in bad if turn.says is not None)
    for key, right in (("careful", 0.97), ("careless", 0.6)):
        said = [turn for turn in of(turns, key) if turn.says is not None]
        assert abs(sum(turn.says == turn.truth for turn in said) / len(said) - right) < 0.09
    assert abs(len(of(turns, "careless")) / 1400 - 0.15) < 0.03
    assert {turn.key for turn in turns} <= set(Users(poisoned=0.3).keys)


def test_each_attack_is_what_its_name_says() -> None:
    turns = turns_of(Users(requests=2000, poisoned=0.3, speaks=1.0), ROWS, LABELS, seed=2)
    assert len({(turn.truth, turn.says) for turn in of(turns, "targeted")}) == 1
    assert len({turn.says for turn in of(turns, "random")}) == 4
    agreed = Counter((turn.text, turn.says) for turn in of(turns, "collusion"))
    assert set(agreed.values()) == {5} and len({text for text, _ in agreed}) == len(agreed)
    copies = Counter(turn.says for turn in of(turns, "copies"))
    assert len({turn.text.rstrip(".!?").removesuffix(" now") for turn in of(turns, "copies")}) < 100 and copies


def test_without_poison_nobody_is_malicious_and_no_text_comes_twice() -> None:
    turns = turns_of(Users(requests=500), ROWS, LABELS, seed=3)
    assert not any(turn.malicious for turn in turns) and len({turn.text for turn in turns}) == 500
    assert not set(Users().keys) & set(ATTACKS)


def test_a_seed_gives_one_crowd() -> None:
    users = Users(requests=300, poisoned=0.3)
    shuffled = list(ROWS)
    Random(0).shuffle(shuffled)
    assert turns_of(users, ROWS, LABELS, 1) == turns_of(users, ROWS, LABELS, 1) != turns_of(users, ROWS, LABELS, 2)
    assert turns_of(users, shuffled, LABELS, 1) != turns_of(users, ROWS, LABELS, 1)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="take as many rows"):
        turns_of(Users(requests=10), ROWS[:9], LABELS, 0)


def test_what_is_sent_agrees_with_the_answer_or_names_a_label() -> None:
    turn = Turn("careful-1", "where is it", "late", "late")
    assert turn.opinion("late", thumbs=True) == {"thumbs": "up"} and turn.opinion("late", thumbs=False) == {"label": "late"}
    assert turn.opinion("lost", thumbs=True) == {"label": "late"}
    assert turn.opinion("lost", thumbs=False, down=True) == {"thumbs": "down"} and turn.opinion("late", thumbs=False, down=True) == {
        "label": "late"
    }
    assert Turn("careful-1", "where is it", "late", None).opinion("lost", thumbs=True) is None
