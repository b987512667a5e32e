"""What helps to choose among rounds: which is better beyond chance, and what each cost and lost beside the score."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tunesmith.core.errors import MachineError
from tunesmith.report import figures
from tunesmith.report.figures import Metric, metric_of
from tunesmith.report.shape import Count, Number, Part, Report, part_of
from tunesmith.report.text import one_line


class Pair(Part):
    """Two rounds over the same test rows, as `tunesmith.evaluate.between` gives them; no figures where they can't be compared."""

    first: str
    second: str
    difference: Number = None
    low: Number = None
    high: Number = None
    p_corrected: Number = None
    better: str | None = None
    rows: Count = None
    why_not: str = ""


class _Overfitting(Part):
    outcome: str = ""


def differences(reports: Sequence[Report], pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What every two rounds show, in sentences; the metric is the first round's deciding one.

    Raises:
        MachineError: a pair has another form.
    """
    metric = metric_of(reports[0].verdict.metric) if reports else metric_of("")
    try:
        return [_sentence(Pair.model_validate(pair), metric) for pair in pairs]
    except ValidationError as error:
        raise MachineError(f"A comparison of two rounds has another form than tunesmith.evaluate.between gives: {error}.") from error


def _sentence(pair: Pair, metric: Metric) -> str:
    first, second = one_line(pair.first, 40), one_line(pair.second, 40)
    if pair.difference is None or pair.low is None or pair.high is None:
        return f"{first} and {second} can't be set against each other: {one_line(pair.why_not, 200)}."
    sign = 1.0
    if pair.better == pair.second:
        first, second, sign = second, first, -1.0
    low, high = sorted((sign * pair.low, sign * pair.high))
    told = (
        f"{metric.write_difference(sign * pair.difference)}{metric.points} in {figures.in_text(metric.key)} "
        f"(95% interval {metric.write_difference(low)} to {metric.write_difference(high)}, corrected "
        f"{figures.p_value(pair.p_corrected)}), {figures.whole(pair.rows)} rows"
    )
    return f"{first} is better than {second}: {told}." if pair.better else f"Between {first} and {second} no difference is shown: {told}."


def beside(reports: Sequence[Report]) -> list[tuple[str, list[str]]]:
    """What was found beside the score: its name, and what each round says, short; nothing that no round looked at."""
    lines = [(name, [say(report) for report in reports]) for name, say in BESIDE]
    return [(name, cells) for name, cells in lines if any(cell != figures.ABSENT for cell in cells)]


def _lost(report: Report) -> str:
    found = report.forgetting
    if found is None:
        return figures.ABSENT
    words = {"kept": "nothing found", "forgot": "forgot", "unclear": "unclear", "unchanged": "nothing changed"}.get(
        found.outcome, "not measured"
    )
    rise = found.rise.relative.value if found.rise is not None else None
    return words if rise is None else f"{words}, perplexity {100 * rise:+,.1f}%".replace("-", figures.MINUS)


def _sure(report: Report) -> str:
    after = report.calibration.test.after if report.calibration and report.calibration.test else None
    return figures.ABSENT if after is None or after.ece is None else f"{100 * after.ece:.1f} points"


def _slices(report: Report) -> str:
    if report.slices is None:
        return figures.ABSENT
    worse = sum(one.worse for one in report.slices.slices)
    return f"{worse} of {len(report.slices.slices)}" if worse else "none"


def _by_heart(report: Report) -> str:
    return figures.ABSENT if report.memorisation is None else "alarm" if report.memorisation.alarm else "no alarm"


def _overfitted(report: Report) -> str:
    found = part_of(report, "overfitting", _Overfitting)
    words = {
        "none": "no",
        "earlier kept": "the run, not the model",
        "within": "the run, the model in part",
        "kept": "yes",
        "start kept": "nothing learnt was kept",
    }
    return figures.ABSENT if found is None else words.get(found.outcome, figures.ABSENT)


def _gates(report: Report) -> str:
    gates = report.verdict.gates
    refused = [one_line(gate.name.replace("_", " "), 40) for gate in gates if gate.holds is False]
    return (
        figures.ABSENT
        if not gates
        else f"refused by {', '.join(refused)}"
        if refused
        else f"all {len(gates)} hold"
        if len(gates) > 1
        else "holds"
    )


BESIDE: tuple[tuple[str, Callable[[Report], str]], ...] = (
    ("Gates", _gates),
    ("Overfitted", _overfitted),
    ("What was lost of the base", _lost),
    ("Calibration error on test", _sure),
    ("Slices shown to be worse", _slices),
    ("By heart", _by_heart),
)
"""Name, and what a round says of it in a few words: an en dash where nobody looked. To add one: a line here."""
