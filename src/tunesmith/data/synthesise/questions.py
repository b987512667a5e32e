"""Questions with a short answer, written by an engine; the answer must be the passage's own words."""

from collections.abc import Mapping
from random import Random
from typing import Any

from tunesmith.data.synthesise.asking import words
from tunesmith.data.synthesise.items import Item, Passage, item

KIND = "questions"
TASK = (
    "Write questions that someone who knows the subject could be asked, each with its answer. "
    "The answer is copied from the passage word for word, a few words to one sentence long, and doesn't stand in the question."
)


def fields(settings: Any) -> dict[str, Any]:
    """What each item holds, as a JSON schema."""
    return {"question": {"type": "string"}, "answer": {"type": "string"}}


def read(passage: Passage, draft: Mapping[str, Any], draw: Random) -> Item:
    """The item of a draft, right or wrong: the checks come after."""
    return item(passage, KIND, words(draft["question"]), words(draft["answer"]))
