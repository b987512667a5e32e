"""Rows of several adapters over one base go through it together, and each is answered as by its adapter alone."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.infer.choices import score_choices
from tunesmith.infer.continuous import Asked, Closed, Continuous, Token
from tunesmith.infer.generate import Wanted, answers
from tunesmith.infer.underway import Underway
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt, method
from tunesmith.models.package import Bundle
from tunesmith.models.shared import OneOf, Shared, can_share, choose

CPU = torch.device("cpu")
STEM = list(range(10, 60))
KINDS: list[dict[str, Any]] = [
    {"name": "lora", "rank": 2},
    {"name": "rslora", "rank": 6, "alpha": 3.0},
    {"name": "pissa", "rank": 4},
    {"name": "lora", "rank": 3, "targets": ["q_proj", "v_proj"]},
]


@dataclass
class Adapters:
    """Saved adapters, each loaded over a base of its own, and all of them over one."""

    alone: list[Any] = field(repr=False)
    shared: Shared = field(repr=False)

    def double(self) -> "Adapters":
        """The same in float64, where rounding hides nothing."""
        return Adapters([copy.deepcopy(one).double() for one in self.alone], copy.deepcopy(self.shared).double())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The tiny base with weights large enough that an adapter changes what is said."""
    folder = tmp_path_factory.mktemp("larger") / "base"
    loaded: Any = load_base(BaseConfig(path=str(tiny_base)))
    torch.manual_seed(3)
    for parameter in loaded.model.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.15 * torch.randn_like(parameter)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Adapters:
    config = BaseConfig(path=str(base))
    alone, folders = [], []
    for number, kind in enumerate(KINDS):
        adapted: Any = adapt(load_base(config).model, MethodConfig(**kind), parameters=1, labels=None, seed=number)
        torch.manual_seed(number)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        folder = tmp_path_factory.mktemp("adapter")
        method(kind["name"]).save(adapted, folder)
        folders.append(folder)
        alone.append(method(kind["name"]).load(folder, config, 0).eval())
    shared = Shared(load_base(config).model)
    assert [shared.take(folder) for folder in folders] == list(range(len(KINDS)))
    return Adapters(alone, shared.eval())


@pytest.fixture
def engine(adapters: Adapters) -> Iterator[Continuous]:
    made = Continuous(adapters.shared, CPU)
    yield made
    made.close(drain=False)


def asked(prompt: list[int], adapter: int, most: int = 10) -> Asked:
    told: list[Token] = []
    return Asked(tuple(prompt), Wanted(end_ids=(2,), max_new_tokens=most, logps=True), told.append, adapter=adapter)


def test_the_base_is_there_once(adapters: Adapters) -> None:
    own = {name for name, _ in adapters.alone[0].get_base_model().named_parameters() if "lora_" not in name}
    held = [name for name, _ in adapters.shared.base.named_parameters() if ".up." not in name and ".down." not in name]
    assert len(held) == len(own)
    thin = sum(part.numel() for name, part in adapters.shared.named_parameters() if ".up." in name or ".down." in name)
    assert thin < sum(part.numel() for part in adapters.shared.parameters()) / 4


rows = st.lists(
    st.tuples(st.integers(0, len(KINDS) - 1), st.integers(0, 50), st.lists(st.integers(5, 4000), min_size=1, max_size=6)),
    min_size=1,
    max_size=9,
)


def side_by_side(adapters: Adapters, some: list[tuple[int, int, list[int]]]) -> float:
    """The greatest difference of a logit between rows that go through the base together and each under its adapter alone."""
    prompts = [[*STEM[:stem], *rest] for _, stem, rest in some]
    with torch.inference_mode():
        first, *others = [Underway(adapters.shared, [prompt], CPU, None, row[0]) for row, prompt in zip(some, prompts, strict=True)]
        for other in others:
            first.join(other)
        order = list(reversed(range(len(some))))
        first.keep(order)
        first.step([7] * len(some))
        alone = [Underway(adapters.alone[some[index][0]], [[*prompts[index], 7]], CPU).logits_RV for index in order]
        return float((first.logits_RV - torch.cat(alone)).abs().max())


@pytest.fixture(scope="module")
def precise(adapters: Adapters) -> Adapters:
    return adapters.double()


@settings(max_examples=20)
@given(rows)
def test_logits_of_rows_side_by_side_are_those_of_each_adapter_alone(precise: Adapters, some: list[tuple[int, int, list[int]]]) -> None:
    assert side_by_side(precise, some) < 1e-11


def test_in_float32_they_are_so_to_1e_5(adapters: Adapters) -> None:
    some = [(n % len(KINDS), 7 * n % 50, [20 + n, 300 * n + 5]) for n in range(12)]
    assert side_by_side(adapters, some) < 1e-5


def test_answers_are_those_of_each_adapter_alone_and_adapters_differ(adapters: Adapters, engine: Continuous) -> None:
    prompts = [[*STEM, 200 + n, *range(70, 70 + n % 5)] for n in range(6)] + [[5 + n, 6, 7 * n + 1] for n in range(6)]
    made = [asked(prompt, (n + shift) % len(KINDS)) for shift in range(2) for n, prompt in enumerate(prompts)]
    for one in made:
        engine.ask(one)
    said: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for one in made:
        found = one.answer.result(timeout=60)
        alone = answers(adapters.alone[one.adapter], [one.prompt], one.wanted, device=CPU)[0][0]
        assert found.ids == alone.ids and found.ended == alone.ended
        assert found.logps == pytest.approx(alone.logps, abs=1e-5)
        said.setdefault(one.prompt, set()).add(found.ids)
    assert sum(len(answers_) == 2 for answers_ in said.values()) > len(said) / 2


def test_what_prompts_begin_with_is_kept_for_each_adapter_apart(adapters: Adapters, engine: Continuous) -> None:
    fed: list[int] = []
    handle = adapters.shared.base.get_input_embeddings().register_forward_hook(lambda module, args, out: fed.append(args[0].numel()))
    for adapter in (0, 1, 0, 1):
        one = asked([*STEM, 300 + adapter], adapter, most=1)
        engine.ask(one)
        found = one.answer.result(timeout=60)
        alone = answers(adapters.alone[adapter], [one.prompt], one.wanted, device=CPU)[0][0]
        assert found.logps == pytest.approx(alone.logps, abs=1e-5)
    handle.remove()
    assert fed == [50, 1, 50, 1, 1, 1]  # what is shared and what is a prompt's own; then the latter alone


def test_labels_are_scored_under_the_adapter_that_is_asked(adapters: Adapters, engine: Continuous) -> None:
    prompts, choices = [[*STEM[:20], 8], [9, 9]], [[60, 2], [61, 62, 2], [63, 2]]
    for number, alone in enumerate(adapters.alone):
        view = OneOf(adapters.shared, number)
        found = engine.run(lambda view=view: score_choices(view, prompts, choices, device=CPU), number).result(timeout=60)  # type: ignore[misc]
        assert found == pytest.approx(score_choices(alone, prompts, choices, device=CPU), abs=1e-4)


def test_what_several_models_share_ends_with_the_last_of_them(adapters: Adapters) -> None:
    engine = Continuous(adapters.shared, CPU)
    assert engine.shared() is engine
    engine.close()
    one = asked([5, 6], 1, most=2)
    engine.ask(one)
    assert one.answer.result(timeout=60).made
    engine.close()
    with pytest.raises(Closed):
        engine.ask(asked([5], 0))
    with pytest.raises(Closed):
        engine.shared()


def test_a_model_that_shares_nothing_is_told_nothing(adapters: Adapters) -> None:
    choose(adapters.alone[0], (3, 1))
    choose(OneOf(adapters.shared, 2), (2, 2, 2))
    assert adapters.shared.chosen.adapters_R == (2,)


@pytest.mark.parametrize(
    ("kind", "bundle", "shares"),
    [
        ({"name": "lora"}, {}, True),
        ({"name": "lora", "targets": ["q_proj", "embed_tokens"]}, {}, False),
        ({"name": "dora"}, {}, False),
        ({"name": "lora"}, {"new_tokens": ["<x>"]}, False),
        ({"name": "ia3"}, {}, False),
        ({"name": "full"}, {}, False),
    ],
)
def test_what_changes_more_than_thin_matrices_shares_no_base(
    tmp_path: Path, base: Path, kind: dict[str, Any], bundle: dict[str, Any], shares: bool
) -> None:
    adapted = adapt(load_base(BaseConfig(path=str(base))).model, MethodConfig(**kind), parameters=1, labels=None, seed=0)
    method(kind["name"]).save(adapted, tmp_path)
    told = Bundle(task="generate", method=kind["name"], max_tokens=64, base={"path": str(base)} | bundle)
    assert can_share(tmp_path, told) is shares
