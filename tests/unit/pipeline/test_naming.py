"""One answer to which model a name means, and who may be promoted."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import GateError, MachineError, RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord, RoundRecord
from tunesmith.models.package import model_digest
from tunesmith.pipeline.naming import line_of, named_model
from tunesmith.pipeline.promotion import champions, promote, rollback
from tunesmith.pipeline.workspace import Workspace

BUNDLE: dict[str, Any] = {"schema": 1, "task": "classify", "method": "full", "max_tokens": 64, "labels": ["a", "b"]}


def made(work: Path, name: str, *, gates: tuple[bool, ...] = (), done: bool = True, **bundle: Any) -> Path:
    """A round with a model of a few bytes."""
    folder = work / "rounds" / name / "model"
    folder.mkdir(parents=True)
    (folder / "tunesmith.json").write_text(json.dumps(BUNDLE | bundle))
    (folder / "model.safetensors").write_bytes(name.encode())
    with Ledger.open(work / "tunesmith.db") as ledger:
        ledger.record_round(RoundRecord(id=name, identity=name, recipe={}, recipe_hash="h"))
        content = model_digest(folder)
        ledger.record_artefact(ArtefactRecord(content_hash=content, kind="model", path=str(folder), bytes=1, round_id=name))
        told = [{"name": f"gate-{place}", "bound": 0.0, "value": 0.0, "holds": holds} for place, holds in enumerate(gates)]
        if done:
            ledger.finish_round(name, "done", 1.0, verdict={"sentence": f"{name} earned its place.", "gates": told})
    return folder


def test_names_of_lines() -> None:
    assert [line_of(name) for name in ("champion", "champion:shop", "champion:", "champions", "r-1")] == [
        "champion",
        "shop",
        None,
        None,
        None,
    ]


def test_a_name_is_a_folder_a_round_or_whoever_is_in_service(tmp_path: Path) -> None:
    folder, place = made(tmp_path, "r-1"), Workspace(tmp_path)
    for name in ("r-1", "round:r-1", str(folder), str(folder.parent)):
        assert named_model(name, place).folder.resolve() == folder.resolve() and named_model(name, place).name == "r-1"
    with pytest.raises(RecipeError, match="'champion' has no champion"):
        named_model("champion", place)
    promote("r-1", line="shop", workspace=tmp_path)
    assert named_model("champion:shop", place).folder == folder
    with pytest.raises(RecipeError, match="there is no workspace"):
        named_model("champion", Workspace(tmp_path / "nowhere"))
    with pytest.raises(MachineError, match="is running and has no model"):
        made(tmp_path, "r-2", done=False)
        named_model("r-2", place)


def test_the_step_says_who_and_why_and_the_verdict_speaks_where_nobody_does(tmp_path: Path) -> None:
    made(tmp_path, "r-1"), made(tmp_path, "r-2", gates=(True,))
    promote("r-1", workspace=tmp_path, who="ann")
    stands = promote("r-2", workspace=tmp_path, who="ann", why="it is kinder")
    assert stands.champion and stands.champion.model == "r-2" and stands.champion.model_hash
    (line,) = champions(workspace=tmp_path)
    assert [(step.model, step.why) for step in line.history] == [("r-1", "r-1 earned its place."), ("r-2", "it is kinder")]
    back = rollback(workspace=tmp_path, who="bob")
    assert back.champion and back.champion.model == "r-1"
    with pytest.raises(RecipeError, match="no champion of 'champion' to go back to"):
        rollback(workspace=tmp_path)


def test_who_may_not_serve_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    made(tmp_path, "r-gate", gates=(True, False)), made(tmp_path, "r-twin", twin="rows"), made(tmp_path, "r-open", done=False)
    changed = made(tmp_path, "r-changed")
    (changed / "model.safetensors").write_bytes(b"other")
    for name, error, said in (
        ("r-gate", GateError, "did not hold gate-1"),
        ("r-twin", RecipeError, "twin"),
        ("r-open", MachineError, "is running"),
        ("r-changed", MachineError, "are not those that round r-changed recorded"),
    ):
        with pytest.raises(error, match=said):
            promote(name, workspace=tmp_path)
    with pytest.raises(RecipeError, match="say why"):
        promote("r-gate", workspace=tmp_path, anyway=True, why="  ")
    with pytest.raises(MachineError, match="are not those"):
        promote("r-changed", workspace=tmp_path, anyway=True, why="I know")
    assert champions(workspace=tmp_path) == []
    stands = promote("r-gate", workspace=tmp_path, anyway=True, why="the gate was too strict")
    assert stands.champion and stands.champion.model == "r-gate"


def test_a_former_champion_whose_folder_is_gone_is_not_put_back(tmp_path: Path) -> None:
    first = made(tmp_path, "r-1")
    made(tmp_path, "r-2")
    promote("r-1", workspace=tmp_path), promote("r-2", workspace=tmp_path)
    (first / "tunesmith.json").unlink()
    with pytest.raises(MachineError, match=r"model of round r-1 is gone from .*rollback"):
        rollback(workspace=tmp_path)
    (line,) = champions(workspace=tmp_path)
    assert line.standing.champion and line.standing.champion.model == "r-2"
