"""Recipes as YAML: there and back again, and every mistake with its line."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from tunesmith.recipe.yaml import flat_settings

MINIMAL = "data: {path: rows.jsonl}\n"

_share = st.floats(min_value=0, max_value=0.4, exclude_min=True)
_texts = st.text(max_size=30)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Recipes with hostile text and awkward numbers in every kind of setting."""
    return Recipe.model_validate(
        {
            "seed": draw(st.integers(min_value=0, max_value=2**63 - 1)),
            "data": {
                "path": draw(_texts.filter(str.strip)),
                "test_path": draw(st.none() | _texts.filter(str.strip)),
                "instruction": draw(st.none() | _texts),
                "task": draw(st.none() | st.sampled_from(["classify", "generate", "prefer", "text"])),
                "read": {
                    "columns": {role: column for column, role in draw(st.dictionaries(_texts, _texts, max_size=3)).items()},
                    "bad_lines": draw(_share),
                },
                "split": {"validation": draw(_share), "test": draw(_share), "by": draw(st.none() | _texts)},
            },
            "base": {"path": draw(_texts), "remote_code": draw(st.lists(_texts, max_size=3))},
            "method": {
                "targets": draw(st.just("all-linear") | st.lists(_texts, max_size=3)),
                "alpha": draw(st.none() | st.floats(1e-6, 1e6)),
            },
            "train": {
                "epochs": draw(st.floats(min_value=1e-3, max_value=1e4)),
                "learning_rate": draw(st.none() | st.floats(1e-9, 1000)),
                "betas": draw(st.tuples(_share, _share)),
                "share_prefixes": draw(st.booleans()),
            },
            "evaluate": {"metrics": draw(st.lists(_texts, max_size=2)), "few_shot": draw(st.lists(st.integers(0, 1000), max_size=4))},
            "gates": {"gain": draw(st.none() | st.floats(allow_nan=False, allow_infinity=False))},
        }
    )


@settings(max_examples=60, deadline=None)
@given(recipes(), st.booleans())
def test_every_recipe_comes_back(recipe: Recipe, comments: bool) -> None:
    back = parse_recipe(dump_recipe(recipe, comments=comments))
    assert back == recipe
    assert back.identity() == recipe.identity()


@pytest.mark.parametrize(
    "text",
    ["no", "Null", "~", "1e-4", "2024-01-01", "0x1F", ".inf", "a: b", "# x", "- a", "[a", "*a", "&a", "<<", " x ", "", "a\nb", "\x1b[m"],
)
def test_text_that_looks_like_something_else(text: str) -> None:
    recipe = Recipe.model_validate({"data": {"path": "x", "instruction": text}})
    assert parse_recipe(dump_recipe(recipe)).data.instruction == text


@pytest.mark.parametrize(("written", "rate"), [("1e-4", 1e-4), ("2E-4", 2e-4), ("1.e-3", 1e-3), (".5", 0.5), ("3", 3.0)])
def test_numbers_of_yaml_1_2(written: str, rate: float) -> None:
    assert parse_recipe(f"{MINIMAL}train: {{learning_rate: {written}}}").train.learning_rate == rate


def test_words_of_yaml_1_1_and_dates_are_text() -> None:
    assert parse_recipe("data: {path: x, split: {by: no}, instruction: 2024-01-01}").data.split.by == "no"
    assert parse_recipe("data: {path: x, instruction: 2024-01-01}").data.instruction == "2024-01-01"


def test_sections_with_every_line_commented_out() -> None:
    text = "data:\n  path: x\n  split:\n    # by: y\ntrain:\n  # epochs: 1\n  early_stopping:\n"
    assert parse_recipe(text) == parse_recipe("data: {path: x}")


def test_a_null_that_means_something_stays() -> None:
    assert parse_recipe(f"{MINIMAL}train: {{early_stopping: {{patience: null}}}}").train.early_stopping.patience is None


def test_the_whole_recipe_is_written_each_setting_under_its_description() -> None:
    text = dump_recipe(parse_recipe(MINIMAL))
    assert "\nseed: 0\n" in text
    assert "  # Passes over the training rows.\n  epochs: 3.0\n" in text
    assert not [
        line for line in dump_recipe(parse_recipe(MINIMAL), comments=False).splitlines() if line.lstrip().startswith("#") or not line
    ]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 0\n\ntrain:\n  learning_rte: 1\ndata: {path: x}", "r.yaml:4: train.learning_rte is not a setting. Did you mean"),
        (f"{MINIMAL}epochs: 3", "r.yaml:2: epochs is not a setting. Did you mean 'train.epochs'?"),
        (f"{MINIMAL}train:\n  epochs: abc", "r.yaml:3: train.epochs is 'abc'; it must be a number. Leave it out for the default, 3.0."),
        (f"{MINIMAL}train: {{batch_rows: 1.5}}", "r.yaml:2: train.batch_rows is 1.5; it must be a whole number."),
        (f"{MINIMAL}train: {{batch_rows: true}}", "r.yaml:2: train.batch_rows is true; it must be a number."),
        (f"{MINIMAL}train: {{learning_rate: .nan}}", "r.yaml:2: train.learning_rate is nan; it must be a finite number or 'find'."),
        (
            f"{MINIMAL}train: {{schedule: cosin}}",
            "it must be one of cosine, linear, constant, wsd, one_cycle, plateau. Did you mean 'cosine'?",
        ),
        (f"{MINIMAL}method: {{targets: 3}}", "r.yaml:2: method.targets is 3; it must be a list, such as [a, b] or 'all-linear'."),
        (f"{MINIMAL}method:\n  targets:\n    - a\n    - 7\n", "r.yaml:5: method.targets[1] is 7; it must be text: put it in quotes."),
        (f"{MINIMAL}evaluate:\n  few_shot: [0,\n    four]", "r.yaml:4: evaluate.few_shot[1] is 'four'; it must be a whole number."),
        (f"{MINIMAL}gates: 3", "r.yaml:2: gates is 3; it must be a section"),
        ("data: {path: 3}", "r.yaml:1: data.path is 3; it must be text: put it in quotes."),
        ("seed: 1\ndata:\n  task: text", "r.yaml:2: data.path is missing: a file"),
        ("seed: 1", "r.yaml: data.path is missing: a file"),
        ("data: {path: x, dedup: {conflicts: kep}}", "it must be one of keep, drop, majority, ask. Did you mean 'keep'?"),
        ("data:\n  path: x\n  split: {validation: .6, test: .6}", "r.yaml:3: data.split: validation 0.6 + test 0.6 leave"),
        (
            "data:\n  path: x\n  split: {gain: .02, test: .3}",
            "r.yaml:3: data.split: gain 0.02 chooses the size of test, and test 0.3 names one",
        ),
        (
            "data:\n  path: x\n  test_path: y\n  split: {gain: .02}",
            "data: split.gain chooses how many rows go to test, and test_path supplies",
        ),
        ("data:\n  path: x\n  read:\n    columns: {text: a, label: a}", "r.yaml:4: data.read.columns: text and label are both column 'a'"),
        ("data: {path: ''}", "r.yaml:1: data.path: it is empty: name a file of examples."),
        ("data:\n  path: x\n  test_path: ' '", "r.yaml:3: data.test_path: it is empty: name a file of examples."),
        (f"{MINIMAL}method:\n  head: class\nobjective:\n  name: sft", "r.yaml:3: method.head: class is trained by objective.name"),
        ("seed: 1\nseed: 2\ndata: {path: x}", "r.yaml:2: seed is given twice, first on line 1: keep one."),
        ("data: {path: x, path: y}", "r.yaml:1: data.path is given twice"),
        ("data:\n\tpath: x", "r.yaml:2: a tab stands where YAML wants spaces"),
        ("data: {path: x\ntrain: 1", "r.yaml:1: a bracket or a quote is opened here and not closed"),
        ("data:\n  path: 'x", "r.yaml:2: a bracket or a quote is opened here and not closed"),
        ("data:\n  path: a: b", "r.yaml:2: a ':' stands where none may"),
        ("data:\n  path: @x", "r.yaml:2: character '@' that cannot start any token: put the text in quotes"),
        (f"{MINIMAL}epochs\nseed: 1", "without a ':'"),
        ("- a\n- b", "r.yaml holds no settings, only a list. A recipe starts with: data:"),
        ("hello", "r.yaml holds no settings, only a single value."),
        ("", "r.yaml is empty."),
        ("# nothing\n", "r.yaml is empty."),
        (f"{MINIMAL}---\nseed: 1", "r.yaml:2: a second document begins here"),
        ("data: {path: !!python/object:os.system x}", "r.yaml:1: data.path has the tag !!python/object:os.system"),
        ("data: !!omap\n- path: x", "r.yaml:1: data has the tag !!omap"),
        ("data: &d {path: x}\nbase: *d", "r.yaml:2: *d stands for another value, and recipes have no aliases"),
        ("? [a]\n: 1", "r.yaml:1: a name is expected here"),
        ('data: {path: x, "\\e[31m": 1}', "data.'\\x1b[31m' is not a setting."),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(text, "r.yaml")
    assert expected in str(refused.value)
    assert refused.value.exit_code == 2


def test_all_mistakes_at_once_in_order_of_line() -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe("seed: -1\nsede: 1\ndata:\n  path: x\n  path: y\ntrain:\n  epochs: 0\nmethod:\n  rank: x\n", "r.yaml")
    lines = [int(re.match(r"r\.yaml:(\d+): ", line)[1]) for line in str(refused.value).splitlines()]  # type: ignore[index]
    assert lines == [1, 2, 5, 7, 9]


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 50_000,
        "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a [*a]",
        "[" + "0," * 200_000 + "]",
        "data: {path: x}\nseed: " + "9" * 100_000,
        "x" * 2**21,
    ],
    ids=["lists", "mappings", "dashes", "billion", "itself", "many", "digits", "large"],
)
def test_bombs_are_refused_soon(bomb: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(bomb, "r.yaml")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("content", [b"\x00\x01", b"\x89PNG\r\n\x1a\n", "data: {path: x}".encode("utf-16"), b"PAR1\x15\x04", b"\xff"])
def test_a_binary_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match="is it the right file"):
        load_recipe(file)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is not there: name a recipe file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        load_recipe(tmp_path)
    (tmp_path / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(RecipeError, match="larger than 1 MiB"):
        load_recipe(tmp_path / "large.yaml")


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xef\xbb\xbfdata:\r\n  path: rows.jsonl\r\nseed: 7\r\n")
    assert load_recipe(file).seed == 7


def test_loading_takes_paths_from_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(MINIMAL)
    assert load_recipe(tmp_path / "r.yaml").data.path == str(tmp_path / "rows.jsonl")
    assert parse_recipe(MINIMAL).data.path == "rows.jsonl"


def test_settings_change_a_recipe() -> None:
    changes = ["train.epochs=1e-1", "data.instruction=", "method.targets=[q, v]", "data.read.columns.text=body", "gates.gain=0.01"]
    changed = parse_recipe("data: {path: x, instruction: hi}\ntrain: {epochs: 5, batch_rows: 3}\nmethod:", settings=changes)
    assert (changed.train.epochs, changed.train.batch_rows, changed.data.instruction) == (0.1, 3, None)
    assert (changed.method.targets, changed.data.read.columns, changed.gates.gain) == (["q", "v"], {"text": "body"}, 0.01)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("train.epochs", "--set train.epochs: write it as name=value"),
        ("=1", "write it as name=value"),
        ("train.epoch=1", "--set: train.epoch is not a setting. Did you mean 'epochs'?"),
        ("train.epochs=many", "--set: train.epochs is 'many'; it must be a number."),
        ("train.epochs=[1", "--set train.epochs:1: a bracket or a quote is opened"),
    ],
)
def test_settings_that_are_wrong(change: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(MINIMAL, "r.yaml", settings=[change])
    assert sentence in str(refused.value)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!#'\"|>%@\n \t,?1.~", max_size=40))
def test_whatever_is_written_the_answer_is_a_recipe_or_a_refusal(text: str) -> None:
    try:
        parse_recipe(text)
    except RecipeError as refused:
        assert str(refused)


def test_every_setting_by_its_dotted_name() -> None:
    flat: dict[str, Any] = flat_settings(parse_recipe(MINIMAL))
    assert flat["train.early_stopping.patience"] == "3"
    assert flat["data.path"] == "rows.jsonl"
    assert "train" not in flat


def test_a_setting_called_otherwise_in_python_is_read_and_written_by_its_name() -> None:
    text = "data: {path: rows.csv, fill: {fields: {label: {from: customer}, value: {constant: 0.5}, note: drop}}}\n"
    recipe = parse_recipe(text)
    assert recipe.data.fill.fields["label"].column == "customer"  # type: ignore[union-attr]
    assert "fields: {label: {from: customer}, value: {constant: 0.5}, note: drop}" in dump_recipe(recipe)
    assert parse_recipe(dump_recipe(recipe)) == recipe
    with pytest.raises(RecipeError, match=r"data\.fill\.fields\.label\.from"):
        parse_recipe(text.replace("customer", "true"))


def test_a_recipe_that_lets_the_gain_choose_comes_back_with_every_default_written() -> None:
    recipe = parse_recipe("data: {path: x, split: {gain: 0.02}}")
    assert parse_recipe(dump_recipe(recipe)) == recipe
    assert Recipe.model_validate(recipe.model_dump()) == recipe
