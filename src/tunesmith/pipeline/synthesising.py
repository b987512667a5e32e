"""Questions, cards and quizzes of documents: passages in, checked items out, written for training, for Anki, for spreadsheets, for people."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import make_folder, write_json, write_text
from tunesmith.core.progress import Ended, Listener, Started
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.settings.synthesise import SynthesiseConfig
from tunesmith.data.source import find
from tunesmith.data.synthesise.exports.anki import anki_lines
from tunesmith.data.synthesise.exports.quiz import quiz_page
from tunesmith.data.synthesise.exports.rows import as_record, training_rows
from tunesmith.data.synthesise.exports.table import csv_lines
from tunesmith.data.synthesise.items import Item
from tunesmith.data.synthesise.synthesise import Accepted, Tally, synthesise
from tunesmith.pipeline.handed import engine_of
from tunesmith.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class _Passage:
    text: str
    source: str
    position: str
    title: str


def passages_of(path: str) -> list[_Passage]:
    """The passages of a document, or of a folder or glob of documents.

    Raises:
        RecipeError: nothing is there.
        DataError: it holds no passage.
    """
    family, source = find(path, 2**26, ReadConfig(documents=True))
    records = [item for item in reader(family)(source) if not isinstance(item, BadLine)]
    found = [_passage(record) for record in records if str(record.values.get("text", "")).strip()]
    if not found:
        raise DataError(f"{path} holds no passage of text: give documents (md, txt, html, pdf, docx).")
    return found


def _passage(record: Record) -> _Passage:
    values = record.values
    return _Passage(
        str(values["text"]), str(values.get("source") or record.file), str(values.get("position", "")), str(values.get("title", ""))
    )


def synthesised(path: str, out: Path, config: SynthesiseConfig, seed: int, workspace: Workspace, listen: Listener) -> dict[str, Any]:
    """Make items of documents and write them into a folder: rows.jsonl, anki.txt, items.csv, quiz.html, account.json; returns the account.

    Raises:
        RecipeError: nothing is at the path, or the engine's key is missing.
        DataError: no passage is there, or no item passed its checks.
        MachineError: the folder can't be written.
    """
    listen(Started("synthesise"))
    started = time.monotonic()
    engine = None if config.engine is None else engine_of(config.engine, workspace)
    passages, tally, items = passages_of(path), Tally(), list[Item]()
    for result in synthesise(passages, config, seed, engine):
        tally.add(result)
        if isinstance(result, Accepted):
            items.append(result.item)
    account = {"passages": len(passages), "items": len(items), "kinds": tally.to_json()}
    if not items:
        raise DataError(f"No item of {path} passed its checks ({json.dumps(account['kinds'])}): give longer documents, or other kinds.")
    _write(make_folder(out), items, Path(path).name, account)
    listen(Ended("synthesise", time.monotonic() - started))
    return account


def _write(out: Path, items: list[Item], title: str, account: dict[str, Any]) -> None:
    write_text(out / "rows.jsonl", _joined(json.dumps(as_record(row), ensure_ascii=False) + "\n" for row in training_rows(items)))
    write_text(out / "anki.txt", _joined(anki_lines(items, title)))
    write_text(out / "items.csv", _joined(csv_lines(items)))
    write_text(out / "quiz.html", _joined(quiz_page(items, title)))
    write_json(out / "account.json", account)


def _joined(parts: Iterable[str]) -> str:
    return "".join(parts)
