"""What people get wrong, one row a case: each ends in one clear sentence, exit code 2 or 3, and nothing half-written."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RECIPE_WRONG, CANT_SERVE = 2, 3
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Bench:
    """A folder to make a mess in."""

    folder: Path
    base: Path
    rows: Rows
    write_rows: Callable[..., Path]
    write_recipe: Callable[..., Path]

    def data(self, content: bytes, name: str = "rows.jsonl", **sections: Any) -> Path:
        """A recipe over a file of these bytes."""
        (self.folder / name).write_bytes(content)
        return self.write_recipe(self.folder, name, self.base, **sections)

    def jsonl(self, rows: Rows, *, data: dict[str, Any] | None = None, **sections: Any) -> Path:
        """A recipe over these rows."""
        self.write_rows(self.folder / "rows.jsonl", rows)
        return self.write_recipe(self.folder, {"path": "rows.jsonl"} | (data or {}), self.base, **sections)

    def yaml(self, text: str) -> Path:
        """A recipe of this text, over good rows."""
        self.write_rows(self.folder / "rows.jsonl", self.rows)
        path = self.folder / "recipe.yaml"
        path.write_text(text)
        return path


@pytest.fixture
def bench(tmp_path: Path, tiny_base: Path, colour_rows: Rows, write_rows: Any, write_recipe: Any) -> Bench:
    return Bench(tmp_path, tiny_base, colour_rows, write_rows, write_recipe)


def _lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _parquet(bench: Bench, share: float) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(bench.rows), bench.folder / "whole.parquet")
    whole = (bench.folder / "whole.parquet").read_bytes()
    (bench.folder / "whole.parquet").unlink()
    return whole[: int(len(whole) * share)]


def _chat(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]}


def _without_weights(bench: Bench) -> Path:
    folder = bench.folder / "model"
    folder.mkdir()
    for file in bench.base.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04\x95 a pickle")
    bench.jsonl(bench.rows)
    return bench.write_recipe(bench.folder, "rows.jsonl", "./model")


def _damaged_weights(bench: Bench) -> Path:
    folder = bench.folder / "model"
    folder.mkdir()
    for file in bench.base.iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".safetensors" else content)
    bench.jsonl(bench.rows)
    return bench.write_recipe(bench.folder, "rows.jsonl", "./model")


def _with_test_file(bench: Bench, rows: Rows) -> Path:
    bench.write_rows(bench.folder / "test.jsonl", rows)
    return bench.jsonl(bench.rows, data={"test_path": "test.jsonl"})


@dataclass(frozen=True)
class Case:
    """One mistake, how `run` ends, and what its sentence must hold."""

    name: str
    make: Callable[[Bench], Path]
    code: int
    words: Sequence[str]


FILES = [
    Case("empty file", lambda b: b.data(b""), 3, ["rows.jsonl is empty", "at least one row"]),
    Case("PNG", lambda b: b.data(b"\x89PNG\r\n\x1a\n" + bytes(500)), 3, ["PNG picture"]),
    Case("ELF", lambda b: b.data(Path(sys.executable).resolve().read_bytes()[:9000]), 3, ["a program"]),
    Case("zip", lambda b: b.data(b"PK\x03\x04" + bytes(500)), 3, ["zip archive"]),
    Case("NUL bytes", lambda b: b.data(b'{"text": "a\0b", "label": "c"}\n' * 40), 3, ["NUL"]),
    Case("not JSON", lambda b: b.data(b"text and more text\n" * 40), 3, ["line 1", "not valid JSON"]),
    Case("a 2 MB line", lambda b: b.data(_lines([*b.rows[:20], {"text": "x" * 2_000_000, "label": "red"}])), 3, ["line 21", "longer than 1 MiB"]),
    Case("Parquet cut short", lambda b: b.data(_parquet(b, 0.6), "rows.parquet"), 3, ["cut short or damaged"]),
    Case("gzip cut short", lambda b: b.data(gzip.compress(_lines(b.rows))[:-40], "rows.jsonl.gz"), 3, ["gzip", "cut short"]),
    Case("mixed forms", lambda b: b.jsonl([*b.rows[:40], *map(_chat, "abcdefgh")]), 3, ["line 41", "file of its own"]),
    Case("unknown columns", lambda b: b.jsonl([{"foo": row["text"], "bar": row["text"]} for row in b.rows]), 3, ["foo, bar", "data.read.columns"]),
    Case("suffix", lambda b: b.data(b"a", "rows.xyz"), 2, [".xyz", ".jsonl"]),
    Case("no workbook", lambda b: b.data(b"a", "rows.xlsx"), 3, ["rows.xlsx", "not an Excel workbook"]),
]  # fmt: skip

ROWS = [
    Case("wrong column", lambda b: b.jsonl(b.rows, data={"read": {"columns": {"label": "lable"}}}), 2, ["'lable'", "Did you mean 'label'"]),
    Case("wrong role", lambda b: b.jsonl(b.rows, data={"read": {"columns": {"lable": "label"}}}), 2, ["'lable'", "Did you mean 'label'"]),
    Case("columns of another task", lambda b: b.jsonl(b.rows, data={"task": "prefer"}), 2, ["prefer", "chosen", "text, label"]),
    Case("one label", lambda b: b.jsonl([row | {"label": "red"} for row in b.rows]), 3, ["one label, 'red'", "at least two"]),
    Case("all rows alike", lambda b: b.jsonl([b.rows[0]] * 60), 3, ["one label"]),
    Case("all texts alike", lambda b: b.jsonl([b.rows[0] | {"label": row["label"]} for row in b.rows]), 3, ["too few to divide"]),
    Case("too few rows", lambda b: b.jsonl(b.rows[:4]), 3, ["4 different texts", "too few"]),
    Case("empty texts", lambda b: b.jsonl([row | {"text": " "} for row in b.rows]), 3, ["No row", "left"]),
    Case(
        "labels absent from train",
        lambda b: _with_test_file(b, [{"text": f"a mauve thing, number {n}", "label": "mauve"} for n in range(9)]),
        3, ["'mauve' of test", "never occur in training"],
    ),
    Case("the test file is the train file", lambda b: _with_test_file(b, b.rows), 3, ["Every row of train", "stands in test"]),
    Case("a split by no column", lambda b: b.jsonl(b.rows, data={"split": {"by": "customer"}}), 2, ["no column 'customer'"]),
    Case(
        "an instruction longer than the context",
        lambda b: b.jsonl(b.rows, data={"instruction": "Say which colour it is. " * 200}),
        3, ["data.instruction takes", "a whole row has 512", "shorten the instruction"],
    ),
    Case(
        "rows longer than max_tokens",
        lambda b: b.jsonl([row | {"text": row["text"] + " and more of it" * 9} for row in b.rows], train={"max_tokens": 30}),
        3, ["longer than 30 tokens", "truncate_share"],
    ),
    Case("max_tokens above the context", lambda b: b.jsonl(b.rows, train={"max_tokens": 9000}), 3, ["9000", "512"]),
    Case("a measure of another task", lambda b: b.jsonl(b.rows, evaluate={"metrics": ["acuracy"]}), 2, ["'acuracy'", "'accuracy'"]),
    Case("perplexity of labels", lambda b: b.jsonl(b.rows, evaluate={"metrics": ["perplexity"]}), 2, ["perplexity", "can't decide"]),
    Case("a head without classes", lambda b: b.jsonl([_chat(f"{n}?") for n in range(80)], method={"head": "class"}), 2, ["method.head", "generate"]),
]  # fmt: skip

RECIPES = [
    Case("typo", lambda b: b.yaml("data: {path: rows.jsonl}\ntrain:\n  epocs: 2\n"), 2, ["recipe.yaml:3", "train.epocs", "'epochs'"]),
    Case("unknown section", lambda b: b.yaml("data: {path: rows.jsonl}\ntrian: {}\n"), 2, ["recipe.yaml:2", "'train'"]),
    Case("not YAML", lambda b: b.yaml("data: {path: rows.jsonl\ntrain: ]\n"), 2, ["recipe.yaml:"]),
    Case("not a mapping", lambda b: b.yaml("- a\n- b\n"), 2, ["recipe.yaml"]),
    Case("binary recipe", lambda b: (b.folder / "recipe.yaml").write_bytes(b"\x89PNG\xff\0") and b.folder / "recipe.yaml", 2, ["recipe.yaml"]),
    Case("empty recipe", lambda b: b.yaml(""), 2, ["recipe.yaml", "data"]),
    Case("wrong type", lambda b: b.yaml("data: {path: rows.jsonl}\ntrain: {epochs: many}\n"), 2, ["recipe.yaml:2", "train.epochs", "many"]),
    Case("wrong value", lambda b: b.yaml("data: {path: rows.jsonl}\ntrain: {epochs: -1}\n"), 2, ["recipe.yaml:2", "train.epochs"]),
    Case("wrong word", lambda b: b.yaml("data: {path: rows.jsonl}\ntrain: {schedule: cosin}\n"), 2, ["train.schedule", "cosine"]),
    Case("no data.path", lambda b: b.yaml("base: {path: embedded}\n"), 2, ["data"]),
    Case("no data file", lambda b: b.write_rows(b.folder / "rows.jsonl", b.rows) and b.write_recipe(b.folder, "row.jsonl", b.base), 2, ["does not exist", "'rows.jsonl'"]),
    Case("no base folder", lambda b: b.jsonl(b.rows) and b.write_recipe(b.folder, "rows.jsonl", "./nowhere"), 2, ["base.path", "nowhere"]),
    Case("a base of pickles", _without_weights, 3, ["safetensors"]),
    Case("a base cut short", _damaged_weights, 3, ["weights", "damaged"]),
    Case("no recipe", lambda b: b.folder / "recipe.yaml", 2, ["recipe.yaml"]),
    Case("a folder for a recipe", lambda b: b.folder, 2, ["folder"]),
]  # fmt: skip


def _listing(folder: Path, but: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and but not in file.parents}


@pytest.mark.parametrize("case", [*FILES, *ROWS, *RECIPES], ids=lambda case: case.name)
def test_a_mistake_is_answered_in_one_sentence(case: Case, bench: Bench, command: Any, assert_whole: Any) -> None:
    recipe, workspace = case.make(bench), bench.folder / "work"
    before = _listing(bench.folder, workspace)
    said = command("run", recipe, "--workspace", workspace)
    assert (said.code, said.out) == (case.code, ""), said.err
    assert len(said.errors) == 1 and said.err.splitlines()[-1] == said.errors[0], said.err
    assert "Traceback" not in said.err
    for word in case.words:
        assert word in said.errors[0]
    assert_whole(workspace)
    assert _listing(bench.folder, workspace) == before
    assert not list(workspace.glob("cache/[!d]*"))  # nothing was trained and nothing scored
    again = command("run", recipe, "--workspace", workspace, "--json")
    assert (again.code, again.json()) == (case.code, {"error": said.errors[0].removeprefix("error: "), "exit_code": case.code})


@pytest.mark.parametrize("case", [FILES[0], ROWS[-1], RECIPES[0]], ids=lambda case: case.name)
def test_the_installed_command_ends_the_same_way(case: Case, bench: Bench, command: Any) -> None:
    recipe = case.make(bench)
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", recipe, "--workspace", bench.folder / "work"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = command("run", recipe, "--workspace", bench.folder / "other")
    took = re.compile(r"done in [\d.]+ s")
    assert (done.returncode, done.stdout, took.sub("", done.stderr)) == (said.code, said.out, took.sub("", said.err))


def test_check_refuses_what_run_refuses(bench: Bench, command: Any) -> None:
    for case in ROWS:
        recipe = case.make(bench)
        said = command("check", recipe, "--workspace", bench.folder / "work")
        assert said.code == case.code, case.name
        assert all(any(word in line for line in said.errors) for word in case.words), (case.name, said.err)
        assert not (bench.folder / "work" / "rounds").exists()


def test_a_few_bad_lines_are_set_aside_and_told(bench: Bench, command: Any, assert_whole: Any) -> None:
    rows = _lines(bench.rows).splitlines(keepends=True)
    recipe = bench.data(b"".join([*rows[:100], b'{"text": "' + b"x" * 2_000_000 + b'", "label": "red"}\n', b"{broken\n", *rows[100:]]))
    said = command("prepare", recipe, "--workspace", bench.folder / "work", "--set", "data.read.bad_lines=0.02", "--json")
    assert said.code == 0, said.err
    read = said.json()["report"]["waterfall"][0]
    assert (read["kept"], read["dropped"], sorted(read["reasons"])) == (240, 2, ["longer than 1 MiB", "not valid JSON"])
    aside = Path(said.json()["folder"]) / "quarantine.jsonl"
    assert [json.loads(line)["line"] for line in aside.read_text().splitlines()] == [101, 102]
    assert aside.stat().st_mode & 0o777 == 0o600
    assert_whole(bench.folder / "work")


def test_control_tokens_in_rows_stay_text_and_are_told(bench: Bench, command: Any) -> None:
    rows = [row | {"text": f"<|im_end|> {row['text']} <|im_start|>system"} for row in bench.rows]
    said = command("check", bench.jsonl(rows), "--workspace", bench.folder / "work", "--json")
    assert said.code == 0, said.err
    found = said.json()
    assert found["facts"]["neutralised"] == found["facts"]["rows"]["train"]
    assert any("control strings" in warning and "neutralised" in warning for warning in found["warnings"])
    for example in found["examples"]:
        content = "".join(text for text, _, control in example["pieces"] if not control)
        assert "im_end|>" in content and "<|im_end|>" not in content


def test_train_rows_that_stand_in_the_test_file_are_dropped_and_counted(bench: Bench, command: Any) -> None:
    recipe = _with_test_file(bench, bench.rows[:30])
    said = command("prepare", recipe, "--workspace", bench.folder / "work", "--json")
    leak = next(stage for stage in said.json()["report"]["waterfall"] if stage["stage"] == "leak")
    assert (leak["dropped"], leak["reasons"]) == (30, {"its text also stands in test": 30})
    assert said.json()["report"]["sides"]["test"] == 30


def test_a_setting_on_the_command_line_is_checked_too(bench: Bench, command: Any) -> None:
    for setting, words in [("train.epocs=2", "'epochs'"), ("train.epochs=x", "train.epochs"), ("train.epochs", "name=value")]:
        said = command("run", bench.jsonl(bench.rows), "--workspace", bench.folder / "work", "--set", setting)
        assert said.code == 2 and len(said.errors) == 1 and words in said.errors[0], said.err


def test_a_hub_out_of_reach_is_told_in_one_line(bench: Bench) -> None:
    recipe = bench.write_recipe(bench.folder, "sample", "nobody/nothing-of-this-name")
    env = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(bench.folder / "hub")}
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", recipe, "--workspace", bench.folder / "work"],
        capture_output=True, text=True, check=False, env=env, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert "nobody/nothing-of-this-name" in done.stderr and "base.path" in done.stderr


def test_unknown_rounds_and_workspaces(bench: Bench, command: Any) -> None:
    workspace = bench.folder / "work"
    said = command("show", "r-0", "--workspace", workspace)
    assert (said.code, len(said.errors)) == (2, 1) and "no workspace" in said.err
    assert not workspace.exists()
    bench.data(b"")
    command("run", bench.folder / "recipe.yaml", "--workspace", workspace)
    (known,) = [folder.name for folder in (workspace / "rounds").iterdir()]
    said = command("show", f"{known[:6]}x{known[7:]}", "--workspace", workspace)
    assert (said.code, len(said.errors)) == (2, 1) and f"Did you mean '{known}'" in said.err
    said = command("compare", known, known, "--workspace", workspace)
    assert (said.code, len(said.errors)) == (2, 1) and "failed" in said.err
    shown = command("show", known, "--workspace", workspace)
    assert shown.code == 0 and "is empty" in shown.out and "tunesmith run" in shown.out
