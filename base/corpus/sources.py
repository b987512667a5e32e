"""The texts the corpus is made from, read and lightly cleaned. Sets that anything is evaluated on are never opened here.

Curly quotes become straight ones: people type straight ones, and one spelling of "don't" is enough for a small model.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.seeds import fraction

PRETRAIN, DIALOGUES, INSTRUCTIONS = "pretrain_en", "dialogues_sgd", "instructions_seed"
HELD_OUT = 0.03
"""Share of dialogues and instructions kept for valid_chat, chosen by id."""

CREDITS = {
    "eltec_eng": ("COST-ELTeC/ELTeC-eng", "texts in the public domain; markup CC BY 4.0"),
    "openstax": ("OpenStax textbooks (openstax/osbooks-*)", "CC BY 4.0"),
    "us_state_of_the_union": ("nltk/nltk_data: state_union", "public domain"),
    "us_inaugural": ("nltk/nltk_data: inaugural", "public domain"),
    "cia_factbook": ("factbook/factbook.json", "CC0 1.0 / public domain"),
    "tiny_shakespeare": ("karpathy/char-rnn: tinyshakespeare", "public domain"),
    "pratham_books": ("Pratham Books StoryWeaver, global-asp/pb-source", "CC BY (a few public domain)"),
    "african_storybook": ("African Storybook, global-asp/asp-source", "CC BY"),
    DIALOGUES: ("google-research-datasets/dstc8-schema-guided-dialogue: train", "CC BY-SA 4.0"),
    INSTRUCTIONS: ("yizhongw/self-instruct: seed_tasks, user_oriented_instructions", "Apache-2.0"),
}
"""Who to credit for each source, and its licence."""

_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u2026": "..."})
_SENTENCE = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")


@dataclass(frozen=True, slots=True)
class Document:
    """One plain text."""

    id: str
    source: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation: `turns` alternate, the user first."""

    id: str
    services: tuple[str, ...]
    intents: tuple[str, ...]
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One solved instruction."""

    id: str
    prompt: str
    text: str
    answer: str


def family(source: str) -> str:
    """The key in CREDITS: all OpenStax books share one."""
    return source.split(":")[0]


def clean(text: str) -> str:
    """Straight quotes, no trailing spaces, at most one empty line, nothing that looks like a control token."""
    text = text.translate(_STRAIGHT).replace("\r", "").replace("<|", "< |")
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r" ?\n ?", "\n", re.sub(r"\n\s*\n+", "\n\n", text)).strip()


def sentences(text: str) -> list[str]:
    """Sentences of one paragraph: cut after . ! ? before a capital; a quick rule, wrong after some abbreviations."""
    parts = (part.strip() for part in _SENTENCE.split(text.replace("\n", " ")))
    return [part.strip('"') if part.count('"') == 1 else part for part in parts if part]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    raw = path.read_bytes()
    for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).split(b"\n"):
        if line.strip():
            yield json.loads(line)


def documents(data: Path, side: str) -> list[Document]:
    """The plain texts of `train` or `valid`, in file order."""
    files = sorted((data / PRETRAIN).glob(f"{side}*.jsonl.gz"))
    return [Document(row["id"], row["source"], clean(row["title"]), clean(row["text"])) for file in files for row in _rows(file)]


def _side(key: str) -> str:
    return "valid" if fraction(0, key) < HELD_OUT else "train"


def dialogues(data: Path, side: str) -> list[Dialogue]:
    """Conversations of the train part only; a few of them are held out as `valid`."""
    found = []
    for row in _rows(data / DIALOGUES / "train.jsonl.gz"):
        speakers = [turn["speaker"] for turn in row["turns"]]
        alternate = speakers == ["USER", "SYSTEM"] * (len(speakers) // 2)
        if alternate and _side(row["dialogue_id"]) == side:
            turns = tuple(clean(turn["utterance"]) for turn in row["turns"])
            found.append(Dialogue(row["dialogue_id"], tuple(row["services"]), tuple(row["intents"]), turns))
    return found


def instructions(data: Path, side: str) -> list[Instruction]:
    """Human-written instructions with answers; very long ones are passed over."""
    found = []
    for name in ("seed_tasks.jsonl", "user_oriented_instructions.jsonl"):
        for row in _rows(data / INSTRUCTIONS / name):
            for number, instance in enumerate(row["instances"]):
                key = f"{row['id']}-{number}"
                item = Instruction(key, clean(row["instruction"]), clean(instance["input"]), clean(instance["output"]))
                if item.answer and len(item.prompt + item.text + item.answer) < 4000 and _side(row["id"]) == side:
                    found.append(item)
    return found
