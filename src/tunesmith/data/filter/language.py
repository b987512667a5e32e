"""The language of a text, with py3langid (a naive Bayes of byte n-grams; Lui & Baldwin, 2012). About 0.2 ms a text."""

import re
from functools import lru_cache
from typing import Any

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.data.filter.seen import Seen
from tunesmith.data.markup import CODE
from tunesmith.data.settings.filter import LanguageRule

_NO_WORDS = re.compile(r"https?://\S+|www\.\S+|\S+@\S+|[\d_#@<>{}\[\]()=+*/\\|~^]+")
_READ = 2000


def is_foreign(seen: Seen, languages: frozenset[str], rule: LanguageRule) -> bool:
    """Whether what is shown, or an answer that is to be written, is surely in another language."""
    texts = (seen.shown, seen.answer) if seen.text else (seen.shown,)
    return any(language is not None and language not in languages for language in (language_of(text, rule) for text in texts))


def language_of(text: str, rule: LanguageRule) -> str | None:
    """The code of a text's language, from its first 2,000 characters outside code and addresses.

    None where too few letters are left, or none of the languages is sure enough: short texts mislead.
    """
    words = _NO_WORDS.sub(" ", CODE.sub(" ", text[: 4 * _READ]))[:_READ]
    if sum(map(str.isalpha, words)) < rule.min_chars:
        return None
    code, sureness = _identifier().classify(words)
    return str(code) if sureness >= rule.min_confidence else None


def check_languages(languages: tuple[str, ...]) -> None:
    """Refuse a code that the detector doesn't know.

    Raises:
        RecipeError: names it, and a near one.
    """
    known = set(_identifier().labels) if languages else set()
    for code in languages:
        if code not in known:
            raise RecipeError(f"data.filter.languages: '{code}' is no language that can be told apart.{did_you_mean(code, known)}")


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
