"""Cards written by an engine: a term in front, what the passage says of it on the back, in the passage's own words."""

from collections.abc import Mapping
from random import Random
from typing import Any

from tunesmith.data.synthesise.asking import words
from tunesmith.data.synthesise.items import Item, Passage, item

KIND = "flashcards"
TASK = (
    "Write flashcards: in front a prompt of one line that asks for one fact, term or step, such as 'Capital of Norway'; on the back the answer. "
    "The back is copied from the passage word for word, a few words to one sentence long, and doesn't stand in front."
)


def fields(settings: Any) -> dict[str, Any]:
    """What each item holds, as a JSON schema."""
    return {"front": {"type": "string"}, "back": {"type": "string"}}


def read(passage: Passage, draft: Mapping[str, Any], draw: Random) -> Item:
    """The item of a draft, right or wrong: the checks come after."""
    return item(passage, KIND, words(draft["front"]), words(draft["back"]))
