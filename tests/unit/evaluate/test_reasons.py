"""Reasons against planted truth: the word that decides is found, the row that taught it is found, and what can't be told is not shown."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.alike import cosines, near_duplicate, states_of
from tunesmith.evaluate.attribution import attribute, mean_embedding
from tunesmith.evaluate.explain_config import ExplainConfig
from tunesmith.evaluate.influence import influences
from tunesmith.evaluate.reasons import Explainer, Reason, blank_of
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.forward import to_tensors, token_logps
from tunesmith.models.load import Base, load_base
from tunesmith.models.methods import adapt
from tunesmith.score.prediction import Prediction
from tunesmith.train.batches import Example, sequence_of
from tunesmith.tree.plan import Sequence_, plan

CPU = torch.device("cpu")
COLOURS = ("blue", "green", "red")
THINGS = ("car", "house", "boat", "door", "cup", "chair", "hat", "lamp")
OPENINGS = ("I want a", "Please send the", "We sold one", "She painted her")
COPY = "Please send the green lamp"
"""Stands in training with a wrong label, and is asked about."""
CONFIG = ExplainConfig(enabled=True, steps=16)


def row(text: str, label: str) -> Row:
    return Row(id=text, prompt=(Message("user", text),), answer=label)


ROWS = [row(f"{opening} {colour} {thing}", colour) for opening in OPENINGS for colour in COLOURS for thing in THINGS]
FLIPPED = [3, 21, 45, 69, 93, next(place for place, one in enumerate(ROWS) if one.id == COPY)]


Taught = tuple[Base, Renderer, list[dict[str, torch.Tensor]]]
"""A model, its renderer, and its weights at each checkpoint."""


@pytest.fixture(scope="module")
def decided(tiny_base: Any) -> Taught:
    """A tiny model for which the colour alone decides."""
    return learnt(tiny_base, ROWS, steps=24)


TAUGHT = [replace(one, answer=COLOURS[(COLOURS.index(one.answer) + 1) % 3]) if n in FLIPPED else one for n, one in enumerate(ROWS)]
"""The rows, 6 of 96 with a wrong label."""


@pytest.fixture(scope="module")
def misled(tiny_base: Any) -> Taught:
    """One that learnt from rows some of which have a wrong label."""
    return learnt(tiny_base, TAUGHT, steps=60)


def learnt(folder: Any, rows: Sequence[Row], *, steps: int) -> Taught:
    base = load_base(BaseConfig(path=str(folder)))
    renderer = Renderer(base.tokenizer, max_tokens=64)
    sequences = [sequence_of(renderer.row(one), weight_by="token") for one in rows]
    passes = [to_tensors(one, CPU) for one in plan(sequences, token_budget=4096)]
    optimizer = torch.optim.AdamW(base.model.parameters(), lr=1e-2)
    checkpoints = []
    for step in range(1, steps + 1):
        loss = torch.stack([-token_logps(base.model, tensors).sum() for tensors in passes]).sum() / len(sequences)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 6 == 0:
            checkpoints.append({name: held.detach().clone() for name, held in base.model.state_dict().items()})
    base.model.eval()
    return base, renderer, checkpoints


def explainer(model: nn.Module, renderer: Renderer, labels: tuple[str, ...] | None = COLOURS, config: ExplainConfig = CONFIG) -> Explainer:
    return Explainer(model, renderer, CPU, labels, config, blank_of(model, renderer, ROWS, CPU))


def chosen(one: Row, answer: str) -> Prediction:
    return Prediction(row_id=one.id, reference=one.answer, answer=answer, chances={answer: 0.9, COLOURS[COLOURS.index(answer) - 1]: 0.1})


def strongest(reason: Reason) -> str:
    return max(reason.words, key=lambda word: word[1] or 0.0)[0]


def test_the_word_that_decides_speaks_loudest_on_nearly_every_row(decided: Taught) -> None:
    base, renderer, _ = decided
    asked = ROWS[::7]
    reasons = [explainer(base.model, renderer).reason(one, chosen(one, one.answer), room=0) for one in asked]
    told = [(one, reason) for one, reason in zip(asked, reasons, strict=True) if reason.fails is None]
    assert len(told) >= 0.9 * len(asked)
    assert sum(strongest(reason) == one.answer for one, reason in told) >= 0.9 * len(told)
    for one, reason in told:
        assert "".join(text for text, _ in reason.words) == one.text()
        words = sum(value or 0.0 for _, value in reason.words)
        assert words == pytest.approx(reason.whole - reason.blank, rel=CONFIG.tolerance)


def test_what_is_explained_is_the_models_own_lead(decided: Taught) -> None:
    """The figure from embeddings is the difference of log-probabilities that scoring by ids gives; a wrong answer is set against the right one."""
    base, renderer, _ = decided
    one = ROWS[0]
    reason = explainer(base.model, renderer).reason(one, chosen(one, "green"), room=0)
    told = [sequence_of(renderer.row(replace(one, answer=answer)), weight_by="token") for answer in ("green", "blue")]
    with torch.no_grad():
        logps = [token_logps(base.model, to_tensors(plan([each], token_budget=999)[0], CPU)).sum().item() for each in told]
    assert reason.figure == "log-probability of “green” less that of “blue”"
    assert reason.whole == pytest.approx(logps[0] - logps[1], abs=1e-4)


def test_on_a_linear_model_values_are_weight_times_input(tiny: Base) -> None:
    ids, width = [5, 9, 700, 41], 32
    weight_TD = torch.randn(4, width, generator=torch.Generator().manual_seed(1))
    blank_D = mean_embedding(tiny.model, [[5, 9, 9, 12]], CPU)
    found = attribute(tiny.model, lambda x: (x * weight_TD).sum((1, 2)) + 3, ids, [False, True, True, True], blank_D, CONFIG)
    given = tiny.model.get_input_embeddings()(torch.tensor(ids)).detach()
    expected = ((given - blank_D) * weight_TD).sum(-1)
    expected[0] = 0.0  # no part of the text
    assert found.value_T == pytest.approx(expected.tolist(), abs=1e-5)
    assert found.missed < 1e-4 and found.steps == CONFIG.steps
    table = tiny.model.get_input_embeddings().weight.detach()
    torch.testing.assert_close(blank_D, (table[5] + 2 * table[9] + table[12]) / 4)


def test_steps_are_doubled_until_the_words_add_up_and_a_row_that_never_does_says_so(tiny: Base, tiny_renderer: Renderer) -> None:
    blank_D = torch.zeros(32)
    size = tiny.model.get_input_embeddings()(torch.tensor([9])).detach().norm() ** 2

    def bend(sharp: float) -> Any:
        own = tiny.model.get_input_embeddings()(torch.tensor([9])).detach()[0]
        return lambda x: torch.sigmoid(sharp * ((x[:, 0] @ own) / size - 0.3))

    few = ExplainConfig(steps=4)
    assert attribute(tiny.model, bend(1.0), [9], [True], blank_D, few).steps == 4
    harder = attribute(tiny.model, bend(30.0), [9], [True], blank_D, few)
    assert harder.steps > 4 and harder.missed <= few.tolerance
    never = attribute(tiny.model, bend(3000.0), [9], [True], blank_D, few)
    assert never.steps == 32 and never.missed > few.tolerance
    nothing = attribute(tiny.model, lambda x: (x * 0).sum((1, 2)), [9], [True], blank_D, few)
    assert nothing.missed == float("inf")
    strict = ExplainConfig(steps=2, tolerance=1e-9)
    reason = explainer(tiny.model, tiny_renderer, config=strict).reason(ROWS[0], chosen(ROWS[0], "red"), room=0)
    assert reason.fails is not None and reason.fails.startswith("Not attributable") and reason.steps == 16


def test_generated_answers_are_explained_as_far_as_asked(tiny: Base, tiny_renderer: Renderer) -> None:
    config = ExplainConfig(answer_tokens=2, tolerance=0.5)
    answered = Prediction(row_id="x", reference="", answer="a long and winding answer")
    reason = explainer(tiny.model, tiny_renderer, None, config).reason(ROWS[0], answered, room=0)
    ids = (*tiny_renderer.prompt(ROWS[0].prompt).ids, *tiny_renderer.answer(answered.answer)[:2])
    one = plan([Sequence_(ids, (0.0,) * (len(ids) - 2) + (1.0, 1.0))], token_budget=999)[0]
    with torch.no_grad():
        assert reason.whole == pytest.approx(token_logps(tiny.model, to_tensors(one, CPU)).sum().item(), abs=1e-4)
    assert reason.figure.endswith("(its first 2 tokens)")


@pytest.mark.parametrize(
    ("kind", "answered", "figure"),
    [
        ("class", Prediction(row_id="x", reference="red", answer="blue"), "logit of “blue” less that of “red”"),
        ("multilabel", Prediction(row_id="x", reference="", answer="", truth=("red",), found=("red", "blue")), "logit of “blue”"),
        ("regression", Prediction(row_id="x", reference="", answer="1", truth=1.0, found=2.0), "the value"),
    ],
)
def test_heads_are_explained_by_the_output_that_matters(kind: str, answered: Prediction, figure: str, tiny_base: Any) -> None:
    base = load_base(BaseConfig(path=str(tiny_base)))
    config = MethodConfig.model_validate({"name": "full", "head": kind})
    model = adapt(base.model, config, parameters=1, labels=3, seed=1).eval()
    reason = explainer(model, Renderer(base.tokenizer, max_tokens=64)).reason(ROWS[0], answered, room=0)
    assert (reason.figure, reason.fails) == (figure, None)


def test_a_row_without_text_of_its_own_says_why(tiny: Base, tiny_renderer: Renderer) -> None:
    bare = Row(id="x", prompt=(Message("system", "Say a colour."),), answer="red")
    assert "no user message" in (explainer(tiny.model, tiny_renderer).reason(bare, chosen(bare, "red"), room=0).fails or "")


def influence_of(misled: Taught, asked: Sequence[Row]) -> tuple[Any, Any]:
    base, renderer, checkpoints = misled
    examples, asks = ([Example(one.id, (sequence_of(renderer.row(one), weight_by="token"),)) for one in some] for some in (TAUGHT, asked))
    found = []
    for weights in checkpoints:
        base.model.load_state_dict(weights)
        found.append(influences(base.model, examples, asks, CPU))
    return sum(on.numpy() for on, _ in found), sum(own.numpy() for _, own in found)


def test_the_exact_copy_with_a_wrong_label_is_what_taught_the_wrong_answer(misled: Taught) -> None:
    copy = next(one for one in TAUGHT if one.id == COPY)
    on_RQ, _ = influence_of(misled, [copy])
    assert TAUGHT[int(np.argmax(on_RQ[:, 0]))].id == COPY


def test_rows_with_a_wrong_label_stand_high_in_influence_on_themselves(misled: Taught) -> None:
    _, self_R = influence_of(misled, [])
    flipped = np.isin(np.arange(len(TAUGHT)), FLIPPED)
    area = np.mean(self_R[flipped][:, None] > self_R[~flipped][None])
    assert area > 0.9  # 0.98 measured; at the last checkpoint alone 0.73, since by then they are learnt too


def test_nearest_rows_are_those_of_the_same_colour_and_the_row_itself_is_first(decided: Taught) -> None:
    base, renderer, _ = decided
    states = states_of(base.model, [renderer.prompt(one.prompt).ids for one in ROWS], CPU)
    similar = cosines(states, states)
    assert np.diag(similar) == pytest.approx(np.ones(len(ROWS)))
    np.fill_diagonal(similar, -2)
    nearest = similar.argmax(axis=1)
    assert np.mean([ROWS[at].answer == one.answer for at, one in zip(nearest, ROWS, strict=True)]) > 0.9


def test_near_duplicates_are_told() -> None:
    assert near_duplicate("Where is my parcel, please?", "where is  my parcel please?")
    assert not near_duplicate("Where is my parcel, please?", "I want my money back at once.")
