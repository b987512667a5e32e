"""Bases that could be started from: the embedded one, folders, hub ids, what lies in the local hub cache. No weight is read.

Of each its configuration, tokenizer and card are read; the number of its weights is counted on a copy that has shapes and no
values. Costs under a second for a base that is here; of one that is not, what the hub takes to send a few small files.
Whether a base is any good is left to `--probe`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import MachineError, RecipeError, TunesmithError
from tunesmith.core.files import read_json
from tunesmith.models.config import BaseConfig
from tunesmith.recipe.architecture import Architecture, absurd, architecture_of

EMBEDDED = "embedded"
_MOST_CARD = 2**20
"""Bytes of a model card that are looked at."""
_LICENCE = re.compile(r"^licen[sc]e:[ \t]*['\"]?([\w.+-]{1,60})", re.MULTILINE | re.IGNORECASE)
Where = Literal["embedded", "folder", "hub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A base, as far as it is known without its weights."""

    path: str
    """As `base.path` takes it."""
    where: Where
    kind: str
    """Its architecture, as its configuration names it: llama, qwen3."""
    parameters: int
    body: int
    """Those of them that a token goes through: without the tables of embeddings, and of a mixture's experts as many as a token is sent to."""
    architecture: Architecture | None
    """None where its configuration doesn't tell its measures: what it takes of memory and time is not known then."""
    context: int
    """Most tokens its positions were made for."""
    stored_bytes: int | None
    """Of its weights on disk; None where they are not here."""
    narrow: bool
    """Stored in 16 bits a weight."""
    licence: str | None
    """As its card names it; None where there is no card, or none in it."""
    chats: bool
    """Its tokenizer has a chat template of its own, as those of instruction-tuned models have."""
    tokenizer: Any

    @property
    def output(self) -> int:
        """Weights of the output layer, tied or not; 0 where they are not known."""
        return 0 if self.architecture is None else self.architecture.vocabulary * self.architecture.hidden

    @property
    def is_here(self) -> bool:
        """Whether it can be trained without a download."""
        return self.stored_bytes is not None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A base that was found or named, and why it can't be told of."""

    path: str
    why: str


def licence_of(card: str) -> str | None:
    """The licence in a model card's front matter, in lower case; None where it tells none. `other` goes by its name, where it has one."""
    if not card.startswith("---"):
        return None
    front = card[3:].partition("\n---")[0]
    found = _LICENCE.search(front)
    if found is None:
        return None
    named = re.search(r"^licen[sc]e_name:[ \t]*['\"]?([\w.+-]{1,60})", front, re.MULTILINE | re.IGNORECASE)
    return (named if found[1].lower() == "other" and named else found)[1].lower()


def read_base(asked: BaseConfig) -> Candidate:
    """What is known of the base that a `base` section names.

    Raises:
        RecipeError: a folder that holds no model, or a base that wants to run code of its own.
        MachineError: the hub can't be reached, or its files are damaged.
    """
    from transformers import AutoConfig

    from tunesmith.models.load import load_tokenizer, resolve_base

    path, source, trusted = asked.path, resolve_base(asked), asked.path in asked.remote_code
    local = Path(source) if Path(source).is_dir() else _cached(source, asked.revision)
    options = {"revision": asked.revision} if local is None else {}
    try:
        _refuse_absurd(local)
        tokenizer, context = load_tokenizer(
            asked if local is None else asked.model_copy(update={"path": str(local), "remote_code": [str(local)] * trusted})
        )
        config = AutoConfig.from_pretrained(local or source, trust_remote_code=trusted, **options)
        shape = _architecture(config)
        parameters, body = _counted(config, trusted, 1.0 if shape is None or not shape.experts else shape.experts_a_token / shape.experts)
    except TunesmithError as error:
        raise type(error)(_named_as(path, local, str(error))) from error
    except Exception as error:  # whatever a strange configuration makes the library raise
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise MachineError(f"The configuration of base {path!r} can't be read ({first}): take another base.") from error
    return Candidate(
        path=path,
        where="embedded" if path == EMBEDDED else "folder" if Path(source).is_dir() else "hub",
        kind=str(getattr(config, "model_type", None) or "unknown"),
        parameters=parameters,
        body=body,
        architecture=shape,
        context=context,
        stored_bytes=_stored(local),
        narrow=str(getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)).removeprefix("torch.")
        in ("bfloat16", "float16"),
        licence=licence_of(_card(local, source)),
        chats=bool(getattr(tokenizer, "chat_template", None)),
        tokenizer=tokenizer,
    )


def read_bases(named: Sequence[str], own: BaseConfig | None = None) -> tuple[list[Candidate], list[Unreadable]]:
    """The candidates, each once, and those that can't be read, with why.

    Args:
        named: those asked for; where there are any, they alone are taken.
        own: the recipe's, the embedded one where absent: it leads what is found here, and keeps its revision and the code it trusts.

    Raises:
        RecipeError: a named folder that holds no model: the call is wrong.
        TunesmithError: not one base can be read; the first refusal is told.
    """
    own = own or BaseConfig(path=EMBEDDED)
    wanted = list(dict.fromkeys(named or (own.path, EMBEDDED, *cached_ids())))
    found: list[Candidate] = []
    out: list[Unreadable] = []
    first: TunesmithError | None = None
    for path in wanted:
        try:
            found.append(read_base(own if path == own.path else BaseConfig(path=path)))
        except TunesmithError as error:
            if isinstance(error, RecipeError) and path in (*named, own.path):
                raise
            first = first or error
            out.append(Unreadable(path, str(error)))
    if not found and first is not None:
        raise first
    return found, out


def cached_ids() -> Iterator[str]:
    """Ids of the causal language models in the local hub cache, in order of name. None where there is no cache, or a broken one."""
    from huggingface_hub import scan_cache_dir

    repositories: list[Any] = []
    with suppress(Exception):  # a cache that is not there or can't be read holds no base for us
        repositories = sorted((one for one in scan_cache_dir().repos if one.repo_type == "model"), key=lambda one: str(one.repo_id))
    for one in repositories:
        folder = _cached(one.repo_id)
        if folder is not None and _writes_text(folder):
            yield one.repo_id


def _writes_text(folder: Path) -> bool:
    """Whether a configuration is that of a causal language model, by the class it names."""
    with suppress(Exception):
        return any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in read_json(folder / "config.json")["architectures"])
    return False


def _cached(repository: str, revision: str | None = None) -> Path | None:
    """The snapshot of a hub id in the local cache, where it has configuration and tokenizer."""
    from huggingface_hub import try_to_load_from_cache

    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json"):
        with suppress(Exception):
            config, tokenizer = (try_to_load_from_cache(repository, file, revision=revision) for file in ("config.json", name))
            if isinstance(config, str) and isinstance(tokenizer, str):
                return Path(config).parent
    return None


def _refuse_absurd(folder: Path | None) -> None:
    """Stop before a model of measures that no model has is built, which would take without end.

    Raises:
        ValueError: the configuration in the folder has such.
    """
    told: Any = None
    if folder is not None:
        with suppress(TunesmithError, OSError, ValueError):  # that it can't be read is said by who reads it next
            told = read_json(folder / "config.json")
    if isinstance(told, dict) and (found := absurd(told)) is not None:
        raise ValueError(found)


def _architecture(config: Any) -> Architecture | None:
    """The measures that a configuration tells; None where it tells too few.

    Raises:
        ValueError: it tells such as no model has.
    """
    told = config.to_dict()
    if (found := absurd(told)) is not None:
        raise ValueError(found)
    with suppress(ValueError):
        return architecture_of(told, getattr(config, "attribute_map", None))
    return None


def _counted(config: Any, trusted: bool, used: float = 1.0) -> tuple[int, int]:
    """Weights, tied ones once, and those that a token goes through.

    Args:
        config: of the base.
        trusted: whether it may run code of its own.
        used: of a mixture's experts, the share that a token is sent to.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from tunesmith.models.load import count_parameters

    build: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        model = build(config, trust_remote_code=trusted)
    model.tie_weights()
    parameters = count_parameters(model)[0]
    tables = {
        id(part.weight): part.weight.numel() for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part is not None
    }
    experts = sum(tensor.numel() for name, tensor in model.named_parameters() if ".experts." in name)
    return parameters, parameters - sum(tables.values()) - round((1 - used) * experts)


def _stored(folder: Path | None) -> int | None:
    """Bytes of safetensors in a folder; None where there are none."""
    if folder is None:
        return None
    with suppress(OSError):
        return sum(file.stat().st_size for file in folder.glob("*.safetensors")) or None
    return None


def _card(folder: Path | None, source: str) -> str:
    """The card's first MiB; empty where there is none to be had."""
    with suppress(Exception):  # a card is a courtesy: without one the licence is unknown, and said to be
        if folder is None:
            from huggingface_hub import hf_hub_download

            folder = Path(hf_hub_download(source, "README.md")).parent
        with (folder / "README.md").open("rb") as file:
            return file.read(_MOST_CARD).decode("utf-8", "replace").replace("\r\n", "\n")
    return ""


def _named_as(path: str, local: Path | None, told: str) -> str:
    """A refusal that names the base as it was asked for, and not where the cache keeps it."""
    return told if local is None else told.replace(str(local), path)
