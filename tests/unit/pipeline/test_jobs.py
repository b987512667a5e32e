"""A job's recipe follows from the job alone: the same job, the same recipe; a client's words are never more than numbers in it."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith.core.errors import DataError
from tunesmith.ledger.jobs import JobRecord
from tunesmith.pipeline.jobs import FEW_ROWS, JobPlace, prepare_rows, recipe_of, tidy

AUTO = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}


def chat(number: int) -> dict[str, Any]:
    name = sha256(str(number).encode()).hexdigest()
    words = " ".join(name[at : at + 6] for at in range(0, 48, 6))
    return {"messages": [{"role": "user", "content": words}, {"role": "assistant", "content": name[:5]}]}


def placed(folder: Path, rows: int = 10, **more: Any) -> JobPlace:
    data = "".join(json.dumps(chat(number)) + "\n" for number in range(rows)).encode()
    values = {"tenant": "a", "key_id": "", "model": "m", "base": "m", "seed": 3, "training_file": "file-1", "settings": AUTO} | more
    job = JobRecord(**values, hashes={"file-1": sha256(data).hexdigest()})
    place = JobPlace(folder, job)
    (place.folder / "files").mkdir(parents=True)
    (place.folder / "files" / "file-1").write_bytes(data)
    return place


def test_auto_is_the_recipes_own_default_and_numbers_go_where_they_belong(tmp_path: Path) -> None:
    place = placed(tmp_path)
    prepare_rows(place)
    usual, again = recipe_of(place, "embedded"), recipe_of(place, "embedded")
    assert usual.identity() == again.identity() and usual.train == type(usual.train)() and usual.seed == 3
    asked = replace(place, job=replace(place.job, method="dpo", settings=AUTO | {"n_epochs": 2, "batch_size": 5, "beta": 0.5}))
    found = recipe_of(asked, "embedded")
    assert (found.train.epochs, found.train.batch_rows, found.objective.name, found.objective.beta) == (2, 5, "dpo", 0.5)
    assert str(found.data.task) == "prefer" and str(usual.data.task) == "generate"


def test_two_jobs_of_one_file_are_two_rounds(tmp_path: Path) -> None:
    """Their ledger may be one, and a tenant is not to learn from a job that is done at once what another has."""
    places = [placed(tmp_path / name) for name in "ab"]
    for place in places:
        prepare_rows(place)
    assert len({recipe_of(place, "embedded").identity() for place in places}) == 2


@pytest.mark.parametrize("rows", [10, 11, FEW_ROWS - 1, FEW_ROWS])
def test_as_few_rows_as_are_taken_can_be_divided(tmp_path: Path, rows: int) -> None:
    place = placed(tmp_path, rows)
    prepare_rows(place)
    found = tunesmith.prepare(recipe_of(place, "embedded"), workspace=place.folder)
    counts = found.report["sides"]
    assert all(counts[side] >= 1 for side in ("train", "select", "calibrate", "test")), counts


def test_bytes_that_are_not_what_was_uploaded_are_not_learnt_from(tmp_path: Path) -> None:
    place = placed(tmp_path)
    with (place.folder / "files" / "file-1").open("ab") as file:
        file.write(json.dumps(chat(99)).encode())
    with pytest.raises(DataError, match="training_file is not what was uploaded"):
        prepare_rows(place)
    assert not place.rows("training_file").exists()


def test_what_stays_of_a_job_is_its_round_and_of_one_without_a_model_nothing(tmp_path: Path) -> None:
    place = placed(tmp_path)
    prepare_rows(place)
    for name in ("rounds", "datasets", "cache"):
        (place.folder / name).mkdir()
    done = replace(place, job=replace(place.job, status="succeeded"))
    tidy(done)
    assert [item.name for item in place.folder.iterdir()] == ["rounds"]
    tidy(replace(done, job=replace(done.job, removed="2026-11-21T00:00:00Z")))
    assert not place.folder.exists()
    tidy(done)


def test_a_multiplier_is_of_the_rate_that_the_base_takes_by_default(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from tunesmith.models.load import count_parameters
    from tunesmith.train.optimizers import default_learning_rate

    place = placed(tmp_path, settings=AUTO | {"learning_rate_multiplier": 0.5})
    prepare_rows(place)
    parameters, _ = count_parameters(AutoModelForCausalLM.from_pretrained(tiny_base))
    rate = recipe_of(place, str(tiny_base)).train.learning_rate
    assert rate == 0.5 * default_learning_rate("full", parameters, "tokens", "adamw")
