"""The `evaluate.forgetting`, `evaluate.memorisation` and `evaluate.bias` sections of a recipe: what fine-tuning may have broken, and how it is looked for."""

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import Field, model_validator

from tunesmith.section import Section

BUILTIN = "builtin"
"""What comes along with tunesmith, in place of a path."""


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

    def with_files(self, change: Callable[[str], str]) -> Self:
        """The section with the path of each file it names changed."""
        named = {name: path for name in ("general", "probes") if (path := getattr(self, name)) not in (None, BUILTIN)}
        return self.model_copy(update={name: change(path) for name, path in named.items()})


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


_PathText = Annotated[str, Field(min_length=1)]


class BiasConfig(Section):
    """Sets that show social bias, in their public formats (plain or gzip), and columns whose groups are held against one another; base against tuned."""

    crows_pairs: _PathText | None = None
    """CrowS-Pairs: a CSV file with sent_more, sent_less, stereo_antistereo and bias_type."""
    winobias: _PathText | None = None
    """WinoBias: a folder with its files `pro_stereotyped_type1.txt.dev` and so on, or one CSV of split, stereotype, type, line_no and sentence."""
    bbq: _PathText | list[_PathText] = Field(default=[])
    """BBQ: a JSONL file, or several, as its authors give them, one a category."""
    most: int = Field(default=500, ge=20, le=10**6)
    """At most this many pairs or questions of each of the three sets, drawn at random by the recipe's seed."""
    groups: list[_PathText] = Field(default=[])
    """Columns of your own rows: accuracy on test, and of two labels the rates too, by each value of a column, with the greatest gap. Where answers are one label."""
    positive: str | None = None
    """The label whose rates are told by group; of two labels the last by alphabet where absent (the gaps are the same for either), of more none."""
    tolerance: float = Field(default=0.0, ge=0, le=1)
    """A rise up to this, as a fraction, is never called a change for the worse. In words only: `gates.bias` is what refuses."""

    def with_files(self, change: Callable[[str], str]) -> Self:
        """The section with the path of each file it names changed."""
        named = {name: change(path) for name in ("crows_pairs", "winobias") if (path := getattr(self, name)) is not None}
        return self.model_copy(update={**named, "bbq": [change(path) for path in self.bbq_files]})

    @property
    def bbq_files(self) -> list[str]:
        """The files of BBQ."""
        return [self.bbq] if isinstance(self.bbq, str) else self.bbq

    @property
    def asks_text(self) -> bool:
        """Whether the model is asked how likely it finds texts."""
        return bool(self.crows_pairs or self.winobias or self.bbq_files)

    @model_validator(mode="after")
    def _something_to_look_at(self) -> Self:
        if not self.asks_text and not self.groups:
            raise ValueError("bias names nothing to look at: give crows_pairs, winobias or bbq a file, or groups a column")
        if len(set(self.groups)) < len(self.groups):
            raise ValueError(f"groups {self.groups} names a column twice: name each once")
        return self
