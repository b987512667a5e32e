"""Whether a new model may take the champion's place.

Three things are read. The champion's own test set, which no opinion has touched, decides: the lower end of the interval of the paired
difference must be above the bound, and the interval grows with each look at that set (`next_look`). Opinions of requests that were drawn at
random may only say no. Past failures of the champion, which is what most opinions are about, are told and count for nothing: they were
chosen because the champion failed, so any other model does better on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.hashing import digest
from tunesmith.core.progress import Listener
from tunesmith.core.rows import Row
from tunesmith.data.fold import fold
from tunesmith.evaluate.trial import CHAMPION, FEWEST
from tunesmith.feedback.next_config import NextConfig
from tunesmith.feedback.sides import user_of
from tunesmith.feedback.votes import prompt_key
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.sides import SideRecord
from tunesmith.pipeline.next_rows import allowed
from tunesmith.score.intervals import TAIL
from tunesmith.score.prediction import Prediction

if TYPE_CHECKING:
    from tunesmith.score.paired import Comparison

REVIEWED = 0.9
"""Traffic is read where so many of its opinions were reviewed: of fewer, the queue chose which."""
THUMBS = 0.05
"""Traffic is not read where more of its opinions are thumbs without a right answer: whether a thumb or the answer is given goes by whether
the champion was right, so what remains is no random sample."""


@dataclass(frozen=True, slots=True)
class Duel:
    """Two models on the same rows."""

    rows: int
    measure: str
    champion: float
    new: float
    difference: float
    """In favour of the new one where it is positive, whichever way the measure runs."""
    low: float
    """Of the gain, as fractions."""
    high: float
    p_value: float
    tail: float = TAIL
    """What the interval leaves on each side."""
    finest: float = 0.0
    """The least p-value there could be: of so many resamples; 0 where it is exact."""
    units: int | None = None
    """Rows, or groups of rows that go together; as many as rows where absent."""

    @property
    def gain(self) -> dict[str, float]:
        """value, low and high."""
        return {"value": self.difference, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Opinions on the `judge` side."""

    traffic: tuple[Row, ...]
    """Of requests drawn at random; empty where too few of them were reviewed."""
    failures: tuple[Row, ...]
    """Where the champion was wrong, drawn or not."""
    why: str
    """Why traffic is or isn't read."""
    givers: Mapping[str, str] = field(default_factory=dict)
    """Row -> who says so, where somebody can be named: what one giver says goes together."""


def witnesses(records: Sequence[FeedbackRecord], stand: Mapping[str, SideRecord], config: NextConfig) -> Witnesses:
    """Opinions that tell the right answer whether the champion gave it or not: labels and corrections, and no thumbs."""
    telling = [record for record in records if record.kind in ("label", "correction") and record.prompt and record.asked != "text"]
    drawn = [record for record in telling if stand[record.id].drawn]
    answered = {(record.completion_id, record.choice) for record in drawn}
    thumbs = [
        record
        for record in records
        if record.kind == "thumbs"
        and stand[record.id].drawn
        and record.state in ("new", "accepted")
        and (record.completion_id, record.choice) not in answered
    ]
    judged = [record for record in drawn if record.state in ("accepted", "rejected") or allowed(record, config)]
    traffic = _rows([record for record in drawn if allowed(record, config)])
    failures = _rows([record for record in telling if allowed(record, config) and fold(record.value) != fold(record.answer or "")])
    givers = {record.id: digest(user) for record in telling if (user := user_of(record)) is not None}
    if len(thumbs) > THUMBS * (len(drawn) + len(thumbs)):
        why = f"{len(thumbs):,} of {len(drawn) + len(thumbs):,} opinions of requests drawn at random are thumbs, which tell no right answer: not read"
        return Witnesses((), failures, why, givers)
    if drawn and len(judged) < REVIEWED * len(drawn):
        why = f"{len(judged):,} of {len(drawn):,} opinions of requests drawn at random were reviewed, and the queue chose which: not read"
        return Witnesses((), failures, why, givers)
    if len(traffic) < FEWEST:
        return Witnesses((), failures, f"{len(traffic):,} opinions of requests drawn at random are too few to be read", givers)
    return Witnesses(traffic, failures, f"{len(traffic):,} opinions of requests drawn at random", givers)


def _rows(records: Sequence[FeedbackRecord]) -> tuple[Row, ...]:
    """A row for each prompt whose right answer is not disputed."""
    said: dict[str, set[str]] = {}
    first: dict[str, FeedbackRecord] = {}
    for record in records:
        key = prompt_key(record) or record.id
        said.setdefault(key, set()).add(record.value)
        first.setdefault(key, record)
    return tuple(
        Row(id=first[key].id, prompt=first[key].prompt or (), answer=next(iter(held))) for key, held in said.items() if len(held) == 1
    )


def duel(
    rows: Sequence[Row],
    champion: Path,
    new: Path,
    metric: str,
    listen: Listener,
    groups: Mapping[str, str] | None = None,
    tail: float = TAIL,
) -> Duel | None:
    """Both models on the same rows, each as it was made to answer; None where there is no row, or the measure can't be told from them.

    Args:
        rows: what is asked, with the right answers.
        champion: a model's folder.
        new: another's.
        metric: a measure's name.
        listen: told of progress.
        groups: row -> group, where rows of a group are not independent; a row without one stands alone.
        tail: what the interval leaves on each side.
    """
    if not rows:
        return None
    theirs, ours = (_answers(rows, folder, listen) for folder in (champion, new))
    return compared(ours, theirs, metric, groups, tail)


def compared(
    ours: list[Prediction], theirs: list[Prediction], metric: str, groups: Mapping[str, str] | None = None, tail: float = TAIL
) -> Duel | None:
    """The new model's answers against the champion's; arguments as of `duel`."""
    from tunesmith.score.intervals import intervals
    from tunesmith.score.measures import measure
    from tunesmith.score.paired import compare
    from tunesmith.score.resampling import Resamples, units

    rows = [one.row_id for one in ours]
    by, drawn = measure(metric), Resamples(rows=len(rows), groups=units(rows, groups))
    told = compare(by, ours, theirs, drawn)
    its, mine = (intervals([by], answers, drawn)[metric] for answers in (theirs, ours))
    if told is None or its is None or mine is None:
        return None
    return _fought(told, len(rows), metric, (its.value, mine.value), drawn.units, tail, drawn.count)


def of_report(report: Mapping[str, Any], tail: float, resamples: int, units: int | None = None) -> Duel:
    """The duel that a round against the champion has fought on test, told at a level, on so many units; as many as rows where absent."""
    from tunesmith.score.paired import Comparison

    systems, metric = {system["key"]: system for system in report["systems"]}, report["verdict"]["metric"]
    its, mine = (systems[key]["metrics"][metric]["value"] for key in (CHAMPION, "tuned"))
    held = systems[CHAMPION]["against"]
    told = Comparison(**{name: held[name] for name in Comparison.__slots__})
    return _fought(told, systems[CHAMPION]["rows"], metric, (its, mine), units, tail, resamples)


def _fought(told: "Comparison", rows: int, metric: str, both: tuple[float, float], units: int | None, tail: float, resamples: int) -> Duel:
    """`both`: the champion's value and the new one's."""
    from tunesmith.score.paired import EXACT, at_level

    there = told if tail == TAIL else at_level(told, rows, tail)
    finest = 0.0 if told.test == EXACT else 1 / (1 + resamples)
    return Duel(rows, metric, *both, there.difference, there.low, there.high, there.p_value, tail, finest, units)


def _answers(rows: Sequence[Row], folder: Path, listen: Listener) -> list[Prediction]:
    from tunesmith.core.rows import Message
    from tunesmith.evaluate.ready import load_ready

    ready = load_ready(folder)
    system = () if ready.bundle.instruction is None else (Message("system", ready.bundle.instruction),)
    asked = [
        row if any(turn.role == "system" for turn in row.prompt) else row.with_text((*system, *row.prompt), row.answer, None)
        for row in rows
    ]
    return ready.answer(asked, work="score feedback", listen=listen)


@dataclass(frozen=True, slots=True)
class Found:
    """What a new model showed."""

    promoted: bool
    why: str
    test: Duel | None
    """On the champion's own test set."""
    traffic: Duel | None
    failures: Duel | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Found":
        """The reverse of `to_json`."""
        duels = {name: None if held[name] is None else Duel(**held[name]) for name in ("test", "traffic", "failures")}
        return cls(held["promoted"], held["why"], **duels)


def decide(
    gates: Sequence[Mapping[str, Any]], test: Duel | None, traffic: Duel | None, failures: Duel | None, told: str, gain: float
) -> Found:
    """May it be promoted, and why or why not.

    Args:
        gates: of the round's verdict.
        test: on the champion's test set.
        traffic: on opinions of requests drawn at random.
        failures: where the champion was wrong; counts for nothing.
        told: why traffic is or isn't read.
        gain: the bound.
    """
    said = [] if test is None else [f"{_shown(test)} of the champion's test set"]
    said.append(f"traffic: {told}" if traffic is None else f"traffic: {_shown(traffic)}")
    if failures is not None:
        said.append(f"past failures, which count for nothing: {_shown(failures)}")
    no = _objections(gates, test, traffic, gain)
    return Found(not no, "; ".join([*no, *said]), test, traffic, failures)


def _objections(gates: Sequence[Mapping[str, Any]], test: Duel | None, traffic: Duel | None, gain: float) -> list[str]:
    """What speaks against a promotion."""
    no = [f"the gate {gate['name']} does not hold" for gate in gates if not gate["holds"]]
    alone = 0 if test is None else test.rows if test.units is None else test.units
    if test is None or alone < FEWEST:
        rows = "test rows" if test is None or alone == test.rows else "groups of test rows"
        no.append(f"{alone} {rows} are too few to show anything ({FEWEST} at least)")
    elif test.low <= gain or (gain >= 0 and test.p_value > max(test.tail, test.finest)):
        no.append(f"it is not shown to be better by more than {gain:g}")
    if traffic is not None and traffic.high < 0:
        no.append("it is worse on traffic")
    return no


def _shown(one: Duel) -> str:
    interval = f"a gain of {one.difference:+.3f}, {100 - 200 * one.tail:.4g}% interval {one.low:+.3f} to {one.high:+.3f}"
    return f"{one.measure} {one.new:.3f} against {one.champion:.3f} ({interval}) on {one.rows:,} rows"
