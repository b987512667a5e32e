"""Multiple choice written by an engine: the right choice is the passage's own words, the wrong ones are alike and wrong."""

from collections.abc import Mapping
from random import Random
from typing import Any

from tunesmith.data.synthesise.asking import words
from tunesmith.data.synthesise.items import Item, Passage, item

KIND = "choices"
TASK = (
    "Write multiple-choice questions. The right answer is copied from the passage word for word and is short. The wrong answers are of the "
    "same kind and length, plausible to someone who has not read the passage, clearly wrong to someone who has, and differ from one another."
)


def fields(settings: Any) -> dict[str, Any]:
    """What each item holds, as a JSON schema."""
    wrong = {"type": "array", "items": {"type": "string"}, "minItems": settings.wrong, "maxItems": settings.wrong}
    return {"question": {"type": "string"}, "answer": {"type": "string"}, "wrong": wrong}


def read(passage: Passage, draft: Mapping[str, Any], draw: Random) -> Item:
    """The item of a draft, its choices shuffled, right or wrong: the checks come after."""
    answer, wrong = words(draft["answer"]), draft["wrong"]
    choices = [answer, *(words(one) for one in wrong)] if isinstance(wrong, list) else [answer]
    draw.shuffle(choices)
    return item(passage, KIND, words(draft["question"]), answer, tuple(choices))
