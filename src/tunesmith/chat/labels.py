"""Labels as a language model reads them: `card_arrival` and `CardArrival` are written `card arrival`.

A model knows words, not spellings of code, and words take fewer tokens. The label itself stays what is scored, saved
and shown; its words are what stands in prompts and answers (a verbaliser: Schick & Schütze, 2021).
"""

import re
from collections.abc import Iterable

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINT = re.compile(r"[_\-./\s]+")


def in_words(label: str) -> str:
    """A label's words, in lower case; the label itself where it has no letters."""
    words = _JOINT.sub(" ", _HUMP.sub(" ", label)).strip().lower()
    return words if any(character.isalpha() for character in words) else label


def label_texts(labels: Iterable[str], *, words: bool) -> dict[str, str]:
    """Label -> what is written for it. The labels themselves where words are not wanted, or would make two of them alike."""
    labels = sorted(set(labels))
    texts = {label: in_words(label) for label in labels} if words else {}
    if len(set(texts.values())) < len(labels):
        return {label: label for label in labels}
    return texts
