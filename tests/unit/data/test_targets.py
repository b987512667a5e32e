"""Rows that ask for label sets, numbers or spans, or judge an answer: read, cleaned, divided, kept on disk."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, RecipeError, TunesmithError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import DataConfig, NormaliseConfig, Task
from tunesmith.data.dataset import Dataset, SideWriter, read_dataset, write_head
from tunesmith.data.dedup import conflicting
from tunesmith.data.normalise import normalise
from tunesmith.data.prepare import prepare
from tunesmith.data.split import assign
from tunesmith.data.strata import Strata
from tunesmith.score.meanings import write_spans

SHARES = {"train": 0.7, "select": 0.075, "calibrate": 0.075, "test": 0.15}


def prepared(files: ModuleType, folder: Path, rows: list[dict[str, Any]], **config: Any) -> Dataset:
    return prepare(DataConfig(path=str(files.jsonl(folder / "rows.jsonl", rows)), **config), 0).dataset


def every(dataset: Dataset) -> list[Row]:
    return [row for rows in dataset.sides.values() for row in rows]


# Reading


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([], ()),
        ('["a", "b"]', ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("b; a", ("a", "b")),
        ("", ()),
        ([3, 1], ("1", "3")),
    ],
)
def test_sets_of_labels(files: ModuleType, tmp_path: Path, labels: Any, expected: tuple[str, ...]) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", [{"text": "one", "labels": labels}, {"text": "two", "labels": "a;b"}])
    found = files.reading(path, Task.MULTILABEL)
    assert (found.format, found.separator, found.rows[0].labels) == ("text/labels", ";", expected)
    assert found.rows[0].answer == (", ".join(expected) or "none")


def test_what_divides_labels_is_told_and_may_be_named(files: ModuleType, tmp_path: Path) -> None:
    path = files.csv_file(
        tmp_path / "rows.csv", [{"text": f"t{n}", "tags": "Smith, J|Doe, A"} for n in range(3)] + [{"text": "x", "tags": ""}]
    )
    named = {"columns": {"text": "text", "labels": "tags"}}
    found = files.reading(path, Task.MULTILABEL, **named)
    assert found.rows[0].labels == ("Doe, A", "Smith, J")
    assert "'tags' is divided at '|': 2 labels, 1.5 a row; 1 of 4 rows have none." in found.notes
    assert files.reading(path, Task.MULTILABEL, label_separator=",", **named).rows[0].labels == ("A", "J|Doe", "Smith")


def test_a_list_of_labels_is_recognised_and_null_is_missing(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "labels": ["a", "b"][: n % 3]} for n in range(40)] + [{"text": "nothing said", "labels": None}]
    dataset = prepared(files, tmp_path, rows)
    assert dataset.task is Task.MULTILABEL and len(every(dataset)) == 40
    assert dataset.labels == {"a": 26, "b": 13}
    assert {"labels is missing": 1} in [stage["reasons"] for stage in dataset.waterfall]


@pytest.mark.parametrize(("written", "number"), [(3, 3.0), ("3.80", 3.8), (-0.5, -0.5), (-3.3e38, -3.3e38)])
def test_numbers(files: ModuleType, tmp_path: Path, written: Any, number: float) -> None:
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"text": "one", "rating": written}]), Task.REGRESS).rows[0]
    assert row.value == number and float(row.answer) == number


def test_two_texts_to_compare(files: ModuleType, tmp_path: Path) -> None:
    path = files.csv_file(tmp_path / "r.csv", [{"sentence1": "A b.", "sentence2": "C d.", "score": "2.5", "genre": "x"}])
    found = files.reading(path, Task.REGRESS)
    assert (found.format, found.rows[0].text(), found.rows[0].value) == ("first/second/value", "First: A b.\nSecond: C d.", 2.5)
    assert found.rows[0].fields == {"sentence1": "A b.", "sentence2": "C d.", "genre": "x"}


@pytest.mark.parametrize("value", ["high", "nan", float("inf"), True, [1], 1e308, -3.5e38, "1e39"])
def test_what_is_no_number_is_set_aside(files: ModuleType, tmp_path: Path, value: Any) -> None:
    rows = [{"text": f"t{n}", "value": n} for n in range(9)]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "bad", "value": value}]))
    found = files.reading(path, Task.REGRESS, bad_lines=0.2)
    assert len(found.rows) == 9 and len(found.bad) == 1


@pytest.mark.parametrize(
    "span",
    [
        {"start": 0, "end": 3, "label": "p"},
        {"start_position": 0, "end_position": 3, "entity_type": "p", "entity_value": "Ada"},
        {"start_offset": "0", "end_offset": 3.0, "type": "p"},
        {"start": 0, "end": 3, "labels": ["p"]},
        [0, 3, "p"],
    ],
)
def test_spans_under_their_usual_names(files: ModuleType, tmp_path: Path, span: Any) -> None:
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"text": "Ada came", "entities": [span]}]), Task.TAG).rows[0]
    assert (row.tags, row.answer) == (((0, 3, "p"),), "p: Ada")


@pytest.mark.parametrize(
    "span",
    [
        {"start": 0, "end": 9, "label": "p"},
        {"start": 3, "end": 3, "label": "p"},
        {"start": 0, "end": 2},
        "p",
        {"start": 0.5, "end": 2, "label": "p"},
    ],
)
def test_spans_that_can_not_be(files: ModuleType, tmp_path: Path, span: Any) -> None:
    with pytest.raises(DataError, match="span"):
        files.reading(files.jsonl(tmp_path / "r.jsonl", [{"text": "Ada came", "spans": [span]}]), Task.TAG)


def test_of_spans_that_overlap_the_longer_stays(files: ModuleType, tmp_path: Path) -> None:
    spans = [[0, 3, "p"], [0, 8, "q"], [9, 10, "r"]]
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"text": "Ada came in", "spans": spans}]), Task.TAG).rows[0]
    assert row.tags == ((0, 8, "q"), (9, 10, "r"))


@pytest.mark.parametrize(
    "tags",
    [["B-p", "I-p", "O", "B-l", "B-l"], ["B-p", "E-p", "O", "S-l", "S-l"], ["B-p", "L-p", "O", "U-l", "U-l"]],
)
def test_tokens_with_tags(files: ModuleType, tmp_path: Path, tags: list[str]) -> None:
    path = files.jsonl(tmp_path / "r.jsonl", [{"tokens": ["Bo", "Li", "in", "Rome", "Oslo"], "ner_tags": tags, "id": 1}])
    found = files.reading(path)
    row = found.rows[0]
    assert (found.task, row.text()) == (Task.TAG, "Bo Li in Rome Oslo")
    assert row.tags == ((0, 5, "p"), (9, 13, "l"), (14, 18, "l"))


def test_tags_without_marks_run_together_and_numbers_are_refused(files: ModuleType, tmp_path: Path) -> None:
    row = {"tokens": ["Bo", "Li", "in"], "tags": ["p", "p", "O"]}
    assert files.reading(files.jsonl(tmp_path / "r.jsonl", [row])).rows[0].tags == ((0, 5, "p"),)
    with pytest.raises(DataError, match="tags are numbers"):
        files.reading(files.jsonl(tmp_path / "r.jsonl", [row | {"tags": [1, 2, 0]}]))


def test_names_of_tags_that_parquet_keeps(files: ModuleType, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([{"tokens": ["Bo", "in"], "ner_tags": [1, 0]}])
    feature = {"feature": {"names": ["O", "B-p"], "_type": "ClassLabel"}, "_type": "List"}
    told = json.dumps({"info": {"features": {"tokens": {"feature": {"_type": "Value"}, "_type": "List"}, "ner_tags": feature}}})
    pq.write_table(table.replace_schema_metadata({"huggingface": told}), tmp_path / "r.parquet")
    assert files.reading(tmp_path / "r.parquet").rows[0].tags == ((0, 2, "p"),)


@pytest.mark.parametrize("flag", [True, 1, "true", "True", "yes"])
def test_judged_answers(files: ModuleType, tmp_path: Path, flag: Any) -> None:
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"messages": turns, "label": flag}]), Task.PREFER).rows[0]
    assert (row.answer, row.wanted, row.rejected) == ("A", True, None)
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"prompt": "Q", "completion": "A", "label": False}]), Task.PREFER).rows[0]
    assert (row.text(), row.answer, row.wanted) == ("Q", "A", False)


@pytest.mark.parametrize(
    ("row", "form", "task"),
    [
        ({"text": "t", "label": "a", "value": 3}, "text/label", "classify"),
        ({"text": "t", "spans": [[0, 1, "x"]]}, "text", "text"),
        ({"text": "t", "weight": 2.0}, "text", "text"),
        ({"prompt": "p", "completion": "c", "label": True}, "prompt/completion", "generate"),
        ({"text": "t", "label": "a;b"}, "text/label", "classify"),
        ({"text": "t", "tokens": ["t"], "tags": ["O"]}, "text", "text"),
    ],
)
def test_nothing_new_is_guessed_of_what_was_known(files: ModuleType, tmp_path: Path, row: dict[str, Any], form: str, task: str) -> None:
    found = files.reading(files.jsonl(tmp_path / "r.jsonl", [row] * 3))
    assert (found.format, found.task.value) == (form, task)


def test_an_id_is_a_hash_of_what_the_row_says_and_of_nothing_else(files: ModuleType, tmp_path: Path) -> None:
    row = files.reading(files.jsonl(tmp_path / "r.jsonl", [{"text": "t", "label": "a", "n": 1}])).rows[0]
    again = files.reading(files.jsonl(tmp_path / "s.jsonl", [{"n": 2, "label": "a", "text": "t"}])).rows[0]
    assert row.id == again.id == "327c22fef9ff4dae"
    ranked = files.reading(files.jsonl(tmp_path / "t.jsonl", [{"text": "t", "labels": ["a"]}])).rows[0]
    assert ranked.id != row.id


# Weights


def test_a_weight_is_read_where_it_is_named_and_no_part_of_the_row(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "r.jsonl", [{"text": "t", "label": "a", "importance": 2.5}])
    plain, weighed = files.reading(path).rows[0], files.reading(path, columns={"weight": "importance"}).rows[0]
    assert (plain.weight, plain.fields) == (1.0, {"importance": 2.5})
    assert (weighed.weight, weighed.fields, weighed.id) == (2.5, {}, plain.id)


@pytest.mark.parametrize("weight", [0, -1, "nan", "much", None])
def test_weights_that_can_not_be(files: ModuleType, tmp_path: Path, weight: Any) -> None:
    path = files.jsonl(tmp_path / "r.jsonl", [{"text": "t", "label": "a", "w": weight}])
    with pytest.raises(DataError, match="weight is not a finite number above 0"):
        files.reading(path, columns={"weight": "w"})


def test_the_column_of_weights_takes_no_other_part(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "r.jsonl", [{"text": "t", "score": 1, "rating": 2}])
    with pytest.raises(DataError, match="more than one way"):
        files.reading(path, Task.REGRESS)
    assert files.reading(path, Task.REGRESS, columns={"weight": "rating"}).rows[0].value == 1.0


# Cleaning


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  Ada   Lovelace\tcame  ", "Ada Lovelace\tcame"),
        ("Zo\u200bé \x00Ada", "Zoé Ada"),
        ("cafÃ© bei Ada", "café bei Ada"),
        ("a\r\n\n\n\nAda", "a\n\nAda"),
    ],
)
def test_spans_follow_their_characters_through_cleaning(text: str, clean: str) -> None:
    start = text.index("Ada")
    row = Row(id="r", prompt=(Message("user", text),), answer="p: Ada", tags=((start, start + 3, "p"),))
    (outcome,) = normalise([row], NormaliseConfig())
    assert outcome.row.text() == clean
    assert [clean[low:high] for low, high, _ in outcome.row.tags or ()] == ["Ada"]
    assert outcome.row.answer == "p: Ada"


def test_a_span_of_which_nothing_is_left_is_gone() -> None:
    row = Row(id="r", prompt=(Message("user", " \u200bAda"),), answer="x", tags=((0, 2, "x"), (2, 5, "y")))
    (outcome,) = normalise([row], NormaliseConfig())
    assert outcome.row.tags == ((0, 3, "y"),)


@pytest.mark.parametrize("text", ["Ã©Ã© Ada Ã© Bo", "Ada â€™s dÃ©jÃ\xa0 vu â€¦ Bo", "Ã¼" * 40 + " Ada and then Bo"])
def test_spans_follow_through_mended_letters(text: str) -> None:
    spans = tuple((text.index(word), text.index(word) + len(word), "p") for word in ("Ada", "Bo"))
    (outcome,) = normalise([Row(id="r", prompt=(Message("user", text),), answer="x", tags=spans)], NormaliseConfig())
    assert outcome.row.text() != text
    assert [outcome.row.text()[low:high] for low, high, _ in outcome.row.tags or ()] == ["Ada", "Bo"]


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["Ada", "  ", "\u200b", "\n\n\n", "\r\n", "\u00a0 ", "x", " ", "\x07", "Bo", "aa"]), max_size=30), st.data()
)
def test_words_that_cleaning_leaves_alone_keep_their_span(parts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts)))
    text = "".join(parts[:at]) + "qQz" + "".join(parts[at:])
    start = text.index("qQz")
    row = Row(id="r", prompt=(Message("user", text),), answer="p: qQz", tags=((start, start + 3, "p"),))
    (outcome,) = normalise([row], NormaliseConfig())
    (found,) = outcome.row.tags or ()
    assert outcome.row.text()[found[0] : found[1]] == "qQz"


def test_labels_are_cleaned_with_their_answer() -> None:
    row = Row(id="r", prompt=(Message("user", "t"),), answer="b  c, a", labels=("a", "b  c"))
    (outcome,) = normalise([row], NormaliseConfig())
    assert (outcome.row.labels, outcome.row.answer) == (("a", "b c"), "a, b c")


# Identity


def test_repeats_are_the_same_in_what_they_ask_for(files: ModuleType) -> None:
    base = Row(id="1", prompt=(Message("user", "t"),), answer="none", tags=((0, 1, "x"),))
    rows = [base, replace(base, id="2"), replace(base, id="3", tags=()), replace(base, id="4", weight=2.0)]
    pair = files.columns_of({"train": rows}).pair.tolist()
    assert [pair.index(key) for key in pair] == [0, 0, 2, 0]
    judged = [replace(base, id=str(n), tags=None, wanted=flag, answer=str(n)) for n, flag in enumerate((True, False))]
    columns = files.columns_of({"train": judged})
    assert len(set(columns.pair.tolist())) == 2
    assert not conflicting(columns, np.ones(2, bool)).any()


def test_a_dataset_keeps_everything_on_disk(tmp_path: Path) -> None:
    one = Row(id="1", prompt=(Message("user", "Ada came"),), answer="x")
    rows = [
        replace(one, labels=("a", "b"), weight=0.5),
        replace(one, id="2", labels=()),
        replace(one, id="3", value=2.5),
        replace(one, id="4", tags=((0, 3, "p"),)),
        replace(one, id="5", wanted=False),
        replace(one, id="6", rejected="y"),
        one,
    ]
    sides = {"train": rows, "select": [], "calibrate": [], "test": rows[:2]}
    dataset = Dataset(task=Task.TAG, format="f", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="x")
    (tmp_path / "set").mkdir()
    for side, held in sides.items():
        writer = SideWriter(tmp_path / "set", side)
        for row in held:
            writer.add(row)
        assert writer.close() == dataset.side_hash(side)
    write_head(tmp_path / "set", dataset)
    again = read_dataset(tmp_path / "set")
    assert again.sides == sides and again.id == dataset.id
    for change in ({"labels": ("a",)}, {"weight": 2.0}):
        other = replace(dataset, id="", hashes={}, sides=sides | {"train": [replace(rows[0], **change), *rows[1:]]})
        assert other.id != dataset.id


# Sides


def placed(files: ModuleType, rows: list[Row], seed: int) -> list[str]:
    columns = files.columns_of({"train": rows}, stratified=True)
    return [list(SHARES)[place] for place in assign(columns, np.ones(len(rows), bool), SHARES, seed)]


def test_every_side_holds_its_share_of_rare_labels_and_of_numbers(files: ModuleType) -> None:
    rows = [
        Row(id=f"m{n}", prompt=(Message("user", f"m {n}"),), answer="x", labels=("common", "rare") if n % 25 == 0 else ("common",))
        for n in range(1000)
    ]
    sides = placed(files, rows, 0)
    rare = Counter(side for side, row in zip(sides, rows, strict=True) if "rare" in (row.labels or ()))
    assert rare["test"] in (5, 6, 7) and rare["train"] in (26, 27, 28, 29, 30)
    numbers = [Row(id=f"v{n}", prompt=(Message("user", f"v {n}"),), answer="x", value=float(n * 7 % 1000)) for n in range(1000)]
    sides = placed(files, numbers, 0)
    low = Counter(side for side, row in zip(sides, numbers, strict=True) if (row.value or 0) < 100)
    assert 11 <= low["test"] <= 19


@given(st.lists(st.one_of(st.floats(-5, 5), st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(tuple)), min_size=2, max_size=40))
def test_rows_that_are_appended_move_none(files: ModuleType, values: list[Any]) -> None:
    rows = [
        Row(id=str(n), prompt=(Message("user", str(n)),), answer="x", **({"value": held} if isinstance(held, float) else {"labels": held}))
        for n, held in enumerate(values)
    ]
    whole = placed(files, rows, 1)
    assert whole[: len(rows) // 2] == placed(files, rows[: len(rows) // 2], 1)


def test_a_stratum_is_told_from_the_rows_before() -> None:
    strata = Strata()
    row = Row(id="1", labels=("a", "b"))
    assert [strata.of(one) for one in (row, replace(row, labels=("a",)), row, replace(row, labels=()))] == [
        "label a",
        "label a",
        "label b",
        "no label",
    ]
    assert strata.of(Row(id="2", wanted=False)) == "wanted False"


# Refused


@pytest.mark.parametrize(
    ("rows", "task", "words"),
    [
        ([{"text": f"t{n}", "labels": ["a"]} for n in range(60)], "multilabel", "carry the same labels, 'a'"),
        ([{"text": f"t{n}", "value": 2} for n in range(60)], "regress", "hold one number, 2"),
        ([{"text": f"t{n}", "spans": []} for n in range(60)], "tag", "None of the 60 rows has a span"),
        ([{"prompt": f"t{n}", "completion": "c", "label": True} for n in range(60)], "prefer", "All 60 answers are wanted"),
        ([{"text": f"t{n}", "label": "a"} for n in range(60)], "regress", "value is not a finite number"),
        ([{"text": f"t{n}", "label": "a"} for n in range(60)], "tag", "needs columns"),
    ],
)
def test_rows_that_can_not_serve(files: ModuleType, tmp_path: Path, rows: list[dict[str, Any]], task: str, words: str) -> None:
    with pytest.raises(TunesmithError, match=words) as caught:
        prepared(files, tmp_path, rows, task=task)
    assert isinstance(caught.value, DataError | RecipeError)


# Real rows


def of(path: Path, task: Task) -> Dataset:
    return prepare(DataConfig(path=str(path), task=task), 0).dataset


@pytest.fixture(scope="module")
def spans(shared_data: Path) -> Dataset:
    """Synthetic letters with the personal data in them marked."""
    return of(shared_data / "pii_synth/synth_dataset_v2.json.gz", Task.TAG)


def test_real_sets(shared_data: Path, spans: Dataset) -> None:
    stsb = of(shared_data / "stsb/train.csv", Task.REGRESS)
    assert len(every(stsb)) == 5709 or len(every(stsb)) > 5600
    assert all(row.value is not None and 0 <= row.value <= 5 for row in every(stsb))
    assert len(spans.labels) == 17
    assert all(row.answer == write_spans(row.text(), row.tags or ()) for row in every(spans))
    kto = of(shared_data / "preferences_demo/kto_en_demo.jsonl.gz", Task.PREFER)
    assert Counter(row.wanted for row in every(kto)) == {True: 150, False: 150}


def test_every_real_span_still_says_what_it_said(shared_data: Path, spans: Dataset) -> None:
    import gzip

    from tunesmith.data.normalise import _clean, _steps

    raw = json.loads(gzip.decompress((shared_data / "pii_synth/synth_dataset_v2.json.gz").read_bytes()))
    values = {
        (span["entity_type"], " ".join(_clean(span["entity_value"], _steps(NormaliseConfig()), {}).split()))
        for item in raw
        for span in item["spans"]
    }
    astray = [
        row.text()[start:end]
        for row in every(spans)
        for start, end, label in row.tags or ()
        if (label, " ".join(row.text()[start:end].split())) not in values
    ]
    assert len(astray) <= 3  # a letter repaired in its sentence and not alone
