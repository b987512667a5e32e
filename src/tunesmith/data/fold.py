"""What counts as the same text: letter case and white space don't."""

from hashlib import blake2b

from tunesmith.core.hashing import canonical_json
from tunesmith.core.rows import Row


def fold(text: str) -> str:
    """The text casefolded, with every run of white space as one space and none at the ends."""
    return " ".join(text.casefold().split())


def text_key(row: Row) -> str:
    """32 hex digits: equal for rows that show the model the same words.

    System messages don't count, because the same question under another instruction still gives its answer away; raw text
    (no prompt) is compared by itself. A prompt of nothing but system messages is compared by these.
    """
    turns = [message for message in row.prompt if message.role != "system"] or list(row.prompt)
    parts = [f"{turn.role}\x1f{fold(turn.content)}" for turn in turns] or ["\x1f" + fold(row.answer)]
    return blake2b("\x1e".join(parts).encode(), digest_size=16).hexdigest()


def pair_key(row: Row) -> str:
    """32 hex digits: equal for rows whose prompt, answer and rejected answer are the same after folding, and what they ask for the same to the letter."""
    parts = [f"{turn.role}\x1f{fold(turn.content)}" for turn in row.prompt]
    parts += ["answer\x1f" + fold(row.answer), "rejected\x1f" + ("\x1d" if row.rejected is None else fold(row.rejected))]
    parts += [f"{name}\x1f{canonical_json(value)}" for name, value in row.target().items()]
    return blake2b("\x1e".join(parts).encode(), digest_size=16).hexdigest()
