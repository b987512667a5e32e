"""The `synthesise` section: which kinds of items are made of documents, how many, and what they must keep."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from tunesmith.data.settings.engine import EngineConfig
from tunesmith.section import Section

PerPassage = Annotated[int, Field(ge=1, le=50)]
Wrong = Annotated[int, Field(ge=1, le=9)]


class ClozeConfig(Section):
    """Sentences with a word, name or number left out, and a choice of answers where the documents hold enough others of its shape. No model."""

    per_passage: PerPassage = 2
    """How many at most; a sentence gives one."""
    wrong: int = Field(default=3, ge=0, le=9)
    """Wrong choices; 0 leaves the blank open. Where there are fewer than that, it is left open too."""


class DefinitionsConfig(Section):
    """`What is X?` of sentences that say `X is a ...`. No model."""

    per_passage: PerPassage = 2
    """How many at most."""


class QuestionsConfig(Section):
    """Questions with a short answer that stands in the passage, written by an engine."""

    per_passage: PerPassage = 3
    """How many the engine is asked for."""


class FlashcardsConfig(Section):
    """Cards of a term and what the passage says of it, written by an engine."""

    per_passage: PerPassage = 3
    """How many the engine is asked for."""


class ChoicesConfig(Section):
    """Questions with one right and some wrong choices, written by an engine."""

    per_passage: PerPassage = 2
    """How many the engine is asked for."""
    wrong: Wrong = 3
    """Wrong choices a question."""


class KindsConfig(Section):
    """The kinds to make; each is off where it isn't named. `{cloze: {}}` takes its defaults."""

    cloze: ClozeConfig | None = None
    """Blanks, without a model."""
    definitions: DefinitionsConfig | None = None
    """What is X, without a model."""
    questions: QuestionsConfig | None = None
    """Question and answer, by an engine."""
    flashcards: FlashcardsConfig | None = None
    """Term and meaning, by an engine."""
    choices: ChoicesConfig | None = None
    """Multiple choice, by an engine."""

    def named(self) -> dict[str, Any]:
        """Kind -> its settings, in the order above, of those that are on."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class ItemChecksConfig(Section):
    """What every item must keep. That the answer stands in the passage is no setting: it always must."""

    least_question: int = Field(default=10, ge=1)
    """Characters."""
    longest_question: int = Field(default=500, ge=10)
    """Characters."""
    longest_answer: int = Field(default=300, ge=1)
    """Characters."""
    alike: float = Field(default=0.9, ge=0.5, le=1)
    """Two questions of this edit similarity or more, with the same answer, are one."""


class SynthesiseConfig(Section):
    """Items made of documents, each with the passage it rests on."""

    kinds: KindsConfig = KindsConfig(cloze=ClozeConfig(), definitions=DefinitionsConfig())
    """What is made; blanks and definitions by default, which need no model."""
    checks: ItemChecksConfig = ItemChecksConfig()
    """What every item must keep."""
    longest_passage: int = Field(default=8000, ge=200, le=200_000)
    """Characters; longer passages are not sent to an engine."""
    temperature: float = Field(default=0.3, ge=0, le=2)
    """How freely the engine writes."""
    engine: EngineConfig | None = None
    """Who writes questions, flashcards and choices."""

    @model_validator(mode="after")
    def _can_be_done(self) -> "SynthesiseConfig":
        if not self.kinds.named():
            raise ValueError("synthesise.kinds names nothing: name one, such as {cloze: {}}")
        return self
