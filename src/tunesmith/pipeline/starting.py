"""A tuned model as the base of another round: whole weights as they are, adapters merged into the weights they were made for.

Merged ones lie in the workspace's `bases`, named by content: rounds that started there need them as long as they are served.
"""

from pathlib import Path

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import mend_folder, only_one, whole_folder
from tunesmith.models.config import BaseConfig
from tunesmith.models.package import Bundle, load_bundle, load_model, model_digest
from tunesmith.pipeline.workspace import Workspace


def starting_point(folder: Path, asked: BaseConfig, place: Workspace) -> BaseConfig:
    """The `base` section that starts from a tuned model.

    Args:
        folder: of the model.
        asked: the section that named it; its dtype and trusted code stay.
        place: the workspace.

    Raises:
        RecipeError: virtual tokens, which are no part of any weight, or a twin.
        MachineError: its files are damaged or gone.
    """
    bundle = load_bundle(folder)
    if bundle.base.get("new_tokens"):
        raise RecipeError(
            f"{folder.parent.name} has tokens of its own (base.new_tokens), and no round can start from it yet: "
            "start from its base, with its rows and the new ones in one file."
        )
    if bundle.method == "features":  # the trunk is its base, unchanged
        return BaseConfig(**bundle.base)
    whole = folder if (folder / "config.json").is_file() else _merged(folder, bundle, place)
    code = sorted({*asked.remote_code, *bundle.base.get("remote_code", ())})
    return BaseConfig(path=str(whole.resolve()), dtype=bundle.base.get("dtype", asked.dtype), remote_code=code)


def _merged(folder: Path, bundle: Bundle, place: Workspace) -> Path:
    from tunesmith.models.heads import Headed
    from tunesmith.models.merge import merged

    out = place.root / "bases" / model_digest(folder)[:16]
    if (out / "config.json").is_file():
        return out
    with only_one(out.with_name(f".{out.name}.lock"), "The base"):
        mend_folder(out)
        if not out.is_dir():
            model, tokenizer, _ = load_model(folder)
            trunk = model.trunk if isinstance(model, Headed) else model
            whole = merged(trunk)
            with whole_folder(out) as inside:
                whole.save_pretrained(inside)  # type: ignore[operator]
                tokenizer.save_pretrained(inside)
    return out
