"""Name -> way: the one table to extend. Settings become ways here."""

from collections.abc import Callable
from typing import Any

from tunesmith.data.augment.back_translation import BackTranslation
from tunesmith.data.augment.case import Case
from tunesmith.data.augment.counterfactual import BUILTIN, counterfactual_of
from tunesmith.data.augment.dropout import Dropout
from tunesmith.data.augment.edits import Way
from tunesmith.data.augment.paraphrase import Paraphrase
from tunesmith.data.augment.punctuation import Punctuation
from tunesmith.data.augment.rewriting import Rewriter
from tunesmith.data.augment.slots import slots_of
from tunesmith.data.augment.swap import Swap
from tunesmith.data.augment.synonyms import Synonyms, listed, read_words
from tunesmith.data.augment.typos import Typos
from tunesmith.data.settings.augment import AugmentConfig

_LOCAL: dict[str, Callable[[Any, float], Way]] = {
    "typos": lambda it, kept: Typos(it.rate, kept),
    "case": lambda it, kept: Case(),
    "punctuation": lambda it, kept: Punctuation(),
    "dropout": lambda it, kept: Dropout(it.rate, kept),
    "swap": lambda it, kept: Swap(it.rate, kept),
    "synonyms": lambda it, kept: Synonyms(
        listed({**(read_words(it.path) if it.path else {}), **it.words}, builtin=it.builtin), it.rate, kept
    ),
    "slots": lambda it, kept: slots_of(it.values),
    "counterfactual": lambda it, kept: counterfactual_of({**{name: BUILTIN[name] for name in it.groups}, **it.tables}),
}
_REWRITERS: dict[str, Callable[[Any], Rewriter]] = {
    "paraphrase": lambda it: Paraphrase(it.temperature),
    "back_translation": lambda it: BackTranslation(it.language, it.pivot, it.temperature),
}


def local_ways(config: AugmentConfig) -> dict[str, Way]:
    """The ways that are on and need no engine, in the order of the settings."""
    return {name: _LOCAL[name](value, config.drift.words_kept) for name, value in config.ways.named().items() if name in _LOCAL}


def rewriters(config: AugmentConfig) -> dict[str, Rewriter]:
    """The ways that are on and ask an engine."""
    return {name: _REWRITERS[name](value) for name, value in config.ways.named().items() if name in _REWRITERS}
