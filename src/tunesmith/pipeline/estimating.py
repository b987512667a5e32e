"""What a recipe will take before it runs: memory, time, tokens, energy, money; here, or on a machine that is described.

By arithmetic from the rows as they will be laid out and from the shapes of the model; on this machine corrected by a probe of a few real
steps (pipeline/probing.py). No weight is read outside the probe, no test row at all; on disk only the prepared dataset stays, which the
round takes up. Costs the preparation of the data, a second or two of rendering and planning, and the probe.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tunesmith.core.errors import MachineError, TunesmithError
from tunesmith.core.progress import Ended, Listener, Said, Started, silent
from tunesmith.models.load import load_shape
from tunesmith.pipeline.bench import Bench
from tunesmith.pipeline.datasets import general_rows, prepared_dataset
from tunesmith.pipeline.decisions import device_here
from tunesmith.pipeline.expected import GIB, Estimate, Rates, line, refusal
from tunesmith.pipeline.naming import with_champions
from tunesmith.pipeline.probing import PROBE_SECONDS, Clock, Probed, probe, trained_in
from tunesmith.pipeline.scoring_work import scoring_flops
from tunesmith.pipeline.tuning import available_bytes
from tunesmith.pipeline.workload import BYTES_A_TOKEN, UntoldError, Workload, workload
from tunesmith.pipeline.workspace import Workspace
from tunesmith.recipe import Recipe, check_agreement
from tunesmith.recipe.cost import PEAK_SHARE, Memory, energy_wh, money, seconds_of
from tunesmith.recipe.fitting import fitting, least
from tunesmith.recipe.machine import Machine, cpu_here, machine_here
from tunesmith.recipe.model import with_schema
from tunesmith.train.machine import peak_flops
from tunesmith.train.watch import duration

__all__ = ["Estimate", "Rates", "estimate", "estimate_of", "foretold", "line", "refusal"]

DEFAULT = Path(".tunesmith")
WORTH_PROBING_SECONDS = 900.0
"""`tunesmith run` probes where it expects to train for longer."""
ROOM_TO_PROBE = 0.8
"""Of the memory that is free, what a probe may be expected to take: beyond, the kernel might kill what is not its own."""
BUSY = 1.5
"""Wall seconds over processor seconds of a thread, from which on the machine is said to be busy."""


def estimate(
    recipe: Recipe,
    *,
    machine: Machine | None = None,
    probe: bool = True,
    rates: Rates | None = None,
    workspace: Path = DEFAULT,
    listen: Listener = silent,
) -> Estimate:
    """Say what a recipe will take. Trains nothing, records no round.

    Args:
        recipe: what would be run; relative paths count from the current folder.
        machine: where; None: here.
        probe: whether a few real steps may correct the arithmetic, where the machine is this one.
        rates: price of an hour and watts; where absent, `evaluate.prices.hour` and what is known of the machine by name.
        workspace: where the prepared dataset is kept.
        listen: told of progress.

    Raises:
        TunesmithError: what would keep the recipe from training, as its round would say it.
    """
    started = time.monotonic()
    place = Workspace(Path(workspace))
    if recipe.search is not None:
        listen(Said("This is of one round with the recipe's own settings: its search section is passed over."))
    recipe = with_champions(with_schema(recipe, Path()), place)
    dataset, _ = prepared_dataset(recipe, place, listen)
    bench = Bench(recipe, place, dataset, "", listen)
    bench.base = load_shape(recipe.base)
    bench.replay = general_rows(recipe, place, listen, ())  # test rows among them are left out later, and are few
    check_agreement(recipe, dataset.task, judged=bench.judged_alone)
    preparing = time.monotonic() - started
    return estimate_of(bench, machine, probing=probe, rates=rates, preparing=preparing)


def estimate_of(
    bench: Bench, machine: Machine | None = None, *, probing: bool, rates: Rates | None = None, preparing: float = 0.0
) -> Estimate:
    """The same of a bench that is there.

    Args:
        bench: the round's; a base of shapes alone will do.
        machine: where; None: here.
        probing: whether a probe may be made, where the machine is this one.
        rates: price of an hour and watts.
        preparing: wall seconds that its data took.
    """
    here = machine is None
    where = machine if machine is not None else _here()
    started, cpu = time.monotonic(), time.process_time()
    work = workload(bench, where)
    rendering = Clock(time.process_time() - cpu, time.monotonic() - started)
    plan, notes = work.plan, list(_assumed(where, here))
    found = _probed(work, plan.memory().total, notes) if here and probing else None
    memory = _memory(work, found)
    training = _training(work, found, rendering)
    if found is not None and training is not None and work.machine.device == "cpu":
        quiet = training.cpu / work.decisions.threads
        if training.wall > BUSY * quiet:
            notes.append(f"Other work slows this machine down now: left alone, it would train for about {duration(quiet)}.")
    stages = {
        "prepare": preparing + rendering.wall,
        "train": None if training is None else training.wall,
        "evaluate": _evaluating(work, found),
    }
    prices = rates or Rates()
    return _told(work, memory, stages, training, prices, found, tuple(notes))


def _here() -> Machine:
    """This machine, as torch sees it."""
    found = machine_here()
    return cpu_here() if found.device == "cuda" and device_here().type != "cuda" else found


def _told(
    work: Workload,
    memory: Memory,
    stages: Mapping[str, float | None],
    training: Clock | None,
    rates: Rates,
    found: Probed | None,
    notes: tuple[str, ...],
) -> Estimate:
    where, whole = work.machine, work.whole
    tried = found is not None and found.killed_at is None and where.device == "cuda"  # its memory isn't measured, but it held
    fits = tried or (memory.total <= where.memory and not (found is not None and found.killed_at))
    factor = memory.total / max(1, work.plan.memory().total)
    known = list(stages.values())
    seconds = None if None in known else sum(taken for taken in known if taken is not None)
    prices = work.recipe.evaluate.prices
    hour = rates.price_hour if rates.price_hour is not None else (prices.hour if prices is not None else None)
    watts = rates.watts if rates.watts is not None else where.watts
    return Estimate(
        machine=where,
        memory=memory.total,
        parts=memory.parts(),
        limit=where.memory,
        fits=fits,
        advice=None if fits else _advice(work, where.memory, factor),
        stages=dict(stages),
        training=training,
        steps=whole.steps,
        tokens=whole.tokens_computed,
        tokens_in_rows=whole.tokens_in_rows,
        watts=watts,
        energy_wh=energy_wh(seconds, watts),
        price_hour=hour,
        money=money(seconds, hour),
        probe=found,
        notes=notes,
    )


def _assumed(where: Machine, here: bool) -> list[str]:
    """What rests on no measurement."""
    notes: list[str] = []
    if where.device == "cuda":
        notes.append(
            "A GPU's own share (context 0.8 GiB, allocator 5%) and its speed "
            f"({PEAK_SHARE['cuda']:.0%} of its peak in bf16) are assumed: no GPU was measured."
        )
    elif not here:
        notes.append(
            f"Its speed is taken as {PEAK_SHARE['cpu']:.0%} of its peak." if where.flops else "Its speed is not known, so its time is not."
        )
    if where.count > 1:
        notes.append(f"A training uses one of the {where.count} GPUs.")
    if where.device == "cuda" and where.flops is None:
        notes.append("Its speed in bf16 is not known, so its time is not: name the card, or add it as in '1x24GB 100 TFLOPS'.")
    return notes


def _probed(work: Workload, expected: int, notes: list[str]) -> Probed | None:
    """A probe, where memory leaves room to make one; why not, otherwise, is noted."""
    free = available_bytes()
    room = min(work.machine.memory, free) if free is not None else work.machine.memory
    if work.machine.device == "cpu" and expected > ROOM_TO_PROBE * room:
        notes.append(f"No step was tried: by arithmetic it takes {expected / GIB:.1f} GiB, and {room / GIB:.1f} GiB are free.")
        return None
    listen = work.bench.listen
    listen(Started("probe", None, "steps"))
    found = probe(work, seconds=PROBE_SECONDS)
    listen(Ended("probe", found.seconds if found is not None else 0.0))
    if found is None:
        notes.append("No step could be tried: the figures are by arithmetic.")
    elif found.killed_at is not None:
        how = "refused an allocation of memory" if found.refused else "killed, most likely for want of memory"
        notes.append(f"The few steps that were tried were {how} ({found.killed_at}).")
    return found


def _memory(work: Workload, found: Probed | None) -> Memory:
    """By part; where a probe was made, the parts that have names as calculated and the rest as measured."""
    calculated = work.plan.memory()
    if found is None or found.killed_at is not None or work.machine.device != "cpu":
        return calculated
    held = found.peak + work.plan.rows - _probed_rows(work)
    named = replace(calculated, libraries=0)
    rest = held - named.total
    if rest >= found.level:
        return replace(named, libraries=rest)
    return replace(named, libraries=found.level, shared=named.shared + rest - found.level)


def _probed_rows(work: Workload) -> int:
    """Bytes of the rows that the probe held itself: few."""
    _, step, _ = work.peak
    return sum(one.rows_tokens for one in step.passes) * BYTES_A_TOKEN


def _training(work: Workload, found: Probed | None, rendering: Clock) -> Clock | None:
    whole = work.whole
    if found is not None and found.killed_at is None:
        frozen = _by_arithmetic(work, whole.before_flops) if _on_kept_states(work) else None
        if frozen is not None:
            whole, rendering = replace(whole, before_flops=0.0), rendering + frozen
        return trained_in(found, whole, rendering, work.recipe.train.checkpoint_minutes)
    flops = whole.step_flops + whole.evaluations * whole.evaluation_flops + whole.before_flops + whole.settling_flops
    taken = _by_arithmetic(work, flops)
    return None if taken is None else taken + rendering


def _on_kept_states(work: Workload) -> bool:
    """Whether a probe's evaluations ran on what frozen layers had made of rows: their pace then says nothing of whole passes."""
    return work.trunk[0] is not None


def _by_arithmetic(work: Workload, flops: float) -> Clock | None:
    """Seconds of so many operations at the share of the peak that is assumed; None where the peak is not known.

    On this machine's CPU the peak is that of a core, measured in its own seconds, so that who else is at work now changes nothing.
    """
    where, cores = work.machine, work.decisions.threads
    if where.device == "cuda":
        wall = seconds_of(flops, where.flops, PEAK_SHARE["cuda"])
        return None if wall is None else Clock(wall, wall)
    if where == cpu_here():
        taken = seconds_of(flops, peak_flops(torch.device("cpu"), work.decisions.precision, time.process_time), PEAK_SHARE["cpu"])
        return None if taken is None else Clock(taken, taken / cores)
    wall = seconds_of(flops, where.flops, PEAK_SHARE["cpu"])
    return None if wall is None else Clock(wall * where.cores, wall)


def _evaluating(work: Workload, found: Probed | None) -> float | None:
    """Wall seconds of scoring the base's prompts and the tuned model; rough."""
    flops = scoring_flops(work)
    whole_passes = found is not None and found.killed_at is None and not _on_kept_states(work)
    if whole_passes and found is not None and found.evaluated and "evaluate" in found.stages:
        return flops * found.stages["evaluate"].wall / found.evaluated
    taken = _by_arithmetic(work, flops)
    return None if taken is None else taken.wall


def _advice(work: Workload, limit: int, factor: float) -> str:
    """What would make it fit, as a sentence."""
    change = fitting(work.plan, limit, factor=factor)
    if change is not None:
        return f"{change}."
    named, smallest, fixed = least(work.plan, factor=factor)
    machine = f"a machine with {math.ceil(10 * smallest / GIB) / 10:.1f} GiB" + (f", which holds it with {named}" if named else "")
    if limit <= fixed:
        return f"no setting and no base makes it fit, as libraries and rows alone take {fixed / GIB:.1f} GiB: take {machine}."
    scaled = int(work.plan.parameters * 0.8 * (limit - fixed) / max(1, smallest - fixed) / 1e6)
    base = f"a base of about {scaled:,} million parameters" if scaled >= 1 else "a smaller base"
    return f"no setting makes it fit: take {base}, or {machine}."


def foretold(bench: Bench, listen: Listener) -> None:
    """Say what a round is about to take, in a line, before it trains; probed where it will be long. Where it can't be told, that is said.

    Raises:
        MachineError: it can't fit; the change that would make it fit is named.
    """
    try:
        found = estimate_of(bench, probing=False)
        if found.training is not None and found.training.wall > WORTH_PROBING_SECONDS and not found.surely_too_large:
            found = estimate_of(bench, probing=True)
    except UntoldError as error:
        listen(Said(f"No estimate: {error}"))
        return
    except TunesmithError:
        return  # whatever it is, the training says it in its own words
    except Exception as error:  # a courtesy: whatever a strange model makes of it, the training may well work
        listen(Said(f"No estimate: what this training takes could not be told ({type(error).__name__})."))
        return
    if found.surely_too_large:
        raise MachineError(refusal(found))
    listen(Said(line(found), warning=not found.fits))
