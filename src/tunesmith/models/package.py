"""A fine-tuned model as a folder: safetensors, tokenizer with its template, and what it needs to answer as it was evaluated.

`tunesmith.json` holds task, labels, instruction, length and method. Adapters are kept as PEFT keeps them, whole models as
transformers does, so other tools read both. Each method says which of the two it is.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import read_json, write_json
from tunesmith.core.hashing import digest_folder
from tunesmith.models.config import BaseConfig
from tunesmith.models.heads import Headed, load_head, save_head
from tunesmith.models.load import refusal_of_twin
from tunesmith.models.methods import method

SCHEMA = 1
CARD = "README.md"
"""The model card: about the model, and no part of what it is."""
WATCHED_AGAINST = "watch.json"
"""What its traffic is held against (`pipeline.references`): about its training rows, and no part of what it is either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a model needs beside its weights to answer as it was evaluated."""

    task: str
    method: str
    max_tokens: int
    labels: tuple[str, ...] | None = None
    label_texts: dict[str, str] = field(default_factory=dict)
    """Label -> what is written for it."""
    instruction: str | None = None
    max_new_tokens: int = 128
    base: dict[str, Any] = field(default_factory=dict)
    """The `base` section of the recipe, resolved."""
    base_seed: int = 0
    """Where the base's weights are random ones: the seed they were drawn with."""
    calibration: dict[str, Any] | None = None
    """What corrects its confidences (`score.calibrated`), as JSON; None where they are as the model gives them."""
    decoding: dict[str, Any] | None = None
    """How it writes answers (`infer.decoding`), as JSON; None: greedily."""
    sureness: dict[str, Any] | None = None
    """What a written answer's confidence is made from, which `calibration` corrects: `{"samples", "temperature", "seed"}`, of 0 samples the
    likelihood of its tokens; None where written answers carry none."""
    head: bool = False
    """Whether a task head answers; what kind it is stands in its own file."""
    twin: str | None = None
    """Of a twin of a round, what it is a twin in: other rows, another seed. Measured only; `load_bundle` refuses it to all else."""
    schema: int = SCHEMA


def save_model(folder: Path, model: nn.Module, tokenizer: PreTrainedTokenizerBase, bundle: Bundle) -> None:
    """Write a model into an existing empty folder (a temporary one: the caller makes it whole or absent)."""
    trunk = model.trunk if isinstance(model, Headed) else model
    method(bundle.method).save(trunk, folder)
    if isinstance(model, Headed):
        save_head(model.head, folder)
    tokenizer.save_pretrained(folder)
    (folder / CARD).unlink(missing_ok=True)  # PEFT's, of blanks to be filled in: the round writes its own
    write_json(folder / "tunesmith.json", asdict(bundle))


def model_digest(folder: Path) -> str:
    """Content hash of a saved model; what tells of the round and is written after it does not count: its card, and what watches it."""
    return digest_folder(folder, without=(CARD, WATCHED_AGAINST))


def load_bundle(folder: Path, *, twins: bool = False) -> Bundle:
    """What stands in `tunesmith.json`.

    Args:
        folder: of the model.
        twins: whether a round's twin will do: for who measures it, and nobody else.

    Raises:
        MachineError: it is missing, damaged or of another schema.
        RecipeError: it is a twin's.
    """
    values = read_json(folder / "tunesmith.json")
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise MachineError(f"{folder} was not written by this version of tunesmith (schema {SCHEMA}): make the model again.")
    if values.get("twin") is not None and not twins:
        raise RecipeError(refusal_of_twin(str(folder), values["twin"]))
    if values["labels"] is not None:
        values["labels"] = tuple(values["labels"])
    return Bundle(**values)


def load_model(folder: Path, *, twins: bool = False) -> tuple[nn.Module, PreTrainedTokenizerBase, Bundle]:
    """Load a saved model in evaluation mode, ready to answer as it was evaluated. Takes and raises what `load_bundle` does."""
    bundle = load_bundle(folder, twins=twins)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trunk = method(bundle.method).load(folder, BaseConfig(**bundle.base), bundle.base_seed)
    model = Headed(trunk, load_head(folder)) if bundle.head else trunk
    return model.eval(), tokenizer, bundle


def renderer_of(tokenizer: Any, bundle: Bundle) -> Renderer:
    """The renderer that a saved model was trained and evaluated with.

    Args:
        tokenizer: the model's own, as a Hugging Face fast tokenizer.
        bundle: the model's.
    """
    return Renderer(tokenizer, max_tokens=bundle.max_tokens, label_texts=bundle.label_texts, new_tokens=bundle.base.get("new_tokens", ()))
