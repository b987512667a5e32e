"""A fine-tuning job as a round: its recipe, its own workspace, and what its client is told.

A job works in `jobs/ID` of the workspace, which is a workspace of its own: rounds, data sets and cache of two tenants never meet, and to
delete a model is to delete a folder. Its rows are its own hold on the uploaded bytes, checked against their hashes, so a file may be deleted
while a job learns from it. The recipe follows from the job alone: a worker that takes up what another left goes on with the same round,
bit for bit.
"""

import math
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.files import write_jsonl
from tunesmith.core.progress import Listener
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.examples import BadExample, rows_of
from tunesmith.serve.file_store import same_bytes

if TYPE_CHECKING:
    from tunesmith.ledger.jobs import JobRecord
    from tunesmith.pipeline.api import Round
    from tunesmith.recipe import Recipe

FOLDER = "jobs"
FILES = "files"
FEW_ROWS = 27
"""From so many on each side gets something by the usual shares (`data.split`); the API takes ten, as OpenAI does."""
_PATH = re.compile(r"(?<![\w./])(?:~|\.{1,2})?/[^\s:,;'\"]+")


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where a job lies."""

    root: Path
    """Of the server's workspace, absolute."""
    job: "JobRecord"

    @property
    def folder(self) -> Path:
        """The job's own workspace."""
        return self.root / FOLDER / self.job.id

    @property
    def workspace(self) -> Workspace:
        """The same, as one."""
        return Workspace(self.folder)

    def rows(self, param: str) -> Path:
        """The rows of `training_file` or `validation_file`, as the round reads them; the name tells jobs apart, whose ledger may be one."""
        return self.folder / f"{self.job.id}-{param}.jsonl"

    @property
    def model(self) -> Path:
        """The folder of the model that it made."""
        return self.folder / "rounds" / str(self.job.round_id) / "model"

    def of(self, job_id: str, round_id: str) -> Path:
        """The folder of another job's model."""
        return self.root / FOLDER / job_id / "rounds" / round_id / "model"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a job."""

    round: "Round"
    trained_tokens: int
    checkpoint: dict[str, Any]
    table: str
    """Its figures by step, as CSV."""


def model_name(job: "JobRecord") -> str:
    """`ft:BASE:TENANT:SUFFIX:ID`: whose it is and what it was made from; the id alone makes it one of a kind."""
    tenant = re.sub(r"[^A-Za-z0-9._-]", "-", job.tenant)[:64]
    return f"ft:{job.base}:{tenant}:{job.suffix or ''}:{job.id.removeprefix('ftjob-')[:12]}"


def prepare_rows(place: JobPlace) -> None:
    """Make the job's rows from its files, where they are not made yet.

    Raises:
        DataError: bytes that are no longer what was uploaded, or a line that can't be learnt from.
    """
    job = place.job
    for param, identity in (("training_file", job.training_file), ("validation_file", job.validation_file)):
        if identity is None or place.rows(param).exists():
            continue
        held = place.folder / FILES / identity
        if not held.is_file() or not same_bytes(held, job.hashes[identity]):
            raise DataError(f"{param} is not what was uploaded any more: upload it again, and make another job.")
        try:
            write_jsonl(place.rows(param), rows_of(held))
        except BadExample as error:
            raise DataError(f"{param}: {error}") from None


def recipe_of(place: JobPlace, base: str) -> "Recipe":
    """The recipe that a job stands for.

    Args:
        place: the job's, its rows prepared.
        base: what its model's name stands for: `embedded`, or a folder.
    """
    from tunesmith.data.config import DataConfig, Task
    from tunesmith.data.settings.split import SplitConfig
    from tunesmith.evaluate.config import EvaluateConfig
    from tunesmith.models.config import BaseConfig
    from tunesmith.recipe import Recipe
    from tunesmith.train.config import ObjectiveConfig, TrainConfig

    job, asked = place.job, {name: value for name, value in place.job.settings.items() if value != "auto"}
    train: dict[str, Any] = {
        ours: asked[theirs] for theirs, ours in (("n_epochs", "epochs"), ("batch_size", "batch_rows")) if theirs in asked
    }
    if "learning_rate_multiplier" in asked:
        train["learning_rate"] = float(asked["learning_rate_multiplier"]) * usual_rate(base)
    dpo = job.method == "dpo"
    return Recipe(
        seed=job.seed,
        data=DataConfig(
            path=str(place.rows("training_file")),
            validation_path=None if job.validation_file is None else str(place.rows("validation_file")),
            task=Task.PREFER if dpo else Task.GENERATE,
            split=SplitConfig(validation=0.3, test=0.2) if _few(place.rows("training_file")) else SplitConfig(),
        ),
        base=BaseConfig(path=base),
        objective=ObjectiveConfig(name="dpo", beta=_number(asked.get("beta"))) if dpo else ObjectiveConfig(),
        train=TrainConfig(**train),
        evaluate=EvaluateConfig(few_shot=[0]),  # what the base does with examples in its prompt costs more than most jobs' training
    )


def _few(rows: Path) -> bool:
    """Whether the usual shares would leave a side without a row."""
    with rows.open("rb") as file:
        return sum(1 for _, _ in zip(range(FEW_ROWS), file, strict=False)) < FEW_ROWS


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def usual_rate(base: str) -> float:
    """The learning rate that a base's default method takes at its size; its weights are not read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tunesmith.models.config import BaseConfig, MethodConfig
    from tunesmith.models.load import count_parameters, resolve_base
    from tunesmith.models.methods import method_name
    from tunesmith.train.optimizers import default_learning_rate

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM
        parameters, _ = count_parameters(model.from_config(AutoConfig.from_pretrained(resolve_base(BaseConfig(path=base)))))
    return default_learning_rate(method_name(MethodConfig(), parameters), parameters, "tokens", "adamw")


def run_job(place: JobPlace, base: str, listen: Listener) -> Made:
    """Take a job through its round, or on with it where one began.

    Raises:
        TunesmithError: as `pipeline.api.run`.
    """
    from tunesmith.pipeline.api import run

    done = run(recipe_of(place, base), workspace=place.folder, listen=listen)
    if done.report is None:
        raise MachineError("The round ended without its report: make the job again.")
    training = done.report["training"]
    steps, losses = training["steps"], {one["step"]: one["loss"] for one in training["validation"]}
    kept = int(training["chosen_step"])
    train_loss = next((one["loss"] for one in reversed(steps) if one["step"] == kept), None)
    told = {"train_loss": train_loss, "valid_loss": losses.get(kept)}
    checkpoint = {"step": kept} | {name: value for name, value in told.items() if value is not None and math.isfinite(value)}
    return Made(done, int(training["tokens_in_rows"]), checkpoint, "".join(_table(steps, losses)))


def _table(steps: list[Mapping[str, Any]], losses: Mapping[int, float]) -> Iterator[str]:
    yield "step,train_loss,valid_loss,learning_rate,tokens\n"
    first = losses.get(0)
    if first is not None:
        yield f"0,,{first:.6f},,\n"
    for one in steps:
        valid = losses.get(one["step"])
        yield f"{one['step']},{one['loss']:.6f},{'' if valid is None else f'{valid:.6f}'},{one['learning_rate']:.6g},{one['tokens']}\n"


def told_to_clients(text: str, place: JobPlace, base: str = "") -> str:
    """A sentence of ours without the server's paths: a job's client knows its files and its base by their own names."""
    for path, name in (
        (str(place.rows("training_file")), "training_file"),
        (str(place.rows("validation_file")), "validation_file"),
        (place.rows("training_file").name, "training_file"),
        (place.rows("validation_file").name, "validation_file"),
        (base if "/" in base else "", place.job.model),
    ):
        text = text.replace(path, name) if path else text
    return _PATH.sub("a file of the server", text)[:1000]


def tidy(place: JobPlace) -> None:
    """Remove what a job that is over needs no longer: all of it, or everything but the round of a model that is served."""
    if place.job.status != "succeeded" or place.job.removed is not None:
        shutil.rmtree(place.folder, ignore_errors=True)
        return
    for item in place.folder.iterdir() if place.folder.is_dir() else ():
        if item.name in (FILES, "datasets", "cache"):
            shutil.rmtree(item, ignore_errors=True)
        elif item.suffix == ".jsonl":
            item.unlink(missing_ok=True)
