"""`/v1/fine_tuning/jobs` and the deletion of what they made, as OpenAI's clients ask for them.

A job names a base of the allow-list, or a model that its own tenant tuned; nothing a client says is ever a path, a hub's id or a recipe.
What a job asks for is checked here, so that one that is accepted fails for what its rows are or the machine, and says so in `error`.
"""

import asyncio
import secrets
import shutil
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from fastapi import Depends, FastAPI, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.files import ExampleForm, FileRecord, QuotaError
from tunesmith.ledger.jobs import JobEvent, JobRecord, MethodName
from tunesmith.ledger.keys import KeyRecord
from tunesmith.serve.examples import LEAST_ROWS
from tunesmith.serve.file_store import PART, link
from tunesmith.serve.files_routes import page
from tunesmith.serve.refusals import Refusal, wrong
from tunesmith.serve.tuning import Tuning, epoch

if TYPE_CHECKING:
    from tunesmith.serve.app import Gateway

LEAST_VALIDATION = 4
"""Validation rows are divided into those that choose a checkpoint and those that correct confidences."""
_FORMS: dict[MethodName, ExampleForm] = {"supervised": "chat", "dpo": "preference"}
MOST_SUFFIX = 64
_ASKED = ("model", "method", "settings", "suffix", "seed", "notes", "training_file", "validation_file")
"""What a request that is sent again has as it had it."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Epochs = Literal["auto"] | Annotated[int, Field(ge=1, le=50)]
Rows = Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
Multiplier = Literal["auto"] | Annotated[float, Field(ge=0.001, le=100)]


class Hyperparameters(_Body):
    """`auto`: the recipe's own default."""

    n_epochs: Epochs = "auto"
    batch_size: Rows = "auto"
    learning_rate_multiplier: Multiplier = "auto"


class DpoHyperparameters(Hyperparameters):
    """With DPO's own."""

    beta: Literal["auto"] | Annotated[float, Field(gt=0, le=100)] = "auto"


class Supervised(_Body):
    hyperparameters: Hyperparameters = Hyperparameters()


class Dpo(_Body):
    hyperparameters: DpoHyperparameters = DpoHyperparameters()


class Method(_Body):
    """What the rows are learnt by."""

    type: MethodName
    supervised: Supervised | None = None
    dpo: Dpo | None = None

    @model_validator(mode="after")
    def _its_own_settings(self) -> Self:
        other = self.dpo if self.type == "supervised" else self.supervised
        if other is not None:
            raise ValueError(f"settings of another method stand beside type {self.type}: leave them out")
        return self


class JobRequest(_Body):
    """`POST /v1/fine_tuning/jobs`."""

    model: str = Field(min_length=1, max_length=256)
    training_file: str = Field(min_length=1, max_length=64)
    validation_file: str | None = Field(default=None, min_length=1, max_length=64)
    suffix: str | None = Field(default=None, max_length=MOST_SUFFIX, pattern=r"^[A-Za-z0-9._-]*$")
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    """OpenAI's older place for those of supervised jobs."""
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(default=None, max_length=16)
    integrations: list[None] | None = Field(default=None, max_length=0)

    @property
    def named(self) -> MethodName:
        """The method; supervised where none is."""
        return "supervised" if self.method is None else self.method.type

    @property
    def settings(self) -> Mapping[str, Any]:
        """The hyperparameters, wherever they stood. Refusal where they stand in two places, or in the wrong one."""
        if self.hyperparameters is not None and self.method is not None:
            raise wrong("hyperparameters", "Hyperparameters stand in method: leave the older place out.")
        own = None if self.method is None else self.method.dpo if self.method.type == "dpo" else self.method.supervised
        usual = DpoHyperparameters() if self.named == "dpo" else Hyperparameters()
        return (self.hyperparameters or (usual if own is None else own.hyperparameters)).model_dump()


def shown_job(job: JobRecord) -> dict[str, Any]:
    """A job as OpenAI's clients read it."""
    done = job.status == "succeeded"
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": epoch(job.created),
        "finished_at": None if job.finished is None else epoch(job.finished),
        "estimated_finish": None if job.estimated is None else epoch(job.estimated),
        "model": job.model,
        "fine_tuned_model": job.fine_tuned_model if done else None,
        "organization_id": job.tenant,
        "status": job.status,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "result_files": [job.result_file] if job.result_file is not None else [],
        "trained_tokens": job.trained_tokens,
        "error": None if job.error is None else dict(job.error),
        "seed": job.seed,
        "hyperparameters": {name: value for name, value in job.settings.items() if name != "beta"},
        "method": {"type": job.method, job.method: {"hyperparameters": dict(job.settings)}},
        "metadata": None if job.notes is None else dict(job.notes),
        "integrations": [],
    }


def shown_event(event: JobEvent) -> dict[str, Any]:
    """An event as OpenAI's clients read it."""
    return {
        "id": event.id,
        "object": "fine_tuning.job.event",
        "created_at": epoch(event.created),
        "level": event.level,
        "message": event.message,
        "type": "message" if event.data is None else "metrics",
        "data": None if event.data is None else dict(event.data),
    }


def shown_checkpoints(job: JobRecord) -> list[dict[str, Any]]:
    """The one whose weights were kept: those of other steps are gone when a round is done."""
    if job.status != "succeeded" or job.removed is not None or job.checkpoint is None:
        return []
    kept = dict(job.checkpoint)
    metrics = {"step": kept["step"], "train_loss": kept.get("train_loss"), "valid_loss": kept.get("valid_loss")}
    return [
        {
            "id": job.id.replace("ftjob-", "ftckpt-"),
            "object": "fine_tuning.job.checkpoint",
            "created_at": epoch(job.finished or job.created),
            "fine_tuned_model_checkpoint": job.fine_tuned_model,
            "fine_tuning_job_id": job.id,
            "step_number": kept["step"],
            "metrics": metrics | {"full_valid_loss": kept.get("valid_loss")},
        }
    ]


def found_job(tuning: Tuning, key: KeyRecord, identity: str) -> JobRecord:
    """A key's own job. Refusal (404) where its tenant has none of this id."""
    job = tuning.jobs.find(key.tenant, identity)
    if job is None:
        message = "There is no fine-tuning job of this id: GET /v1/fine_tuning/jobs lists yours."
        raise Refusal(404, message, "job_not_found", "fine_tuning_job_id")
    return job


def create(tuning: Tuning, key: KeyRecord, body: JobRequest, request: str | None, most: int) -> JobRecord:
    """Make a job, with its own hold on the files' bytes.

    Raises:
        Refusal: 400, 404 for a base or a file that is not there; 400 for an Idempotency-Key that came with another request; 429 where too many wait.
    """
    base, parent = _start(tuning, key, body.model)
    training = _file(tuning, key, body.training_file, "training_file", body.named, LEAST_ROWS)
    validation = None
    if body.validation_file is not None:
        validation = _file(tuning, key, body.validation_file, "validation_file", body.named, LEAST_VALIDATION)
    record = JobRecord(
        tenant=key.tenant,
        key_id=key.id,
        request=request,
        model=body.model,
        base=base,
        parent=parent,
        method=body.named,
        settings=body.settings,
        suffix=body.suffix or None,
        seed=_seed(key, request) if body.seed is None else body.seed,
        notes=body.metadata,
        training_file=training.id,
        validation_file=None if validation is None else validation.id,
        hashes={file.id: file.content_hash for file in (training, validation) if file is not None},
    )
    folder, made_in = tuning.folder / record.id, tuning.folder / f".{record.id}{PART}"
    kept = False
    try:
        for file in (training, validation):
            if file is not None:
                link(tuning.store.path(file), made_in / "files" / file.id)
        made_in.rename(folder)
        made = tuning.jobs.create(record, most_waiting=most)
        kept = made.id == record.id
        if not kept and any(getattr(made, name) != getattr(record, name) for name in _ASKED):
            message = "This Idempotency-Key came with another request before: send a new one with a new request."
            raise Refusal(400, message, "idempotency_key_reused", "Idempotency-Key")
    except FileNotFoundError:
        raise _no_file("training_file") from None
    except QuotaError as error:
        raise Refusal(429, str(error), "rate_limit_exceeded", headers={"Retry-After": "60"}) from None
    finally:
        for left in () if kept else (made_in, folder):
            shutil.rmtree(left, ignore_errors=True)
    return made


def _seed(key: KeyRecord, request: str | None) -> int:
    """Any; the same for the same request again, which is to be seen to be the same."""
    if request is None:
        return secrets.randbelow(2**31)
    return int.from_bytes(sha256(f"{key.tenant}\0{request}".encode()).digest()[:4], "big") >> 1


def _start(tuning: Tuning, key: KeyRecord, model: str) -> tuple[str, str | None]:
    """The base that a name means, and the job whose model it is."""
    if model in tuning.bases:
        return model, None
    parent = tuning.jobs.model(key.tenant, model) if model.startswith("ft:") else None
    if parent is None:
        known = ", ".join(tuning.bases)
        raise Refusal(404, f"The model can't be tuned here: name one of {known}, or a model that you tuned.", "model_not_found", "model")
    if not (tuning.folder / parent.id / "rounds" / str(parent.round_id) / "model" / "config.json").is_file():
        raise wrong(
            "model", "This model is an adapter over its base, and no further one is put on top: name the base.", "model_not_tunable"
        )
    return parent.base, parent.id


def _no_file(param: str) -> Refusal:
    return Refusal(400, f"There is no file of this id: upload {param} with purpose fine-tune first.", "file_not_found", param)


def _file(tuning: Tuning, key: KeyRecord, identity: str, param: str, method: MethodName, least: int) -> FileRecord:
    """A file that is fit for a method."""
    record = tuning.store.files.find(key.tenant, identity)
    if record is None:
        raise _no_file(param)
    if record.purpose != "fine-tune":
        raise wrong(param, f"{param} has purpose {record.purpose}: upload one with purpose fine-tune.", "invalid_file_purpose")
    if record.form != _FORMS[method]:
        message = (
            f"{param} holds {record.form} examples, and method {method} learns from {_FORMS[method]} ones: send another file or method."
        )
        raise wrong(param, message, "invalid_file_format")
    if (record.rows or 0) < least:
        raise wrong(param, f"{param} holds {record.rows} examples, and takes {least} or more.", "not_enough_examples")
    return record


def jobs_routes(app: FastAPI, gateway: "Gateway", tuning: Tuning) -> None:
    """Add the routes. What the machine refuses for a while (a ledger that is locked, a full disk) is told as 503."""
    aside = tuning.aside
    Key = Annotated[KeyRecord, Depends(gateway.may("train"))]
    Limit = Annotated[int, Query(ge=1, le=100)]
    After = Annotated[str, Query(max_length=64)]
    at = "/v1/fine_tuning/jobs"

    @app.post(at)
    async def begin(
        body: JobRequest, key: Key, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=128)] = None
    ) -> dict[str, Any]:
        return shown_job(await aside.run(lambda: create(tuning, key, body, idempotency_key, gateway.config.most_jobs)))

    @app.get(at)
    async def jobs(request: Request, key: Key, limit: Limit = 20, after: After = "") -> dict[str, Any]:
        notes = {name[9:-1]: value for name, value in request.query_params.items() if name.startswith("metadata[") and name.endswith("]")}
        found = await aside.run(lambda: tuning.jobs.list(key.tenant, limit=limit + 1, after=after, notes=notes or None))
        return page([shown_job(job) for job in found], limit)

    @app.get(at + "/{job_id}")
    async def job(job_id: str, key: Key) -> dict[str, Any]:
        return shown_job(await aside.run(lambda: found_job(tuning, key, job_id)))

    @app.post(at + "/{job_id}/cancel")
    async def cancel(job_id: str, key: Key) -> dict[str, Any]:
        known = await aside.run(lambda: found_job(tuning, key, job_id))
        if known.over:
            raise Refusal(400, f"The job has {known.status} already: there is nothing to cancel.", "job_over", "fine_tuning_job_id")
        found = await aside.run(lambda: tuning.jobs.cancel(key.tenant, job_id))
        if found is not None and found.status == "cancelled":
            await asyncio.to_thread(shutil.rmtree, tuning.folder / found.id, ignore_errors=True)
        return shown_job(found or known)

    @app.get(at + "/{job_id}/events")
    async def events(job_id: str, key: Key, limit: Limit = 20, after: After = "") -> dict[str, Any]:
        known = await aside.run(lambda: found_job(tuning, key, job_id))
        found = await aside.run(lambda: tuning.jobs.events(known.id, limit=limit + 1, after=after))
        return page([shown_event(event) for event in found], limit)

    @app.get(at + "/{job_id}/checkpoints")
    async def checkpoints(job_id: str, key: Key, limit: Limit = 10, after: After = "") -> dict[str, Any]:
        known = await aside.run(lambda: found_job(tuning, key, job_id))
        return page([] if after else shown_checkpoints(known), limit)

    @app.delete("/v1/models/{name:path}")
    async def delete(name: str, key: Key) -> dict[str, Any]:
        try:
            removed = await aside.run(lambda: tuning.jobs.remove(key.tenant, name))
        except RecipeError as error:
            raise Refusal(409, str(error), "model_in_use", "model") from None
        if removed is None:
            raise Refusal(404, "There is no model of yours with this name to delete.", "model_not_found", "model")
        tuning.shelf.drop(removed)
        await asyncio.to_thread(shutil.rmtree, tuning.folder / removed.id, ignore_errors=True)
        return {"id": name, "object": "model", "deleted": True}
