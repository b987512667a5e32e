"""Every public training set beside the repository is read without a mapping, or answered in one sentence that says what to write."""

from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.core.errors import TunesmithError
from tunesmith.data.config import ReadConfig, Task


@pytest.mark.parametrize(
    ("path", "task", "rows", "form"),
    [
        ("banking77/train.csv", None, 10_003, "text/label"),
        ("clinc150/data_full.json.gz#train", None, 15_000, "text/label"),
        ("clinc150/data_small.json.gz#oos_val", "classify", 100, "text/label"),
        ("gsm8k/train.jsonl.gz", None, 7_473, "prompt/completion"),
        ("e2e_nlg/devset.csv.gz", None, 4_672, "prompt/completion"),
        ("cued_nlg/hotel_train.jsonl", None, 3_223, "prompt/completion"),
        ("cued_nlg/*_train.jsonl", None, 6_337, "prompt/completion"),
        ("bias_madlibs/bias_madlibs_half.csv.gz", None, 38_332, "text/label"),
        ("pii_synth/synth_dataset_v2.json.gz", "tag", 1_500, "text/spans"),
        ("toxicity_surge/toxicity_en.csv", None, 1_000, "text/label"),
        ("hate_offensive/labeled_data.csv.gz", None, 24_783, "text/label"),
        ("preferences_hh/harmless_base_test.jsonl.gz", None, 2_307, "prompt/chosen/rejected"),
        ("preferences_demo/dpo_en_demo.jsonl.gz", None, 300, "prompt/chosen/rejected"),
        ("preferences_demo/kto_en_demo.jsonl.gz", "prefer", 300, "messages/wanted"),
        ("instructions_seed", None, 427, "instruction/input/output"),
        ("instructions_alpaca_demo/alpaca_en_demo.jsonl.gz", None, 999, "instruction/input/output"),
        ("instructions_t0", None, 9_385, "prompt/completion"),
        ("toolcalls/glaive_toolcall_en_demo.jsonl.gz", None, 300, "messages"),
        ("toolcalls/stock_toolcall_training.jsonl", None, 86, "messages"),
        ("dialogues_sgd/train.jsonl.gz", None, 1_500, "messages"),
        ("stsb/train.csv", "regress", 5_749, "first/second/value"),
        ("stsb/train.parquet", "regress", 5_749, "first/second/value"),
        ("pretrain_en/train*", None, 3_459, "text"),
        ("wikitext2_eval/test.txt.gz", None, 1_320, "text"),
    ],
)
def test_read_without_a_mapping(files: ModuleType, shared_data: Path, path: str, task: str | None, rows: int, form: str) -> None:
    result = files.collected(str(shared_data / path), ReadConfig(), Task(task) if task else None)
    assert (len(result.rows), result.format) == (rows, form)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("banking77", "several kinds"),
        ("banking77/*.csv", "data.test_path"),
        ("clinc150/data_full.json.gz", "data_full.json.gz#train"),
        ("cued_nlg", r"several splits \(test, train, validation\)"),
        ("pii_synth/synth_dataset_v2.json.gz", "With data.task: tag they would"),
        ("stsb/train.csv", "With data.task: regress they would"),
        ("bbq/Religion.jsonl.gz", "data.read.columns"),
        ("instructions_seed/none*", "meets no file"),
    ],
)
def test_one_sentence_with_the_next_move(files: ModuleType, shared_data: Path, path: str, words: str) -> None:
    with pytest.raises(TunesmithError, match=words) as caught:
        files.collected(str(shared_data / path), ReadConfig(), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("path", "least"), [("documents/md", 100), ("documents/html", 100), ("documents", 300)])
def test_documents_become_passages(files: ModuleType, shared_data: Path, path: str, least: int) -> None:
    result = files.collected(str(shared_data / path), ReadConfig(), None)
    assert (result.task, result.format) == (Task.TEXT, "text") and len(result.rows) >= least
    words = [len(row.answer.split()) for row in result.rows]
    assert max(words) <= 260 and 90 <= sum(words) / len(words) <= 200
    assert all(row.fields["position"] and row.fields["title"] and row.fields["source"] for row in result.rows)


def test_the_same_handbook_as_pdf_and_as_docx_gives_the_same_words(files: ModuleType, shared_data: Path) -> None:
    words = {
        kind: [
            word
            for row in files.collected(str(shared_data / "documents" / kind / f"techfar-handbook-2014.{kind}"), ReadConfig(), None).rows
            for word in row.answer.split()
        ]
        for kind in ("pdf", "docx")
    }
    shared = len(set(words["pdf"]) & set(words["docx"]))
    assert shared / len(set(words["docx"])) > 0.93
