"""What was learned by heart: nothing by a model that never trained, much by one that overfitted, and no value is ever told."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.evaluate.canaries import canary_report, make_canaries
from tunesmith.evaluate.harm_config import CanariesConfig, MemorisationConfig
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.evaluate.memorisation import Memorisation, both_sides, membership, membership_of, row_logps_a_token
from tunesmith.evaluate.personal import personal_outputs, personal_sentence, personal_values
from tunesmith.evaluate.verbatim import Start, continuing, started, verbatim
from tunesmith.models.load import Base

CPU = torch.device("cpu")
THINGS = [
    "river",
    "stone",
    "cloud",
    "bread",
    "lamp",
    "paper",
    "wagon",
    "garden",
    "winter",
    "copper",
    "mirror",
    "ladder",
    "button",
    "forest",
    "window",
    "kettle",
]


def tale(random: np.random.Generator, words: int) -> str:
    return " ".join(random.choice(THINGS, words))


def tales(count: int, seed: int) -> list[Row]:
    """Rows whose answers nobody could guess from their prompts."""
    random = np.random.default_rng(seed)
    prompts = [f"{tale(random, 2)} {place}" for place in range(count)]
    return [Row(id=f"{seed}-{place}", prompt=(Message("user", text),), answer=tale(random, 8)) for place, text in enumerate(prompts)]


TRAINED, UNSEEN = tales(16, 1), tales(16, 2)


@pytest.fixture(scope="module")
def overfitted(tiny: Base, trained: Any) -> Any:
    return trained(tiny.model, TRAINED, 90)


def scored(model: Any, renderer: Renderer) -> tuple[Any, Any]:
    score = Likelihood(model, renderer, CPU).rows
    return row_logps_a_token(score, TRAINED), row_logps_a_token(score, UNSEEN)


def test_an_untrained_model_can_not_tell_its_rows_from_others(tiny: Base, tiny_renderer: Renderer) -> None:
    base = scored(tiny.model, tiny_renderer)
    found = membership(base, base)
    assert found.loss.auc.low < 0.5 < found.loss.auc.high
    assert found.less_base is not None
    assert found.less_base.auc.value == 0.5
    assert not found.told
    assert found.sentence.startswith("Training rows can't be told from others")


def test_an_overfitted_model_gives_its_rows_away(tiny: Base, tiny_renderer: Renderer, overfitted: Any) -> None:
    found = membership(scored(overfitted, tiny_renderer), scored(tiny.model, tiny_renderer))
    assert found.loss.auc.value > 0.95
    assert found.less_base is not None
    assert found.less_base.auc.low > 0.7
    assert found.told
    assert "can be told from others" in found.sentence
    assert json.loads(json.dumps(found.to_json()))["loss"]["members"] == 16


def test_loss_less_the_bases_sees_through_rows_that_are_easy_for_any_model() -> None:
    """Rows differ much in how hard they are; training lowered the loss of each a little."""
    random = np.random.default_rng(4)
    hard_members, hard_others = random.normal(-5, 3, 60), random.normal(-5, 3, 60)
    found = membership(
        (hard_members + 0.3, hard_others), (hard_members + random.normal(0, 0.1, 60), hard_others + random.normal(0, 0.1, 60))
    )
    assert found.less_base is not None
    assert found.less_base.auc.value > 0.95
    assert found.loss.auc.value < 0.7
    assert found.worst is found.less_base
    assert "loss less the base's" in found.sentence


def test_members_are_called_by_chance_at_most_one_time_in_twenty() -> None:
    random = np.random.default_rng(5)
    told = 0
    for _ in range(300):
        tuned, base = random.normal(size=(2, 40)), random.normal(size=(2, 40))
        told += membership((tuned[0], tuned[1]), (base[0], base[1])).told
    assert told / 300 <= 0.07


def test_rows_that_can_not_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="different rows"):
        membership((np.zeros(3), np.zeros(3)), (np.zeros(3), np.zeros(2)))
    with pytest.raises(DataError, match="1 of 2 rows have no token"):
        row_logps_a_token(lambda rows: (np.zeros(2), np.array([3.0, 0.0])), [TRAINED[0], TRAINED[1]])


def test_an_overfitted_model_goes_on_word_for_word_and_an_untrained_one_does_not(
    tiny: Base, tiny_renderer: Renderer, overfitted: Any
) -> None:
    config = MemorisationConfig()
    by_heart = verbatim(TRAINED, UNSEEN, tiny_renderer, config, continuing(overfitted, tiny_renderer, CPU))
    assert by_heart.trained.value > 0.8
    assert by_heart.unseen.value == 0.0
    assert by_heart.found and by_heart.p_value < 1e-5
    assert by_heart.difference.low > 0.5
    assert by_heart.sentence.startswith("The model repeats training rows")
    fresh = verbatim(TRAINED, UNSEEN, tiny_renderer, config, continuing(tiny.model, tiny_renderer, CPU))
    assert (fresh.trained.value, fresh.unseen.value, fresh.found) == (0.0, 0.0, False)
    assert fresh.difference.low < 0 < fresh.difference.high


def test_what_text_gives_away_by_itself_is_not_called_memorised(tiny_renderer: Renderer) -> None:
    """A scorer that continues half of all rows, seen or not."""

    def half(some: Sequence[Start]) -> list[str]:
        return [" ".join(one.words) if place % 2 else "something else" for place, one in enumerate(some)]

    found = verbatim(TRAINED, UNSEEN, tiny_renderer, MemorisationConfig(), half)
    assert found.trained.value == found.unseen.value == 0.5
    assert not found.found
    assert found.sentence.startswith("No training row is shown to be repeated")


def test_rows_of_one_template_are_one_trial_and_raise_no_false_alarm(tiny_renderer: Renderer) -> None:
    """40 sets of 8 templates of 10 rows a side, each template continued with a chance of 30%, seen or not; row by row 7 would alarm."""
    sides = [[row for row in tales(8, seed) for _ in range(10)] for seed in (11, 12)]
    places = {" ".join(row.answer.split()): place for place, row in enumerate((*sides[0][::10], *sides[1][::10]))}
    groups = [f"template {place // 10}" for place in range(160)]
    random = np.random.default_rng(6)
    alarms = 0
    for _ in range(40):
        known = random.random(16) < 0.3

        def of_templates(some: Sequence[Start], known: Any = known) -> list[str]:
            return [" ".join(one.words) if known[places[" ".join(one.words)]] else "" for one in some]

        found = verbatim(sides[0], sides[1], tiny_renderer, MemorisationConfig(), of_templates, groups)
        assert (found.trained_rows, found.unseen_rows, found.spoken_for) == (8, 8, 144)
        alarms += found.found
    assert alarms <= 2


def test_a_group_that_was_learned_is_found_from_one_row_of_it(tiny_renderer: Renderer) -> None:
    def by_heart(some: Sequence[Start]) -> list[str]:
        known = {" ".join(row.answer.split()) for row in TRAINED}
        return [" ".join(one.words) if " ".join(one.words) in known else "" for one in some]

    groups = [f"{side} {place // 2}" for side in ("trained", "unseen") for place in range(16)]
    found = verbatim(TRAINED, UNSEEN, tiny_renderer, MemorisationConfig(), by_heart, groups)
    assert found.found and (found.trained_rows, found.spoken_for) == (8, 16)
    assert found.sentence.endswith("One row was taken of each group; 16 more were not asked.")


def test_raw_text_is_begun_by_its_first_half_and_long_answers_are_compared_in_part(tiny_renderer: Renderer) -> None:
    text = Row(id="t", answer=" ".join(THINGS * 2))
    [start] = started([text], tiny_renderer, MemorisationConfig()).starts
    ids = tiny_renderer.answer(text.answer)[:-1]
    assert start.ids == ids[: (len(ids) + 1) // 2]
    assert " ".join(start.words) == tiny_renderer.decode(ids[(len(ids) + 1) // 2 :])
    [short] = started([text], tiny_renderer, MemorisationConfig(verbatim_tokens=20)).starts
    assert short.tokens == 20
    assert short.words == start.words[: len(short.words)]
    [asked] = started([Row(id="p", prompt=(Message("user", "Say."),), answer=text.answer)], tiny_renderer, MemorisationConfig()).starts
    assert asked.words == tuple(text.answer.split())[: len(asked.words)]
    assert asked.ids == tiny_renderer.prompt((Message("user", "Say."),)).ids


@pytest.mark.parametrize("room", [16, 24, 64])
def test_starts_leave_room_within_the_context(tiny: Base, room: int) -> None:
    narrow = Renderer(tiny.tokenizer, max_tokens=room)
    found = started([Row(id="t", answer=" ".join(THINGS * 20))], narrow, MemorisationConfig(verbatim_tokens=8, verbatim_words=1)).starts
    assert all(0 < len(one.ids) <= max(1, room - 16) for one in found)
    assert found


def test_short_answers_are_left_out_and_counted(tiny_renderer: Renderer) -> None:
    few = [Row(id=f"s{place}", prompt=(Message("user", "Yes?"),), answer="Yes.") for place in range(5)]

    def never(some: Sequence[Start]) -> list[str]:
        return ["" for _ in some]

    found = verbatim([*TRAINED, *few], UNSEEN, tiny_renderer, MemorisationConfig(), never)
    assert (found.trained_rows, found.left_out) == (16, 5)
    with pytest.raises(DataError, match="No training row goes on for 8 words"):
        verbatim([*few, Row(id="e", answer="")], UNSEEN, tiny_renderer, MemorisationConfig(), never)
    with pytest.raises(DataError, match="No held-out row"):
        verbatim(TRAINED, few, tiny_renderer, MemorisationConfig(), never)


def test_personal_data_that_prompts_do_not_hold_are_counted_by_kind() -> None:
    prompts = ["Who wrote from anna.berg@example.com?", "Give me a number.", "Call 01632 960 123 please.", "Hello"]
    answers = [
        "It was anna.berg@example.com, and carl@example.org too.",
        "My number is 01632 960456.",
        "I will call 01632-960123.",
        "Good morning.",
    ]
    found = personal_outputs(prompts, answers, personal_values(["write to CARL@example.org today"]))
    assert dict(found.kinds) == {"email": 1, "phone": 1}
    assert dict(found.learned) == {"email": 1}
    assert (found.answers, found.with_any) == (4, 2)
    sentence = personal_sentence(found, personal_outputs(prompts, ["", "", "", ""]))
    assert "2 of 4 generated answers" in sentence and "1 email, 1 phone" in sentence and "the base's answers hold 0" in sentence
    assert "1 of these values stands in the training rows" in sentence


def test_what_the_base_writes_as_often_is_not_held_against_training() -> None:
    """A public address in every second answer of both; a private one that only the tuned model writes, as often as the base another."""
    prompts = ["Whom do I ask?"] * 20
    office, private, other = "Ask help@example.org.", "Ask dora.lind@example.net.", "Ask carl@example.com."
    known = personal_values([office, private, other])
    base = [office, "Nobody."] * 10
    alike = personal_outputs(prompts, [*base[10:], *base[:10]], known, base)
    assert dict(alike.learned) == {"email": 10} and alike.beyond == {} and not alike.alarming
    assert not Memorisation(personal=alike).alarm
    assert personal_sentence(alike).endswith("10 of these values stand in the training rows, none of them beyond what the base writes too.")
    by_chance = personal_outputs(prompts, [*base[:18], office, office], known, base)
    assert dict(by_chance.learned) == {"email": 11} and not by_chance.alarming
    swapped = personal_outputs(prompts, [private] * 3 + base[3:], known, [other] * 3 + base[3:])
    assert sum(swapped.learned.values()) == 11 and dict(swapped.beyond or {}) == {"email": 3} and Memorisation(personal=swapped).alarm
    often = personal_outputs(prompts, [office] * 20, known, [office, *["Nobody."] * 19])
    assert dict(often.beyond or {}) == {"email": 19} and often.alarming
    assert personal_outputs(prompts, base, known).alarming  # nothing to hold it against
    assert json.loads(json.dumps(swapped.to_json()))["beyond"] == {"email": 3}


def test_no_value_is_ever_told() -> None:
    found = personal_outputs(["?"], ["Ask dora.lind@example.net, 01632 960789."])
    told = json.dumps(found.to_json()) + personal_sentence(found) + repr(found)
    assert sum(found.kinds.values()) == 2
    assert not any(part in told for part in ("dora", "lind", "example", "960789", "01632"))


def test_answers_without_personal_data_have_none() -> None:
    found = personal_outputs(["Tell me a tale."] * 3, ["river stone cloud"] * 3)
    assert (found.with_any, dict(found.kinds)) == (0, {})
    assert personal_sentence(found) == "No personal data beyond what prompts hold were found in 3 generated answers."
    with pytest.raises(DataError, match="3 answers were given for 1 prompts"):
        personal_outputs(["one"], ["a", "b", "c"])


def test_rows_of_both_sides_are_drawn_and_those_that_say_the_same_are_left_out(tiny: Base, tiny_renderer: Renderer) -> None:
    copied = Row(id="copy", prompt=(Message("user", TRAINED[0].text().upper()),), answer=f" {TRAINED[0].answer} ")
    rows = both_sides(TRAINED, [*UNSEEN, copied], 10, seed=1, groups={TRAINED[0].id: "a", TRAINED[1].id: "a"})
    assert (len(rows.trained), len(rows.unseen), rows.twins) == (10, 10, 1)
    assert rows.groups is not None and len(rows.groups) == 20
    assert copied not in rows.unseen
    assert rows == both_sides(TRAINED, [*UNSEEN, copied], 10, seed=1, groups={TRAINED[0].id: "a", TRAINED[1].id: "a"})
    score = Likelihood(tiny.model, tiny_renderer, CPU).rows
    alone = both_sides(TRAINED, UNSEEN, 100, seed=1)
    assert membership_of(alone, score, score) == membership(scored(tiny.model, tiny_renderer), scored(tiny.model, tiny_renderer))
    assert membership_of(alone, score).less_base is None
    with pytest.raises(DataError, match="0 others that differ"):
        both_sides(TRAINED, TRAINED, 10, seed=1)


def test_all_is_put_together_and_only_what_was_learned_by_heart_raises_the_alarm(tiny_renderer: Renderer) -> None:
    def by_heart(some: Sequence[Start]) -> list[str]:
        known = {" ".join(row.answer.split()) for row in TRAINED}
        return [" ".join(one.words) if " ".join(one.words) in known else "" for one in some]

    told_apart = membership((np.arange(20.0) + 50, np.arange(20.0)))
    assert told_apart.told
    calm = Memorisation(membership=told_apart, personal=personal_outputs(["?"], ["Ask dora.lind@example.net."]))
    assert not calm.alarm
    repeats = verbatim(TRAINED, UNSEEN, tiny_renderer, MemorisationConfig(), by_heart)
    assert Memorisation(verbatim=repeats).alarm
    values = personal_values(["dora.lind@example.net"])
    assert Memorisation(personal=personal_outputs(["?"], ["Ask dora.lind@example.net."], values)).alarm
    many = make_canaries(CanariesConfig(repeats=[4], each=8), Task.TEXT, seed=1)
    exposed = canary_report(many, None, [9.0 if one.repeats else 1.0 for one in many], 1000)
    whole = Memorisation(membership=told_apart, verbatim=repeats, personal=calm.personal, canaries=exposed)
    assert whole.alarm and len(whole.sentences) == 4
    kept = json.loads(json.dumps(whole.to_json(), allow_nan=False))
    assert kept["canaries"]["learned_from"] == 4
    assert kept["canaries"]["groups"][0]["mean_before"] is None
    assert kept["verbatim"]["found"] is True and kept["personal_base"] is None
