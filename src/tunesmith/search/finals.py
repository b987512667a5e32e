"""The best few trials under several seeds: the best of many noisy measures was lucky too, and its repeats are not chosen for luck."""

from collections.abc import Sequence
from statistics import mean, stdev

from tunesmith.search.outcome import Finalist, TrialRecord
from tunesmith.search.records import Record

_SEEDS = 2**63


def chosen(records: Sequence[Record], count: int) -> list[Record]:
    """The best of the trials that were trained to their end, best first; the earlier one of equals."""
    whole = [record for record in records if record.ended and record.trial().kept]
    return sorted(whole, key=lambda record: (-_value(record), record.number))[:count]


def planned(finalists: Sequence[Record], seeds: int) -> list[tuple[int, int]]:
    """Repeats as (number of the trial, seed), seed after seed, so that a budget that ends leaves all finalists alike; of one, nothing is to be chosen by them."""
    if len(finalists) < 2:
        return []
    return [(record.number, (record.seed + later) % _SEEDS) for later in range(1, seeds) for record in finalists]


def ranked(finalists: Sequence[Record], repeats: Sequence[Record]) -> tuple[Finalist, ...]:
    """Finalists by their mean over the seeds that all were trained with, best first; one that diverged under some seed comes last."""
    whole = [record for record in repeats if record.measured is not None and not record.cut and not record.measured.pruned]
    by_key = {(record.repeats, record.seed): record for record in whole}
    seeds = sorted({seed for _, seed in by_key})
    common = [seed for seed in seeds if all((record.number, seed) in by_key for record in finalists)]
    found = [_finalist(record, [by_key[record.number, seed] for seed in common]) for record in finalists]
    order = {finalist.first.number: position for position, finalist in enumerate(found)}
    return tuple(sorted(found, key=lambda one: (one.mean is None, -(one.mean or 0.0), order[one.first.number])))


def best_of_pruned(records: Sequence[Record]) -> TrialRecord | None:
    """The best of the trials that were ended early, for a search in which no other has a value; None where none has one."""
    known = [record for record in records if record.measured is not None and record.measured.value is not None]
    return max(known, key=lambda record: (_value(record), -record.number)).trial() if known else None


def _finalist(first: Record, repeats: Sequence[Record]) -> Finalist:
    trials = tuple(record.trial() for record in (first, *repeats))
    values = [trial.measured.value for trial in trials]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Finalist(trials, None, None)
    return Finalist(trials, mean(known), stdev(known) if len(known) > 1 else None)


def _value(record: Record) -> float:
    assert record.measured is not None and record.measured.value is not None
    return record.measured.value
