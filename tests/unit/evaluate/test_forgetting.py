"""Forgetting: a model that is its own base lost exactly nothing, one drilled on something else is called out, and files are read with care."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.forgetting import GeneralReading, forgetting, forgetting_gate, headed, read_general
from tunesmith.evaluate.general import General, Probe, folded, general_material, read_probes, sample
from tunesmith.evaluate.harm_config import ForgettingConfig
from tunesmith.evaluate.likelihood import Likelihood
from tunesmith.infer.choices import score_choices
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import Base, load_base
from tunesmith.models.methods import adapt

CPU = torch.device("cpu")
COLOURS = [
    Row(id=str(place), prompt=(Message("user", f"Say a colour, number {place}."),), answer=("red", "green", "blue")[place % 3])
    for place in range(12)
]


@pytest.fixture(scope="module")
def some() -> General:
    """Every eighth document and every sixth question of the built-in set."""
    whole = general_material(ForgettingConfig(), seed=0)
    return replace(whole, documents=whole.documents[::8], probes=whole.probes[::6])


@pytest.fixture(scope="module")
def embedded() -> Base:
    return load_base(BaseConfig())


@pytest.fixture(scope="module")
def embedded_renderer(embedded: Base) -> Renderer:
    return Renderer(embedded.tokenizer, max_tokens=512)


@pytest.fixture(scope="module")
def before(embedded: Base, embedded_renderer: Renderer, some: General) -> GeneralReading:
    return read_general(Likelihood(embedded.model, embedded_renderer, CPU), some)


def reading(logps: list[float], tokens: list[int], picks: list[int]) -> GeneralReading:
    return GeneralReading(material="m", logps=tuple(logps), tokens=tuple(tokens), picks=tuple(picks))


def material(documents: int, probes: int) -> General:
    rows = tuple(Row(id=str(place), answer=f"text {place}") for place in range(documents))
    return General(documents=rows, probes=tuple(Probe(f"q{place}?", ("a", "b", "c", "d"), 0) for place in range(probes)))


def test_a_model_that_is_its_own_base_lost_exactly_nothing(
    embedded: Base, embedded_renderer: Renderer, some: General, before: GeneralReading
) -> None:
    again = read_general(Likelihood(copy.deepcopy(embedded.model), embedded_renderer, CPU), some)
    found = forgetting(before, again, some, tolerance=0.0)
    assert found.rise is not None and found.probing is not None
    assert (found.rise.relative.value, found.rise.relative.low, found.rise.relative.high) == (0.0, 0.0, 0.0)
    assert found.rise.retained.value == 1.0
    assert found.probing.against.difference == 0.0
    assert (found.outcome, found.alarm) == ("kept", False)
    assert "+0.0%" in found.sentence
    gate = forgetting_gate(found, 0.0)
    assert gate is not None and gate.holds and gate.value == 0.0


def test_an_adapter_that_does_nothing_yet_lost_exactly_nothing(tiny: Base, tiny_renderer: Renderer, some: General) -> None:
    before = read_general(Likelihood(tiny.model, tiny_renderer, CPU), some)
    adapted = adapt(copy.deepcopy(tiny.model), MethodConfig(name="lora", rank=2), parameters=1, labels=None, seed=0)
    found = forgetting(before, read_general(Likelihood(adapted, tiny_renderer, CPU), some), some, tolerance=0.05)
    assert found.rise is not None
    assert found.rise.relative.high == 0.0
    assert not found.alarm


def test_a_model_drilled_on_something_else_is_called_out(
    embedded: Base, embedded_renderer: Renderer, some: General, before: GeneralReading, trained: Any
) -> None:
    tuned = trained(embedded.model, COLOURS, 5, 3e-3)
    found = forgetting(before, read_general(Likelihood(tuned, embedded_renderer, CPU), some), some, tolerance=0.05)
    assert found.rise is not None
    assert found.rise.relative.low > 1.0
    assert found.rise.retained.value < 0.5
    assert found.alarm
    assert found.sentence.startswith("The tuned model has forgotten")
    gate = forgetting_gate(found, 0.05)
    assert gate is not None and not gate.holds and gate.value == found.rise.relative.high
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["outcome"] == "forgot"


def test_a_model_that_learned_gently_is_not_called_out(
    embedded: Base, embedded_renderer: Renderer, some: General, before: GeneralReading, trained: Any
) -> None:
    tuned = trained(embedded.model, COLOURS, 2, 2e-6)
    found = forgetting(before, read_general(Likelihood(tuned, embedded_renderer, CPU), some), some, tolerance=0.05)
    assert found.rise is not None
    assert found.rise.relative.value != 0.0
    assert found.rise.relative.high < 0.05
    assert not found.alarm


def test_a_document_is_as_likely_as_its_tokens_and_no_end_is_expected(tiny: Base, tiny_renderer: Renderer) -> None:
    document = Row(id="d", answer="A heron stood in the shallow water and waited.")
    logps, tokens = Likelihood(tiny.model, tiny_renderer, CPU).texts([document])
    ids = tiny.tokenizer.encode(document.answer, add_special_tokens=False)
    with torch.no_grad():
        whole: Any = tiny.model
        logits = torch.log_softmax(whole(torch.tensor([ids])).logits[0].double(), dim=-1)
    expected = sum(float(logits[place, token]) for place, token in enumerate(ids[1:]))
    assert tokens[0] == len(ids) - 1
    assert logps[0] == pytest.approx(expected, abs=1e-3)


def test_a_long_document_is_read_in_windows_that_leave_no_token_out(tiny: Base) -> None:
    document = Row(id="d", answer=" ".join(f"word {place}" for place in range(200)))
    short = Likelihood(tiny.model, Renderer(tiny.tokenizer, max_tokens=64), CPU)
    _, tokens = short.texts([document, Row(id="e", answer="x"), Row(id="f", answer="")])
    assert tokens.tolist() == [len(tiny.tokenizer.encode(document.answer, add_special_tokens=False)) - 1, 0, 0]


def test_general_text_is_what_it_is_even_where_it_reads_like_a_label(tiny: Base) -> None:
    named = Likelihood(tiny.model, Renderer(tiny.tokenizer, max_tokens=64, label_texts={"spam": "a wholly different text"}), CPU)
    bare = Likelihood(tiny.model, Renderer(tiny.tokenizer, max_tokens=64), CPU)
    rows = [Row(id="a", answer="spam")]
    assert named.texts(rows)[0].tolist() == bare.texts(rows)[0].tolist()
    probe = [Probe("What is it?", ("spam", "ham"), 0)]
    assert named.picks(probe) == bare.picks(probe)


def test_probes_are_picked_as_labels_are_scored(tiny: Base, tiny_renderer: Renderer) -> None:
    probes = [Probe("One?", ("red", "green", "blue"), 0), Probe("Two?", ("yes", "no"), 1), Probe("Three?", ("red", "green", "blue"), 2)]
    found = Likelihood(tiny.model, tiny_renderer, CPU).picks(probes)
    for probe, pick in zip(probes, found, strict=True):
        prompt = tiny_renderer.prompt((Message("user", probe.question),)).ids
        scores = score_choices(tiny.model, [prompt], [tiny_renderer.answer(choice) for choice in probe.choices], device=CPU)
        assert pick == int(np.argmax(scores))


def test_questions_learned_are_answered(tiny: Base, tiny_renderer: Renderer, trained: Any) -> None:
    """What the picks say follows the model: drilled on the answers, it has all of them right."""
    probes = tuple(read_probes("builtin"))[:5]
    rows = [Row(id=str(place), prompt=(Message("user", one.question),), answer=one.choices[one.right]) for place, one in enumerate(probes)]
    tuned = trained(tiny.model, rows, 40)
    assert Likelihood(tuned, tiny_renderer, CPU).picks(probes) == [one.right for one in probes]


def test_lost_answers_are_called_a_loss_and_the_share_retained_is_said() -> None:
    general = material(0, 60)
    base, tuned = reading([], [], [0] * 40 + [1] * 20), reading([], [], [0] * 20 + [1] * 20 + [0] * 5 + [1] * 15)
    found = forgetting(base, tuned, general, tolerance=0.05)
    assert found.probing is not None
    assert found.probing.retained is not None
    assert found.probing.retained.value == 0.5
    assert found.probing.against.difference == pytest.approx(-15 / 60)
    assert found.probing.is_loss and found.alarm
    assert found.probing.p_loss < 0.005
    assert not found.notes
    assert forgetting_gate(found, 0.05) is None


def test_a_few_answers_lost_by_chance_are_no_alarm() -> None:
    base, tuned = reading([], [], [0] * 40 + [1] * 20), reading([], [], [0] * 37 + [1] * 21 + [0] * 2)
    found = forgetting(base, tuned, material(0, 60), tolerance=0.05)
    assert not found.alarm
    assert found.outcome == "unclear"


def test_a_base_that_guesses_can_not_show_a_loss_and_that_is_said() -> None:
    found = forgetting(reading([], [], [0] * 15 + [1] * 45), reading([], [], [0] * 12 + [1] * 48), material(0, 60), tolerance=0.05)
    assert found.probing is not None and not found.probing.telling
    assert any("no better than guessing" in note for note in found.notes)


def test_the_gate_looks_at_the_unfavourable_end() -> None:
    """A rise of 4% on average, from documents that differ: within the tolerance, but not shown to be."""
    general = material(30, 0)
    lost = np.where(np.arange(30) % 3 == 0, 0.12, 0.0)
    base = reading([-300.0] * 30, [100] * 30, [])
    tuned = reading((-300.0 - 100 * lost).tolist(), [100] * 30, [])
    found = forgetting(base, tuned, general, tolerance=0.05)
    assert found.rise is not None
    assert found.rise.relative.value == pytest.approx(np.expm1(0.04))
    gate = forgetting_gate(found, 0.05)
    assert gate is not None and not gate.holds
    assert gate.value == found.rise.relative.high > 0.05
    assert found.outcome == "unclear"
    wider = forgetting_gate(found, 0.1)
    assert wider is not None and wider.holds


def test_few_documents_and_groups_of_them_are_said() -> None:
    general = replace(material(6, 0), groups=("a", "a", "b", "b", "c", "c"))
    base = reading([-300.0] * 6, [100] * 6, [])
    notes = forgetting(base, reading([-301.0, -303, -302, -301, -305, -300], [100] * 6, []), general, tolerance=0.05).notes
    assert any("3 independent documents" in note for note in notes)
    assert any("6 general documents come in 3 groups" in note for note in notes)


def test_readings_of_different_text_are_not_compared(tiny: Base) -> None:
    general = General(documents=(Row(id="a", answer="One text. " * 9), Row(id="b", answer="Another text. " * 9)))
    wide, narrow = (Likelihood(tiny.model, Renderer(tiny.tokenizer, max_tokens=room), CPU) for room in (64, 8))
    with pytest.raises(DataError, match="different general text"):
        forgetting(read_general(wide, general), read_general(narrow, general), general, tolerance=0.05)
    kept = read_general(wide, general)
    assert GeneralReading.from_json(json.loads(json.dumps(kept.to_json()))) == kept


def test_a_broken_model_is_an_error_in_words(tiny: Base, tiny_renderer: Renderer, some: General) -> None:
    broken: Any = copy.deepcopy(tiny.model)
    broken.model.norm.weight.data.fill_(float("nan"))
    few = replace(some, documents=some.documents[:3], probes=())
    good = read_general(Likelihood(tiny.model, tiny_renderer, CPU), few)
    with pytest.raises(DataError, match="tuned model gives general text a likelihood that is no number"):
        forgetting(good, read_general(Likelihood(broken, tiny_renderer, CPU), few), few, tolerance=0.05)
    with pytest.raises(DataError, match="no number"):
        Likelihood(broken, tiny_renderer, CPU).picks(some.probes[:1])


def test_heads_are_told_about_in_a_sentence() -> None:
    frozen, moved = headed(frozen=True), headed(frozen=False)
    assert "Nothing was forgotten" in frozen.sentence and not frozen.alarm
    gate = forgetting_gate(frozen, 0.0)
    assert gate is not None and gate.holds and gate.value == 0.0
    assert "not measured" in moved.sentence and moved.outcome == "unmeasured"
    assert forgetting_gate(moved, 0.05) is None


def test_a_file_of_general_text_is_sampled_and_what_was_trained_on_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "general.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"Document {place} tells of stones.", "book": f"b{place // 10}"}) + "\n" for place in range(100))
    )
    config = ForgettingConfig(general=str(path), documents=20, by="book", probes=None)
    known = {folded("document  7 TELLS of stones."), folded("Document 8 tells of stones.")}
    found = general_material(config, seed=1, trained=known)
    texts = [row.answer for row in found.documents]
    assert len(texts) == len(set(texts)) == len({row.id for row in found.documents}) == 20
    assert texts == sorted(texts, key=lambda text: int(text.split()[1]))
    assert not {folded(text) for text in texts} & known
    assert "2 of 100 general documents" in found.notes[0]
    assert found.groups is not None and len(set(found.groups)) <= 10
    assert general_material(config, seed=1, trained=known) == found
    assert general_material(config, seed=2, trained=known).documents != found.documents
    with pytest.raises(RecipeError, match="no such column"):
        general_material(config.model_copy(update={"by": "author"}), seed=1)
    with pytest.raises(DataError, match="no general text that was not trained on"):
        general_material(config, seed=1, trained={folded(f"Document {place} tells of stones.") for place in range(100)})
    with pytest.raises(RecipeError):
        general_material(config.model_copy(update={"general": str(tmp_path / "none.jsonl")}), seed=1)


def test_conversations_and_columns_of_other_names_are_general_text_too(tmp_path: Path, tiny: Base, tiny_renderer: Renderer) -> None:
    turns = [{"role": "user", "content": "What is ice?"}, {"role": "assistant", "content": "Frozen water."}]
    talk, story = tmp_path / "talk.jsonl", tmp_path / "story.jsonl"
    talk.write_text(json.dumps({"messages": turns}) + "\n")
    story.write_text(json.dumps({"title": "Ice", "story": "Ice is frozen water."}) + "\n")
    told = general_material(ForgettingConfig(general=str(talk), probes=None), seed=0).documents
    read = general_material(ForgettingConfig(general=str(story), probes=None, columns={"text": "story"}), seed=0).documents
    assert [row.answer for row in (*told, *read)] == ["Frozen water.", "Ice is frozen water."]
    _, tokens = Likelihood(tiny.model, tiny_renderer, CPU).texts((*told, *read))
    encode = tiny.tokenizer.encode
    assert tokens.tolist() == [len(encode("Frozen water.")) + 1, len(encode("Ice is frozen water.")) - 1]


def test_every_item_is_as_likely_to_be_drawn() -> None:
    drawn = np.bincount([one for seed in range(600) for one in sample(range(20), 5, seed)], minlength=20)
    assert abs(drawn - 150).max() < 5 * np.sqrt(600 * 0.25 * 0.75)
    assert sample(range(3), 5, 0) == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ({"question": "q", "choices": ["a", "b"], "answer": "b"}, 1),
        ({"question": "q", "choices": ["x", "y"], "answer": "B"}, 1),
        ({"question": "q", "choices": ["x", "y"], "answer": 0}, 0),
        ({"question": "q", "choices": ["B", "A"], "answer": "A"}, 1),
        ({"question": "q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "3"}, 2),
        ({"question": "q", "choices": ["1", "2", "3"], "answer": "2"}, 1),
    ],
)
def test_the_right_answer_may_be_told_in_several_ways(tmp_path: Path, line: dict[str, Any], right: int) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text(json.dumps(line) + "\n\n")
    assert [probe.right for probe in read_probes(str(path))] == [right]


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        '{"question": "", "choices": ["a", "b"], "answer": 0}',
        '{"question": "q", "choices": ["a"], "answer": 0}',
        '{"question": "q", "choices": ["a", "a "], "answer": 0}',
        '{"question": "q", "choices": ["a", 3], "answer": 0}',
        '{"question": "q", "choices": ["a", "b"], "answer": 2}',
        '{"question": "q", "choices": ["a", "b"], "answer": true}',
        '{"question": "q", "choices": ["a", "b"], "answer": "C"}',
        '{"question": "q", "choices": {"text": "ab"}, "answer": 0}',
        '{"question": "q", "choices": ["a", "b"]}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_question_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text('{"question": "q", "choices": ["a", "b"], "answer": 0}\n' + line + "\n")
    with pytest.raises(DataError, match=r"probes\.jsonl:2"):
        list(read_probes(str(path)))


def test_a_file_that_holds_no_questions_is_refused(tmp_path: Path) -> None:
    empty, binary, endless = tmp_path / "empty.jsonl", tmp_path / "binary.jsonl", tmp_path / "endless.jsonl"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00\x81")
    endless.write_text("x" * 2**21)
    for path in (empty, binary, endless):
        with pytest.raises(DataError):
            list(read_probes(str(path)))
    with pytest.raises(RecipeError, match="no file is there"):
        list(read_probes(str(tmp_path / "none.jsonl")))
