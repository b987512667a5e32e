"""What a model card says beside the report: whose the base is and under which licence, and how the model is loaded.

Read from files that are here: the base's own card and config, and what the round saved. Nothing is asked of the hub.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import read_json, write_text
from tunesmith.models.config import BaseConfig
from tunesmith.models.heads import load_head
from tunesmith.models.load import resolve_base
from tunesmith.models.package import CARD, Bundle, load_bundle
from tunesmith.recipe import Recipe
from tunesmith.report.loading import Loading
from tunesmith.report.model_card import Origin, model_card

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SNAPSHOT = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
"""A folder of the hub's own cache, which tells whose model lies in it."""
MOST_CHARACTERS = 200_000
"""So much of a base's card is read."""
_VIRTUAL = ("prompt", "prefix")


def write_model_card(report: dict[str, Any], folder: Path, recipe: Recipe, renderer: Renderer) -> Path:
    """Write `README.md` into a round's model folder, whole or not at all; returns its path."""
    path = folder / CARD
    write_text(path, model_card(report, origin_of(recipe), loading_of(folder, renderer)))
    return path


def origin_of(recipe: Recipe) -> Origin:
    """What the base's files say of it, and what the recipe says of the data."""
    config = recipe.base
    held = _card_of_base(config)
    name = Path(config.path).name if _is_local(config) else config.path
    known = {key: str(held[key])[:200] for key in ("license", "license_name", "license_link") if isinstance(held.get(key), str)}
    return Origin(
        base_id=_hub_id(config),
        base_name=_hub_id(config) or ("tunesmith's embedded base" if config.path == "embedded" else name),
        languages=tuple(str(code) for code in recipe.data.filter.languages),
        local_path=_is_local(config) or config.path == "embedded",
        **known,
    )


def loading_of(folder: Path, renderer: Renderer) -> Loading:
    """How the model in a folder is loaded."""
    bundle = load_bundle(folder)
    form = "adapter" if (folder / "adapter_config.json").is_file() else "whole" if (folder / "config.json").is_file() else "base"
    head = load_head(folder) if bundle.head else None
    start = None if renderer.has_own_template else str(renderer.tokenizer.bos_token) if renderer.start_ids else ""
    return Loading(
        form=form,  # type: ignore[arg-type] # one of its three
        task=bundle.task,
        head=None if head is None else head.kind,
        pool="mean" if head is None else head.pool,
        dtype=str(bundle.base.get("dtype", "float32")),
        end_ids=renderer.end_ids,
        start=start,
        new_tokens=bool(bundle.base.get("new_tokens")),
        reproducible=_reproducible(bundle, form),
        decoded=bundle.decoding is not None,
    )


def _reproducible(bundle: Bundle, form: str) -> bool:
    """Whether other libraries can load it: not over weights drawn at random, nor with virtual tokens beneath a head."""
    return not (form != "whole" and bundle.base.get("random_weights")) and not (bundle.head and bundle.method in _VIRTUAL)


def _is_local(config: BaseConfig) -> bool:
    return config.path != "embedded" and Path(config.path).expanduser().is_dir()


def _hub_id(config: BaseConfig) -> str | None:
    """The base's id on the hub, as far as its path tells it."""
    if _is_local(config):
        found = _SNAPSHOT.search(str(Path(config.path).expanduser().resolve()))
        return f"{found.group(1)}/{found.group(2)}" if found else None
    return config.path if _HUB_ID.fullmatch(config.path) else None


def _card_of_base(config: BaseConfig) -> Mapping[str, Any]:
    """The front matter of the base's card, its config's licence beneath; empty where there is none, or it can't be read."""
    from huggingface_hub import ModelCard

    try:
        folder = _folder_of(config)
        known = read_json(folder / "config.json") if folder is not None and (folder / "config.json").is_file() else {}
        card = "" if folder is None or not (folder / CARD).is_file() else (folder / CARD).read_text("utf-8", "replace")
        told: dict[str, Any] = {"license": known.get("license")} if isinstance(known, dict) else {}
        if card.startswith("---"):
            front: Any = ModelCard(card[:MOST_CHARACTERS], ignore_metadata_errors=True).data
            told |= front.to_dict()
        return told
    except Exception:  # a stranger's YAML, by a stranger's reader: whatever is wrong with it, the card goes without
        return {}


def _folder_of(config: BaseConfig) -> Path | None:
    """Where the base's files are on this machine; None for a base of the hub that is not in its cache."""
    from huggingface_hub import try_to_load_from_cache

    try:
        source = resolve_base(config)
    except TunesmithError:
        return None
    if Path(source).is_dir():
        return Path(source)
    found = try_to_load_from_cache(source, "config.json", revision=config.revision)
    return Path(found).parent if isinstance(found, str) else None
