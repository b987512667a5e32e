"""The stages together, the dataset they make, and its folder."""

import json
import random
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.core.errors import DataError, MachineError, RecipeError
from tunesmith.core.progress import Advanced, Ended, Event, Said, Started
from tunesmith.data.config import DataConfig, Task
from tunesmith.data.dataset import Dataset, Prepared, read_dataset
from tunesmith.data.prepare import prepare


def prepared(path: Path, seed: int = 0, **config: Any) -> Prepared:
    return prepare(DataConfig(path=str(path), **config), seed)


def texts(data: Dataset, side: str) -> set[str]:
    return {row.text().casefold() for row in data.sides[side]}


def test_a_dataset_and_its_folder(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled(200)
    rows.append({"text": "MESSAGE 5", "label": "no", "customer": 1})
    path = files.jsonl(tmp_path / "rows.jsonl", [*rows, "a secret that is no JSON", {"text": None, "label": "yes"}])
    made = prepared(path)
    data = made.dataset
    assert (data.task, data.format, data.mapping) == (Task.CLASSIFY, "text/label", {"text": "text", "label": "label"})
    assert data.labels == {"no": 100, "yes": 100}
    assert data.counts() == pytest.approx({"train": 140, "select": 15, "calibrate": 15, "test": 30}, abs=3)
    made.write(tmp_path / "out")
    assert read_dataset(tmp_path / "out") == data
    quarantine = tmp_path / "out" / "quarantine.jsonl"
    assert stat.S_IMODE(quarantine.stat().st_mode) == 0o600
    assert json.loads(quarantine.read_text()) == {
        "file": "rows.jsonl",
        "line": 202,
        "reason": "not valid JSON",
        "raw": "a secret that is no JSON",
    }
    for name in ("outcomes.jsonl", "dataset.json"):
        assert "secret" not in (tmp_path / "out" / name).read_text()
        assert "message 5" not in (tmp_path / "out" / name).read_text().casefold()
    quarantine.unlink()
    assert read_dataset(tmp_path / "out") == data


def test_damage_is_found(files: ModuleType, tmp_path: Path) -> None:
    prepared(files.jsonl(tmp_path / "rows.jsonl", files.labelled(100))).write(tmp_path / "out")
    side = tmp_path / "out" / "test.jsonl"
    whole = side.read_text()
    side.write_text(whole.replace("yes", "no", 1))
    with pytest.raises(DataError, match=r"test\.jsonl is not what was written"):
        read_dataset(tmp_path / "out")
    side.unlink()
    with pytest.raises(DataError, match="damaged"):
        read_dataset(tmp_path / "out")
    with pytest.raises(MachineError):
        read_dataset(tmp_path / "nowhere")


def test_identity_is_content_not_place(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled(100)
    first = prepared(files.jsonl(tmp_path / "one.jsonl", rows)).dataset
    second = prepared(files.csv_file(tmp_path / "two.csv", [{key: str(value) for key, value in row.items()} for row in rows]))
    same = prepared(files.jsonl(tmp_path / "three.jsonl", rows)).dataset
    assert first.id == same.id
    assert first.side_hash("test") == same.side_hash("test")
    assert {row.id for row in second.dataset.sides["test"]} == {row.id for row in first.sides["test"]}
    assert prepared(tmp_path / "one.jsonl", seed=1).dataset.id != first.id


def test_appending_rows_moves_none_through_the_whole_way(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": f"message {number}", "label": f"label {number % 5}"} for number in range(300)]
    more = [{"text": f"message {number}", "label": f"label {number % 3}"} for number in (*range(60), *range(300, 340))]
    for conflicts in ("keep", "drop"):
        before = prepared(files.jsonl(tmp_path / "a.jsonl", rows), dedup={"conflicts": conflicts}).dataset
        after = prepared(files.jsonl(tmp_path / "b.jsonl", rows + more), dedup={"conflicts": conflicts}).dataset
        side_of = {row.id: side for side, held in before.sides.items() for row in held}
        moved = [row.id for side, held in after.sides.items() for row in held if side_of.get(row.id, side) != side]
        assert moved == []


def test_supplied_parts_are_used_whole_and_leaks_dropped_from_train(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": f"message {number}", "label": f"label {number % 2}", "customer": number} for number in range(100)]
    test = [{"text": f"MESSAGE {number}", "label": "label 0", "customer": 900 + number} for number in range(10)]
    validation = [{"text": f"message {number}", "label": "label 1", "customer": 800 + number} for number in range(5, 40)]
    made = prepared(
        files.jsonl(tmp_path / "train.jsonl", rows),
        test_path=str(files.jsonl(tmp_path / "test.jsonl", [*test, test[0]])),
        validation_path=str(files.csv_file(tmp_path / "validation.csv", validation)),
    )
    data = made.dataset
    assert len(data.sides["test"]) == 11
    assert data.counts()["train"] == 60
    assert len(data.sides["select"]) + len(data.sides["calibrate"]) == 30
    assert abs(len(data.sides["select"]) - len(data.sides["calibrate"])) <= 2
    leak = next(stage for stage in data.waterfall if stage["stage"] == "leak")
    assert leak["reasons"] == {"its text also stands in validation": 30, "its text also stands in test": 15}
    ids = [row.id for held in data.sides.values() for row in held]
    assert len(set(ids)) == len(ids)
    for side in ("select", "calibrate", "test"):
        assert not texts(data, side) & texts(data, "train")


def test_groups_stay_together(files: ModuleType, tmp_path: Path) -> None:
    data = prepared(files.jsonl(tmp_path / "rows.jsonl", files.labelled(400)), split={"by": "customer"}).dataset
    sides: dict[Any, set[str]] = {}
    for side, rows in data.sides.items():
        for row in rows:
            sides.setdefault(row.fields["customer"], set()).add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert all(data.counts().values())


def test_samples(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", files.labelled(400))
    whole = prepared(path).dataset
    data = prepared(path, rows_per_label=10, test_rows=20).dataset
    assert Counter(row.answer for row in data.sides["train"]) == {"yes": 10, "no": 10}
    assert len(data.sides["test"]) == 20
    assert data.sides["select"] == whole.sides["select"]
    assert {row.id for row in data.sides["test"]} <= {row.id for row in whole.sides["test"]}
    assert data.waterfall[-1]["stage"] == "sample"
    assert len(prepared(path, rows=30).dataset.sides["train"]) == 30


def test_an_instruction_stands_before_every_row(files: ModuleType, tmp_path: Path) -> None:
    data = prepared(files.jsonl(tmp_path / "rows.jsonl", files.labelled(100)), instruction="Sort this.").dataset
    assert all(row.prompt[0].content == "Sort this." for rows in data.sides.values() for row in rows)


@pytest.mark.parametrize(
    ("rows", "config", "kind", "words"),
    [
        ([{"text": f"t{number}", "label": "only"} for number in range(50)], {}, DataError, "at least two"),
        ([{"text": f"t{number}", "label": "ab"[number % 2]} for number in range(6)], {}, DataError, "About 27 are needed"),
        ([{"text": "", "label": "a"}] * 10, {}, DataError, "text is missing: 10 rows"),
        (
            [{"text": f"t{number}", "label": "ab"[number % 2]} for number in range(60)],
            {"split": {"by": "customr"}},
            RecipeError,
            "no column",
        ),
        (
            [{"text": f"t{number}", "label": "ab"[number % 2]} for number in range(60)],
            {"split": {"by": "text"}},
            RecipeError,
            "leave it out",
        ),
        ([{"prompt": f"t{n}", "completion": f"c{n}"} for n in range(60)], {"rows_per_label": 3}, RecipeError, "needs labels"),
    ],
)
def test_rows_that_cannot_serve(
    files: ModuleType, tmp_path: Path, rows: list[Any], config: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        prepared(files.jsonl(tmp_path / "rows.jsonl", rows), **config)


def test_too_small_a_validation_file(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled(100)
    one = files.jsonl(tmp_path / "validation.jsonl", [{"text": "alone", "label": "yes"}])
    with pytest.raises(DataError, match=r"data\.validation_path holds too few"):
        prepared(files.jsonl(tmp_path / "rows.jsonl", rows), validation_path=str(one))
    copy = files.jsonl(tmp_path / "copy.jsonl", rows)
    with pytest.raises(DataError, match="also stands in test"):
        prepared(tmp_path / "rows.jsonl", test_path=str(copy))


def test_labels_that_cannot_be_learnt_or_measured_are_told(files: ModuleType, tmp_path: Path) -> None:
    rows = [*files.labelled(100), {"text": "rare one", "label": "rare"}, {"text": "case", "label": "YES"}]
    test = [{"text": f"new {number}", "label": label} for number, label in enumerate(["yes", "no", "unknown", "unknown"])]
    made = prepared(files.jsonl(tmp_path / "rows.jsonl", rows), test_path=str(files.jsonl(tmp_path / "test.jsonl", test)))
    notes = " ".join(made.dataset.notes)
    assert "1 label has ('unknown') no row in train but 2" in notes
    assert "('YES', 'rare') no row in test" in notes
    assert "'YES', 'yes'" in notes


def test_contradictions_are_counted(files: ModuleType, tmp_path: Path) -> None:
    path = files.jsonl(tmp_path / "rows.jsonl", [*files.labelled(100), {"text": "message 3", "label": "yes"}])
    assert any("1 texts carry more than one label (2 rows, kept" in note for note in prepared(path).dataset.notes)
    data = prepared(path, dedup={"conflicts": "drop"}).dataset
    assert sum(data.counts().values()) == 99


def test_progress_is_told(files: ModuleType, tmp_path: Path) -> None:
    heard: list[Event] = []
    prepare(DataConfig(path=str(files.jsonl(tmp_path / "rows.jsonl", files.labelled(1200)))), 0, heard.append)
    started = [event.work for event in heard if isinstance(event, Started)]
    assert (
        started
        == [event.work for event in heard if isinstance(event, Ended)]
        == [
            "read",
            "clean",
            "near-duplicates",
            "split",
            "dedup",
            "relabel",
            "write",
            "audit",
        ]
    )
    assert Advanced("read", 1200) in heard
    assert any(isinstance(event, Said) and "text/label" in event.text for event in heard)


def test_the_sample_passes_on_defaults() -> None:
    from tunesmith.embedded import sample_path

    if not sample_path().is_file():
        pytest.skip("the embedded sample is not there")
    made = prepare(DataConfig(path="sample"), 0)
    data = made.dataset
    lines = sum(1 for line in sample_path().open("rb") if line.strip())
    assert data.task is Task.CLASSIFY
    assert len(made.outcomes) == lines
    assert min(data.counts().values()) > 100


def test_importing_loads_no_heavy_library() -> None:
    code = (
        "import sys, tunesmith.data.prepare, tunesmith.data.read; "
        "print([name for name in ('torch', 'transformers', 'polars', 'pyarrow', 'ftfy', 'sklearn', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_copies_in_other_groups_are_dropped_however_many_rather_than_divided(files: ModuleType, tmp_path: Path) -> None:
    draw = random.Random(5)
    words = [
        "card",
        "rake",
        "cheque",
        "order",
        "refund",
        "broken",
        "garden",
        "letter",
        "parcel",
        "tuesday",
        "blue",
        "late",
        "seven",
        "paid",
        "never",
        "under",
    ]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(400)]
    rows = [{"text": text, "label": "ab"[place % 2], "group": f"g{place}"} for place, text in enumerate(texts)]
    copies = [{"text": text + "!", "label": "ab"[place % 2], "group": f"c{place}"} for place, text in enumerate(texts[:200])]
    data = prepared(files.jsonl(tmp_path / "rows.jsonl", rows + copies), split={"by": "group"}).dataset
    side_of = {row.text(): side for side, held in data.sides.items() for row in held}
    both = [text for text in texts[:200] if text in side_of and text + "!" in side_of]
    assert all(side_of[text] == side_of[text + "!"] for text in both)
    assert len(both) == 200  # a group of one goes along with what it resembles
    bound = [row | {"group": f"g{399 - place}"} for place, row in enumerate(copies)]
    data = prepared(files.jsonl(tmp_path / "bound.jsonl", rows + bound), split={"by": "group"}).dataset
    side_of = {row.text(): side for side, held in data.sides.items() for row in held}
    both = [text for text in texts[:200] if text in side_of and text + "!" in side_of]
    assert all(side_of[text] == side_of[text + "!"] for text in both)
    split = next(stage for stage in data.waterfall if stage["stage"] == "split")
    assert split["reasons"] == {"resembles a row on another side": 200 - len(both)}
    assert 200 - len(both) > 0.1 * 600


def test_ids_give_no_way_to_test_a_guess_of_what_was_replaced(files: ModuleType, tmp_path: Path) -> None:
    key = tmp_path / "key.bin"
    key.write_bytes(bytes(range(32)))
    rows = [{"text": f"please send order {number} to mail{number}@example.org soon", "label": "ab"[number % 2]} for number in range(200)]
    path = files.jsonl(tmp_path / "rows.jsonl", rows)
    made = prepared(path, anonymise={"key": str(key)}).dataset
    guessed = prepared(path).dataset
    assert not {row.id for held in made.sides.values() for row in held} & {row.id for held in guessed.sides.values() for row in held}
    again = prepared(path, anonymise={"key": str(key)}).dataset
    assert again.id == made.id


def test_a_supplied_test_set_that_is_mostly_leaked_is_cleaned_of_all_of_it(files: ModuleType, tmp_path: Path) -> None:
    draw = random.Random(3)
    words = [
        "card",
        "rake",
        "cheque",
        "order",
        "refund",
        "broken",
        "garden",
        "letter",
        "parcel",
        "tuesday",
        "blue",
        "late",
        "seven",
        "paid",
    ]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(300)]
    rows = [{"text": text, "label": "ab"[place % 2]} for place, text in enumerate(texts)]
    test = [{"text": text + " x", "label": "ab"[place % 2]} for place, text in enumerate(texts[:150])]
    path, judging = files.jsonl(tmp_path / "rows.jsonl", rows), files.jsonl(tmp_path / "test.jsonl", test)
    data = prepared(path, test_path=str(judging)).dataset
    dropped = next(stage for stage in data.waterfall if stage["stage"] == "contamination")["reasons"]
    assert sum(dropped.values()) == 150


def test_benchmarks_of_one_name_are_both_kept_out(files: ModuleType, tmp_path: Path) -> None:
    rows = [
        {"text": f"{'one' if number % 2 else 'another'} question of its own kind, number {number * 7919}", "label": "ab"[number % 2]}
        for number in range(300)
    ]
    paths = []
    for folder, chosen in (("x", rows[:20]), ("y", rows[20:30]), ("z", rows[30:35])):
        (tmp_path / folder).mkdir()
        name = "validation.jsonl" if folder == "z" else "test.jsonl"
        paths.append(str(files.jsonl(tmp_path / folder / name, chosen)))
    data = prepared(files.jsonl(tmp_path / "rows.jsonl", rows), dedup={"near": False}, contamination={"paths": paths}).dataset
    kept = texts(data, "train") | texts(data, "select") | texts(data, "calibrate") | texts(data, "test")
    assert not kept & {row["text"].casefold() for row in rows[:35]}


def test_personal_data_far_down_a_file_is_seen(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"text": f"order {number * 7919} came late", "label": "ab"[number % 2]} for number in range(2500)]
    rows += [
        {"text": f"write to someone{number}@example.org about it", "label": "ab"[number % 2], "from": "x@example.org"}
        for number in range(500)
    ]
    made = prepared(files.jsonl(tmp_path / "rows.jsonl", rows))
    assert made.dataset.findings["personal"]["kinds"]["email"] > 100
    assert made.dataset.findings["personal"]["looked"] == 2000


def test_rows_without_a_label_are_dropped_where_the_label_set_is_known(files: ModuleType, tmp_path: Path) -> None:
    rows = files.labelled(200)
    for at, nothing in enumerate(["", "  ", "nan", None, "n/a"]):
        rows[at]["label"] = nothing
    made = prepared(files.jsonl(tmp_path / "rows.jsonl", rows), labels=["no", "yes"])
    stages = {stage["stage"]: stage for stage in made.dataset.waterfall}
    assert (stages["fill"]["reasons"], stages["filter"]["dropped"]) == ({"label is missing": 5}, 0)
    rows[7]["label"] = "nay"
    with pytest.raises(DataError, match=r"not in data\.labels: 'nay' \(1 rows; nearest: 'no'\)\. Add"):
        prepared(files.jsonl(tmp_path / "more.jsonl", rows), labels=["no", "yes"])
