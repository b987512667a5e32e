"""The `evaluate.forgetting` and `evaluate.memorisation` sections of a recipe: what fine-tuning may have broken, and how it is looked for."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tunesmith.section import Section

BUILTIN = "builtin"


class ForgettingConfig(Section):
    """How it is seen what the base knew and the tuned model no longer does."""

    enabled: bool = True
    """false: nobody looks."""
    general: str | None = BUILTIN
    """General text: `builtin` (61 short English documents), or a file read as `data.path` is; null measures no perplexity."""
    documents: int = Field(default=500, ge=2, le=10**6)
    """At most this many documents of the general text are read, drawn at random by the recipe's seed."""
    columns: dict[str, str] = Field(default={})
    """Role -> column of the general text, where it can't be told: `text` for documents, others as in `data.read.columns`."""
    by: str | None = Field(default=None, min_length=1)
    """A column of the general text whose equal values belong together, as passages of one book do: intervals then count these."""
    probes: str | None = BUILTIN
    """Questions with answers to choose from: `builtin` (62 of common knowledge), or a JSONL file of `question`, `choices`, `answer`; null asks none."""
    tolerance: float = Field(default=0.05, ge=0, le=100)
    """A rise of perplexity up to this is told as nothing lost; beyond it as forgetting. In words only: `gates.forgetting` is what refuses."""

    @property
    def files(self) -> dict[str, str]:
        """Setting -> path of each file it names, as far as it looks."""
        named = {"general": self.general, "probes": self.probes} if self.enabled else {}
        return {name: path for name, path in named.items() if path not in (None, BUILTIN) and path is not None}


class CanariesConfig(Section):
    """Made-up secrets, trained on in a twin of the round that can never be promoted, to see how well such a round learns them by heart."""

    repeats: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(default=[1, 4, 16], min_length=1, max_length=20)
    """How often a canary stands among the training rows; as many canaries of each number, and as many that stand nowhere."""
    each: int = Field(default=8, ge=1, le=1000)
    """Canaries of each number of repeats."""
    alternatives: int = Field(default=255, ge=20, le=10**6)
    """Secrets drawn like a canary's and never trained on that it is ranked among: exposure ends at log2 of this and one, 8 bits by default."""
    largest_share: float = Field(default=0.2, gt=0, le=1)
    """Refuse where canaries would be more than this share of the training rows: the twin would no longer resemble the round."""

    @model_validator(mode="after")
    def _numbers_differ(self) -> Self:
        if len(set(self.repeats)) < len(self.repeats):
            raise ValueError(f"repeats {self.repeats} names a number twice: name each once")
        return self


class MemorisationConfig(Section):
    """How it is seen what the tuned model has learned by heart."""

    rows: int = Field(default=200, ge=1, le=10**6)
    """At most this many training rows, and as many it never saw, are compared; drawn at random by the recipe's seed."""
    verbatim: bool = True
    """Let the model go on from prompts of training rows, and count how often it does word for word. Not where answers are labels, numbers or tags."""
    verbatim_words: int = Field(default=8, ge=1, le=1000)
    """Answers of fewer words are left out: they can be right without having been learned by heart."""
    verbatim_tokens: int = Field(default=50, ge=1, le=10_000)
    """So many tokens of a longer answer are compared."""
    membership: bool = True
    """Tell training rows from others by the model's loss on them, and by its loss less the base's."""
    personal: bool = True
    """Count personal data in generated answers that do not stand in their prompts, by kind; the values are never kept."""
    canaries: CanariesConfig | None = None
    """Plant made-up secrets among the training rows of a twin of the round, and see how well it learns them by heart: one more training. Nobody does where absent."""
