"""Real public sets, where they stand beside the repository: each is read right, or answered in one sentence."""

from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.core.errors import TunesmithError
from tunesmith.data.config import DataConfig, ReadConfig
from tunesmith.data.prepare import prepare


@pytest.mark.parametrize(
    ("path", "rows", "form", "task"),
    [
        ("banking77/train.csv", 10_003, "text/label", "classify"),
        ("banking77/test.csv", 3_080, "text/label", "classify"),
        ("gsm8k/test.jsonl.gz", 1_319, "prompt/completion", "generate"),
        ("e2e_nlg/devset.csv.gz", 4_672, "prompt/completion", "generate"),
        ("instructions_alpaca_demo/alpaca_en_demo.jsonl.gz", 999, "instruction/input/output", "generate"),
        ("preferences_demo/dpo_en_demo.jsonl.gz", 300, "prompt/chosen/rejected", "prefer"),
        ("preferences_demo/kto_en_demo.jsonl.gz", 300, "messages", "generate"),
        ("preferences_hh/harmless_base_test.jsonl.gz", 2_307, "prompt/chosen/rejected", "prefer"),
        ("toolcalls/glaive_toolcall_en_demo.jsonl.gz", 300, "messages", "generate"),
        ("toolcalls/stock_toolcall_training.jsonl", 86, "messages", "generate"),
        ("toxicity_surge/toxicity_en.csv", 1_000, "text/label", "classify"),
        ("wikitext2_eval/test.txt.gz", 1_320, "text", "text"),
    ],
)
def test_read_right(files: ModuleType, shared_data: Path, path: str, rows: int, form: str, task: str) -> None:
    result = files.collected(str(shared_data / path), ReadConfig(), None)
    assert (len(result.rows), result.format, result.task.value) == (rows, form, task)
    assert all(row.answer for row in result.rows[:50])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("clinc150/data_full.json.gz", "JSON object"),
        ("banking77/categories.json", "write each row as an object"),
        ("stsb/train.parquet", "sentence1, sentence2, score"),
    ],
)
def test_answered_in_one_sentence(files: ModuleType, shared_data: Path, path: str, words: str) -> None:
    with pytest.raises(TunesmithError, match=words) as caught:
        files.collected(str(shared_data / path), ReadConfig(), None)
    assert "\n" not in str(caught.value)


def test_banking77_with_its_own_test_set(shared_data: Path) -> None:
    folder = shared_data / "banking77"
    config = DataConfig(path=str(folder / "train.csv"), test_path=str(folder / "test.csv"), rows_per_label=10)
    data = prepare(config, 0).dataset
    assert (len(data.sides["train"]), len(data.sides["test"]), len(data.labels)) == (770, 3_080, 77)
    divided = next(stage["kept"] for stage in data.waterfall if stage["stage"] == "split") - 3_080
    assert 9_000 < divided < 10_003  # what nearly stands in the test set is not trained on
    due = 0.15 * divided
    assert len(data.sides["select"]) + len(data.sides["calibrate"]) == pytest.approx(due, abs=40)
