"""Build what the embedded base is pretrained on: a tokenizer and token files.

    python base/build_corpus.py            # reads ../shared/data, writes base/work/corpus, some minutes on one core

Plain English texts, task dialogues, human-written instructions, and prompts of our own making over the first two, in
the chat form the product uses. Every draw is seeded: the same data give the same bytes. Sets that anything is
evaluated on are not read.
"""

import argparse
import functools
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus.dialogues import DialogueForms
from corpus.exercise import Exercise, to_messages
from corpus.passages import PassageForms
from corpus.sources import (
    CREDITS,
    DIALOGUES,
    INSTRUCTIONS,
    PRETRAIN,
    Dialogue,
    Document,
    Instruction,
    dialogues,
    documents,
    family,
    instructions,
)
from corpus.tokens import END_OF_TEXT, TEMPLATE, everyday_texts, train_tokenizer
from transformers import PreTrainedTokenizerFast

from tunesmith.chat.template import render_text
from tunesmith.core.files import whole_folder, write_json
from tunesmith.core.hashing import digest_file
from tunesmith.core.rows import Message
from tunesmith.core.seeds import derive_seed

ROOT = Path(__file__).resolve().parent.parent
DIALOGUE_CHATS = {
    "intent": 5600, "service": 4400, "act": 600, "same_intent": 1800, "speaker": 300,
    "next_reply": 1000, "topic_of_conversation": 1200, "opposite_label": 600,
}  # fmt: skip
PASSAGE_CHATS = {
    "genre": 1600, "title": 4400, "made_up_label": 1400, "cloze": 1200, "following": 1100, "same_text": 1100, "same_words": 700,
    "odd_one": 800, "reorder": 300, "find": 1700, "continuation": 1300, "name_it": 1100, "question_or_not": 600, "proofread": 700,
}  # fmt: skip
"""Chats drawn of each form; held-out files get a fiftieth."""
CONVERSATION_COPIES, INSTRUCTION_COPIES = 2, 3


@dataclass(frozen=True, slots=True)
class Piece:
    """One document of the corpus."""

    part: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read, of one side."""

    documents: list[Document]
    dialogues: list[Dialogue]
    instructions: list[Instruction]


def read_sources(data: Path, side: str) -> Sources:
    """Everything of `train` or `valid`."""
    return Sources(documents(data, side), dialogues(data, side), instructions(data, side))


def chat_text(messages: list[Message]) -> str:
    """Messages through the very template that ships with the tokenizer."""
    return render_text(TEMPLATE, messages, generation=False, tokens={}).removesuffix("\n")


def drawn(source: str, forms: DialogueForms | PassageForms, counts: dict[str, int], share: float, seed: int) -> Iterator[Piece]:
    """So many chats of each form; each is drawn from a stream of its own."""
    for name, count in counts.items():
        make: Callable[[random.Random], Exercise] = getattr(forms, name)
        for number in range(round(count * share)):
            rng = random.Random(derive_seed(seed, "chat", name, number))
            exercise = make(rng)
            if exercise.pairs:
                yield Piece(exercise.kind, source, chat_text(to_messages(exercise, rng)))


def chats(sources: Sources, share: float, seed: int) -> Iterator[Piece]:
    """All chat-form pieces of one side."""
    talk = DialogueForms(sources.dialogues)
    for copy in range(CONVERSATION_COPIES):
        for dialogue in sources.dialogues:
            rng = random.Random(derive_seed(seed, "conversation", dialogue.id, copy))
            yield Piece("conversation in full", DIALOGUES, chat_text(talk.conversation(dialogue, rng)))
    for copy in range(INSTRUCTION_COPIES):
        for item in sources.instructions:
            rng = random.Random(derive_seed(seed, "instruction", item.id, copy))
            yield Piece("instruction", INSTRUCTIONS, chat_text(_solved(item, rng)))
    yield from drawn(DIALOGUES, talk, DIALOGUE_CHATS, share, seed)
    yield from drawn(PRETRAIN, PassageForms(sources.documents), PASSAGE_CHATS, share, seed)


def _solved(item: Instruction, rng: random.Random) -> list[Message]:
    if item.text and rng.random() < 0.4:
        asked = [Message("system", item.prompt), Message("user", item.text)]
    else:
        asked = [Message("user", "\n\n".join(part for part in (item.prompt, item.text) if part))]
        if rng.random() < 0.3:
            asked.insert(0, Message("system", "You are a helpful assistant."))
    return [*asked, Message("assistant", item.answer)]


def tokenizer_texts(sources: Sources) -> Iterator[str]:
    """What the tokenizer learns from: fiction thinned, dialogues and instructions repeated, so that today's words weigh."""
    for number, document in enumerate(sources.documents):
        if document.source != "eltec_eng" or number % 4 == 0:
            yield document.text
    for copy in range(4):
        for dialogue in sources.dialogues:
            for turn in dialogue.turns:
                yield turn.lower() if copy == 3 else turn
        for item in sources.instructions:
            yield from (item.prompt, item.text, item.answer)


def everything(sources: Sources) -> Iterator[str]:
    """Every text read, once."""
    yield from (document.text for document in sources.documents)
    yield from (turn for dialogue in sources.dialogues for turn in dialogue.turns)


def write_tokens(pieces: Iterable[Piece], tokenizer: PreTrainedTokenizerFast, path: Path) -> dict[str, Counter[str]]:
    """Write pieces as uint16 ids, each followed by the end-of-text id; counts of pieces, tokens and bytes by part and by source."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    listed = list(pieces)
    with path.open("wb") as file:
        for low in range(0, len(listed), 512):
            batch = listed[low : low + 512]
            encoded = tokenizer.backend_tokenizer.encode_batch_fast([piece.text for piece in batch], add_special_tokens=False)
            for piece, ids in zip(batch, encoded, strict=True):
                np.array([*ids.ids, end], dtype=np.uint16).tofile(file)
                for key in (f"part:{piece.part}", f"source:{piece.source}", "all"):
                    counts[key].update(pieces=1, tokens=len(ids.ids) + 1, bytes=len(piece.text.encode()))
    return counts


def build(data: Path, out: Path, seed: int) -> dict[str, object]:
    """Read, draw, train the tokenizer, write; returns what corpus.json holds."""
    train, valid = read_sources(data, "train"), read_sources(data, "valid")
    tokenizer = train_tokenizer(itertools.chain(tokenizer_texts(train), everyday_texts(everything(train))), out / "tokenizer")
    plain = functools.partial(map, lambda d: Piece("plain text", family(d.source), d.text))
    pieces = [*plain(train.documents), *chats(train, 1.0, seed)]
    random.Random(derive_seed(seed, "order")).shuffle(pieces)
    held_out_chats = list(chats(valid, 0.02, derive_seed(seed, "valid")))
    random.Random(derive_seed(seed, "order", "valid")).shuffle(held_out_chats)
    sides = {"train": pieces, "valid": list(plain(valid.documents)), "valid_chat": held_out_chats}
    counts = {name: write_tokens(side, tokenizer, out / f"{name}.bin") for name, side in sides.items()}
    total = counts["train"]["all"]
    return {
        "seed": seed,
        "vocabulary": len(tokenizer),
        "bytes_per_token": round(total["bytes"] / total["tokens"], 3),
        "bytes_per_token_valid": round(counts["valid"]["all"]["bytes"] / counts["valid"]["all"]["tokens"], 3),
        "shares": {key: round(value["tokens"] / total["tokens"], 4) for key, value in sorted(counts["train"].items()) if key != "all"},
        "counts": {name: {key: dict(value) for key, value in sorted(found.items())} for name, found in counts.items()},
        "credits": {name: {"from": source, "licence": licence} for name, (source, licence) in CREDITS.items()},
        "sha256": {str(path.relative_to(out)): digest_file(path) for path in sorted(out.rglob("*")) if path.is_file()},
    }


def main() -> None:
    """Write the folder whole, or leave the earlier one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "base" / "work" / "corpus")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started = time.monotonic()
    with whole_folder(args.out) as temporary:
        told = build(args.data, temporary, args.seed)
        write_json(temporary / "corpus.json", told)
    print(f"{args.out}: {time.monotonic() - started:.0f} s, {told['bytes_per_token']} bytes a token")
    for key, share in told["shares"].items():  # type: ignore[attr-defined]
        print(f"  {share:7.2%}  {key}")


if __name__ == "__main__":
    main()
