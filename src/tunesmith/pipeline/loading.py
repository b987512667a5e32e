"""Models made ready to answer: each by itself, or several LoRA adapters over one base, which is then loaded once.

Two rounds share a base where their recipes' `base` sections mean the same content (by hash) and both are plain LoRA; see
`models.shared` for what that leaves out. With `--engine` nothing is loaded but a bundle and its tokenizer.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Ended, Listener, Said, Started
from tunesmith.pipeline.naming import Named
from tunesmith.serve.config import ServeConfig

if TYPE_CHECKING:
    from tunesmith.models.package import Bundle
    from tunesmith.serve.answers import Backend


def load_backends(named: Sequence[Named], config: ServeConfig, listen: Listener) -> dict[str, "Backend"]:
    """Every model, loaded and answering, in their order; or what answers before an engine, where `config.engine` names one.

    Raises:
        TunesmithError: a model that can't be loaded; see `_before_engine`.
    """
    if config.engine is not None:
        return _before_engine(named, config, listen)
    import tunesmith.models.load  # noqa: F401  quiets the libraries that load weights
    from tunesmith.models.package import load_bundle

    groups: dict[str, list[tuple[Named, Bundle]]] = {}
    for one in named:
        bundle = load_bundle(one.folder)
        groups.setdefault(_base_of(one, bundle), []).append((one, bundle))
    made: dict[str, Backend] = {}
    for group in groups.values():
        made |= _over_one_base(group, config, listen) if len(group) > 1 else _alone(group[0][0], config, listen)
    return {one.name: made[one.name] for one in named}


def _base_of(one: Named, bundle: "Bundle") -> str:
    """What is equal for models that may share a base, and for no others."""
    from tunesmith.models.config import BaseConfig
    from tunesmith.models.load import base_hash
    from tunesmith.models.shared import can_share

    if not can_share(one.folder, bundle):
        return f"alone: {one.name}"
    return digest([base_hash(BaseConfig(**bundle.base)), bundle.base_seed if bundle.base.get("random_weights") else None])


def _alone(one: Named, config: ServeConfig, listen: Listener) -> dict[str, "Backend"]:
    from tunesmith.models.package import load_model
    from tunesmith.serve.local import LocalModel

    listen(Started(f"load {one.name}", None))
    made = LocalModel(one.name, *load_model(one.folder), config)
    listen(Ended(f"load {one.name}", 0.0))
    return {one.name: made}


def _over_one_base(group: "Sequence[tuple[Named, Bundle]]", config: ServeConfig, listen: Listener) -> dict[str, "Backend"]:
    """Adapters over one base, whose rows go through it together; each alone where the architecture doesn't allow it."""
    import torch
    from transformers import AutoTokenizer

    from tunesmith.models.config import BaseConfig
    from tunesmith.models.heads import Headed, load_head
    from tunesmith.models.load import load_base
    from tunesmith.models.shared import OneOf, Shared, takes_adapters
    from tunesmith.serve.local import LocalModel, engine_of

    names = ", ".join(one.name for one, _ in group)
    first = group[0][1]
    listen(Started(f"load {names}", None))
    base = load_base(BaseConfig(**first.base), seed=first.base_seed).model
    if not takes_adapters(base):
        return {name: made for one, _ in group for name, made in _alone(one, config, listen).items()}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    held = _bytes(base)
    shared = Shared(base)
    trunks = [OneOf(shared, shared.take(one.folder)) for one, _ in group]
    shared.to(device).eval()
    engine = engine_of(shared, device, config)
    made: dict[str, Backend] = {}
    for (one, bundle), trunk in zip(group, trunks, strict=True):
        model = Headed(trunk, load_head(one.folder)) if bundle.head else trunk
        tokenizer: Any = AutoTokenizer.from_pretrained(one.folder)
        made[one.name] = LocalModel(one.name, model, tokenizer, bundle, config, engine=engine)
    engine.close()  # from here on it is theirs
    listen(Ended(f"load {names}", 0.0))
    listen(Said(f"{names} share one base: {_mib(held)} once, and {_mib(_bytes(shared) - held)} of adapters."))
    return made


def _bytes(model: Any) -> int:
    return sum(part.numel() * part.element_size() for part in model.parameters())


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _before_engine(named: Sequence[Named], config: ServeConfig, listen: Listener) -> dict[str, "Backend"]:
    """One model whose weights are in an engine, or the engine as it is. How it is asked is told; it need not be there yet.

    Raises:
        RecipeError: several models, no such environment variable, a URL that can't be meant, a model that no engine runs.
        MachineError: no model is named here or with --engine-model, and the engine can't be asked; or a model knows labels, and the engine
            can't score them.
    """
    import asyncio

    from transformers import AutoTokenizer

    from tunesmith.models.package import load_bundle
    from tunesmith.serve.engine import Engine, EngineAt, engine_url
    from tunesmith.serve.passed import PassThrough
    from tunesmith.serve.refusals import Refusal
    from tunesmith.serve.remote import NO_SCORES, RemoteModel, only_model

    if len(named) > 1:
        raise RecipeError(f"--engine stands behind one model, and {len(named)} are named: run a gateway for each.")
    assert config.engine is not None
    at = EngineAt(
        url=engine_url(config.engine),
        key=_key(config.engine_key_env),
        model=config.engine_model,
        connect_seconds=config.engine_connect_seconds,
        first_seconds=config.engine_first_seconds,
    )
    engine = Engine(at)

    async def asked(work: Callable[[], Awaitable[str]]) -> str:
        try:
            return await work()
        finally:
            await engine.aclose()

    if not named:
        try:
            name = at.model or asyncio.run(asked(lambda: only_model(engine)))
        except Refusal as refusal:
            raise MachineError(f"{refusal.message} Start it, or name its model with --engine-model.") from None
        engine.at = replace(at, model=name)
        return {name: PassThrough(name, engine, config)}
    (one,) = named
    made = RemoteModel(one.name, AutoTokenizer.from_pretrained(one.folder), load_bundle(one.folder), engine, config)

    async def form() -> str:
        await made.look()
        return {"ids": "asked by token ids", "messages": "asked by messages, which it renders as the model was tuned"}[made.form or "ids"]

    try:
        listen(Said(f"The engine answers for {one.name}, {asyncio.run(asked(form))}."))
    except Refusal as refusal:
        if refusal.code == NO_SCORES:
            raise MachineError(f"{refusal.message} Name another engine, or serve {one.name} in this process, without --engine.") from None
        engine.alive = False
        listen(Said(f"{refusal.message} Requests get 503 until then."))
    return {one.name: made}


def _key(variable: str | None) -> str | None:
    """The engine's key. RecipeError where the variable holds none that can stand in a header."""
    if variable is None:
        return None
    key = os.environ.get(variable, "")
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise RecipeError(
            f"--engine-key-env names {variable!r}, an environment variable that is not set to a key: set it, or leave it out."
        )
    return key.strip()
