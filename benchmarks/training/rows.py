"""The rows of every case as token ids, made once and read by both sides: tokenising is timed on neither.

A row is a dict: `id`, `ids`, and `spans`, the supervised pieces of it; of a preference pair `prompt`, `chosen` and
`rejected`; for a head `ids` and `label`. Prompt and answer are tokenised apart, and the end of an answer is learnt.
"""

import csv
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from training.cases import CONTEXT, MOST_TOKENS, SEED
from tunesmith.chat.labels import label_texts
from tunesmith.chat.render import Renderer
from tunesmith.core.rows import Message
from tunesmith.embedded import base_path
from tunesmith.tree.plan import shared_length

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"

Row = dict[str, Any]


def instruction() -> str:
    """The instruction of the shared cases."""
    return (HERE / "instruction.txt").read_text(encoding="utf-8").strip()


def make_rows(name: str, count: int) -> dict[str, Any]:
    """`count` rows of that name, drawn with a fixed seed; those over MOST_TOKENS are left out and counted.

    Returns:
        `rows`, `labels` where there are any, `too_long`, and the instruction's length in tokens.
    """
    renderer = Renderer(AutoTokenizer.from_pretrained(base_path()), max_tokens=CONTEXT)
    if not DATA.is_dir():
        return {"rows": synthetic(name, count), "too_long": 0, "synthetic": True}
    kept: list[Row] = []
    too_long = 0
    for row in _READERS[name](renderer):
        if longest(row) > MOST_TOKENS:
            too_long += 1
            continue
        kept.append(row | {"id": str(len(kept))})
        if len(kept) == count:
            break
    if len(kept) < count:
        raise ValueError(f"{name} holds {len(kept)} rows that fit, and {count} are asked for: take fewer steps")
    labels = len(label_texts([row["category"] for row in _banking(False)], words=True))
    length = len(renderer.tokenizer.encode(instruction(), add_special_tokens=False))
    return {"rows": kept, "labels": labels, "too_long": too_long, "instruction_tokens": length}


def longest(row: Row) -> int:
    """Tokens of a row, or of the longer side of a pair."""
    if "prompt" in row:
        return len(row["prompt"]) + max(len(row["chosen"]), len(row["rejected"]))
    return len(row["ids"])


def sequences(row: Row) -> list[list[int]]:
    """The token sequences of a row: one, or both sides of a pair."""
    if "prompt" in row:
        return [row["prompt"] + row["chosen"], row["prompt"] + row["rejected"]]
    return [row["ids"]]


def _shuffled(rows: list[Any]) -> list[Any]:
    random.Random(SEED).shuffle(rows)
    return rows


def _banking(shuffled: bool = True) -> list[dict[str, str]]:
    with (DATA / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return _shuffled(rows) if shuffled else rows


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _asked(text: str) -> list[Message]:
    return [Message("system", instruction()), Message("user", text)]


def _answered(prompt: tuple[int, ...], answer: tuple[int, ...]) -> Row:
    ids = [*prompt, *answer]
    return {"ids": ids, "spans": [[len(prompt), len(ids)]]}


def _banking_shared(renderer: Renderer) -> Iterator[Row]:
    rows = _banking()
    words = label_texts([row["category"] for row in rows], words=True)
    for row in rows:
        yield _answered(renderer.prompt(_asked(row["text"])).ids, renderer.answer(words[row["category"]]))


def _banking_pairs(renderer: Renderer) -> Iterator[Row]:
    rows = _banking()
    words = label_texts([row["category"] for row in rows], words=True)
    labels, draw = sorted(words), random.Random(SEED)
    for row in rows:
        wrong = draw.choice([label for label in labels if label != row["category"]])
        prompt = renderer.prompt(_asked(row["text"])).ids
        yield {"prompt": [*prompt], "chosen": [*renderer.answer(words[row["category"]])], "rejected": [*renderer.answer(words[wrong])]}


def _banking_bare(renderer: Renderer) -> Iterator[Row]:
    rows = _banking()
    place = {label: index for index, label in enumerate(sorted({row["category"] for row in rows}))}
    for row in rows:
        yield {"ids": renderer.tokenizer.encode(row["text"], add_special_tokens=False), "label": place[row["category"]]}


def _banking_asked(renderer: Renderer) -> Iterator[Row]:
    rows = _banking()
    place = {label: index for index, label in enumerate(sorted({row["category"] for row in rows}))}
    for row in rows:
        yield {"ids": [*renderer.prompt(_asked(row["text"])).ids], "label": place[row["category"]]}


def _gsm8k(renderer: Renderer) -> Iterator[Row]:
    for row in _shuffled(_json_lines(DATA / "gsm8k" / "train.jsonl.gz")):
        yield _answered(renderer.prompt([Message("user", row["question"])]).ids, renderer.answer(row["answer"]))


def _dialogues(renderer: Renderer) -> Iterator[Row]:
    """Whole dialogues, every system turn supervised. One row a turn is the pieces of it up to the end of each span."""
    for dialogue in _shuffled(_json_lines(DATA / "dialogues_sgd" / "train.jsonl.gz")):
        messages: list[Message] = []
        ids: list[int] = []
        spans: list[list[int]] = []
        for turn in dialogue["turns"]:
            if turn["speaker"] == "SYSTEM" and messages:
                prompt, answer = renderer.prompt(messages).ids, renderer.answer(turn["utterance"])
                if list(prompt[: len(ids)]) != ids:
                    break  # tokenised together it would differ from what was answered: not the same row both ways
                ids = [*prompt, *answer]
                spans.append([len(prompt), len(ids)])
            messages.append(Message("assistant" if turn["speaker"] == "SYSTEM" else "user", turn["utterance"]))
        if spans:
            yield {"ids": ids, "spans": spans}


def _transcript(text: str) -> list[Message]:
    """`\\n\\nHuman: ...\\n\\nAssistant: ...` as messages."""
    messages: list[Message] = []
    for piece in text.split("\n\nHuman: ")[1:]:
        asked, *answers = piece.split("\n\nAssistant: ")
        messages.append(Message("user", asked.strip()))
        messages += [Message("assistant", answer.strip()) for answer in answers]
    return messages


def _hh_pairs(renderer: Renderer) -> Iterator[Row]:
    for row in _shuffled(_json_lines(DATA / "preferences_hh" / "harmless_base_test.jsonl.gz")):
        chosen, rejected = _transcript(row["chosen"]), _transcript(row["rejected"])
        ends = chosen and rejected and chosen[-1].role == rejected[-1].role == "assistant"
        if not ends or chosen[:-1] != rejected[:-1] or chosen[-1] == rejected[-1]:
            continue
        if len(renderer.prompt(chosen[:-1]).ids) < CONTEXT - 1:
            sides = {"chosen": [*renderer.answer(chosen[-1].content)], "rejected": [*renderer.answer(rejected[-1].content)]}
            yield {"prompt": [*renderer.prompt(chosen[:-1]).ids]} | sides


_READERS = {
    "banking77-shared": _banking_shared,
    "banking77-pairs": _banking_pairs,
    "banking77-bare": _banking_bare,
    "banking77-asked": _banking_asked,
    "gsm8k": _gsm8k,
    "dialogues": _dialogues,
    "hh-pairs": _hh_pairs,
}


def write_lengths(count: int = 200) -> None:
    """Write lengths.json from the real sets: the tokens all rows begin with, and of each row what stands before each answer."""
    found = {}
    for name in ("banking77-shared", "gsm8k", "dialogues"):
        rows = make_rows(name, count)["rows"]
        shared = shared_length(min(row["ids"] for row in rows), max(row["ids"] for row in rows))
        pieces = []
        for row in rows:
            ends = [shared, *(end for _, end in row["spans"])]
            pieces.append([[start - before, end - start] for before, (start, end) in zip(ends, row["spans"], strict=False)])
        found[name] = {"shared": shared, "rows": pieces}
    (HERE / "lengths.json").write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


def synthetic(name: str, count: int) -> list[Row]:
    """Rows of random ids with the lengths of real ones, drawn with a fixed seed from lengths.json."""
    lengths = json.loads((HERE / "lengths.json").read_text(encoding="utf-8"))[name]
    draw = random.Random(SEED)
    shared = [draw.randrange(10, 4000) for _ in range(lengths["shared"])]
    rows: list[Row] = []
    for number in range(count):
        ids, spans = list(shared), []
        for before, answer in draw.choice(lengths["rows"]):
            ids += [draw.randrange(10, 4000) for _ in range(before)]
            spans.append([len(ids), len(ids) + answer])
            ids += [draw.randrange(10, 4000) for _ in range(answer)]
        rows.append({"id": str(number), "ids": ids, "spans": spans})
    return rows
