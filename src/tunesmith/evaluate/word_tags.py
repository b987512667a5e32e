"""The baseline of tagging: each word gets the tag it had most often in training rows. A base can't be asked for spans untrained.

A word met for the first time goes by its shape (`Aaa`, `dd`), and where that is new too, it is outside any span. Words
that follow one another under one label are one span, unless the later one more often began one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from tunesmith.core.rows import Row
from tunesmith.evaluate.heads import spanned
from tunesmith.score.prediction import Prediction
from tunesmith.score.spans import OUTSIDE, spans_of, token_tags, words_of


def most_frequent_tags(train: Sequence[Row], test: Sequence[Row]) -> list[Prediction]:
    """Learn each word's tag from `train`, answer `test`, in its order."""
    of_word: dict[str, Counter[str]] = defaultdict(Counter)
    of_shape: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        text = row.text()
        words = words_of(text)
        for (start, end), tag in zip(words, token_tags(text, words, row.tags or ()), strict=True):
            of_word[text[start:end]][tag or OUTSIDE] += 1
            of_shape[_shape(text[start:end])][tag or OUTSIDE] += 1
    known = {word: _commonest(counts) for word, counts in of_word.items()}
    shapes = {shape: _commonest(counts) for shape, counts in of_shape.items()}
    answers = []
    for row in test:
        text = row.text()
        words = words_of(text)
        tags = [known.get(text[start:end]) or shapes.get(_shape(text[start:end]), OUTSIDE) for start, end in words]
        answers.append(spanned(row, spans_of(text, words, tags)))
    return answers


def _commonest(counts: Counter[str]) -> str:
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _shape(word: str) -> str:
    """`Paris` as `Aa`, `1234` as `d4`, `12` as `d2`: capitals, small letters, digits counted."""
    shape = re.sub(r"[^\W\d_]", lambda match: "A" if match[0].isupper() else "a", word)
    shape = re.sub(r"\d+", lambda match: f"d{len(match[0])}", shape)
    return re.sub(r"(a)\1+|(A)\2+", lambda match: match[0][0], shape)
