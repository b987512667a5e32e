"""Answers in a model's own words, through the whole pipeline: how they are decoded, how sure they are, who else judges them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engines.conftest import Server, chat, server  # noqa: F401 (a fixture)
from tests.unit.evaluate.test_code_runs import sandboxed
from tests.unit.evaluate.test_judging import shown, verdict
from tunesmith.core.files import read_jsonl
from tunesmith.core.rows import Message
from tunesmith.engines.asking import ChatRequest
from tunesmith.score.calibrated import Calibration, applied
from tunesmith.score.calibration import figures
from tunesmith.score.chances import chances_of
from tunesmith.score.prediction import Prediction

Rows = list[dict[str, Any]]
THINGS = ("car", "house", "boat", "shirt", "door", "cup", "chair", "hat", "lamp", "book", "bag", "coat")
SCHEMA = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"], "additionalProperties": False}
GENERATE = {"path": "rows.jsonl", "task": "generate", "dedup": {"near": False}}


def asked_of_colours(answer: Callable[[str], str]) -> Rows:
    return [
        {"prompt": f"I want {number} of a {colour} {thing}", "completion": answer(colour)}
        for number in range(10)
        for thing in THINGS
        for colour in ("red", "blue")
    ]


@pytest.fixture
def run(tmp_path: Path, tiny_base: Path, command: Any, write_rows: Any, write_recipe: Any) -> Callable[..., Any]:
    """Runs a recipe over rows: (rows, data=, code=, **sections) -> what was said."""

    def call(rows: Rows, *, data: dict[str, Any] | None = None, code: int = 0, verb: str = "run", **sections: Any) -> Any:
        write_rows(tmp_path / "rows.jsonl", rows)
        recipe = write_recipe(tmp_path, GENERATE | (data or {}), tiny_base, **sections)
        said = command(verb, recipe, "--workspace", tmp_path / "work", "--json")
        assert said.code == code, said.err
        return said

    return call


def predictions(folder: Path, name: str) -> list[Prediction]:
    return [Prediction.from_json(value) for value in read_jsonl(folder / f"{name}.jsonl")]


def test_every_system_keeps_to_the_schema_and_the_model_takes_it_along(run: Any, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    asked = {"decoding": {"json_schema": "schema.json"}, "metrics": ["json_valid"], "max_new_tokens": 24, "few_shot": [0, 1]}
    said = run(asked_of_colours(lambda colour: json.dumps({"colour": colour}))[:96], evaluate=asked).json()
    folder = Path(said["folder"])
    for system in ("baselines/zero-shot", "baselines/few-shot", "predictions/tuned"):
        for one in predictions(folder, system):
            assert json.loads(one.answer)["colour"] in ("red", "blue")
    kept = json.loads((folder / "model" / "tunesmith.json").read_text())["decoding"]
    assert (kept["kind"], kept["keeps_to"], kept["temperature"]) == ("json_schema", SCHEMA, 0.0)
    assert "schema.json" not in (folder / "recipe.yaml").read_text()  # known by what it says, not by where it lies


def test_likelihood_is_the_confidence_of_what_is_right_or_wrong(run: Any) -> None:
    train = {"max_steps": 30, "learning_rate": 0.01}
    data = {"split": {"validation": 0.5, "test": 0.2}}
    said = run(asked_of_colours(lambda colour: colour), data=data, train=train, evaluate={"few_shot": [0], "max_new_tokens": 6}).json()
    folder, told = Path(said["folder"]), said["report"]["calibration"]
    bundle = json.loads((folder / "model" / "tunesmith.json").read_text())
    before, after = (predictions(folder / "predictions", name) for name in ("uncorrected", "tuned"))
    assert applied(before, Calibration.from_json(bundle["calibration"])) == after
    assert bundle["sureness"]["samples"] == 0 and bundle["calibration"]["judged"]
    assert told["sentences"][0] == "Confidence is made from the mean likelihood of an answer's tokens."
    chances = chances_of(after)
    assert chances is not None and told["test"]["after"]["ece"] == pytest.approx(figures(chances).ece)
    assert all(one.confidence is None for one in predictions(folder / "baselines", "zero-shot"))
    assert "How far its confidence can be believed" in (folder / "report.html").read_text()


def test_where_no_answer_is_right_or_wrong_nothing_is_said_of_confidence(run: Any) -> None:
    evaluate = {"few_shot": [0], "max_new_tokens": 6, "metrics": ["rougeL"], "resamples": 200}
    data = {"split": {"validation": 0.5, "test": 0.2}}
    said = run(asked_of_colours(lambda colour: colour), data=data, evaluate=evaluate).json()
    assert said["report"]["calibration"] is None
    assert all(one.confidence is None for one in predictions(Path(said["folder"]) / "predictions", "tuned"))


@pytest.mark.parametrize(
    ("decoding", "sentence"),
    [
        ({"stop": [""]}, "a stop string is empty"),
        ({"json_schema": {"type": "object"}, "regex": "a+"}, "an answer keeps to one of them"),
        ({"json_schema": {"type": "object"}, "stop": ["\n"]}, "choose one"),
        ({"top_p": 0.5}, "at temperature 0 none is drawn"),
        ({"temperature": -1}, "evaluate.decoding.temperature"),
        ({"json_schema": "nowhere.json"}, "can't be read"),
        ({"json_schema": {"type": "nonsense"}}, "The JSON schema can't be kept to"),
        ({"json_schema": {"type": "object", "properties": {"a": {"const": "long " * 9}}, "required": ["a"]}}, "max_new_tokens is 6"),
        ({"regex": "("}, "The pattern can't be kept to"),
    ],
)
def test_what_no_answer_can_keep_to_is_refused_before_training(run: Any, decoding: dict[str, Any], sentence: str) -> None:
    said = run(asked_of_colours(lambda colour: colour), evaluate={"decoding": decoding}, code=2, verb="check")
    assert len(said.errors) == 1 and sentence in said.errors[0]


def test_decoding_of_labels_and_heads_is_refused(run: Any, colour_rows: Rows) -> None:
    said = run(colour_rows, data={"task": "classify"}, evaluate={"decoding": {"temperature": 0.5}}, code=2, verb="check")
    assert "evaluate.decoding: this says how answers are written, and here they come from choosing among labels" in said.err
    rows = [{"text": row["text"], "score": 1.0 + place % 3} for place, row in enumerate(colour_rows)]
    said = run(rows, data={"task": "regress"}, evaluate={"decoding": {"temperature": 0.5}}, code=2, verb="check")
    assert "here they come from a head" in said.err


def answers_shown(body: dict[str, Any]) -> tuple[str, str]:
    """The two answers before a judge."""
    told = shown(ChatRequest(messages=(Message("user", body["messages"][-1]["content"]),)))
    return told["ANSWER A"], told["ANSWER B"]


def test_a_judge_compares_with_the_base_and_is_paid_once(run: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """It prefers an answer with a letter to one without, and the base writes none; killed before the report, the round asks nothing twice."""
    from tunesmith.pipeline.rounds import Execution

    monkeypatch.setenv("JUDGE_KEY", "s3cret-key")
    server.answer = lambda body: chat(verdict(_merit(*answers_shown(body))))
    asked: dict[str, Any] = {
        "train": {"max_steps": 30, "learning_rate": 0.01},
        "evaluate": {
            "few_shot": [0],
            "max_new_tokens": 6,
            "judge": {"engine": {"url": server.url, "model": "judge", "key_env": "JUDGE_KEY"}, "rows": 10},
        },
    }
    with monkeypatch.context() as killed:
        killed.setattr(Execution, "report", lambda *_: pytest.fail("killed"))
        with pytest.raises(BaseException, match="killed"):
            run(asked_of_colours(lambda colour: colour), **asked)
    assert len(server.asked) == 20
    said = run(asked_of_colours(lambda colour: colour), **asked)
    assert len(server.asked) == 20
    told = said.json()["report"]["judge"]
    assert (told["rows"], told["baseline"], told["spent"]["remembered"]) == (10, "zero-shot", 20)
    assert told["counts"]["ours"] > 5 and told["wins"]["value"] == told["counts"]["ours"] / 10
    assert {one["authorization"] for one in server.headers} == {"Bearer s3cret-key"}
    folder = Path(said.json()["folder"])
    page = (folder / "report.html").read_text()
    assert "What another judge prefers" in page and "Fine-tuned preferred" in page
    assert not any("s3cret-key" in file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file())


def _merit(first: str, second: str) -> str:
    good = [any(letter.isalpha() for letter in said) for said in (first, second)]
    return "tie" if good[0] == good[1] else "A" if good[0] else "B"


def test_a_judge_without_its_key_is_refused_before_training(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    engine = {"url": "http://127.0.0.1:9/v1", "model": "judge", "key_env": "NO_SUCH_KEY"}
    said = run(asked_of_colours(lambda colour: colour), evaluate={"judge": {"engine": engine}}, code=2, verb="check")
    assert "The environment variable NO_SUCH_KEY, named by engine.key_env, is not set" in said.err


CODE = {"command": ["sh", "check.sh"], "answer": "answer.txt", "files": {"check.sh": "check"}, "samples": 4, "k": [1, 2], "rows": 8}


def with_checks(rows: Rows) -> Rows:
    return [row | {"check": f'[ "$(cat answer.txt)" = {row["completion"]} ]'} for row in rows]


@sandboxed
def test_code_is_run_and_what_passes_is_counted(run: Any) -> None:
    train = {"max_steps": 30, "learning_rate": 0.01}
    evaluate = {"few_shot": [0], "max_new_tokens": 6, "code": CODE}
    said = run(with_checks(asked_of_colours(lambda colour: colour)), train=train, evaluate=evaluate).json()
    told, folder = said["report"]["code"], Path(said["folder"])
    tuned, base = told["systems"]
    samples = json.loads((folder / "looks" / "code-tuned-samples.json").read_text())
    assert len(samples) == 8 and all(len(some) == 4 for some in samples)
    ended = json.loads((folder / "looks" / "code-tuned.json").read_text())
    assert tuned["right"] == sum(one == "right" for some in ended for one in some) > 0 == base["right"]
    assert tuned["pass_at_k"][0]["value"] == pytest.approx(tuned["right"] / 32)
    assert told["references"] == {"passed": 8, "rows": 8} and told["notes"] == []
    page = (folder / "report.html").read_text()
    assert "Code that passes its tests" in page and "pass@2" in page


def test_without_bubblewrap_code_is_refused_before_training(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = run(with_checks(asked_of_colours(lambda colour: colour)), evaluate={"code": CODE}, code=3, verb="check")
    assert "bubblewrap (bwrap) is not installed: install it, or leave pass@k out." in said.err


@sandboxed
def test_a_row_without_its_tests_is_refused_before_training(run: Any) -> None:
    said = run(asked_of_colours(lambda colour: colour), evaluate={"code": CODE}, code=3, verb="check")
    assert "holds no text in the column 'check', which evaluate.code.files names for check.sh" in said.err


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ({"k": [20]}, "k 20 needs as many samples"),
        ({"answer": "../x"}, "is no name of a file"),
        ({"files": {"answer.txt": "check"}}, "stands in files too"),
        ({"readable": ["/"]}, "can't be shown to code that is run"),
    ],
)
def test_code_that_can_not_be_run_so_is_refused(run: Any, code: dict[str, Any], sentence: str) -> None:
    said = run([{"prompt": "a", "completion": "b"}], evaluate={"code": CODE | code}, code=2, verb="check")
    assert sentence in said.err
