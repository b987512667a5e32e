"""Bases: from the package, a folder or a hub. safetensors only; a base's own code runs only where the recipe names it."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, get_session
from huggingface_hub.utils.tqdm import disable_progress_bars
from safetensors import SafetensorError
from transformers import AddedToken, AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import home_path, read_json
from tunesmith.core.hashing import digest, digest_folder
from tunesmith.embedded import base_path
from tunesmith.models.config import BaseConfig

_noise: Any = logging
_noise.set_verbosity_error()
_noise.disable_progress_bar()
disable_progress_bars()
warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base: weights, tokenizer, context and content hash."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    context: int
    """Most tokens its positions were made for."""
    vocabulary: int
    """Rows of its embedding."""
    content_hash: str
    name: str
    new_ids: tuple[int, ...] = ()
    """Ids of `base.new_tokens`."""


def resolve_base(config: BaseConfig) -> str:
    """The folder or hub id a `base.path` stands for. Raises RecipeError for a local path that is not there, or holds no model or a twin."""
    if config.path == "embedded":
        return str(base_path())
    looks_local = config.path.startswith((".", "/", "~")) or config.path.count("/") > 1
    folder = home_path(config.path)
    if folder.is_dir():
        _refuse_twin(config.path, folder)
        _refuse_without_config(config.path, folder)
        return str(folder)
    if folder.exists() or looks_local:
        raise RecipeError(
            f"base.path {config.path!r} is not a folder with a model: give a folder with config.json and *.safetensors, or a hub id."
        )
    return config.path


def refusal_of_twin(path: str, kind: str) -> str:
    """Why a twin of a round is not taken for a model."""
    return (
        f"{path!r} holds a twin of a round ({kind}), which was trained to be measured and for nothing else: "
        "take the round's own model, or run a round for one of its own."
    )


def _refuse_twin(path: str, folder: Path) -> None:
    mark = folder / "tunesmith.json"
    held = read_json(mark) if mark.is_file() else None
    if isinstance(held, dict) and held.get("twin") is not None:
        raise RecipeError(f"base.path {refusal_of_twin(path, str(held['twin']))}")


def _refuse_without_config(path: str, folder: Path) -> None:
    if (folder / "config.json").is_file():
        return
    if (folder / "adapter_config.json").is_file():
        raise RecipeError(
            f"base.path {path!r} holds an adapter, not a whole model: merge it into the base it was made for, or name that base."
        )
    below = sorted(one.parent.name for one in folder.glob("*/config.json"))
    where = f": its subfolder {below[0]!r} has one, name that." if below else ": give the folder that holds it beside *.safetensors."
    raise RecipeError(f"base.path {path!r} has no config.json, so it is no model in the Hugging Face format{where}")


def lasting_path(config: BaseConfig) -> str:
    """The base's path as it may be kept beside a model: a folder's is made absolute, so that it holds from everywhere."""
    folder = home_path(config.path)
    return str(folder.resolve()) if config.path != "embedded" and folder.is_dir() else config.path


def base_hash(config: BaseConfig) -> str:
    """Content hash of a base: over its files where it is local, over id and commit where it comes from a hub.

    Raises:
        MachineError: the hub can't be reached and holds no local copy.
    """
    source = resolve_base(config)
    shape: dict[str, Any] = {"dtype": config.dtype, "random": config.random_weights}
    if config.new_tokens:
        shape["new_tokens"] = config.new_tokens
    if Path(source).is_dir():
        return digest([digest_folder(Path(source), ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")), shape])
    loaded = _from_hub(config, lambda: AutoConfig.from_pretrained(source, **_options(config, source)))
    return digest([source, getattr(loaded, "_commit_hash", None) or config.revision or "main", shape])


def _options(config: BaseConfig, source: str) -> dict[str, Any]:
    """What every loader is told. Where the hub does not answer, only its local copies are looked for."""
    known = {"revision": config.revision, "trust_remote_code": config.path in config.remote_code}
    return known if Path(source).is_dir() else known | {"local_files_only": not _hub_answers()}


def _hub_answers() -> bool:
    """One quick try: the loaders by themselves would try for half a minute before they say that there is no network."""
    try:
        get_session().head(constants.ENDPOINT, timeout=5.0)
    except Exception:  # whatever kind of error the hub's HTTP library of the day raises
        return False
    return True


def _from_hub(config: BaseConfig, load: Any) -> Any:
    """Call a Hugging Face loader; say in one line what keeps it from working."""
    try:
        return load()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        text = str(error)
        first = text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
        local = Path(resolve_base(config)).is_dir()
        if "trust_remote_code" in text:
            raise RecipeError(
                f"Base {config.path!r} wants to run its own code. If you trust it, name it in base.remote_code; else take another base."
            ) from error
        if isinstance(error, SafetensorError):
            raise MachineError(f"The weights of base {config.path!r} are damaged ({first}): download or copy them again.") from error
        if "safetensors" in text.lower() or "pytorch_model" in text or "TF2.0" in text:
            raise MachineError(
                f"Base {config.path!r} has no safetensors weights, the only kind read here (pickles can run code): convert it first, or take another base."
            ) from error
        if local:
            raise MachineError(f"Base folder {config.path!r} can't be loaded: {first}") from error
        raise MachineError(
            f"Base {config.path!r} can't be had from the hub ({first}). Check the name and the network, set HF_TOKEN for a gated model, "
            "or download it elsewhere and give the folder as base.path."
        ) from error


def load_base(config: BaseConfig, *, seed: int = 0) -> Base:
    """Load weights and tokenizer on the CPU, in evaluation mode.

    Raises:
        RecipeError: the path is wrong, the base wants to run its own code, or `new_tokens` names a token it has.
        MachineError: the hub is out of reach, or the files are damaged or not safetensors.
    """
    source = resolve_base(config)
    options = _options(config, source)
    tokenizer = _from_hub(config, lambda: AutoTokenizer.from_pretrained(source, **options))
    if config.random_weights:
        shape = _from_hub(config, lambda: AutoConfig.from_pretrained(source, **options))
        torch.manual_seed(seed)
        build: Any = AutoModelForCausalLM.from_config
        model = build(shape, trust_remote_code=options["trust_remote_code"]).to(_DTYPES[config.dtype])
    else:
        model, found = _from_hub(
            config,
            lambda: AutoModelForCausalLM.from_pretrained(
                source, dtype=_DTYPES[config.dtype], use_safetensors=True, output_loading_info=True, **options
            ),
        )
        if found["missing_keys"]:
            raise MachineError(
                f"Base {config.path!r} lacks {len(found['missing_keys'])} of its tensors ({min(found['missing_keys'])} is the first), and "
                "they would be drawn at random: its files don't belong together; download or copy them again."
            )
    vocabulary = _rows(model)
    if len(tokenizer) > vocabulary:
        raise MachineError(
            f"Base {config.path!r}: its tokenizer has {len(tokenizer)} tokens and its embedding {vocabulary} rows; "
            "the two don't belong together. Take both from one model."
        )
    context = int(getattr(model.config, "max_position_embeddings", 0) or 2048)
    new_ids = _add_tokens(config, model, tokenizer)
    return Base(model.eval(), tokenizer, context, _rows(model), base_hash(config), config.path, new_ids)


def load_shape(config: BaseConfig) -> Base:
    """A base as `load_base` gives it, of shapes without values: config and tokenizer are read, and no weight. Raises as it does."""
    source = resolve_base(config)
    options = _options(config, source)
    tokenizer = _from_hub(config, lambda: AutoTokenizer.from_pretrained(source, **options))
    shape = _from_hub(config, lambda: AutoConfig.from_pretrained(source, **options))
    build: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        model = _from_hub(config, lambda: build(shape, trust_remote_code=options["trust_remote_code"])).to(_DTYPES[config.dtype])
        new_ids = _add_tokens(config, model, tokenizer)
    context = int(getattr(model.config, "max_position_embeddings", 0) or 2048)
    return Base(model.eval(), tokenizer, context, _rows(model), "", config.path, new_ids)


def load_tokenizer(config: BaseConfig) -> tuple[Any, int]:
    """The tokenizer of a base and its context in tokens, without its weights. Raises as `load_base` does."""
    source = resolve_base(config)
    options = _options(config, source)
    tokenizer = _from_hub(config, lambda: AutoTokenizer.from_pretrained(source, **options))
    shape = _from_hub(config, lambda: AutoConfig.from_pretrained(source, **options))
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in config.new_tokens])
    return tokenizer, int(getattr(shape, "max_position_embeddings", 0) or 2048)


def _rows(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


def _add_tokens(config: BaseConfig, model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Give `base.new_tokens` ids, and the mean of the rows before them, so that all start as one token that says nothing.

    The embedding grows where it has no unused rows for them; an output layer of its own, with its biases, goes along.

    Raises:
        RecipeError: a token that the tokenizer has already.
    """
    if not config.new_tokens:
        return ()
    known = tokenizer.get_vocab()
    for token in config.new_tokens:
        if token in known:
            raise RecipeError(f"base.new_tokens {token!r} is a token of base {config.path!r} already: leave it out.")
    first = len(tokenizer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in config.new_tokens])
    ids = tuple(int(one) for one in tokenizer.convert_tokens_to_ids(config.new_tokens))
    if max(ids) >= _rows(model):
        model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    leave = model.get_output_embeddings()
    tables = {id(table): table for table in (model.get_input_embeddings().weight, leave.weight, getattr(leave, "bias", None))}
    with torch.no_grad():
        for table in tables.values():
            if table is not None:
                table[list(ids)] = table[:first].float().mean(dim=0).to(table.dtype)
    return ids


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """All parameters and the trainable ones; tied weights count once."""
    unique = {id(parameter): parameter for parameter in model.parameters()}
    return sum(p.numel() for p in unique.values()), sum(p.numel() for p in unique.values() if p.requires_grad)
