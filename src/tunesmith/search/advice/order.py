"""The order of options: hard requirements first, each refusal with its sentence; then named criteria, one after the other.

Lexicographic and without weights, so that every place in the list can be explained: the first criterion in which two options
differ decides. A criterion sorts into few classes, so that a small difference in one does not drown a great one in the next.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import MachineError, RecipeError, TunesmithError
from tunesmith.data.config import Task
from tunesmith.recipe.machine import Machine
from tunesmith.recipe.model import Recipe
from tunesmith.search.advice import known
from tunesmith.search.advice.bases import Candidate
from tunesmith.search.advice.rows import Reading, RowsLook
from tunesmith.search.advice.ways import Way
from tunesmith.search.advice.wishes import UNKNOWN, Wishes, shown_size

_CAREFUL_PER_TOKEN = (0.8, 0.5)
"""A base reads well with this share of the best base's characters a token, poorly under the second."""
_PIECES = 0.05
"""Share of tokens that are less than a character from which on a tokenizer is said not to know the script."""
_SHORT_WORDS = 40
_NEAR = 0.8
"""Where texts have so few words and a linear model is surely right about so many, little is left for a larger base to add."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a training will take, by the arithmetic of `tunesmith estimate`."""

    memory: int | None
    """Bytes at its peak; None where the base's measures are not known."""
    seconds: float | None
    """None where the machine's speed, or the base's measures, are not known."""
    fits: bool
    """False only where it surely does not."""
    change: str | None = None
    """What would make it fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A base, a way to tune it, and what is known of both."""

    base: Candidate
    way: Way
    recipe: Recipe
    reading: Reading
    price: Price
    answer_ms: float | None
    """The least time that one answer can take on the machine, by arithmetic alone; None where its speed is not known."""

    @property
    def name(self) -> str:
        """For sentences."""
        return f"{self.base.path} ({self.way.name})"

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.base.path} {self.way.method} {self.way.head}"

    @property
    def size(self) -> int:
        """Bytes of the weights as the tuned model holds them."""
        return self.base.parameters * self.way.weight_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A hard requirement that an option does not keep to."""

    wish: str
    """Which one: memory, rows, context, size, latency, licence."""
    told: str
    times: float
    """How often what there is would have to be taken; inf where no number tells."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an option stands in one criterion; lower is better."""

    criterion: str
    place: float
    told: str = ""


def least_ms(base: Candidate, way: Way, reading: Reading, machine: Machine, task: Task) -> float | None:
    """The least time of one answer in milliseconds: what the arithmetic of a pass over the prompt takes at the machine's peak.

    Where answers are written, also one reading a token of all weights that it goes through. A bound, not a forecast: real ones take longer.
    """
    if machine.flops is None:
        return None
    prompt = max(1, reading.tokens - reading.answer_tokens)
    seconds = 2 * base.body * prompt / machine.flops
    if way.head == "tokens" and task is Task.GENERATE:
        weights = base.body + base.output
        each = 2 * weights / machine.flops
        if machine.bandwidth is not None:
            each = max(each, weights * way.weight_bytes / machine.bandwidth)
        seconds += reading.answer_tokens * each
    return 1000 * seconds


def refusals(option: Option, wishes: Wishes, machine: Machine) -> list[Refusal]:
    """Every hard requirement that the option does not keep to, those of the rows and the machine first."""
    base, found = option.base, list[Refusal]()
    most = option.recipe.train.truncate_share
    if option.reading.cut > most:
        told = f"{option.reading.cut:.0%} of the rows are longer than its context of {base.context:,} tokens, and a round takes {most:.0%} at most"
        found.append(Refusal("rows", told, option.reading.tokens_p95 / base.context))
    if not option.price.fits:
        change = f"; {option.price.change}" if option.price.change else ""
        memory, what = (option.size, "its weights alone take") if option.price.memory is None else (option.price.memory, "training takes")
        told = f"{what} {shown_size(memory)}, and {machine.name} has {shown_size(machine.memory)}{change}"
        found.append(Refusal("memory", told, memory / machine.memory))
    if wishes.context is not None and base.context < wishes.context:
        found.append(
            Refusal(
                "context", f"it reads {base.context:,} tokens at once, and {wishes.context:,} are asked for", wishes.context / base.context
            )
        )
    if wishes.max_size is not None and option.size > wishes.max_size:
        told = f"its weights are {shown_size(option.size)}, and {shown_size(wishes.max_size)} may be"
        found.append(Refusal("size", told, option.size / wishes.max_size))
    if wishes.latency_ms is not None and option.answer_ms is not None and option.answer_ms > wishes.latency_ms:
        told = f"one answer takes {option.answer_ms:.3g} ms at the very least on {machine.name}, and {wishes.latency_ms:g} ms may be"
        found.append(Refusal("latency", told, option.answer_ms / wishes.latency_ms))
    if wishes.licences and (base.licence or UNKNOWN) not in wishes.licences:
        told = (
            f"its licence is {base.licence}" if base.licence else f"its card tells no licence: look at it, then add {UNKNOWN} to --licence"
        )
        found.append(Refusal("licence", told, math.inf))
    return found


def nothing_left(out: Sequence[tuple[Option, list[Refusal]]], machine: Machine) -> TunesmithError:
    """The error where every option is refused: what no base keeps to and which comes nearest, or that it is the wishes together.

    A MachineError where memory is the only reason, else a RecipeError: the call asks for too much.
    """
    wishes = list(dict.fromkeys(refusal.wish for _, found in out for refusal in found))
    never = [wish for wish in wishes if all(any(refusal.wish == wish for refusal in found) for _, found in out)]
    nearest, refused = min(out, key=lambda one: (len(one[1]), max(refusal.times for refusal in one[1]), _memory(one[0])))
    why = "; ".join(refusal.told for refusal in refused)
    comes = f"The nearest is {nearest.name}: {why}."
    if wishes == ["memory"]:
        return MachineError(f"None of {len(out)} options fits {machine.name}. {comes}")
    if "rows" in never:
        return RecipeError(
            f"The rows are too long for every base here: shorten them, or name a base with a longer context by --base. {comes}"
        )
    if not never:
        return RecipeError(f"Each of {_listed(wishes)} can be kept to, but by no base all together: give up one of them. {comes}")
    return RecipeError(f"No base here keeps to what is asked of {_listed(never)}: ask for less, or name other bases by --base. {comes}")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def small_will_do(look: RowsLook) -> bool:
    """Short texts of which words alone tell most labels, as the linear floor has just shown."""
    return look.floor is not None and look.words <= _SHORT_WORDS and look.floor.low >= _NEAR


def ordered(options: Sequence[Option], look: RowsLook) -> list[tuple[Option, tuple[Mark, ...]]]:
    """The options, best first, each with its marks in the order in which they were asked."""
    best = max((option.reading.per_token for option in options), default=1.0)
    asked: tuple[Callable[[Option], Mark], ...] = (
        _known,
        _whole_rows,
        lambda option: _reads(option, best),
        lambda option: _measured(option, look),
        lambda option: _told_to_chat(option, look),
        lambda option: _size(option, look),
        _time,
    )
    marked = [(option, tuple(ask(option) for ask in asked)) for option in options]
    return sorted(marked, key=lambda one: (*(mark.place for mark in one[1]), _memory(one[0]), one[0].key))


def _memory(option: Option) -> float:
    return math.inf if option.price.memory is None else option.price.memory


def _known(option: Option) -> Mark:
    name = "what its training takes is known"
    if option.price.memory is not None:
        return Mark(name, 0)
    return Mark(name, 1, "its configuration does not tell its measures, so what training takes of memory and time is not known")


def _whole_rows(option: Option) -> Mark:
    cut = option.reading.cut
    told = f"{cut:.1%} of the rows would be cut at {option.base.context:,} tokens" if cut else ""
    return Mark("its context holds more of the rows", 0 if cut == 0 else 1 if cut <= 0.01 else 2, told)


def _reads(option: Option, best: float) -> Mark:
    reading = option.reading
    share = reading.per_token / best
    place = sum(share < bound for bound in _CAREFUL_PER_TOKEN) + (reading.pieces > _PIECES)
    told = f"{reading.per_word:.2f} tokens a word"
    if reading.pieces > _PIECES:
        told += f", {reading.pieces:.0%} of them pieces of characters: its tokenizer hardly knows these texts"
    elif place:
        told += f", {1 / share:.1f} times those of the base that reads these texts best"
    return Mark("its tokenizer knows the words better", place, told)


def _measured(option: Option, look: RowsLook) -> Mark:
    """What was measured of ways like this one."""
    name = "more was measured of such a way"
    if look.task is not Task.CLASSIFY:
        return Mark(name, 0)
    if option.base.parameters >= known.TINY:
        return Mark(name, 1, f"how a head and text compare on bases this large is {known.NOT_KNOWN}")
    if option.way.head == "tokens":
        return Mark(name, 2, str(known.HEAD_BEATS_TEXT))
    if option.way.method == "features":
        return Mark(name, 1, f"whether tuning the base itself gains on this is {known.NOT_KNOWN}")
    return Mark(name, 0, str(known.HEAD_BEATS_FLOOR))


def _told_to_chat(option: Option, look: RowsLook) -> Mark:
    name = "it has a chat template of its own"
    if look.task is not Task.GENERATE:
        return Mark(name, 0)
    return Mark(name, 0 if option.base.chats else 1, "" if option.base.chats else "no chat template of its own")


def _size(option: Option, look: RowsLook) -> Mark:
    """Classes of about three times the weights of the class before."""
    step = round(math.log(max(1, option.base.parameters), 3))
    if small_will_do(look):
        return Mark("the smaller one, as words alone tell most labels here", step, _weights(option))
    return Mark("the larger one", -step, f"{_weights(option)} ({known.LARGER_IS_BETTER})")


def _weights(option: Option) -> str:
    count = option.base.parameters
    return f"{count / 1e9:.1f} billion weights" if count >= 1e9 else f"{count / 1e6:.3g} million weights"


def _time(option: Option) -> Mark:
    return Mark("the faster one to train", option.price.seconds if option.price.seconds is not None else math.inf)


def option_json(option: Option, marks: Sequence[Mark], because: str) -> dict[str, Any]:
    """A plain dict of an option and why it stands where it does."""
    base = option.base
    return {
        "base": base.path,
        "where": base.where,
        "architecture": base.kind,
        "parameters": base.parameters,
        "context": base.context,
        "licence": base.licence,
        "weights_here": base.is_here,
        "method": option.way.method,
        "head": option.way.head,
        "dtype": option.way.dtype,
        "bytes": option.size,
        "memory": option.price.memory,
        "seconds": option.price.seconds,
        "least_answer_ms": option.answer_ms,
        "reading": option.reading.to_json(),
        "because": because,
        "criteria": [
            {"criterion": mark.criterion, "place": mark.place if math.isfinite(mark.place) else None, "told": mark.told} for mark in marks
        ],
    }


def reasons(ranked: Sequence[tuple[Option, tuple[Mark, ...]]]) -> list[str]:
    """Why each stands where it does, a sentence each: what sets it apart from others, and by what it stands before the next."""
    found: list[str] = []
    for place, (_, marks) in enumerate(ranked):
        own = [mark.told for number, mark in enumerate(marks) if mark.told and (len(ranked) == 1 or _differs(ranked, number))]
        following = ranked[place + 1][1] if place + 1 < len(ranked) else ()
        ahead = next((mark.criterion for mark, other in zip(marks, following, strict=False) if mark.place != other.place), None)
        before = [f"it stands before the next as {ahead}"] if ahead is not None else []
        found.append(f"{'; '.join([*own, *before]) or 'nothing here sets it apart from the others'}.")
    return found


def _differs(ranked: Sequence[tuple[Option, tuple[Mark, ...]]], number: int) -> bool:
    return len({marks[number].told for _, marks in ranked}) > 1
