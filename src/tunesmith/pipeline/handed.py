"""What data stages are handed from upstairs, where a recipe asks for it: vectors of the base, an engine that writes, a model that finds names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError
from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.making import Handed
from tunesmith.data.settings.engine import EngineConfig
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tunesmith.data.anonymise import Recogniser
    from tunesmith.engines.openai import OpenAIEngine

_BATCH = 32
_KIND_OF = {
    "per": "person",
    "person": "person",
    "name": "person",
    "loc": "address",
    "address": "address",
    "email": "email",
    "phone": "phone",
}
"""What a model calls a thing, without its `B-` or `I-` -> the kind it is here; other labels are passed over."""


def handed_to(recipe: Recipe, workspace: Workspace) -> Handed:
    """Nothing is loaded that the recipe doesn't ask for.

    Raises:
        RecipeError: an engine's key is not in the environment, a path holds no model.
        MachineError: a model is damaged.
    """
    data = recipe.data
    wants = (data.relabel.features == "base" and data.relabel.action != "off") or data.coverage.features == "base"
    return Handed(
        features=_base_features(recipe) if wants else None,
        engine=None if data.augment.engine is None else engine_of(data.augment.engine, workspace),
        recogniser=None if data.anonymise is None or data.anonymise.model is None else _recogniser(data.anonymise.model),
        datasets=workspace.datasets,
    )


def engine_of(config: EngineConfig, workspace: Workspace | None) -> "OpenAIEngine":
    """The engine of a config, with its memory in the workspace's cache; without one it is only looked at. Raises RecipeError where it can't be meant so."""
    from tunesmith.engines.memory import Memory
    from tunesmith.engines.openai import OpenAIEngine

    settings = config.model_dump(exclude={"price_asked", "price_answered"})
    return OpenAIEngine(**settings, memory=None if workspace is None else Memory(workspace.cache / "engine"))


def _base_features(recipe: Recipe) -> Any:
    """Texts -> the mean of the base's last hidden states of each: [texts, width], float32."""

    def features(texts: list[str]) -> "npt.NDArray[np.float32]":
        import numpy as np
        import torch

        from tunesmith.models.forward import row_states, to_tensors
        from tunesmith.models.load import load_base
        from tunesmith.tree.plan import answer_only, plan

        base = load_base(recipe.base, seed=recipe.seed)
        found = np.zeros((len(texts), base.model.config.hidden_size), np.float32)
        for start in range(0, len(texts), _BATCH):
            ids = [base.tokenizer.encode(text, add_special_tokens=False)[: base.context] or [0] for text in texts[start : start + _BATCH]]
            rows = [answer_only(row, len(row)) for row in ids]
            for planned in plan(rows, token_budget=recipe.train.token_budget):
                with torch.no_grad():
                    tensors = to_tensors(planned, torch.device("cpu"))
                    states_RLD = row_states(base.model, tensors).float()
                means_RD = states_RLD.sum(dim=1) / tensors.lengths_R[:, None]
                found[start + planned.rows_R] = means_RD.numpy()
        return found

    return features


def _recogniser(path: Path) -> "Recogniser":
    """A token-classification model of a folder, in the Hugging Face format; never downloaded, safetensors only."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    if not (path / "config.json").is_file():
        raise RecipeError(f"data.anonymise.model is {path}, which has no config.json: give the folder of a token-classification model.")
    model = AutoModelForTokenClassification.from_pretrained(path, use_safetensors=True, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    find: Any = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", device="cpu")

    def recognise(texts: Sequence[str]) -> list[list[Finding]]:
        return [[one for one in map(_finding, found) if one is not None] for found in find(list(texts), batch_size=_BATCH)]

    return recognise


def _finding(found: Any) -> Finding | None:
    kind = _KIND_OF.get(str(found["entity_group"]).lower().removeprefix("b-").removeprefix("i-"))
    return None if kind is None else Finding(int(found["start"]), int(found["end"]), kind, float(found["score"]))
