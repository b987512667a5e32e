"""`What is X?` without a model, of sentences that say `X is a ...`; the answer is what the sentence says, word for word."""

from collections.abc import Iterator

from tunesmith.data.settings.synthesise import DefinitionsConfig
from tunesmith.data.synthesise.items import Item, Passage, item
from tunesmith.data.synthesise.sentences import sentences, stands_alone
from tunesmith.data.synthesise.terms import DEFINED, leaning_term

KIND = "definitions"


def definitions(passage: Passage, config: DefinitionsConfig) -> Iterator[Item]:
    """The passage's definitions, in order."""
    made = 0
    for sentence in sentences(passage.text):
        match = DEFINED.match(sentence) if stands_alone(sentence) else None
        if match is None or leaning_term(match["term"]):
            continue
        article = (match["article"] or "").casefold()
        yield item(passage, KIND, f"What {match['verb']} {article}{match['term']}?", match["what"])
        made += 1
        if made == config.per_passage:
            return
