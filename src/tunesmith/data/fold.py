"""What counts as the same text: letter case and white space don't. Keys are 64-bit hashes: among five million, one chance in a million
that any two differ in text and agree in key.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from tunesmith.core.hashing import canonical_json
from tunesmith.core.rows import Row


def fold(text: str) -> str:
    """The text casefolded, with every run of white space as one space and none at the ends."""
    return " ".join(text.casefold().split())


def key_of(text: str, secret: bytes = b"") -> int:
    """A 64-bit hash of a text as it is; who lacks the secret can't test a guess of the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=secret[:64]).digest(), "little")


_known_key = lru_cache(maxsize=4096)(key_of)
_SHORT = 100
"""Answers up to so many characters are often labels, each of which is hashed once."""


class Keys(NamedTuple):
    """What a row is compared by. Equal keys, equal words after folding."""

    shown: str
    """What the model is shown, folded: every turn but system messages, raw text by itself; a prompt of system messages alone is these."""
    text: int
    """Of `shown`, roles included: the same question under another instruction still gives its answer away."""
    pair: int
    """Of everything: prompt, answer, rejected answer, and to the letter what else the row asks for."""
    answer: int
    """Of what the row asks for; equal rows may not disagree in it."""


def keys_of(row: Row) -> Keys:
    """The keys of a row."""
    prompt, answer = row.prompt, fold(row.answer)
    if len(prompt) == 1:  # most rows of most files
        words = fold(prompt[0].content)
        turns = asked = f"{prompt[0].role}\x1f{words}"
    else:
        folded = [(turn.role, fold(turn.content)) for turn in prompt]
        said = [turn for turn in folded if turn[0] != "system"] or folded
        words = " ".join(content for _, content in said) if said else answer
        turns, asked = _joined(folded), _joined(said) if said else "\x1f" + answer
    wanted = answer
    if row.rejected is not None or row.labels is not None or row.value is not None or row.tags is not None or row.wanted is not None:
        parts = [f"{name}\x1f{canonical_json(value)}" for name, value in row.target().items()]
        wanted = "\x1e".join([answer, "\x1d" if row.rejected is None else fold(row.rejected), *parts])
    told = _known_key(wanted) if len(wanted) <= _SHORT else key_of(wanted)
    return Keys(words, key_of(asked), key_of(f"{turns}\x1e\x1e{wanted}"), told)


def _joined(turns: Iterable[tuple[str, str]]) -> str:
    return "\x1e".join(f"{role}\x1f{words}" for role, words in turns)


def row_key(row: Row, secret: bytes = b"") -> int:
    """A 64-bit hash of a row's content to the letter: what its id is made of; keyed where what was read must not be guessed from it."""
    parts = [f"{turn.role}\x1f{turn.content}" for turn in row.prompt]
    parts += ["\x1c", row.answer, "\x1d" if row.rejected is None else row.rejected]
    target = row.target()
    if target:
        parts.append(canonical_json(target))
    return key_of("\x1e".join(parts), secret)
