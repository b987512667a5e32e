"""Jobs in the ledger: one worker at a time has each, whoever dies, and every tenant its own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.ledger.files import FileRecord, QuotaError
from tunesmith.ledger.jobs import JobEvent, JobRecord, Jobs
from tunesmith.ledger.ledger import Ledger


class Clock:
    """A clock that stands until it is moved."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(ledger: Ledger) -> Clock:
    clock = Clock()
    ledger.jobs = Jobs(ledger, clock)
    return clock


def job(tenant: str = "a", **more: object) -> JobRecord:
    values = {"tenant": tenant, "key_id": "k", "model": "tiny", "base": "tiny", "seed": 1, "training_file": "file-1"} | more
    return JobRecord(**values)  # type: ignore[arg-type]


def test_a_job_goes_to_one_worker_however_many_ask_at_once(ledger: Ledger, clock: Clock) -> None:
    made = [ledger.jobs.create(job()) for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: ledger.jobs.claim(f"w{number}", 30, ["tiny"]), range(16)))
    assert sorted(one.id for one in found if one is not None) == sorted(one.id for one in made)


def test_a_worker_that_is_not_heard_of_is_followed_by_the_next_and_its_late_words_change_nothing(ledger: Ledger, clock: Clock) -> None:
    ledger.jobs.create(job())
    first = ledger.jobs.claim("first", 30, ["tiny"])
    assert first is not None and first.attempts == 1 and ledger.jobs.claim("second", 30, ["tiny"]) is None
    clock.now += 29
    assert ledger.jobs.beat(first, 30, [JobEvent(job_id=first.id, message="step 1")], step=1) == "mine"
    clock.now += 29
    assert ledger.jobs.claim("second", 30, ["tiny"]) is None
    clock.now += 2
    second = ledger.jobs.claim("second", 30, ["tiny"])
    assert second is not None and (second.step, second.attempts) == (1, 1), "a step further: its count of failures begins anew"
    assert ledger.jobs.beat(first, 30, [JobEvent(job_id=first.id, message="late")], step=9) == "lost"
    assert not ledger.jobs.fail(first, "x", "late") and not ledger.jobs.cancelled(first) and not ledger.jobs.release(first, 0, "late")
    assert not ledger.jobs.succeed(first, fine_tuned_model="ft:late")
    assert ledger.jobs.succeed(second, fine_tuned_model="ft:right", round_id="r", trained_tokens=1, result_file="file-2", checkpoint=None)
    assert not ledger.jobs.fail(second, "x", "after the end")
    told = [event.message for event in ledger.jobs.events(first.id)]
    assert told[1:] == ["step 1", f"Created fine-tuning job: {first.id}"] and told[0].startswith("New fine-tuned model created: ft:right")


def test_deaths_without_a_step_more_are_counted_and_giving_back_is_none(ledger: Ledger, clock: Clock) -> None:
    ledger.jobs.create(job())
    for attempt in (1, 2, 3):
        found = ledger.jobs.claim(f"w{attempt}", 30, ["tiny"])
        assert found is not None and found.attempts == attempt
        clock.now += 31
    found = ledger.jobs.claim("w4", 30, ["tiny"])
    assert found is not None and ledger.jobs.release(found, 10, "stops")
    assert ledger.jobs.claim("w5", 30, ["tiny"]) is None, "it rests"
    clock.now += 11
    again = ledger.jobs.claim("w5", 30, ["tiny"])
    assert again is not None and again.attempts == 4


def test_tenants_take_turns_and_a_worker_takes_only_bases_it_knows(ledger: Ledger, clock: Clock) -> None:
    first, second = ledger.jobs.create(job("a")), ledger.jobs.create(job("a"))
    third, other = ledger.jobs.create(job("b")), ledger.jobs.create(job("b", base="other"))
    found = [ledger.jobs.claim(f"w{number}", 30, ["tiny"]) for number in range(4)]
    assert [one and one.id for one in found] == [first.id, third.id, second.id, None]
    assert (ledger.jobs.claim("w", 30, ["other"]) or first).id == other.id


def test_cancelling_ends_what_waits_and_is_heard_by_whoever_works(ledger: Ledger, clock: Clock) -> None:
    waits, works = ledger.jobs.create(job()), ledger.jobs.create(job())
    ended = ledger.jobs.cancel("a", waits.id)
    assert ended is not None and ended.status == "cancelled" and ended.finished
    held = ledger.jobs.claim("w", 30, ["tiny"])
    assert held is not None and held.id == works.id
    asked = ledger.jobs.cancel("a", works.id)
    assert asked is not None and asked.status == "queued" and asked.cancel and ledger.jobs.cancel("b", works.id) is None
    assert ledger.jobs.beat(held, 30) == "cancel" and ledger.jobs.cancelled(held)
    found = ledger.jobs.find("a", works.id)
    assert found is not None and found.status == "cancelled" and ledger.jobs.claim("w", 30, ["tiny"]) is None


def test_a_tenant_sees_its_own_alone_in_pages_newest_first(ledger: Ledger) -> None:
    made = [ledger.jobs.create(job(notes={"n": str(number % 2)})) for number in range(5)]
    ids = [one.id for one in reversed(made)]
    assert [one.id for one in ledger.jobs.list("a", limit=2)] == ids[:2]
    assert [one.id for one in ledger.jobs.list("a", limit=2, after=ids[1])] == ids[2:4]
    assert [one.id for one in ledger.jobs.list("a", notes={"n": "1"})] == [made[3].id, made[1].id]
    assert not ledger.jobs.list("b") and ledger.jobs.find("b", ids[0]) is None and not ledger.jobs.list("b", after=ids[0])


def test_the_same_request_makes_one_job_and_waiting_ones_are_bounded_by_tenant(ledger: Ledger) -> None:
    first = ledger.jobs.create(job(request="r"), most_waiting=2)
    assert ledger.jobs.create(job(request="r"), most_waiting=1).id == first.id
    assert ledger.jobs.create(job("b", request="r"), most_waiting=1).id != first.id
    ledger.jobs.create(job(), most_waiting=2)
    with pytest.raises(QuotaError, match="2 jobs are under way"):
        ledger.jobs.create(job(), most_waiting=2)
    ledger.jobs.cancel("a", first.id)
    ledger.jobs.create(job(), most_waiting=2)


def test_a_model_is_its_tenants_and_stays_while_another_job_starts_from_it(ledger: Ledger, clock: Clock) -> None:
    parent = ledger.jobs.create(job())
    held = ledger.jobs.claim("w", 30, ["tiny"])
    assert held is not None and ledger.jobs.succeed(held, fine_tuned_model="ft:1", round_id="r")
    assert (ledger.jobs.model("a", "ft:1") or held).id == parent.id and ledger.jobs.model("b", "ft:1") is None
    assert [one.id for one in ledger.jobs.models("a")] == [parent.id] and not ledger.jobs.models("b")
    child = ledger.jobs.create(job(parent=parent.id))
    with pytest.raises(RecipeError, match=child.id):
        ledger.jobs.remove("a", "ft:1")
    ledger.jobs.cancel("a", child.id)
    assert ledger.jobs.remove("b", "ft:1") is None
    assert (ledger.jobs.remove("a", "ft:1") or held).id == parent.id
    assert ledger.jobs.model("a", "ft:1") is None and not ledger.jobs.models("a") and ledger.jobs.remove("a", "ft:1") is None


def test_files_are_bounded_by_tenant_and_seen_by_theirs_alone(ledger: Ledger) -> None:
    record = FileRecord(tenant="a", key_id="k", name="n", bytes=60, content_hash="0" * 64, form="chat", rows=1)
    ledger.files.keep(record, most=2, most_bytes=100)
    with pytest.raises(QuotaError, match="MiB"):
        ledger.files.keep(replace(record, id="file-2"), most=2, most_bytes=100)
    with pytest.raises(QuotaError, match="1 files"):
        ledger.files.keep(replace(record, id="file-2"), most=1)
    ledger.files.keep(replace(record, id="file-2", tenant="b"), most=1, most_bytes=60)
    ledger.files.keep(replace(record, id="file-3", purpose="fine-tune-results"))
    assert [one.id for one in ledger.files.list("a")] == ["file-3", record.id]
    assert [one.id for one in ledger.files.list("a", after="file-3")] == [record.id]
    assert [one.id for one in ledger.files.list("a", newest_first=False, purpose="fine-tune")] == [record.id]
    assert ledger.files.find("b", record.id) is None and not ledger.files.forget("b", record.id)
    assert ledger.files.forget("a", record.id) and ledger.files.find("a", record.id) is None


def test_a_cancelled_job_whose_worker_died_is_over_at_once_and_takes_no_place(ledger: Ledger) -> None:
    now = 1000.0
    jobs = Jobs(ledger, clock=lambda: now)
    first, second = jobs.create(job(), most_waiting=2), jobs.create(job(), most_waiting=2)
    held = jobs.claim("w", 30, [first.base])
    assert held is not None and held.id == first.id
    wanted = jobs.cancel("a", first.id)
    assert wanted is not None and (wanted.status, wanted.cancel) == ("queued", True)  # its worker is to hear it
    with pytest.raises(QuotaError):
        jobs.create(job(), most_waiting=2)
    now += 31  # it never will
    third = jobs.create(job(), most_waiting=2)
    ended = jobs.cancel("a", first.id)
    assert ended is not None and ended.status == "cancelled" and ended.finished and ended.worker is None
    assert jobs.beat(held, 30) == "lost"
    assert {one.id for one in jobs.list("a") if not one.over} == {second.id, third.id}
