"""A run, watched: from the reports of its steps and evaluations to words and figures. Pure; costs microseconds a step.

All is derived from two lists of plain numbers, the steps as they are logged and the validation losses as they are
checkpointed, so a continued run says what an uninterrupted one would have said. Times are medians over steps: a first
step that compiles, or a machine that slept, moves none of them.

Training loss is smoothed over the steps between two evaluations: the plain mean of their losses, with its standard
error. When overfitting is said, and why noise is not taken for it, stands in `standing`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from typing import Any, Literal

RECENT = 20
"""Steps that the running figures and the time left are taken from."""
RISING = 3
"""Evaluations since the lowest validation loss before a rise is called one."""
LEAST_RISE = 0.01
"""A validation loss that rose by less than this share of itself stands still."""
NOISES = 2.5
"""So many times the noise of an evaluation is more than noise."""
LEAST_OF_START = 0.001
"""Nor does one that rose by less than this share of the first: near zero, large shares are small matters."""
LEAST_FALL = 0.03
"""A training loss that fell by less than this share of itself stands still."""
ERRORS = 3.0
"""So many times its standard error is more than noise in a difference of smoothed training losses."""
STILL_FALLING = 0.02
"""At the end: a training loss that fell by this share over the last quarter of the steps had further to go."""
LEAST_QUARTER = 5
"""Steps in that quarter; of fewer, noise can't be told from a fall."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands after an evaluation."""

    kind: Literal["falling", "flat", "rising", "overfitting"]
    """Of the validation loss; `rising`: without training loss falling meanwhile."""
    evaluations: int
    """Since the lowest validation loss."""
    lowest: float
    lowest_step: int
    now: float
    training_change: float | None
    """Of the smoothed training loss since the lowest validation loss, as a share of it; None where it is not known."""

    @property
    def course(self) -> str:
        """What the losses did, as the first part of a sentence."""
        low, now = _pair(self.lowest, self.now)
        since, meanwhile = f"{self.evaluations} evaluations ({low} to {now})", self.training_change or 0.0
        if self.kind == "overfitting":
            return f"Validation loss has risen for {since} while training loss fell {-meanwhile:.0%}"
        if self.kind == "rising":
            beside = f", and training loss rose {meanwhile:.0%}" if meanwhile >= LEAST_FALL else ", and training loss does not fall"
            return f"Validation loss has risen for {since}{beside}"
        if self.kind == "flat":
            count = "one evaluation" if self.evaluations == 1 else f"{self.evaluations} evaluations"
            return f"Validation loss has not fallen for {count} (lowest {low}, now {now})"
        return f"Validation loss is at its lowest ({now})"


def standing(validation: Sequence[tuple[int, float]], losses: Sequence[tuple[int, float]]) -> Standing | None:
    """What the losses say after the last of some evaluations; None before any.

    Overfitting is said where all of this holds:

    - the lowest validation loss lies at least `RISING` evaluations back;
    - the last `RISING` are, on average, above its neighbourhood (the median of it and the evaluations beside it, since
      the lowest of many noisy ones is low by chance) by `LEAST_RISE` and by `NOISES` times the noise of an evaluation. Noise
      is read off the curve itself: third differences of its logarithm, which a smooth bend leaves near zero, have a
      standard deviation of sqrt(20) times that of one point, and their median size is 0.6745 of that;
    - the rise goes on: the last is the highest of those since the lowest, but for that noise;
    - meanwhile training loss fell by `LEAST_FALL` and by `ERRORS` times the standard error of the difference.

    So a plateau (training loss stands still), a noisy descent (no rise beyond the noise) and a divergence (training loss
    rises too) are not called overfitting. Losses that are not above zero have no logarithm: of these only `falling` and
    `flat` are said.

    Args:
        validation: (step, loss), in order; the first may be from before training.
        losses: (step, loss) of every step taken, in order.
    """
    if not validation:
        return None
    values = [loss for _, loss in validation]
    low = values.index(min(values))
    since = len(values) - 1 - low
    change, beyond_noise = _training_change(validation, losses, low)
    risen = since >= RISING and _risen(values, low)
    fell = change is not None and change <= -LEAST_FALL and beyond_noise
    kind: Literal["falling", "flat", "rising", "overfitting"] = "falling" if since == 0 else "flat"
    if risen:
        kind = "overfitting" if fell else "rising"
    return Standing(kind, since, values[low], validation[low][0], values[-1], change)


def _risen(values: Sequence[float], low: int) -> bool:
    if min(values) <= 0 or values[-1] - values[low] < LEAST_OF_START * values[0]:
        return False
    logs = [math.log(value) for value in values]
    noise = _noise(logs)
    rise = fmean(logs[-RISING:]) - median(logs[max(0, low - 1) : low + 2])
    return rise >= max(LEAST_RISE, NOISES * noise) and logs[-1] >= max(logs[low:]) - noise


def _noise(logs: Sequence[float]) -> float:
    """Standard deviation of one point around a smooth curve; 0 where there are too few to tell."""
    thirds = [abs(d - 3 * c + 3 * b - a) for a, b, c, d in zip(logs, logs[1:], logs[2:], logs[3:], strict=False)]
    return median(thirds) / (0.6745 * math.sqrt(20)) if thirds else 0.0


def _training_change(validation: Sequence[tuple[int, float]], losses: Sequence[tuple[int, float]], low: int) -> tuple[float | None, bool]:
    """Change of the smoothed training loss since evaluation `low`, as a share; and whether it is beyond its own noise."""
    start = max(low, 1)  # before the first step there is no training loss: its first stretch stands for it
    if len(validation) - 1 <= start:
        return None, False
    before = [loss for step, loss in losses if validation[start - 1][0] < step <= validation[start][0]]
    now = [loss for step, loss in losses if validation[-2][0] < step <= validation[-1][0]]
    return _change(before, now)


def _change(before: Sequence[float], now: Sequence[float]) -> tuple[float | None, bool]:
    if not before or not now or fmean(before) == 0:
        return None, False
    error = math.hypot(_error(before), _error(now))
    difference = fmean(now) - fmean(before)
    return difference / abs(fmean(before)), abs(difference) > ERRORS * error


def _error(losses: Sequence[float]) -> float:
    return stdev(losses) / math.sqrt(len(losses)) if len(losses) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run goes; medians over steps."""

    rows_per_second: float
    row_tokens_per_second: float
    """Of the rows one by one, as padding-free training without sharing would count them."""
    computed_tokens_per_second: float
    saved: float
    """Share of the rows' tokens that were not computed; below 0 where padding was."""
    flops_per_second: float
    """0 where they were not counted."""


def pace(steps: Sequence[Mapping[str, Any]]) -> Pace | None:
    """The pace of some logged steps; None of none."""
    timed = [step for step in steps if step["seconds"] > 0]
    if not timed:
        return None

    def rate(name: str) -> float:
        return float(median(step.get(name, 0.0) / step["seconds"] for step in timed))

    held, computed = (sum(step[name] for step in timed) for name in ("rows_tokens", "computed_tokens"))
    saved = 1 - computed / held if held else 0.0
    return Pace(rate("rows"), rate("rows_tokens"), rate("computed_tokens"), saved, rate("flops"))


@dataclass
class Watch:
    """What is known of a run while it goes on. Made anew from its log where it is continued, or went back."""

    total: int
    """Steps in all."""
    checks: frozenset[int] = frozenset()
    """Steps after which validation is measured."""
    steps: list[Mapping[str, Any]] = field(default_factory=list)
    """Every step taken, as logged: a StepReport's fields."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    check_seconds: list[float] = field(default_factory=list)
    """How long evaluations took, of this process."""

    @property
    def losses(self) -> list[tuple[int, float]]:
        """(step, training loss)."""
        return [(step["step"], step["loss"]) for step in self.steps]

    def heard_step(self, step: Mapping[str, Any]) -> None:
        """Take note of a step, as logged."""
        self.steps.append(step)

    def heard_evaluation(
        self, step: int, loss: float, seconds: float = 0.0, *, stopped: bool = False, kept_step: int | None = None
    ) -> str | None:
        """Take note of an evaluation; the sentence with which overfitting begins, where it does.

        Where the run stops now, that is left to `ending`. `kept_step`: the best so far, where not the loss decides which is.
        """
        before = standing(self.validation, self.losses)
        self.validation.append((step, loss))
        if seconds > 0:
            self.check_seconds.append(seconds)
        now = standing(self.validation, self.losses)
        begins = now is not None and now.kind == "overfitting" and (before is None or before.kind != "overfitting")
        if now is None or not begins or stopped:
            return None
        return f"{now.course}: the model begins to overfit. The best step so far is {now.lowest_step if kept_step is None else kept_step}."

    def seconds_left(self) -> float | None:
        """Until the last step, evaluations included, at the median pace of the recent ones; None before three steps.

        A run that stops early ends sooner.
        """
        recent = [step["seconds"] for step in self.steps[-RECENT:]]
        if len(recent) < 3:
            return None
        taken: int = self.steps[-1]["step"]
        checks = sum(check > taken for check in self.checks)
        each = median(self.check_seconds) if self.check_seconds else 0.0
        return max(0, self.total - taken) * float(median(recent)) + checks * each

    def line(self) -> str:
        """`step 120/900 · loss 0.843 · 31 rows/s · 62% of tokens saved · ETA 4 min`; loss: mean of the recent steps."""
        if not self.steps:
            return f"step 0/{self.total}"
        left = self.seconds_left()
        parts = [f"step {self.steps[-1]['step']}/{self.total}", self.note()]
        return " · ".join([*parts, f"ETA {duration(left)}"] if left is not None else parts)

    def note(self) -> str:
        """The line without where it stands and the time left: `loss 0.843 · 31 rows/s · 62% of tokens saved`."""
        recent = self.steps[-RECENT:]
        parts = [f"loss {fmean(step['loss'] for step in recent):.3f}"] if recent else []
        found = pace(recent)
        if found is not None:
            rate = found.rows_per_second
            parts.append(f"{rate:.0f} rows/s" if rate >= 10 else f"{rate:.1f} rows/s" if rate >= 1 else f"{60 * rate:.1f} rows/min")
            if found.saved >= 0.01:
                parts.append(f"{found.saved:.0%} of tokens saved")
        return " · ".join(parts)

    def ending(self, *, stopped: bool, kept_step: int) -> list[str]:
        """What is to be said of a run that has ended, in sentences.

        Args:
            stopped: whether it ended before its last step.
            kept_step: the step whose weights are kept.
        """
        worse = self._only_worse(kept_step)
        if worse:
            return [worse]
        now = standing(self.validation, self.losses)
        if stopped and now is not None:
            slower = " A lower learning rate may help." if now.kind == "rising" and (now.training_change or 0.0) >= LEAST_FALL else ""
            return [f"{now.course}: stopping, keeping step {kept_step}.{slower}"]
        if now is not None and now.kind in ("overfitting", "rising"):
            return [f"{now.course}: keeping step {kept_step}."]
        unfinished = self._still_falling()
        return [unfinished] if unfinished else []

    def _only_worse(self, kept_step: int) -> str | None:
        """Training that never came below the validation loss it began with, so that what it began with is kept."""
        if kept_step != 0 or len(self.validation) < 2 or self.validation[0][0] != 0:
            return None
        start, later = self.validation[0][1], [loss for _, loss in self.validation[1:]]
        if min(later) <= start:
            return None
        low, now = _pair(start, min(later))
        when = f"at each of {len(later)} evaluations (lowest {now})" if len(later) > 1 else f"at the one evaluation ({now})"
        return (
            f"Validation loss was above that of step 0 ({low}) {when}: training did not help, and the base itself is kept, as it was at "
            "step 0. A lower learning rate may help."
        )

    def _still_falling(self) -> str | None:
        """Underfitting: both losses were falling when the steps ran out."""
        quarter = len(self.steps) // 4
        if quarter < LEAST_QUARTER:
            return None
        before, last = [step["loss"] for step in self.steps[-2 * quarter : -quarter]], [step["loss"] for step in self.steps[-quarter:]]
        change, beyond_noise = _change(before, last)
        if change is None or change > -STILL_FALLING or not beyond_noise:
            return None
        if fmean(before) - fmean(last) < 10 * LEAST_OF_START * abs(fmean(step["loss"] for step in self.steps[:quarter])):
            return None
        values = [loss for _, loss in self.validation]
        if values and (len(values) < 2 or values[-1] > min(values[:-1]) * (1 - LEAST_RISE)):
            return None
        low, now = _pair(fmean(before), fmean(last))
        too = ", and validation loss too" if values else ""
        return (
            f"Training loss was still falling when the run ended ({low} to {now} over the last {quarter} steps){too}: more epochs may help."
        )

    def values(self, *, memory_mib: float | None = None) -> dict[str, float]:
        """The latest step's plain numbers, for trackers."""
        return step_values(self.steps[-1]) | ({} if memory_mib is None else {"memory_mib": memory_mib})

    def history(self) -> Iterator[tuple[int, dict[str, float]]]:
        """All that was noted so far, a step at a time in order: what a tracker of a continued run may lack."""
        found: dict[int, dict[str, float]] = {step["step"]: step_values(step) for step in self.steps}
        for step, loss in self.validation:
            found.setdefault(step, {})["validation_loss"] = loss
        yield from sorted(found.items())

    def figures(self, *, peak_flops: float | None = None, peak_mib: float | None = None) -> dict[str, Any]:
        """What report.json holds of the whole run: `throughput`, `mfu` (share of the device's peak) and `peak_mib`; unknown: None."""
        found = pace(self.steps)
        if found is None:
            return {"throughput": None, "mfu": None, "peak_mib": peak_mib}
        throughput = {
            "rows_per_second": found.rows_per_second,
            "row_tokens_per_second": found.row_tokens_per_second,
            "computed_tokens_per_second": found.computed_tokens_per_second,
            "saved": found.saved,
        }
        mfu = found.flops_per_second / peak_flops if peak_flops and found.flops_per_second else None
        if mfu is not None and mfu > 1:
            mfu = None  # the peak was measured while the machine was busy: a share above one tells nothing
        return {"throughput": throughput, "mfu": mfu, "peak_mib": peak_mib}


def step_values(step: Mapping[str, Any]) -> dict[str, float]:
    """A logged step's plain numbers."""
    found = {name: float(step[name]) for name in ("loss", "learning_rate", "grad_norm")}
    now = pace([step])
    if now is not None:
        found |= {"rows_per_second": now.rows_per_second, "computed_tokens_per_second": now.computed_tokens_per_second}
    return found


def _pair(first: float, second: float) -> tuple[str, str]:
    """Two losses with as many digits as it takes to tell them apart: `1.21` and `1.30`."""
    places = 2 if min(abs(first), abs(second)) >= 0.1 else 3
    while places < 6 and f"{first:.{places}f}" == f"{second:.{places}f}" and first != second:
        places += 1
    return f"{first:.{places}f}", f"{second:.{places}f}"


def duration(seconds: float) -> str:
    """`40 s`, `4 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
