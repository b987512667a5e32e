"""What a step calls a model, and what becomes of a model that a tenant may delete."""

import shutil
from dataclasses import asdict
from pathlib import Path

from tunesmith.core.files import write_json
from tunesmith.models.package import Bundle, model_digest
from tunesmith.pipeline.naming import named_model
from tunesmith.pipeline.promotion import promote
from tunesmith.pipeline.workspace import Workspace


def test_a_jobs_model_serves_on_when_its_tenant_deletes_it(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "work")
    made = place.root / "jobs" / "ftjob-1" / "rounds" / "r-1" / "model"
    made.mkdir(parents=True)
    write_json(made / "tunesmith.json", asdict(Bundle(task="chat", method="full", max_tokens=64)))
    content = model_digest(made)
    champion = promote(str(made), why="it is good", workspace=place.root).champion
    shutil.rmtree(place.root / "jobs")
    assert champion is not None and champion.model_hash == content
    kept = named_model("champion", place).folder
    assert str(kept) == champion.model and model_digest(kept) == content
    again = promote(str(kept), line="other", why="there too", workspace=place.root).champion
    assert again is not None and again.model == champion.model
