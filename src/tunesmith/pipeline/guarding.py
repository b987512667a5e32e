"""Policies for the gateway: read from their file, with the lexicons, topics and classifiers they name loaded, before anything listens."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.core.errors import MachineError, RecipeError, did_you_mean
from tunesmith.core.files import home_path
from tunesmith.embedded import lexicon_path
from tunesmith.guard.config import ClassifierConfig, PoliciesConfig, child_friendly
from tunesmith.guard.policy import Policy, policy_of
from tunesmith.guard.rules.classifier import Scorer
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe.nodes import read_document
from tunesmith.section import Section


def read_policies(file: str | None, default: str | None) -> PoliciesConfig:
    """The policies of a file, with the one that comes along; paths in it are taken from its folder.

    Args:
        file: YAML as `PoliciesConfig`; None: only what comes along.
        default: the policy of keys that name none, instead of the file's.

    Raises:
        RecipeError: what is wrong, with the setting's name.
        MachineError: the file can't be read.
    """
    config = PoliciesConfig() if file is None else _from_file(home_path(file))
    known = [*config.policies]
    if all(policy.name != child_friendly().name for policy in known):
        known.append(child_friendly())
    chosen = default or config.default
    names = [policy.name for policy in known]
    if chosen is not None and chosen not in names:
        raise RecipeError(f"There is no policy '{chosen}'.{did_you_mean(chosen, names)}")
    return PoliciesConfig(default=chosen, policies=known)


def ready_policies(config: PoliciesConfig, place: Workspace) -> dict[str, Policy]:
    """Policies made ready, by name. TunesmithError: a file or model that can't serve."""

    def scorer(one: ClassifierConfig) -> Scorer:
        return _scorer(one, place)

    return {policy.name: policy_of(policy, str(lexicon_path()), scorer) for policy in config.policies}


def _from_file(path: Path) -> PoliciesConfig:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecipeError(f"There is no file {path}: --policies takes a YAML file with a list `policies`.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not UTF-8 text: --policies takes a YAML file with a list `policies`.") from None
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from error
    document = read_document(text, str(path))
    if document.problems:
        line, sentence = document.problems[0]
        raise RecipeError(f"{path}:{line}: {sentence}")
    if not isinstance(document.value, dict):
        raise RecipeError(f"{path} holds no list `policies`: write policies: [{{name: ..., output: {{lexicon: {{}}}}}}].")
    try:
        config = PoliciesConfig.model_validate(document.value)
    except ValidationError as error:
        raise RecipeError(_sentence(error, path, document.lines)) from None

    def whole(named: str) -> str:
        return str(path.parent.absolute() / home_path(named))

    return config.model_copy(update={"policies": [policy.with_files(whole) for policy in config.policies]})


def _sentence(error: ValidationError, path: Path, lines: Mapping[Any, int]) -> str:
    """The first complaint, with the place it is about."""
    first = error.errors(include_url=False)[0]
    place = tuple(first["loc"])
    line = next((lines[place[:count]] for count in range(len(place), 0, -1) if place[:count] in lines), None)
    start = f"{path}:{line}: " if line is not None else f"{path}: "
    name = ".".join(map(str, place))
    if first["type"] == "extra_forbidden":
        return f"{start}{name} is not a setting.{did_you_mean(str(place[-1]), _settings_at(place[:-1]))}"
    if first["type"] == "missing":
        return f"{start}{name} is missing."
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{start}{f'{name}: ' if name else ''}{said[:1].lower() if name else said[:1]}{said[1:]}."


def _settings_at(place: Sequence[Any]) -> list[str]:
    """Names of the settings of the section that lies at a place of the file."""
    section: Any = PoliciesConfig
    for part in place:
        if isinstance(part, int):
            continue
        found = section.model_fields.get(part) if isinstance(section, type) and issubclass(section, Section) else None
        section = None if found is None else next((one for one in _types(found.annotation) if issubclass(one, Section)), None)
    return list(section.model_fields) if section is not None else []


def _types(annotation: Any) -> list[type]:
    inner = getattr(annotation, "__args__", ())
    return [annotation] if isinstance(annotation, type) and not inner else [one for part in inner for one in _types(part)]


def _scorer(config: ClassifierConfig, place: Workspace) -> Scorer:
    """A classifier, loaded; one text after the other, since a model is shared by all requests."""
    import torch

    from tunesmith.evaluate.classifier import Classifier
    from tunesmith.pipeline.naming import named_model

    folder = named_model(config.model, place).folder
    found = Classifier.at(folder, config.labels, config.model, setting="classifier.model", labels_setting="classifier.labels")
    loaded = found.loaded(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    lock = threading.Lock()

    def score(texts: Sequence[str]) -> list[float]:
        with lock:
            return loaded(texts)

    return score
