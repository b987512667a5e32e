"""What a model writes to prompts, greedily, kept for its owner's eyes as it goes: who is killed and goes on asks for the rest alone.

Answers to prompts that provoke may hold anything, so their files can be read by their owner only (mode 0600).
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from tunesmith.chat.render import Renderer
from tunesmith.core.files import read_jsonl, whole_file
from tunesmith.core.hashing import digest
from tunesmith.core.rows import Row
from tunesmith.evaluate.running import arithmetic
from tunesmith.evaluate.safety_prompts import Asked
from tunesmith.infer.generate import generate

TOGETHER = 64
"""Prompts to a file: what a kill loses at most."""

Write = Callable[[Sequence[tuple[int, ...]]], list[str]]
"""Prompts as ids to what a model writes."""


def longest(renderer: Renderer, max_new_tokens: int) -> int:
    """Most tokens of an answer: as asked, and never more than half of what the model takes."""
    return min(max_new_tokens, renderer.max_tokens // 2)


def prompt_ids(asked: Sequence[Asked], renderer: Renderer, *, max_new_tokens: int, begun: bool) -> list[tuple[int, ...]]:
    """Prompts as the model is given them. `begun`: as the beginning of a raw text, for a model of such.

    Raises:
        DataError: a prompt can't be made to fit.
    """
    room = longest(renderer, max_new_tokens)
    if not begun:
        return [renderer.prompt(one.messages, room=room).ids for one in asked]
    texts = ["\n".join(message.content for message in one.messages if message.role != "system") for one in asked]
    rows = [renderer.row(Row(id=one.where, answer=text), whole=True).ids for one, text in zip(asked, texts, strict=True)]
    return [ids[: -len(renderer.end_ids)][-(renderer.max_tokens - room) :] for ids in rows]


def writing(model: nn.Module, renderer: Renderer, device: torch.device, precision: str, max_new_tokens: int) -> Write:
    """A model that writes greedily."""

    def write(prompts: Sequence[tuple[int, ...]]) -> list[str]:
        model.to(device).eval()
        most = longest(renderer, max_new_tokens)
        with arithmetic(device, precision):
            made = generate(model, prompts, end_ids=renderer.end_ids, max_new_tokens=most, device=device)
        return [renderer.decode(ids) for ids in made]

    return write


def key_of(prompts: Sequence[tuple[int, ...]], renderer: Renderer, max_new_tokens: int) -> str:
    """Names what is asked: the same for the same ids, the same length and the same end."""
    return digest([[list(ids) for ids in prompts], longest(renderer, max_new_tokens), list(renderer.end_ids)])


def kept_writing(prompts: Sequence[tuple[int, ...]], write: Write, folder: Path, advanced: Callable[[int], None]) -> list[str]:
    """What is written to each prompt, from `folder` where it was written before.

    Args:
        prompts: as ids.
        write: writes what is missing.
        folder: of these prompts alone; a file for every `TOGETHER` of them.
        advanced: told how many prompts are done.
    """
    found: list[str] = []
    for first in range(0, len(prompts), TOGETHER):
        some, path = prompts[first : first + TOGETHER], folder / f"{first // TOGETHER:04d}.jsonl"
        if not path.exists():
            write_private(path, write(some))
        found += read_private(path)
        advanced(len(found))
    return found


def write_private(path: Path, answers: Sequence[str]) -> None:
    """Answers, one JSON object a line, whole or not at all, for their owner alone."""
    with whole_file(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(
                json.dumps({"answer": answer.encode("utf-8", "replace").decode()}, ensure_ascii=False) + "\n" for answer in answers
            )


def read_private(path: Path) -> list[str]:
    """The answers of a file that `write_private` wrote. Raises MachineError where it is damaged."""
    return [str(value["answer"]) for value in read_jsonl(path)]
