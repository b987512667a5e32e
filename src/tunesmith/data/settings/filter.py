"""The `data.filter` section of a recipe: a rule drops rows, only counts them, or is off."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.section import Section

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Code = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


class Rule(Section):
    """What is done with rows that a rule finds."""

    action: Literal["drop", "count", "off"] = "count"
    """`drop` them; `count` them, so that the report says how many it would drop; or `off`."""


class EmptyRule(Rule):
    """Rows that show, or ask for, nothing that prints: joiners, marks and blanks alone."""

    action: Literal["drop", "count", "off"] = "drop"
    """On, since nothing can be learned from them."""


class ShortRule(Rule):
    """Texts and answers under a number of characters. Labels are never too short."""

    text: int = Field(default=3, ge=1)
    """Fewest characters of what is shown (raw text: of the text)."""
    answer: int = Field(default=1, ge=1)
    """Fewest characters of an answer."""


class LongRule(Rule):
    """Texts and answers over a number of characters."""

    text: int = Field(default=100_000, ge=1)
    """Most characters of all messages together (raw text: of the text)."""
    answer: int = Field(default=20_000, ge=1)
    """Most characters of an answer."""


class LanguageRule(Rule):
    """Rows in a language that isn't among `languages`."""

    action: Literal["drop", "count", "off"] = "drop"
    """Has an effect only where `languages` names some."""
    min_chars: int = Field(default=40, ge=10)
    """Texts with fewer letters are let through: their language can't be told reliably."""
    min_confidence: float = Field(default=0.9, ge=0.5, lt=1)
    """So are texts of which the detector is less sure."""


class RepeatsRule(Rule):
    """Texts that go round in circles: the share of runs of four words that stood there before (after Rae et al., 2021, table A1)."""

    share: Share = 0.3
    """Largest share of repeated runs."""
    min_words: int = Field(default=40, ge=8)
    """Shorter texts are let through."""


class BoilerplateRule(Rule):
    """Texts of which most stands, line by line, in many others."""

    rows_share: Share = 0.02
    """A line of 40 characters or more is boilerplate where it stands in more than this share of rows, and in 20."""
    text_share: Share = 0.5
    """Largest share of a text's characters that may be boilerplate."""


class EchoRule(Rule):
    """Answers that only repeat what was shown."""

    similarity: float = Field(default=0.95, gt=0.5, le=1)
    """1 for the same words; the share of characters that need no change (Indel distance) below it."""
    min_chars: int = Field(default=20, ge=1)
    """Shorter answers are let through: yes may well follow yes."""


class TruncatedRule(Rule):
    """Answers that break off: in a code block, a bracket, or a sentence where most answers end theirs; or at a length many end at."""

    ended_share: Share = 0.8
    """A missing full stop counts only where at least this share of answers ends with one or another mark."""


class RefusalRule(Rule):
    """Answers that begin as assistants refuse, in English."""


class LabelRule(Section):
    """Labels that are not in `data.labels`. Has an effect only where that is given."""

    action: Literal["ask", "map", "drop", "count"] = "ask"
    """`ask`: stop and name the nearest label for each; `map`: write the nearest where one is near, drop the row where none is; `drop`; `count`."""
    similarity: float = Field(default=0.85, gt=0.5, le=1)
    """How near a label has to be for `map` (1: the same but for letter case, spaces, `-` and `_`)."""


class FilterConfig(Section):
    """Which rows are not worth learning from. Only empty rows go by default; the other rules count, and the report tells."""

    languages: tuple[Code, ...] = ()
    """Codes such as en, de: rows in other languages are dropped. Every language is wanted where none is named."""
    empty: EmptyRule = EmptyRule()
    """Nothing that prints."""
    too_short: ShortRule = ShortRule()
    """Too few characters."""
    too_long: LongRule = LongRule()
    """Too many characters."""
    language: LanguageRule = LanguageRule()
    """Not in a wanted language."""
    repeats: RepeatsRule = RepeatsRule()
    """Goes round in circles."""
    boilerplate: BoilerplateRule = BoilerplateRule()
    """Mostly lines that stand in many rows."""
    echo: EchoRule = EchoRule()
    """The answer only repeats the prompt."""
    truncated: TruncatedRule = TruncatedRule()
    """The answer breaks off."""
    refusal: RefusalRule = RefusalRule()
    """The answer is a refusal."""
    label: LabelRule = LabelRule()
    """The label is not in the label set."""
