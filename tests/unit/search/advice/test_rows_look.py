"""Rows are looked at as they are, and a tokenizer that hardly knows their words is found out."""

from pathlib import Path

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.dataset import Dataset
from tunesmith.models.config import BaseConfig
from tunesmith.search.advice.bases import read_base
from tunesmith.search.advice.rows import look_at, read_by, sampled

ENGLISH = "Please tell me when the train to the old town leaves in the morning and where I can buy a ticket for it"
RUSSIAN = "Скажите пожалуйста когда утром отправляется поезд в старый город и где можно купить на него билет"


def dataset(texts: list[str], task: Task = Task.CLASSIFY) -> Dataset:
    rows = [
        Row(id=f"{place:016x}", prompt=(Message("user", f"{text} {place}"),), answer="ab"[place % 2]) for place, text in enumerate(texts)
    ]
    cut = len(rows) * 3 // 4
    sides = {"train": rows[:cut], "select": rows[cut:], "calibrate": [], "test": []}
    return Dataset(task=task, format="text/label", mapping={}, labels={}, sides=sides, waterfall=[], notes=(), path="rows.jsonl")


def test_what_is_told_of_rows(tiny_base: Path) -> None:
    look = look_at(dataset([ENGLISH] * 80), seed=0)
    assert (look.task, look.language, look.words, look.answer_words) == (Task.CLASSIFY, "en", 24, 1)
    assert look.label_rows == (30, 30)
    assert look.counts == {"train": 60, "select": 20, "calibrate": 0, "test": 0}
    assert look.floor is not None
    assert (look.floor.rows, look.floor.trained_on, look.floor.commonest) == (20, 60, 0.5)


def test_a_script_the_tokenizer_never_saw_is_found_out(tiny_base: Path) -> None:
    """The tokenizer of the tiny base learnt English."""
    base = read_base(BaseConfig(path=str(tiny_base)))
    english, russian = (read_by(base, look_at(dataset([text] * 40), seed=0)) for text in (ENGLISH, RUSSIAN))
    assert english.pieces == 0
    assert russian.pieces > 0.5
    assert english.per_token > 3 * russian.per_token
    assert english.per_word < 2 < 6 < russian.per_word


def test_rows_longer_than_the_context_are_counted(tiny_base: Path) -> None:
    base = read_base(BaseConfig(path=str(tiny_base)))
    texts = [ENGLISH, ENGLISH, ENGLISH, ENGLISH * 40] * 20
    reading = read_by(base, look_at(dataset(texts), seed=0))
    assert reading.cut == pytest.approx(0.25)
    assert reading.tokens < 60 < base.context < reading.tokens_most
    assert reading.tokens_mean == pytest.approx(0.75 * reading.tokens + 0.25 * base.context, rel=0.02), "what is cut is not read"


def test_without_a_row_there_is_nothing_to_advise_on() -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl leaves no row to train on"):
        look_at(dataset([]), seed=0)


def test_a_sample_hardly_changes_where_rows_are_appended() -> None:
    rows = [Row(id=f"{place:016x}", answer="a") for place in range(400)]
    few, more = sampled(rows[:300], 100, 0), sampled(rows, 100, 0)
    assert len(few) == len(more) == 100
    assert sampled(rows, 400, 0) == rows
    appended = {row.id for row in rows[300:]}
    assert all(row in few for row in more if row.id not in appended)
    assert [row.id for row in more] == sorted(row.id for row in more)
