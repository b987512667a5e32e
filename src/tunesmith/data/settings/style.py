"""A style guide: rules that a machine can check, and pairs of what to say instead of what."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tunesmith.core.errors import did_you_mean
from tunesmith.score.style import Style
from tunesmith.section import Section

Phrase = Annotated[str, Field(min_length=1, max_length=500)]
_LISTS = ("forbidden", "must_have", "greeting", "sign_off")


class StyleRules(Section):
    """What answers keep to; what is absent is not asked."""

    sentence_words: int | None = Field(default=None, ge=1, le=1000)
    """Most words of any sentence."""
    answer_words: int | None = Field(default=None, ge=1, le=100_000)
    """Most words of an answer."""
    forbidden: list[Phrase] = Field(default=[], max_length=1000)
    """Words and phrases that must not stand in an answer, whatever their case."""
    must_have: list[Phrase] = Field(default=[], max_length=100)
    """Words and phrases of which each must."""
    greeting: list[Phrase] = Field(default=[], max_length=100)
    """An answer begins with one of them."""
    sign_off: list[Phrase] = Field(default=[], max_length=100)
    """An answer ends with one of them; a name of up to six words may follow."""
    tone: Literal["formal", "plain"] | None = None
    """formal: no contractions and no loose words (gonna, awesome); plain: no stiff ones (utilise, aforementioned)."""
    emoji: bool | None = None
    """false: none, and no smileys; true: at least one."""
    exclamations: int | None = Field(default=None, ge=0, le=1000)
    """Most exclamation marks."""
    passive: int | None = Field(default=None, ge=0, le=1000)
    """Most sentences in the passive voice."""
    address: bool | None = None
    """true: the reader is spoken to (you, your); false: is not."""
    speaker: Literal["i", "we", "nobody"] | None = None
    """Who speaks: i (never we), we (never I), nobody (neither)."""
    reading_grade: float | None = Field(default=None, ge=0, le=30)
    """Highest reading level in school years (Flesch-Kincaid)."""


class StylePair(Section):
    """One pair. With a prompt both are whole answers to it; without, both are words, and stand in any answer."""

    instead_of: Phrase
    """What should not be said."""
    say: Annotated[str, Field(max_length=20_000)]
    """What should; empty: nothing."""
    prompt: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    """What both answer."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.instead_of.split() == self.say.split():
            raise ValueError(f"instead_of and say are the same ({self.say[:40]!r}): there is nothing to learn from that")
        if self.prompt is not None and not self.say.strip():
            raise ValueError("a pair with a prompt needs a whole answer as say")
        return self


class StyleGuide(Section):
    """Rules, pairs, or both."""

    rules: StyleRules = StyleRules()
    """What answers keep to."""
    pairs: list[StylePair] = Field(default=[], max_length=10_000)
    """What to say instead of what. Words of pairs without a prompt are forbidden as well."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.style.rules and not self.pairs:
            raise ValueError("the guide has neither a rule nor a pair: give it one")
        return self

    @property
    def style(self) -> Style:
        """The rules, ready to check."""
        told = self.rules.model_dump()
        lists = {name: tuple(told[name]) for name in _LISTS}
        worded = tuple(pair.instead_of for pair in self.pairs if pair.prompt is None)
        lists["forbidden"] = tuple(dict.fromkeys((*lists["forbidden"], *worded)))
        return Style(**told | lists)


def complaint(error: ValidationError) -> str:
    """The first thing wrong with a guide, with the place it is about, as a sentence."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        sections: dict[str, type[Section]] = {"rules": StyleRules, "pairs": StylePair}
        known = sections.get(str(first["loc"][0]), StyleGuide)
        return f"{name} is not known in a style guide.{did_you_mean(str(first['loc'][-1]), list(known.model_fields))}"
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{name}: {said[:1].lower()}{said[1:]}." if name else f"{said[:1].upper()}{said[1:]}."
