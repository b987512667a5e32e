"""Recording and looking up: what goes in comes out, twice is once, and a finished round is never changed."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord, DatasetRecord, Edge, MetricRecord, RoundRecord, StageRecord


def a_round(id: str, **changes) -> RoundRecord:
    values = {"id": id, "identity": "i" * 64, "recipe": {"seed": 0}, "recipe_hash": "h" * 64, "created": "2026-11-21T02:00:00Z"} | changes
    return RoundRecord(**values)


A_STAGE = StageRecord(
    key="k", name="prepare", version=1, inputs={"lines": [1, 2.5, None, "ü"]}, output_path="/a", output_hash="o", seconds=1.5
)


def test_dataset_comes_back_as_it_went_in_and_only_its_place_may_change(ledger: Ledger) -> None:
    first = DatasetRecord(id="d1", path="/old", task="classify", counts={"train": 3}, parent="d0", created="2026-01-01T00:00:00Z")
    assert ledger.record_dataset(first) == first
    moved = replace(first, path="/new", parent=None, created="2026-02-02T00:00:00Z")
    assert ledger.record_dataset(moved) == replace(first, path="/new")
    assert ledger.dataset("d1") == replace(first, path="/new")
    assert len(ledger.datasets()) == 1


def test_a_rounds_life(ledger: Ledger) -> None:
    begun = ledger.record_round(a_round("r-1"))
    assert (begun.status, begun.dataset_hash, begun.continued) == ("running", None, 0)
    assert ledger.record_round(a_round("r-1", created="2027-01-01T00:00:00Z")) == begun
    assert ledger.set_dataset("r-1", "d1").dataset_hash == "d1"
    failed = ledger.finish_round("r-1", "failed", 2.0, error="no space left")
    assert (failed.status, failed.error, failed.seconds) == ("failed", "no space left", 2.0)
    again = ledger.continue_round("r-1")
    assert (again.status, again.error, again.finished, again.seconds, again.continued) == ("running", None, None, None, 1)
    done = ledger.finish_round("r-1", "done", 9.0, verdict={"outcome": "gain", "gain": {"value": 0.21, "p_value": None}})
    assert done.verdict == {"outcome": "gain", "gain": {"value": 0.21, "p_value": None}}
    assert done.finished is not None and done.finished.endswith("Z")
    assert ledger.round("r-1") == done


def test_a_finished_round_is_never_changed(ledger: Ledger) -> None:
    ledger.record_round(a_round("r-1"))
    done = ledger.finish_round("r-1", "done", 9.0, verdict={"outcome": "gain"})
    assert ledger.finish_round("r-1", "failed", 1.0, error="late") == done
    assert ledger.set_dataset("r-1", "other") == done
    assert ledger.record_round(a_round("r-1")) == done
    with pytest.raises(RecipeError, match=r"is done.*--again"):
        ledger.continue_round("r-1")
    assert ledger.round("r-1") == done


def test_one_round_id_never_stands_for_two_identities(ledger: Ledger) -> None:
    ledger.record_round(a_round("r-1"))
    with pytest.raises(RecipeError, match="belongs to another recipe"):
        ledger.record_round(a_round("r-1", identity="j" * 64))


def test_rounds_are_newest_first_even_within_a_second(ledger: Ledger) -> None:
    for number in range(5):
        ledger.record_round(a_round(f"r-{number}", identity="even" if number % 2 == 0 else "odd"))
    assert [each.id for each in ledger.rounds(3)] == ["r-4", "r-3", "r-2"]
    assert [each.id for each in ledger.rounds(identity="even")] == ["r-4", "r-2", "r-0"]


def test_a_round_is_found_by_a_unique_prefix(ledger: Ledger) -> None:
    with pytest.raises(RecipeError, match="holds none yet"):
        ledger.round("r-3f")
    for id in ("r-3f2a9c01d4", "r-3f2b000000", "r-77%_000000"):
        ledger.record_round(a_round(id))
    assert ledger.round("r-3f2a").id == "r-3f2a9c01d4"
    assert ledger.round("r-77%").id == "r-77%_000000"
    with pytest.raises(RecipeError, match=r"begins the ids of 2 rounds \(r-3f2b000000, r-3f2a9c01d4\)"):
        ledger.round("r-3f2")
    with pytest.raises(RecipeError, match="Did you mean 'r-3f2a9c01d4'"):
        ledger.round("r-3f2a9c01d5")
    for wrong in ("", "%", "_", "R-3F2A", "\0", "x' OR 1=1 --"):
        with pytest.raises(RecipeError, match="There is no round"):
            ledger.round(wrong)


def test_an_exact_id_wins_over_the_ids_it_begins(ledger: Ledger) -> None:
    for id in ("r-1", "r-12"):
        ledger.record_round(a_round(id))
    assert ledger.round("r-1").id == "r-1"


def test_writing_takes_whole_ids_only(ledger: Ledger) -> None:
    ledger.record_round(a_round("r-12"))
    for write in (
        lambda: ledger.finish_round("r-1", "done", 1.0),
        lambda: ledger.continue_round("r-1"),
        lambda: ledger.set_dataset("r-1", "d"),
    ):
        with pytest.raises(RecipeError, match=r"no round 'r-1'\. Did you mean 'r-12'"):
            write()
    assert ledger.round("r-12") == a_round("r-12")


def test_a_stage_is_reusable_by_key_and_replaced_when_it_ran_anew(ledger: Ledger) -> None:
    assert ledger.reusable_stage("k") is None
    ledger.record_round(a_round("r-1"))
    assert ledger.record_stage(A_STAGE) == A_STAGE == ledger.reusable_stage("k")
    anew = replace(A_STAGE, round_id="r-1", output_path="/b", output_hash="p", seconds=2.0, created="2026-11-22T00:00:00Z")
    assert ledger.record_stage(anew) == anew == ledger.reusable_stage("k")
    assert ledger.stages("r-1") == [anew]


def test_artefacts_are_content_at_a_place(ledger: Ledger) -> None:
    ledger.record_round(a_round("r-1"))
    model = ArtefactRecord(content_hash="m", kind="model", path="/r/model", bytes=2**40, round_id="r-1", created="2026-11-21T02:00:00Z")
    copy = replace(model, path="/elsewhere", round_id=None)
    for artefact in (model, copy, replace(model, created="2027-01-01T00:00:00Z")):
        ledger.record_artefact(artefact)
    assert ledger.artefacts(content_hash="m") == [model, copy]
    assert ledger.artefacts(round_id="r-1", kind="model") == [model]
    assert ledger.artefacts(kind="report") == []


def test_lineage_takes_the_shortest_way_and_survives_a_loop(ledger: Ledger) -> None:
    edges = [
        Edge("model", "dataset", "trained on"),
        Edge("model", "base", "tuned from"),
        Edge("dataset", "file", "prepared from"),
        Edge("base", "corpus", "trained on"),
        Edge("corpus", "file", "prepared from"),
        Edge("file", "model", "a loop"),
        Edge("file", "file", "itself"),
        Edge("stranger", "model", "tuned from"),
    ]
    ledger.record_edges(edges)
    ledger.record_edges(edges)
    found = ledger.lineage("model")
    assert [(each.hash, each.distance, each.child) for each in found] == [
        ("base", 1, "model"),
        ("dataset", 1, "model"),
        ("corpus", 2, "base"),
        ("file", 2, "dataset"),
    ]
    assert found[0].relation == "tuned from"
    assert ledger.lineage("nowhere") == []
    assert ledger.parents("file") == [Edge("file", "model", "a loop")]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_lineage_is_the_transitive_closure(ledger: Ledger, pairs: set[tuple[int, int]]) -> None:
    graph = uuid4().hex  # each example has its own nodes
    ledger.record_edges(Edge(f"{graph}-{child}", f"{graph}-{parent}", "from") for child, parent in pairs)
    found = {int(each.hash.removeprefix(f"{graph}-")): each.distance for each in ledger.lineage(f"{graph}-0")}
    reached: dict[int, int] = {}
    frontier, distance = {0}, 0
    while frontier:
        distance += 1
        frontier = {parent for child, parent in pairs if child in frontier} - set(reached) - {0}
        reached |= dict.fromkeys(frontier, distance)
    assert found == reached


def test_metrics_replace_and_go_in_together_or_not_at_all(ledger: Ledger) -> None:
    ledger.record_round(a_round("r-1"))
    first = MetricRecord(round_id="r-1", system="tuned", name="accuracy", side="test", value=0.5, low=0.4, high=0.6)
    unknown = MetricRecord(round_id="r-1", system="few-shot", name="perplexity", side="test", value=None)
    ledger.record_metrics([first, unknown])
    ledger.record_metrics([replace(first, value=0.55)])
    assert ledger.metrics("r-1") == [replace(first, value=0.55), unknown]
    with pytest.raises(RecipeError, match="record the round first"):
        ledger.record_metrics([replace(first, value=0.9), replace(first, round_id="r-unknown")])
    assert ledger.metrics("r-1") == [replace(first, value=0.55), unknown]


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_refused(figure: float) -> None:
    with pytest.raises(RecipeError, match="low of accuracy for tuned on test"):
        MetricRecord(round_id="r-1", system="tuned", name="accuracy", side="test", value=0.5, low=figure)


def test_resuming_opens_a_test_set_no_second_time(ledger: Ledger) -> None:
    for id in ("r-1", "r-2"):
        ledger.record_round(a_round(id))
    assert [ledger.open_test_set("t", id) for id in ("r-1", "r-1", "r-2", "r-2")] == [1, 1, 2, 2]
    assert ledger.open_test_set("another", "r-1") == 1
    assert [opening.round_id for opening in ledger.test_openings("t")] == ["r-1", "r-2"]
    with pytest.raises(RecipeError, match="record the round first"):
        ledger.open_test_set("t", "r-unknown")
    assert len(ledger.test_openings("t")) == 2


def test_values_json_cannot_hold_are_refused_in_a_sentence(ledger: Ledger) -> None:
    for value in (float("nan"), {1, 2}, Path("/x")):
        with pytest.raises(RecipeError, match="can't keep 'inputs'"):
            ledger.record_stage(replace(A_STAGE, inputs={"value": value}))
    assert ledger.reusable_stage("k") is None


@pytest.mark.parametrize("time", ["2026-11-21 02:00", "2026-11-21T02:00:00+02:00", "yesterday", ""])
def test_times_are_utc(time: str) -> None:
    with pytest.raises(RecipeError, match="times in UTC"):
        a_round("r-1", created=time)


def test_a_status_is_one_of_four(ledger: Ledger) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'done'"):
        a_round("r-1", status="dones")
    ledger.record_round(a_round("r-1"))
    with pytest.raises(RecipeError, match="can't finish as 'running'"):
        ledger.finish_round("r-1", "running", 1.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None, exclude_categories=()), max_size=30))
def test_any_text_of_a_hostile_row_is_kept(ledger: Ledger, text: str) -> None:
    ledger.record_round(a_round("r-1"))
    kept = ledger.finish_round("r-1", "failed", 1.0, error=text).error
    assert kept is not None and len(kept) == len(text)
    lost = {given for stored, given in zip(kept, text, strict=True) if stored != given}
    assert all(given == "\0" or unicodedata.category(given) == "Cs" for given in lost)
    assert ledger.record_stage(replace(A_STAGE, inputs={"row": text})).inputs == json.loads(json.dumps({"row": text}))
