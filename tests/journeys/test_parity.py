"""What is served is what was evaluated: 200 requests of text and 200 of labels over HTTP, many at once, and the answers of every head.

One is a round of its own, the others are saved by themselves and asked as evaluation asks (`load_ready`). All five are adapters over
one base, which the process holds once; so rows of all of them go through it side by side.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.core.files import read_jsonl
from tunesmith.core.progress import Said
from tunesmith.core.rows import Message, Row
from tunesmith.evaluate.ready import load_ready
from tunesmith.models.config import BaseConfig, HeadName, MethodConfig
from tunesmith.models.load import load_base
from tunesmith.models.methods import adapt
from tunesmith.models.package import Bundle, load_model, renderer_of, save_model
from tunesmith.pipeline.serving import Serving
from tunesmith.pipeline.workspace import Workspace
from tunesmith.score.prediction import Prediction
from tunesmith.score.spans import bio_classes
from tunesmith.serve.config import ServeConfig

THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat", "fence", "wall")
COLOURS, SIZES = ("red", "green", "blue"), ("big", "small")
AT_ONCE = 12
CLOSE = 1e-3
"""Where the two likeliest tokens or labels lie closer than this, rounding may choose between them."""
MOST_CLOSE = 0.01
WORDS = [f"{a}{b}{c}" for a in "abcdefgh" for b in "klmnop" for c in "stuvwxyz"]


def _written() -> list[dict[str, Any]]:
    return [{"messages": [_turn("user", f"Say {word} twice."), _turn("assistant", f"{word} {word}")]} for word in WORDS[:325]]


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


MODELS: dict[str, tuple[str, HeadName | None, tuple[str, ...] | None]] = {
    "labels": ("classify", None, tuple(WORDS[300:330])),
    "sets": ("multilabel", "multilabel", ("big", "blue", "green", "red", "small")),
    "numbers": ("regress", "regression", None),
    "spans": ("tag", "tags", ("colour", "size")),
}
TEXTS = [f"Send {word} {COLOURS[n % 3]} {THINGS[n % 14]}, {n} of them" for n, word in enumerate(WORDS[:200])]


def _saved(folder: Path, base: Path, seed: int, task: str, head: HeadName | None, labels: tuple[str, ...] | None) -> Path:
    """A saved model with an adapter, and a head where it has one, of random weights large enough that its answers differ."""
    config = BaseConfig(path=str(base))
    loaded = load_base(config)
    outputs = None if labels is None else len(bio_classes(labels)) if head == "tags" else len(labels)
    pool: dict[str, Any] = {} if head in ("tags", None) else {"pool": "last"}
    model: Any = adapt(loaded.model, MethodConfig(name="lora", rank=3, head=head, **pool), parameters=1, labels=outputs, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "head.linear" in name:
                parameter.add_((0.05 if head is None else 0.5) * torch.randn_like(parameter))
    folder.mkdir()
    bundle = Bundle(
        task=task,
        method="lora",
        max_tokens=256,
        labels=labels,
        instruction="Look.",
        head=head is not None,
        base=config.model_dump(mode="json"),
    )
    save_model(folder, model, loaded.tokenizer, bundle)
    return folder


@dataclass
class Served:
    """A gateway in this process, before a round and the models of `MODELS`."""

    url: str
    work: Path
    round: str
    said: list[str]
    serving: Serving
    client: httpx.Client

    def rows(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Each test row of the round, with the answer that evaluation saved."""
        told = {one["row_id"]: one for one in read_jsonl(self.work / "rounds" / self.round / "predictions" / "tuned.jsonl")}
        files = (self.work / "datasets").glob("*/test.jsonl")
        found = {row["id"]: row for file in files for row in read_jsonl(file) if row["id"] in told}
        assert set(found) == set(told)
        return [(found[id_], told[id_]) for id_ in told]

    def ask(self, path: str, **body: Any) -> Any:
        found = self.client.post(path, json=body)
        assert found.status_code == 200, found.text
        return found.json()

    def stream(self, **body: Any) -> str:
        """A streamed chat answer, put together."""
        with self.client.stream("POST", "chat/completions", json=body | {"stream": True}) as answer:
            assert answer.status_code == 200
            events = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])


@pytest.fixture(scope="module")
def loud_base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The tiny base with weights eight times as large: it says something else to each prompt."""
    folder = tmp_path_factory.mktemp("loud") / "base"
    shutil.copytree(tiny_base, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: part * (8 if part.ndim > 1 else 1) for name, part in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, loud_base: Path, command: Any, write_recipe: Any, write_rows: Any) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("parity")
    work = folder / "work"
    recipe = write_recipe(
        folder,
        {"path": str(write_rows(folder / "rows.jsonl", _written())), "dedup": {"near": False}, "split": {"test": 0.62}},
        loud_base,
        method={"name": "lora", "rank": 4},
        train={"max_steps": 4, "threads": 1, "learning_rate": 0.03, "evaluations_per_epoch": 1},
        evaluate={"few_shot": [0], "select_rows": 4, "resamples": 200, "max_new_tokens": 6, "forgetting": {"enabled": False}},
    )
    said = command("run", recipe, "--workspace", work, "--json")
    assert said.code == 0, said.err
    others = [_saved(folder / name, loud_base, seed, *of) for seed, (name, of) in enumerate(MODELS.items())]
    heard: list[str] = []
    serving = Serving(
        [said.json()["id"], *map(str, others)],
        ServeConfig(port=0, most_waiting=1000),
        Workspace(work),
        lambda event: heard.append(event.text) if isinstance(event, Said) else None,
    )
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=serving.run, args=(lambda url: ready.set(), stop), daemon=True)
    thread.start()
    assert ready.wait(timeout=60)
    with httpx.Client(base_url=serving.url, timeout=60) as client:
        yield Served(serving.url, work, said.json()["id"], heard, serving, client)
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_five_models_share_one_base(served: Served) -> None:
    assert any("share one base" in line and "once" in line for line in served.said)
    engines = {id(backend.engine) for backend in served.serving.gateway.backends.values()}  # type: ignore[attr-defined]
    models = [backend.model for backend in served.serving.gateway.backends.values()]  # type: ignore[attr-defined]
    bases = {id(getattr(model, "trunk", model).shared.base) for model in models}
    assert len(engines) == len(bases) == 1


def test_200_texts_over_http_are_those_of_the_evaluation(served: Served) -> None:
    """Two models are asked at the same time, so that rows of both go through the base side by side; every other answer is streamed."""
    rows = served.rows()
    assert len(rows) >= 200

    def ask(numbered: tuple[int, tuple[dict[str, Any], dict[str, Any]]]) -> str:
        number, (row, _) = numbered
        if number % 3 == 0:
            served.ask("classify", model="labels", input=row["prompt"][-1]["content"])
        body = {"model": served.round, "messages": row["prompt"]}
        return served.stream(**body) if number % 2 else served.ask("chat/completions", **body)["choices"][0]["message"]["content"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(ask, enumerate(rows)))
    other = [(row, told["answer"], text) for (row, told), text in zip(rows, found, strict=True) if text != told["answer"]]
    assert len({told["answer"] for _, told in rows}) > 20
    assert len(other) <= MOST_CLOSE * len(rows)
    for row, evaluated, text in other:
        assert _gap(served, row, evaluated, text) < CLOSE


def _gap(served: Served, row: dict[str, Any], evaluated: str, said: str) -> float:
    """How far the two likeliest tokens lie apart, offline and alone, where two answers first differ."""
    from tunesmith.infer.underway import Underway

    model, tokenizer, bundle = load_model(served.work / "rounds" / served.round / "model")
    renderer = renderer_of(tokenizer, bundle)
    ids = [list(renderer.answer(text)) for text in (evaluated, said)]
    first = next(place for place in range(max(map(len, ids))) if ids[0][place : place + 1] != ids[1][place : place + 1])
    prompt = renderer.prompt(tuple(Message(**turn) for turn in row["prompt"])).ids
    with torch.inference_mode():
        two = Underway(model, [[*prompt, *ids[0][:first]]], torch.device("cpu")).logits_RV[0].topk(2).values
    return float(two[0] - two[1])


def test_200_labels_over_http_are_those_of_the_evaluation(served: Served) -> None:
    ready = load_ready(served.work.parent / "labels")
    told = ready.answer([Row(id=str(n), prompt=ready.prompt(text)) for n, text in enumerate(TEXTS)])
    assert len(told) >= 200 and len({one.answer for one in told}) > 3

    def ask(text: str) -> Any:
        (found,) = served.ask("classify", model="labels", input=text)["data"]
        return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(ask, TEXTS))
    other = 0
    for one, said in zip(told, found, strict=True):
        assert said["probabilities"] == pytest.approx(one.chances, abs=1e-4)
        if said["label"] != one.answer:
            other += 1
            best = sorted((one.chances or {}).values(), reverse=True)
            assert best[0] - best[1] < CLOSE
    assert other <= MOST_CLOSE * len(told)


def _evaluated(served: Served, name: str) -> tuple[list[Prediction], list[dict[str, Any]]]:
    """What evaluation makes of the texts, the model by itself, and what HTTP says."""
    ready = load_ready(served.work.parent / name)
    told = ready.answer([Row(id=str(n), prompt=ready.prompt(text)) for n, text in enumerate(TEXTS[:40])])
    found = served.ask("classify", model=name, input=TEXTS[:40])["data"]
    assert len({one.answer for one in told}) > 5
    return told, found


def test_label_sets_over_http_are_those_of_the_evaluation(served: Served) -> None:
    told, found = _evaluated(served, "sets")
    for one, said in zip(told, found, strict=True):
        assert (said["labels"], said["answer"]) == (list(one.found or ()), one.answer)  # type: ignore[arg-type]
        assert said["confidence"] == pytest.approx(one.confidence, abs=1e-5) and set(said["probabilities"]) == {*COLOURS, *SIZES}
    words, extra = _chat(served, "sets")
    assert words == told[0].answer and extra == {"labels": found[0]["labels"], "confidence": pytest.approx(found[0]["confidence"])}


def test_numbers_over_http_are_those_of_the_evaluation(served: Served) -> None:
    told, found = _evaluated(served, "numbers")
    for one, said in zip(told, found, strict=True):
        assert said["value"] == pytest.approx(one.found, abs=1e-5) and set(said) == {"index", "answer", "value"}
        assert float(said["answer"]) == pytest.approx(float(one.answer), abs=1e-4)
    words, extra = _chat(served, "numbers")
    assert float(words) == pytest.approx(float(told[0].answer), abs=1e-4) and extra == {"value": pytest.approx(found[0]["value"])}


def test_spans_over_http_are_those_of_the_evaluation(served: Served) -> None:
    told, found = _evaluated(served, "spans")
    for text, one, said in zip(TEXTS[:40], told, found, strict=True):
        assert tuple((span["start"], span["end"], span["label"]) for span in said["spans"]) == one.found
        assert all(span["text"] == text[span["start"] : span["end"]] for span in said["spans"])
        assert said["answer"] == one.answer
    words, extra = _chat(served, "spans")
    assert words == told[0].answer and set(extra) == {"spans"}


def _chat(served: Served, name: str) -> tuple[str, dict[str, Any]]:
    """The first text in chat, whole and streamed."""
    asked = {"model": name, "messages": [_turn("user", TEXTS[0])]}
    said = served.ask("chat/completions", **asked)["choices"][0]["message"]
    assert served.stream(**asked) == said["content"]
    return said["content"], said["tunesmith"]


@pytest.mark.parametrize(
    ("name", "path", "body", "said"),
    [
        ("numbers", "completions", {"prompt": "Send"}, "writes no text"),
        ("sets", "chat/completions", {"messages": [{"role": "user", "content": "x"}], "n": 2}, "writes no text"),
        ("spans", "chat/completions", {"messages": [{"role": "assistant", "content": "x"}]}, "there is none"),
        ("spans", "classify", {"input": "word " * 2000}, "shorten the prompt"),
        ("writer", "classify", {"input": "x"}, "writes texts"),
    ],
)
def test_what_a_model_can_not_do_is_refused(served: Served, name: str, path: str, body: dict[str, Any], said: str) -> None:
    found = served.client.post(path, json={"model": served.round if name == "writer" else name} | body)
    assert found.status_code == 400 and said in found.json()["error"]["message"]
