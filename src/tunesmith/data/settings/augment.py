"""The `data.augment` section: which ways rows are multiplied, how much, and how far they may drift."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tunesmith.data.settings.engine import EngineConfig
from tunesmith.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PerRow = Annotated[int, Field(ge=1, le=50)]
Words = dict[str, list[str]]
MOST_ENTRIES = 100_000


class CaseConfig(Section):
    """Letter case: all small, all capitals, Each Word, or a word here and there."""

    per_row: PerRow = 1
    """How many are made from a row."""


class PunctuationConfig(Section):
    """Marks left out, added or doubled at the end, apostrophes and commas dropped."""

    per_row: PerRow = 1
    """How many are made from a row."""


class RateConfig(Section):
    """A way that touches a share of the words or letters."""

    per_row: PerRow = 1
    """How many are made from a row."""
    rate: float = Field(default=0.1, gt=0, le=0.5)
    """The share of letters (typos) or words (dropout, swap, synonyms) that is touched; at least one is."""


class TyposConfig(RateConfig):
    """Slips of the hand: a neighbouring key, two letters swapped, one left out, one doubled; one slip a word at most."""

    rate: float = Field(default=0.05, gt=0, le=0.5)
    """The share of letters with a slip; at least one has."""


class SynonymsConfig(RateConfig):
    """Words replaced by others of the same meaning."""

    rate: float = Field(default=0.3, gt=0, le=1)
    """The share of the words with a synonym that are replaced; at least one is."""
    words: Words = Field(default={}, max_length=MOST_ENTRIES)
    """Word -> words that may stand for it, in your field's language."""
    path: str | None = None
    """A JSON file with more of them, of the same form; `words` overrides it."""
    builtin: bool = True
    """Use the small built-in English list too."""


class SlotsConfig(Section):
    """Named lists of values: a text that holds one of them is written with another, in prompt and answer alike."""

    per_row: PerRow = 1
    """How many are made from a row."""
    values: Words = Field(max_length=1000)
    """Slot -> its values: `{city: [Paris, Rome, Oslo]}`. `{city}` in a text is filled likewise."""

    @model_validator(mode="after")
    def _has_values(self) -> "SlotsConfig":
        short = [slot for slot, values in self.values.items() if len({value.casefold() for value in values}) < 2]
        if short or not self.values:
            raise ValueError(f"each slot needs two different values or more: {', '.join(short) or 'there is no slot'}")
        if any(not value.strip() for values in self.values.values() for value in values):
            raise ValueError("a slot's value is empty: remove it")
        return self


class CounterfactualConfig(Section):
    """Terms of one group written as those of another, throughout the row, so that a model learns not to care."""

    per_row: PerRow = 1
    """How many are made from a row; of two groups there is only one other."""
    groups: tuple[Literal["gender", "religion"], ...] = ("gender",)
    """Built-in English lists."""
    tables: dict[str, list[list[str]]] = Field(default={}, max_length=1000)
    """Your own: name -> lines of terms that stand for one another, one column a group: `{age: [[boy, man], [girl, woman]]}`."""

    @model_validator(mode="after")
    def _is_rectangular(self) -> "CounterfactualConfig":
        for name, lines in self.tables.items():
            if (
                not lines
                or len({len(line) for line in lines}) > 1
                or len(lines[0]) < 2
                or any(not term.strip() for line in lines for term in line)
            ):
                raise ValueError(f"table {name!r} needs lines of the same length, two terms or more each, none empty")
        if not self.groups and not self.tables:
            raise ValueError("name a built-in group or give a table")
        return self


class ParaphraseConfig(Section):
    """The text said otherwise by an engine."""

    per_row: PerRow = 1
    """How many are made from a row."""
    temperature: float = Field(default=0.8, ge=0, le=2)
    """How freely the engine writes."""


class BackTranslationConfig(Section):
    """The text translated by an engine and back."""

    per_row: PerRow = 1
    """How many are made from a row."""
    language: str = Field(default="English", min_length=2, max_length=40, pattern=r"^[^\n{}]+$")
    """The language the rows are in, by its English name."""
    pivot: str = Field(default="German", min_length=2, max_length=40, pattern=r"^[^\n{}]+$")
    """The language between, by its English name."""
    temperature: float = Field(default=0.5, ge=0, le=2)
    """How freely the engine writes."""


class WaysConfig(Section):
    """The ways to use; each is off where it isn't named. `{typos: {}}` takes its defaults."""

    typos: TyposConfig | None = None
    """Slips of the hand."""
    case: CaseConfig | None = None
    """Letter case."""
    punctuation: PunctuationConfig | None = None
    """Marks left out, added, doubled."""
    dropout: RateConfig | None = None
    """Words left out; never numbers or negations."""
    swap: RateConfig | None = None
    """Neighbouring words swapped; never negations."""
    synonyms: SynonymsConfig | None = None
    """Words replaced by others of the same meaning."""
    slots: SlotsConfig | None = None
    """Values of lists exchanged."""
    counterfactual: CounterfactualConfig | None = None
    """Terms of groups exchanged."""
    paraphrase: ParaphraseConfig | None = None
    """Said otherwise, by an engine."""
    back_translation: BackTranslationConfig | None = None
    """Translated and back, by an engine."""

    def named(self) -> dict[str, Any]:
        """Way -> its settings, in the order above, of those that are on."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class DriftConfig(Section):
    """How far a made row may be from the one it came from; what is farther is refused and counted."""

    similarity: Share = 0.8
    """Least edit similarity after typos, case and punctuation: 1 - Levenshtein distance / longer length, case folded."""
    words_kept: Share = 0.5
    """Least share of the row's words that stand unchanged after a way that touches letters or words."""
    meaning: Share = 0.7
    """Least cosine between the features of both texts after an engine, where features are at hand."""
    overlap: Share = 0.2
    """Least share of words in common after an engine, where no features are at hand."""
    length_ratio: float = Field(default=2.0, ge=1)
    """After an engine a text may be this many times longer or shorter, in words."""


class AugmentConfig(Section):
    """More training rows out of those there are. Made rows are marked, stay in train, and equal no row of another side."""

    ways: WaysConfig = WaysConfig()
    """How rows are made; none by default."""
    share: Share = 1.0
    """The share of rows that are made more of, a seeded sample."""
    per_class: int | None = Field(default=None, ge=1)
    """Fill each label up to so many rows, originals counted in; the ways then take turns, and their `per_row` is not used."""
    most_per_row: int = Field(default=20, ge=1, le=1000)
    """Never more from one row, with `per_class`."""
    weight: float = Field(default=1.0, gt=0, le=10)
    """What the weight of a made row is, as a factor on that of the row it came from."""
    drift: DriftConfig = DriftConfig()
    """How far a made row may be from its parent."""
    engine: EngineConfig | None = None
    """Who writes, for paraphrase and back_translation."""

    @model_validator(mode="after")
    def _can_be_done(self) -> "AugmentConfig":
        if self.engine is None and (self.ways.paraphrase or self.ways.back_translation):
            raise ValueError("paraphrase and back_translation need augment.engine: give its url and model")
        if self.per_class is not None and not self.ways.named():
            raise ValueError("per_class needs a way to make rows: name one in augment.ways")
        if self.per_class is not None and self.share < 1:
            raise ValueError("per_class says how many rows are made, and so does share: leave one out")
        return self
