"""Prompts that come and go at any time are answered as if each were alone."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.infer.continuous import Asked, Closed, Continuous, Full, Token
from tunesmith.infer.generate import Wanted, answers
from tunesmith.infer.past import Prefixes
from tunesmith.infer.sampling import Sampling
from tunesmith.models.config import BaseConfig, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt

CPU = torch.device("cpu")
STEM = list(range(10, 60))
PROMPTS = [[*STEM, 200 + n, *range(70, 70 + n % 7)] for n in range(12)] + [[5 + n, 6, 7 * n + 1] for n in range(12)]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    made: Any = load_base(BaseConfig(path=str(tiny_base))).model.double()
    torch.manual_seed(3)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


@pytest.fixture
def engine(model: Any) -> Iterator[Continuous]:
    made = Continuous(model, CPU)
    yield made
    made.close(drain=False)


def asked(prompt: list[int], most: int = 12, **settings: Any) -> Asked:
    told: list[Token] = []
    wanted = Wanted(end_ids=(2,), max_new_tokens=most, logps=settings.pop("logps", False), sampling=Sampling(**settings))
    one = Asked(tuple(prompt), wanted, told.append)
    one.heard = told  # type: ignore[attr-defined]
    return one


def test_answers_are_those_of_each_prompt_alone_however_they_come(model: Any, engine: Continuous) -> None:
    kinds: list[dict[str, Any]] = [{}, {"temperature": 0.7, "seed": 5}, {"temperature": 1.0, "top_p": 0.9}]
    lengths = [3, 12, 30]
    made = [asked(prompt, lengths[n % 3], logps=n % 2 == 0, **kinds[n % 3]) for n, prompt in enumerate(PROMPTS)]

    def send(some: list[Asked]) -> None:
        for one in some:
            engine.ask(one)

    senders = [threading.Thread(target=send, args=(made[at::3],)) for at in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for one in made:
        found = one.answer.result(timeout=60)
        alone = answers(model, [one.prompt], one.wanted, device=CPU)[0][0]
        assert (found.ids, found.made, found.ended) == (alone.ids, alone.made, alone.ended)
        if one.wanted.logps:
            assert found.logps == pytest.approx(alone.logps, abs=1e-9)
        assert [token.id for token in one.heard] == list(found.made)  # type: ignore[attr-defined]


def test_adapters_and_learnt_prompts_answer_so_too(tiny_base: Path) -> None:
    for settings in ({"name": "lora", "rank": 2}, {"name": "prompt", "virtual_tokens": 3}, {"name": "prefix", "virtual_tokens": 3}):
        base = load_base(BaseConfig(path=str(tiny_base)))
        adapted: Any = adapt(base.model, MethodConfig(**settings), parameters=1, labels=None, seed=0).double().eval()
        with torch.no_grad():
            for parameter in adapted.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        engine = Continuous(adapted, CPU)
        made = [asked(prompt) for prompt in PROMPTS[::4]]
        for one in made:
            engine.ask(one)
        for one in made:
            alone = answers(adapted, [one.prompt], one.wanted, device=CPU)[0][0]
            assert one.answer.result(timeout=60).ids == alone.ids, settings
        engine.close()


def test_what_prompts_begin_with_is_computed_for_the_first_alone(model: Any, engine: Continuous) -> None:
    fed: list[int] = []
    handle = model.get_input_embeddings().register_forward_hook(lambda module, args, out: fed.append(args[0].numel()))
    for number in range(3):
        one = asked([*STEM, 200 + number, 7], most=1)
        engine.ask(one)
        one.answer.result(timeout=60)
    handle.remove()
    assert sum(fed[:2]) == 52 and sum(fed[2:]) == 2 * 2


def test_an_asker_who_leaves_makes_room(model: Any) -> None:
    engine = Continuous(model, CPU, most_rows=1)
    begun = threading.Event()
    endless = Asked(tuple(STEM), Wanted(end_ids=(), max_new_tokens=10**6), lambda token: begun.set())
    engine.ask(endless)
    assert begun.wait(timeout=60)
    behind = asked(PROMPTS[-1])
    engine.ask(behind)
    endless.leave()
    assert behind.answer.result(timeout=60).made
    with pytest.raises(CancelledError):
        endless.answer.result(timeout=60)
    engine.close()


def test_a_full_queue_refuses_and_a_closed_engine_takes_nothing(model: Any) -> None:
    engine = Continuous(model, CPU, most_rows=1, most_waiting=2)
    begun = threading.Event()
    endless = Asked(tuple(STEM), Wanted(end_ids=(), max_new_tokens=10**6), lambda token: begun.set())
    engine.ask(endless)
    assert begun.wait(timeout=60)
    for prompt in PROMPTS[:2]:
        engine.ask(asked(prompt))
    with pytest.raises(Full):
        engine.ask(asked(PROMPTS[2]))
    engine.close(drain=False)
    with pytest.raises(Closed):
        engine.ask(asked(PROMPTS[0]))


def test_what_fails_is_told_to_those_it_befell_and_the_next_are_answered(model: Any, engine: Continuous) -> None:
    broken = model.get_input_embeddings().register_forward_hook(lambda module, args, out: 1 / 0)
    one = asked(PROMPTS[0])
    engine.ask(one)
    with pytest.raises(ZeroDivisionError):
        one.answer.result(timeout=60)
    broken.remove()
    after = asked(PROMPTS[0])
    engine.ask(after)
    assert after.answer.result(timeout=60).ids == answers(model, [PROMPTS[0]], after.wanted, device=CPU)[0][0].ids


def test_where_one_family_fails_those_taken_beside_it_are_told_too(model: Any, engine: Continuous, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError

    gate = threading.Event()
    engine.run(lambda: gate.wait(timeout=60))  # both wait, and are taken together
    some = [asked([5, *range(10, 70)]), asked([6, *range(70, 130)])]
    for one in some:
        engine.ask(one)
    monkeypatch.setattr("tunesmith.infer.continuous.Underway", fails)
    gate.set()
    for one in some:
        with pytest.raises(MemoryError):
            one.answer.result(timeout=60)


def test_the_likeliest_tokens_are_told_beside_each(model: Any, engine: Continuous) -> None:
    told: list[Token] = []
    one = Asked(tuple(PROMPTS[0]), Wanted(end_ids=(2,), max_new_tokens=4, logps=True), told.append, top=3)
    engine.ask(one)
    one.answer.result(timeout=60)
    for token in told:
        assert len(token.likeliest) == 3 and token.likeliest[0] == (token.id, token.logp)


def test_errands_run_between_tokens(engine: Continuous) -> None:
    name = engine.run(lambda: threading.current_thread().name).result(timeout=60)
    assert name == "answers"
    with pytest.raises(KeyError):
        engine.run(lambda: {}["nothing"]).result(timeout=60)


def test_kept_prefixes_stay_within_their_bound(model: Any) -> None:
    from tunesmith.infer.underway import Underway

    one = Underway(model, [[*STEM, 1]], CPU, kept := Prefixes(10**9))
    size = kept.bytes
    assert len(kept) == 1 and size == sum(2 * layer.keys[:, :, : len(STEM)].numel() * 8 for layer in one._cache.layers)
    small = Prefixes(int(2.5 * size))
    for first in range(5):
        Underway(model, [[first, *STEM[1:], 1]], CPU, small)
    assert len(small) == 2 and small.bytes == 2 * size
