"""What a gateway notes of its start, and which settings it refuses before it notes anything."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.files import make_folder
from tunesmith.ledger.audit import AuditRecord
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.steps import StepRecord
from tunesmith.pipeline.serving import Serving
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.config import ServeConfig

ENGINE = {"engine": "http://127.0.0.1:9/v1/hidden", "engine_model": "m"}


def serving(folder: Path, line: str | None = None, **settings: Any) -> Serving:
    """A gateway that was made and never run."""
    made = Serving([], ServeConfig(port=0, **settings), Workspace(folder), lambda _: None, line=line)
    made.gateway.kept.close()
    made.gateway.holders.close()
    made.watched.close()
    made._close()
    return made


def noted(folder: Path) -> list[AuditRecord]:
    with Ledger.open(folder / "tunesmith.db") as ledger:
        return ledger.audit.list()


def test_the_audit_log_holds_hosts_and_nothing_behind_them(tmp_path: Path) -> None:
    serving(tmp_path, **ENGINE, alert_url="https://hooks.example.com:8443/services/T0/hidden?token=hidden")
    (start,) = noted(tmp_path)
    assert start.what["settings"]["alert_url"] == "https://hooks.example.com:8443" and "hidden" not in str(start)
    assert start.what["settings"]["engine"] == "http://127.0.0.1:9"


def test_an_engine_with_a_password_leaves_no_entry(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="without password"):
        serving(tmp_path, engine="http://me:hidden@127.0.0.1:9/v1")
    assert noted(tmp_path) == []


def test_a_start_is_noted_when_the_models_are_there_and_not_before(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        serving(tmp_path, engine="http://127.0.0.1:9/v1")  # nobody is there to name its model
    assert noted(tmp_path) == []


def test_a_champion_and_an_engine_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="give one of them"):
        serving(tmp_path, line="champion", **ENGINE)


def test_many_other_entries_do_not_hide_that_the_policies_changed(tmp_path: Path) -> None:
    serving(tmp_path, **ENGINE)
    with Ledger.open(tmp_path / "tunesmith.db") as ledger:
        with ledger.writing() as connection:
            connection.exec_driver_sql("UPDATE audit SET what = json_set(what, '$.policies_digest', 'another')")
        for at in range(201):
            ledger.audit.note("access.denied", "nobody", {"route": str(at)})
    serving(tmp_path, **ENGINE)
    assert [one.action for one in noted(tmp_path)][-2:] == ["policies.change", "server.start"]


def test_a_champion_that_is_served_under_its_own_name_too_is_loaded_once(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunesmith.models import package

    made = make_folder(tmp_path / "mine")
    bundle = package.Bundle(task="chat", method="full", max_tokens=64)
    package.save_model(made, AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base), bundle)
    loads = list[Path]()
    load = package.load_model

    def counted(folder: Path) -> Any:
        loads.append(folder)
        return load(folder)

    monkeypatch.setattr(package, "load_model", counted)
    with Ledger.open(tmp_path / "tunesmith.db") as ledger:
        step = StepRecord(action="promote", model=str(made), model_hash=package.model_digest(made), who="ann", why="first")
        ledger.steps.take(step)
    serving = Serving([str(made)], ServeConfig(port=0), Workspace(tmp_path), lambda _: None, line="champion")
    own = serving.gateway.backends["mine"]
    try:
        assert loads == [made] and set(serving.gateway.backends) == {"mine", "champion"}
        assert serving.follower is not None and serving.follower.service.now.champion.backend is own
        assert serving.follower.service.now.champion.bytes > 0
    finally:
        serving.gateway.kept.close()
        serving.gateway.holders.close()
        serving.watched.close()
        serving._close()
        assert not own._closed  # type: ignore[attr-defined]
        own.close(drain=False)
    with pytest.raises(RecipeError, match="'other' has no champion"):
        Serving([str(made)], ServeConfig(port=0), Workspace(tmp_path), lambda _: None, line="other")
