"""Which base and which method for these rows on this machine, and why: hard requirements, then named criteria, then what a probe saw.

Reads the rows (prepared once, as a round of the advised recipe will find them), of each base its configuration, tokenizer and card, and
trains nothing unless a probe is asked for. Costs a few seconds beside preparing: a tokenisation of a thousand rows for each base, and a
linear model. What it can't know without training it says so. The test rows are counted, never read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import DataError, MachineError, RecipeError, TunesmithError
from tunesmith.core.files import write_text
from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener, Said, silent
from tunesmith.core.seeds import derive_seed
from tunesmith.data.dataset import Dataset
from tunesmith.recipe.machine import Machine, described, machine_here
from tunesmith.recipe.model import Recipe, with_schema
from tunesmith.recipe.yaml import load_recipe
from tunesmith.search.advice.bases import Candidate, Unreadable, read_bases
from tunesmith.search.advice.order import Mark, Option, Refusal, least_ms, nothing_left, option_json, ordered, reasons, refusals
from tunesmith.search.advice.pricing import price_of, with_measured_peak
from tunesmith.search.advice.rows import LABELLED, RowsLook, look_at, read_by, sampled
from tunesmith.search.advice.verdicts import Verdict, doubt, verdicts
from tunesmith.search.advice.ways import possible
from tunesmith.search.advice.wishes import Wishes
from tunesmith.search.advice.written import recipe_text, seen_from
from tunesmith.search.probed import Probed

if TYPE_CHECKING:
    from tunesmith.search.arms import Sample

DEFAULT = Path(".tunesmith")
PROBED_ROWS = 1000
"""Training rows of a probe, at most."""
JUDGED_ROWS = 300
"""Select rows that a probe judges by, at most."""
MOST_ARMS = 8
"""Options that a probe tries, the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is advised, and all that speaks for and against it."""

    look: RowsLook
    machine: Machine
    wishes: Wishes
    verdicts: tuple[Verdict, ...]
    ranked: tuple[tuple[Option, tuple[Mark, ...]], ...]
    """Best first, each with its marks in every criterion."""
    out: tuple[tuple[Option, tuple[Refusal, ...]], ...]
    """What does not keep to a hard requirement."""
    unreadable: tuple[Unreadable, ...]
    """Bases that nothing could be told of."""
    probed: Probed | None = None

    @property
    def best(self) -> Option:
        """The option that is advised."""
        return self.ranked[0][0]

    @property
    def recipe(self) -> Recipe:
        """The recipe that is advised, with its paths as they were given."""
        return self.best.recipe

    @property
    def reason(self) -> str:
        """Why the first one is first, in a sentence; in another one, why even that may show no gain."""
        found = doubt(self.look)
        return self._first if found is None else f"{self._first} But {found}."

    @property
    def _first(self) -> str:
        seen = None if self.probed is None else next((one for one in self.probed.placed if one.key == self.best.key), None)
        if self.probed is not None and seen is not None:
            return f"the probe saw {self.probed.measure} {seen.told}, on {self.probed.rows[1]} select rows."
        return reasons(self.ranked)[0]

    def write(self, path: Path) -> None:
        """Write the recipe, ready to run, with the reasons at its top.

        Raises:
            MachineError: it can't be written there.
        """
        why = [f"Advised: {self.best.name}: {self.reason}", *(verdict.told for verdict in self.verdicts)]
        write_text(path, recipe_text(seen_from(self.recipe, path.parent), why))

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "rows": self.look.to_json(),
            "machine": {name: getattr(self.machine, name) for name in ("device", "count", "memory", "cores", "flops", "bandwidth", "name")},
            "wishes": self.wishes.to_json(),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "advised": self.best.key,
            "reason": self.reason,
            "options": [
                option_json(option, marks, why) | {"key": option.key}
                for (option, marks), why in zip(self.ranked, reasons(self.ranked), strict=True)
            ],
            "out": [
                {"key": option.key, "refusals": [{"wish": refusal.wish, "told": refusal.told} for refusal in found]}
                for option, found in self.out
            ],
            "unreadable": [{"base": one.path, "why": one.why} for one in self.unreadable],
            "probe": None if self.probed is None else self.probed.to_json(),
        }


def advise(
    data: str | Path | Recipe,
    *,
    bases: Sequence[str] = (),
    machine: Machine | str | None = None,
    wishes: Wishes | None = None,
    probe_minutes: float | None = None,
    workspace: Path = DEFAULT,
    listen: Listener = silent,
) -> Advice:
    """Rank bases and methods for rows.

    Args:
        data: a file of rows as `data.path` takes it, `sample`, a recipe file (.yaml, .yml) or a recipe.
        bases: `embedded`, folders, hub ids; where there are none, the recipe's own, the embedded one and those in the hub's local cache.
        machine: to train on; described as `1x24GB`, or this one where absent.
        wishes: what the model must keep to.
        probe_minutes: train for so long on a sample, on this machine, and rank by what was seen.
        workspace: where prepared rows and probes lie.
        listen: told of progress.

    Raises:
        RecipeError: a folder that holds no model, wishes that no base keeps to, a probe too short for one trial.
        DataError: the rows can't be read, or none is left to train on.
        MachineError: no base fits the machine, or none can be had.
    """
    from tunesmith.pipeline.datasets import prepared_dataset
    from tunesmith.pipeline.naming import with_champions
    from tunesmith.pipeline.workspace import Workspace

    if probe_minutes is not None and not 0 < probe_minutes <= 24 * 60:
        raise RecipeError(f"--probe is {probe_minutes:g}: give minutes above 0, up to a day.")
    place, wishes = Workspace(Path(workspace)), wishes or Wishes()
    used = described(machine) if isinstance(machine, str) else machine
    recipe = with_champions(with_schema(described_recipe(data), Path()), place)
    candidates, unreadable = read_bases(bases, recipe.base)
    dataset, _ = prepared_dataset(recipe, place, listen)
    used = used or with_measured_peak(machine_here())
    look = look_at(dataset, recipe.seed)
    options, more = _options(recipe, candidates, look, used)
    held = [(option, refusals(option, wishes, used)) for option in options]
    kept, out = [option for option, found in held if not found], [(option, found) for option, found in held if found]
    if not kept:
        raise nothing_left(out, used) if out else _first(more)
    advice = Advice(
        look=look,
        machine=used,
        wishes=wishes,
        verdicts=tuple(verdicts(look, candidates, wishes)),
        ranked=tuple(ordered(kept, look)),
        out=tuple((option, tuple(found)) for option, found in out),
        unreadable=(*unreadable, *more),
    )
    return advice if probe_minutes is None else _probed(advice, dataset, place.root / "probes", 60 * probe_minutes, listen)


def described_recipe(data: str | Path | Recipe) -> Recipe:
    """A recipe from what was named; a recipe file's paths become absolute, so that they hold wherever the advised one is written."""
    if isinstance(data, Recipe):
        return data
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        return load_recipe(Path(data).absolute())
    return Recipe.model_validate({"data": {"path": str(data)}})


def _options(recipe: Recipe, bases: Sequence[Candidate], look: RowsLook, machine: Machine) -> tuple[list[Option], list[Unreadable]]:
    """Every base with every way that goes with it; bases whose tokenizer can't serve, with why."""
    judged = any(row.wanted is not None for row in look.sample[:1])
    found: list[Option] = []
    out: list[Unreadable] = []
    for base in bases:
        same = recipe.base.path == base.path
        try:
            reading = read_by(base, look, label_words=recipe.data.label_words, new_tokens=recipe.base.new_tokens if same else ())
        except (DataError, MachineError) as error:
            out.append(Unreadable(base.path, str(error)))
            continue
        ways = list(possible(recipe, look.task, base, judged=judged))
        for way, made in ways:
            price = price_of(base, way, made, reading, look, machine)
            ms = least_ms(base, way, reading, machine, look.task)
            found.append(Option(base=base, way=way, recipe=made, reading=reading, price=price, answer_ms=ms))
        if not ways:
            out.append(Unreadable(base.path, "no way to tune it goes with what the recipe sets: remove objective.name and method.head"))
    return found, out


def _first(unreadable: Sequence[Unreadable]) -> TunesmithError:
    return MachineError(f"Base {unreadable[0].path!r} can't serve these rows: {unreadable[0].why}")


def _probed(advice: Advice, dataset: Dataset, place: Path, seconds: float, listen: Listener) -> Advice:
    """The advice with what short trainings saw: those that were tried first, in the order they came out, then the others."""
    from tunesmith.evaluate.measures import resolve
    from tunesmith.models.load import base_hash
    from tunesmith.score.measures import measure
    from tunesmith.search.arms import WEIGHED, Arm
    from tunesmith.search.probing import Probe

    tried = _tried(advice, machine_here(), listen)
    recipe, task = advice.recipe, dataset.task
    sample = _sample(dataset, derive_seed(recipe.seed, "probe"))
    judged, answers = any(row.wanted is not None for row in sample.train[:1]), [row.answer for row in sample.train]
    name = "perplexity" if task in WEIGHED else resolve(task, recipe.evaluate.metrics, answers=answers, judged=judged)[0]
    held = {option.key: base_hash(option.recipe.base) for option in tried}
    identity = digest([dataset.id, seconds, name, [[option.recipe.identity(), held[option.key]] for option in tried]])
    folder = place / identity[:16]
    arms = [Arm(option.key, option.name, option.recipe, folder / "arms" / str(number), option.size) for number, option in enumerate(tried)]
    probed = Probe(arms, sample, measure(name), folder, seconds).run(listen)
    places = {one.key: number if one.value is not None else math.inf for number, one in enumerate(probed.placed)}
    ranked = sorted(advice.ranked, key=lambda one: places.get(one[0].key, len(places)))  # what diverged comes after what was not tried
    return replace(advice, ranked=tuple(ranked), probed=probed)


def _tried(advice: Advice, here: Machine, listen: Listener) -> list[Option]:
    """The options that a probe can try on this machine, the first ones; of the others it is said why not.

    Raises:
        MachineError: there are none.
    """
    found: list[Option] = []
    for option, _ in advice.ranked:
        if not option.base.is_here:
            why = "its weights are not here"
        elif option.price.memory is None:
            why = "what it takes of memory is not known"
        elif option.price.memory > here.memory:
            why = f"it does not fit the {here.memory / 2**30:.1f} GiB of this machine"
        elif len(found) == MOST_ARMS:
            why = f"{MOST_ARMS} are tried, and it stands after them"
        else:
            found.append(option)
            continue
        listen(Said(f"{option.name} is not probed: {why}.", warning=True))
    if not found:
        raise MachineError("--probe: none of the options can be trained here: their weights are not here, or don't fit its memory.")
    return found


def _sample(dataset: Dataset, seed: int) -> "Sample":
    """What every arm is trained on and judged by, with all labels that training rows carry."""
    from tunesmith.data.checks import labels_of
    from tunesmith.search.arms import Sample

    train, select = dataset.sides["train"], dataset.sides["select"]
    named = {label for row in train for label in labels_of(row, dataset.task)} if dataset.task in LABELLED else set[str]()
    return Sample(
        train=tuple(sampled(train, PROBED_ROWS, seed)),
        select=tuple(sampled(select, JUDGED_ROWS, seed)),
        labels=tuple(sorted(named)) or None,
        task=dataset.task,
    )
