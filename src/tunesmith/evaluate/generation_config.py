"""The `evaluate.decoding`, `evaluate.judge` and `evaluate.code` sections of a recipe: how answers are written, and who else may judge them."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import home_path
from tunesmith.data.settings.engine import EngineConfig
from tunesmith.section import Section

LARGEST_SCHEMA = 64 * 1024
"""Bytes of a schema's file that are read."""


class DecodingConfig(Section):
    """How answers are written, by the base and the fine-tuned model alike; kept with the model. Greedy as it stands."""

    temperature: float = Field(default=0.0, ge=0, le=100)
    """Logits are divided by it before a token is drawn; 0: the likeliest token always."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw only among the fewest likeliest tokens whose probabilities reach this sum."""
    top_k: int = Field(default=0, ge=0)
    """Draw only among so many likeliest tokens; 0: all."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of what is drawn: the same prompt is given the same answer."""
    stop: list[str] = Field(default=[], max_length=16)
    """Texts that end an answer and are no part of it."""
    json_schema: dict[str, Any] | str | None = None
    """Every answer is JSON that this schema accepts: the schema itself, or the path of its file."""
    regex: str | None = Field(default=None, min_length=1)
    """Every answer matches this from start to end (Rust's syntax)."""
    choices: list[Annotated[str, Field(min_length=1)]] | None = Field(default=None, min_length=1)
    """Every answer is one of these texts."""

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        if any(not stop for stop in self.stop):
            raise ValueError("a stop string is empty, and would end every answer before it began: leave it out")
        named = [name for name in ("json_schema", "regex", "choices") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} are set, and an answer keeps to one of them: choose one")
        if named and self.stop:
            raise ValueError(f"{named[0]} and stop are set, and an answer that is stopped might break off what it keeps to: choose one")
        if self.temperature == 0 and (self.top_p < 1 or self.top_k > 0):
            raise ValueError("top_p and top_k say what tokens are drawn from, and at temperature 0 none is drawn: set a temperature")
        return self

    def with_schema(self, folder: Path) -> "DecodingConfig":
        """The same with the schema itself in place of a path, taken from `folder`: a recipe is then known by what its schema says.

        Raises:
            RecipeError: no file is there, or it holds no JSON object.
        """
        if not isinstance(self.json_schema, str):
            return self
        path = folder / home_path(self.json_schema)
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_SCHEMA + 1)
            read = json.loads(content) if len(content) <= LARGEST_SCHEMA else None
        except OSError as error:
            raise RecipeError(f"evaluate.decoding.json_schema is {path}, which can't be read ({error.strerror}): name a file.") from None
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise RecipeError(
                f"evaluate.decoding.json_schema is {path}, which holds no JSON object of at most {LARGEST_SCHEMA:,} bytes: name a schema's file."
            )
        return self.model_copy(update={"json_schema": read})


class JudgeConfig(Section):
    """An engine that compares the fine-tuned model's written answers with those of the best baseline that is a language model.

    Prompts, reference answers and both answers of these rows are sent to it.
    """

    engine: EngineConfig
    """Who judges."""
    criterion: str | None = Field(default=None, min_length=1, max_length=4000)
    """What better means, in sentences; more correct, then more helpful, then clearer where absent."""
    rows: int = Field(default=100, ge=1, le=10**6)
    """At most this many test rows, drawn at random by the recipe's seed; two requests each."""
    reference: bool = True
    """Show the judge the row's own answer, to judge by."""


class CodeConfig(Section):
    """Written answers that are code, run by a command in a sandbox without network (bubblewrap): how many pass."""

    command: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1, max_length=64)
    """Run in a folder with the answer's file; an exit status of 0 means that the answer is right, so let it run tests that an answer can't end early."""
    answer: str = Field(default="answer.py", min_length=1, max_length=255)
    """Name of the file that holds the answer."""
    files: dict[str, str] = Field(default={}, max_length=16)
    """Name -> column: further files beside it, such as each row's tests."""
    fenced: bool = True
    """Take what stands in the first ``` fence of an answer, where there is one."""
    samples: int = Field(default=10, ge=1, le=1000)
    """Answers drawn to each prompt."""
    k: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 5], min_length=1, max_length=20)
    """pass@k: how probable it is that one of k answers passes."""
    temperature: float = Field(default=0.8, gt=0, le=100)
    """Of what is drawn."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Of what is drawn."""
    rows: int = Field(default=100, ge=1, le=10**6)
    """At most this many test rows, drawn at random by the recipe's seed."""
    base: bool = True
    """Ask the base too, with the same plain prompts."""
    timeout: float = Field(default=10.0, gt=0, le=3600)
    """Seconds for one run."""
    memory_mib: int = Field(default=512, ge=16, le=2**20)
    """Address space of each process of a run."""
    at_once: int = Field(default=1, ge=1, le=256)
    """Runs side by side."""
    readable: list[Path] = Field(default=[], max_length=16)
    """Folders of this machine, by their whole paths, that the command may read beside the system's."""

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        if max(self.k) > self.samples:
            raise ValueError(f"k {max(self.k)} needs as many samples, and samples is {self.samples}: raise samples, or leave that k out")
        odd = [name for name in (self.answer, *self.files) if not name or name in (".", "..") or "/" in name or "\0" in name]
        if odd:
            raise ValueError(f"{odd[0]!r} is no name of a file: give names without folders")
        if self.answer in self.files:
            raise ValueError(f"{self.answer} is the answer's own file and stands in files too: name one of them otherwise")
        bare = [path for path in self.readable if not path.is_absolute() or path == Path("/")]
        if bare:
            raise ValueError(f"{bare[0]} can't be shown to code that is run: name folders by their whole path, and not all of the machine")
        return self
