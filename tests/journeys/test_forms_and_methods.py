"""Every form of rows and every method goes the whole way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, Any]]
THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat", "fence", "wall")


@pytest.fixture
def run(tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any) -> Callable[..., Any]:
    """Runs a recipe over rows: (rows, data=, **sections) -> what was said, as JSON."""

    def call(rows: Rows, *, data: dict[str, Any] | None = None, code: int = 0, **sections: Any) -> Any:
        write_rows(tmp_path / "rows.jsonl", rows)
        recipe = write_recipe(tmp_path, {"path": "rows.jsonl"} | (data or {}), tiny_base, **sections)
        said = command("run", recipe, "--workspace", tmp_path / "work", "--json")
        assert said.code == code, said.err
        return said

    return call


def _pairs() -> Rows:
    return [
        {"prompt": f"Where is the {thing}, number {n}?", "completion": f"In hall {n} of the {thing} house."}
        for thing in THINGS
        for n in range(4)
    ]


def test_prompts_and_completions_are_answered_in_free_text(run: Any) -> None:
    report = run(_pairs()).json()["report"]
    assert (report["data"]["task"], report["training"]["objective"]) == ("generate", "sft")
    assert report["verdict"]["metric"] == "exact_match" and report["confusion"] is None
    tuned = report["systems"][-1]
    assert set(tuned["metrics"]) == {"exact_match", "rougeL", "chrf", "bleu", "perplexity"}
    assert tuned["metrics"]["perplexity"]["value"] < report["systems"][0]["metrics"]["perplexity"]["value"]
    assert 1 <= tuned["answer_tokens"] <= 6
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "few-shot", "neighbour", "tuned"]
    assert report["errors"] and all(error["answer"] != error["reference"] for error in report["errors"])


def test_raw_text_is_learnt_whole_and_judged_by_perplexity(run: Any) -> None:
    rows = [{"text": f"The {thing} in hall {n} is as old as the {thing} in hall {n + 1}."} for thing in THINGS for n in range(12)]
    report = run(rows, train={"max_steps": 10}).json()["report"]
    assert (report["data"]["task"], report["training"]["objective"], report["verdict"]["metric"]) == ("text", "text", "perplexity")
    assert report["few_shot"] is None and report["errors"] == [] and report["confusion"] is None
    base, tuned = report["systems"]
    assert tuned["metrics"]["perplexity"]["value"] < base["metrics"]["perplexity"]["value"] < 5000
    assert report["verdict"]["outcome"] == "gain" and report["verdict"]["gain"]["value"] > 0


def test_conversations(run: Any) -> None:
    rows = [
        {
            "messages": [
                {"role": "system", "content": "You know where things are."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello, what do you seek?"},
                {"role": "user", "content": f"The {thing} of hall {n}"},
                {"role": "assistant", "content": f"Turn left {n} times, then ask for the {thing}."},
            ]
        }
        for thing in THINGS
        for n in range(4)
    ]
    report = run(rows).json()["report"]
    assert (report["data"]["format"], report["data"]["task"]) == ("messages", "generate")
    assert all(error["prompt"].startswith("The ") for error in report["errors"])


def test_lora_trains_few_weights_and_keeps_an_adapter(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, method={"name": "lora", "rank": 4}).json()
    training = said["report"]["training"]
    assert training["method"] == "lora" and 0 < training["trainable"] < training["parameters"] / 10
    assert (Path(said["folder"]) / "model" / "adapter_model.safetensors").is_file()


METHODS: dict[str, dict[str, Any]] = {
    "rslora": {"rank": 4},
    "dora": {"rank": 4},
    "pissa": {"rank": 4},
    "ia3": {},
    "layers": {"top_layers": 1},
    "features": {"head": "class"},
    "prompt": {"virtual_tokens": 4},
    "prefix": {"virtual_tokens": 4},
}


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_goes_from_the_recipe_to_a_model_that_answers(run: Any, colour_rows: Rows, name: str) -> None:
    said = run(colour_rows[:120], method={"name": name} | METHODS[name], evaluate={"few_shot": [0]}).json()
    training = said["report"]["training"]
    assert training["method"].startswith(name)
    assert 0 < training["trainable"] < training["parameters"] / 4
    losses = [point["loss"] for point in training["validation"]]
    assert losses[-1] < losses[0]
    folder = Path(said["folder"]) / "model"
    assert (folder / "model.safetensors").is_file() == (name == "layers")
    assert (folder / "adapter_model.safetensors").is_file() == (name not in ("layers", "features"))
    assert said["report"]["systems"][-1]["metrics"]["accuracy"]["value"] >= 0


def test_a_method_that_does_not_fit_the_base_is_refused_before_training(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, method={"name": "bitfit"}, code=2)
    (line,) = said.errors
    assert "this llama model has none" in line and "method.name: layers" in line


def test_a_classification_head(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, method={"head": "class"}).json()
    report = said["report"]
    assert report["training"]["objective"] == "class" and "head" in report["training"]["method"]
    assert (Path(said["folder"]) / "model" / "head.safetensors").is_file()
    assert set(report["confusion"]["labels"]) == {"red", "green", "blue"}


def test_an_instruction_stands_before_every_row_and_in_the_model(run: Any, colour_rows: Rows) -> None:
    plain = run(colour_rows, evaluate={"few_shot": [0]}).json()["report"]
    text = "Say which colour the thing has, in one word."
    said = run(colour_rows, data={"instruction": text}, evaluate={"few_shot": [0]}).json()
    report = said["report"]
    assert report["systems"][-1]["prompt_tokens"] > plain["systems"][-1]["prompt_tokens"] + 5
    assert report["data"]["waterfall"][-1] == report["data"]["waterfall"][-1] | {"stage": "instruct", "changed": 240, "dropped": 0}
    assert text in (Path(said["folder"]) / "model" / "tunesmith.json").read_text()
    assert [system["key"] for system in report["systems"]] == ["zero-shot", "majority", "neighbour", "linear", "tuned"]
    assert report["round"]["identity"] != plain["round"]["identity"]


def test_examples_that_pass_the_context_are_left_out_and_told(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, train={"max_tokens": 80}, evaluate={"few_shot": [0, 1, 16]})
    report = said.json()["report"]
    assert {entry["k"] for entry in report["few_shot"]["tried"]} == {0, 1}
    assert "16 examples (plain) don't fit the base's context of 80 tokens: left out." in said.err


def test_labels_are_written_as_words_and_reported_as_they_stand(run: Any, colour_rows: Rows) -> None:
    rows = [row | {"label": f"COLOUR_{row['label']}"} for row in colour_rows]
    said = run(rows).json()
    report = said["report"]
    assert set(report["data"]["labels"]) == {"COLOUR_red", "COLOUR_green", "COLOUR_blue"} == set(report["confusion"]["labels"])
    assert '"colour red"' in (Path(said["folder"]) / "model" / "tunesmith.json").read_text()
