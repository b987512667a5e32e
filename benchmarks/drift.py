"""Drift: how often a look is wrong, and how soon it is right. Months of simulated traffic of real questions (banking77).

    python benchmarks/drift.py [--case NAME] [--months 200] [--json]

The frame is made of training rows; the reference and the traffic of a month are both drawn from rows the frame never saw, answered by
TF-IDF with logistic regression (its labels and confidences stand for a model's). One look a day at all signals, against the reference and
against the week before, as `tunesmith monitor` looks. The figure of a false-alarm case is that of the worst of its worlds:

- `plain`: independent questions; `few`: the same, 150 a day;
- `users`: 150 named users of very uneven zeal ask all, each from five rows of his own;
- `unnamed`: the same without their names;
- `duplicates`: three in ten questions are one of fifty popular texts.

`drift-topics` measures beyond that: 150 users of uneven zeal who ask ever other rows of three classes of their own, with their names
(`topics`) and without (`unnamed topics`, where nothing tells that requests belong together, and no promise is made).

`drift-opinions` looks at the share of good opinions alone, as one of `TOGETHER` signals of a look, the last week against the four before:
`people` who each have a key and stay, `new people` every day, `applications` of very uneven size behind a key each, with other users every
day, and `one application`, which gets no verdict. `turned` is the share of months in which `people` who fall from 90% to 70% good are told
within the week.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.score.drift import ALPHA, MATERIAL, look, share_shift
from tunesmith.score.sketch import BOXES, Frame, Sketch, box_of, frame_of

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "banking77"
DAYS = 30
REFERENCE = 1500
ENOUGH = 500
TOGETHER = 11
"""Signals and references that share a look's correction: five of traffic against two, and opinions."""
Given = Callable[[], dict[str, tuple[int, int]]]
"""A day's opinions: key -> good ones and all."""


@dataclass(frozen=True)
class World:
    """Questions that were answered, in bins."""

    frame: Frame
    bins_RV: np.ndarray
    """Row x variable: the bin, counted over all variables."""
    box_R: np.ndarray
    """Of the text."""
    label_R: np.ndarray
    """The true one."""


@cache
def _read(folder: Path) -> World:
    return _world(folder)


def world(folder: Path | None = None) -> World:
    """The questions; from a folder the first time."""
    global DATA
    DATA = folder or DATA
    return _read(DATA)


def _world(folder: Path) -> World:
    """Half the rows train the classifier and the frame; the other half are asked."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = [row for name in ("train.csv", "test.csv") for row in csv.DictReader((folder / name).open(encoding="utf-8"))]
    order = np.random.default_rng(0).permutation(len(rows))
    train, asked = ([rows[at] for at in half] for half in np.array_split(order, 2))
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=20, max_iter=200).fit(
        words.fit_transform([row["text"] for row in train]), [row["category"] for row in train]
    )
    chances = model.predict_proba(words.transform([row["text"] for row in asked]))
    labels = [str(label) for label in model.classes_]
    said, sure = [labels[at] for at in chances.argmax(axis=1)], chances.max(axis=1).tolist()
    frame = frame_of([row["text"] for row in train[:4000]], sure[:500], [], labels)
    bins = [frame.of_text(row["text"]) + frame.of_answer(label, label, one) for row, label, one in zip(asked, said, sure, strict=True)]
    boxes = [box_of("", row["text"]) for row in asked]
    return World(frame, np.array(bins), np.array(boxes), np.array([labels.index(row["category"]) for row in asked]))


def sketch(rows_N: np.ndarray, box_N: np.ndarray) -> Sketch:
    """Rows that were asked, in a sketch as it is kept."""
    made = world()
    counts = np.zeros((BOXES, made.frame.bins), np.int64)
    np.add.at(counts, (np.repeat(box_N, made.bins_RV.shape[1]), made.bins_RV[rows_N].ravel()), 1)
    kept = Sketch((counts,)).folded(made.frame.variables[0].bins)
    return kept if kept is not None else Sketch((counts[:0],))


def plain(rng: np.random.Generator, a_day: int) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Independent questions."""

    def day() -> tuple[np.ndarray, np.ndarray]:
        rows = rng.integers(0, len(world().box_R), rng.poisson(a_day))
        return rows, world().box_R[rows]

    return day


def users(rng: np.random.Generator, a_day: int, *, named: bool) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Users with rows of their own; half of all is asked by some twenty of them."""
    own = rng.integers(0, len(world().box_R), (150, 5))
    zeal = rng.lognormal(0, 1.2, 150)
    boxes = rng.integers(0, BOXES, 150)

    def day() -> tuple[np.ndarray, np.ndarray]:
        who = rng.choice(150, rng.poisson(a_day), p=zeal / zeal.sum())
        rows = own[who, rng.integers(0, 5, len(who))]
        return rows, boxes[who] if named else world().box_R[rows]

    return day


def duplicates(rng: np.random.Generator, a_day: int) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Some texts are asked again and again."""
    popular = rng.integers(0, len(world().box_R), 50)
    share = 1 / np.arange(1, 51)

    def day() -> tuple[np.ndarray, np.ndarray]:
        rows = rng.integers(0, len(world().box_R), rng.poisson(a_day))
        again = rng.random(len(rows)) < 0.3
        rows = np.where(again, rng.choice(popular, len(rows), p=share / share.sum()), rows)
        return rows, world().box_R[rows]

    return day


def topics(rng: np.random.Generator, a_day: int, *, named: bool) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Users with classes of their own, and ever other questions."""
    of_class = [np.flatnonzero(world().label_R == label) for label in range(world().label_R.max() + 1)]
    own = rng.integers(0, len(of_class), (150, 3))
    zeal = rng.lognormal(0, 1.2, 150)
    boxes = rng.integers(0, BOXES, 150)

    def day() -> tuple[np.ndarray, np.ndarray]:
        who = rng.choice(150, rng.poisson(a_day), p=zeal / zeal.sum())
        labels = own[who, rng.integers(0, 3, len(who))]
        rows = np.array([rng.choice(of_class[label]) for label in labels])
        return rows, boxes[who] if named else world().box_R[rows]

    return day


BEYOND: dict[str, Callable[[np.random.Generator], Callable[[], tuple[np.ndarray, np.ndarray]]]] = {
    "topics": lambda rng: topics(rng, 500, named=True),
    "unnamed topics": lambda rng: topics(rng, 500, named=False),
}
WORLDS: dict[str, Callable[[np.random.Generator], Callable[[], tuple[np.ndarray, np.ndarray]]]] = {
    "plain": lambda rng: plain(rng, 500),
    "few": lambda rng: plain(rng, 150),
    "users": lambda rng: users(rng, 500, named=True),
    "unnamed": lambda rng: users(rng, 500, named=False),
    "duplicates": lambda rng: duplicates(rng, 500),
}


def looked(days: list[Sketch], reference: Sketch) -> list[Any]:
    """The look at the end of the last of some days, over the latest that hold enough and the week before them."""
    frame, first = world().frame, len(days) - 1
    now, held = days[first], 0
    while True:
        held = sum(int(part[:, : frame.variables[0].bins].sum()) for part in now.counts)
        if held >= ENOUGH or first == 0 or len(days) - first >= 7:
            break
        first -= 1
        now = now + days[first]
    references = {"training": reference}
    if first:
        before = days[max(0, first - 7)]
        for one in days[max(0, first - 7) + 1 : first]:
            before = before + one
        references["last week"] = before
    return [one for one in look(now, references, frame) if one.found]


def false_alarms(months: int) -> dict[str, Any]:
    """Alarmed looks a month, of 30, where nothing changes."""
    return _worst({name: _months(name, WORLDS[name], months) for name in WORLDS}, months)


def beyond(months: int) -> dict[str, Any]:
    """The same where users keep to topics."""
    return _worst({name: _months(name, BEYOND[name], months) for name in BEYOND}, months)


def _worst(told: dict[str, dict[str, Any]], months: int) -> dict[str, Any]:
    worst = max(told, key=lambda name: told[name]["a_month"])
    value = told[worst]["a_month"]
    return {
        "value": value,
        "unit": "alarms a month, worst world",
        "to_reach": 1,
        "spread": [min(one["a_month"] for one in told.values()), value],
        "repeats": months,
        "ours": {"worst": worst} | told,
    }


def _months(name: str, made: Any, months: int) -> dict[str, Any]:
    counts, by_signal = [], dict[str, int]()
    for month in range(months):
        rng = np.random.default_rng([month, sum(name.encode())])
        rows = rng.integers(0, len(world().box_R), REFERENCE)
        reference, day = sketch(rows, world().box_R[rows]), made(rng)
        days: list[Sketch] = []
        alarms = 0
        for _ in range(DAYS):
            days.append(sketch(*day()))
            found = looked(days, reference)
            alarms += bool(found)
            for one in found:
                by_signal[f"{one.name} against {one.against}"] = by_signal.get(f"{one.name} against {one.against}", 0) + 1
        counts.append(alarms)
    held = np.array(counts)
    return {"a_month": round(float(held.mean()), 3), "months_with_any": round(float((held > 0).mean()), 3), "looks_by_signal": by_signal}


def power(months: int, shift: float = 0.2, *, mixed: bool = False) -> dict[str, Any]:
    """Share of months in which a class that grows by `shift` of all traffic is found among 500 requests, and requests needed."""
    needed: list[int | None] = []
    for month in range(months):
        rng = np.random.default_rng([month, 7])
        rows = rng.integers(0, len(world().box_R), REFERENCE)
        reference = sketch(rows, world().box_R[rows])
        week = [sketch(*plain(rng, 500)()) for _ in range(7)]
        grown = np.flatnonzero(world().label_R == rng.integers(0, world().label_R.max() + 1))
        asked = np.where(rng.random(500) < shift, rng.choice(grown, 500), rng.integers(0, len(world().box_R), 500))
        old = rng.integers(0, len(world().box_R), 500) if mixed else np.zeros(0, np.int64)
        needed.append(_needed(asked, old, week, reference))
    found = [one for one in needed if one is not None]
    share = len(found) / months
    quantiles = np.quantile([one if one is not None else 10**9 for one in needed], [0.5, 0.9], method="higher")
    return {"found": round(share, 3), "median": _told(quantiles[0]), "p90": _told(quantiles[1])}


def _told(requests: float) -> int | str:
    return int(requests) if requests < 10**9 else "more than 500"


def _needed(asked: np.ndarray, old: np.ndarray, week: list[Sketch], reference: Sketch) -> int | None:
    """After how many of the shifted requests a look finds it; looked at every 50."""
    before = week[0]
    for one in week[1:]:
        before = before + one
    for count in range(50, 501, 50):
        rows = np.concatenate([old, asked[:count]])
        now = sketch(rows, world().box_R[rows])
        if any(one.found for one in look(now, {"training": reference, "last week": before}, world().frame)):
            return count
    return None


def drift_power(months: int) -> dict[str, Any]:
    """The shift that must be found, smaller ones, and where as many requests of the old kind stand in the window."""
    told = {f"{shift:.0%}": power(months, shift) for shift in (0.2, 0.1, 0.05, 0.03)}
    told |= {f"{shift:.0%} among 500 old requests": power(months, shift, mixed=True) for shift in (0.2, 0.1)}
    value = told["20%"]["found"]
    return {
        "value": value,
        "unit": "share of months found within 500 requests",
        "to_reach": 1,
        "spread": [value, value],
        "repeats": months,
        "ours": told,
    }


def people(rng: np.random.Generator, good: float = 0.9) -> Given:
    """200 who have a key each and an inclination of their own; some 50 opinions a day, most by a few."""
    own, zeal = rng.beta(3 * good, 3 * (1 - good), 200), rng.lognormal(0, 1.2, 200)

    def day() -> dict[str, tuple[int, int]]:
        counts = rng.poisson(50 * zeal / zeal.sum())
        return {f"p{at}": (int(rng.binomial(counts[at], own[at])), int(counts[at])) for at in np.flatnonzero(counts)}

    return day


def new_people(rng: np.random.Generator) -> Given:
    """25 of whom nobody comes again, with two opinions each."""
    at = 0

    def day() -> dict[str, tuple[int, int]]:
        nonlocal at
        at += 1
        return {f"p{at}-{who}": (int(rng.binomial(2, share)), 2) for who, share in enumerate(rng.beta(2.7, 0.3, 25))}

    return day


def applications(rng: np.random.Generator, count: int) -> Given:
    """Keys with many users behind them, other ones every day, of whom each says up to ten things; some 50 opinions a day."""
    size = rng.lognormal(0, 1.2, count)

    def day() -> dict[str, tuple[int, int]]:
        told: dict[str, tuple[int, int]] = {}
        for at, users in enumerate(rng.poisson(9 * size / size.sum())):
            said = rng.integers(1, 11, users)
            told[f"a{at}"] = (int(rng.binomial(said, rng.beta(2.7, 0.3, users)).sum()), int(said.sum()))
        return {key: held for key, held in told.items() if held[1]}

    return day


def opinions(months: int) -> dict[str, Any]:
    """Alarmed looks a month where opinions stay as they are, and how often their fall is told."""
    worlds: dict[str, Callable[[np.random.Generator], Given]] = {
        "people": people,
        "new people": new_people,
        "applications": lambda rng: applications(rng, 12),
        "one application": lambda rng: applications(rng, 1),
    }
    told = _worst({name: _opinion_months(name, made, months) for name, made in worlds.items()}, months)
    turned = 0
    for month in range(months):
        rng = np.random.default_rng([month, 11])
        before, after = people(rng), people(rng, 0.7)
        turned += _told_apart([before() for _ in range(28)] + [after() for _ in range(7)])
    return told | {"turned": round(turned / months, 3)}


def _opinion_months(name: str, made: Callable[[np.random.Generator], Given], months: int) -> dict[str, Any]:
    counts = []
    for month in range(months):
        day = made(np.random.default_rng([month, sum(name.encode())]))
        days = [day() for _ in range(35 + DAYS)]
        counts.append(sum(_told_apart(days[at : at + 35]) for at in range(DAYS)))
    held = np.array(counts)
    return {"a_month": round(float(held.mean()), 3), "months_with_any": round(float((held > 0).mean()), 3)}


def _told_apart(days: list[dict[str, tuple[int, int]]]) -> bool:
    """Whether the last week's opinions are an alarm against those of the four weeks before."""
    then, now = dict[str, tuple[int, int]](), dict[str, tuple[int, int]]()
    for side, part in ((then, days[:28]), (now, days[28:])):
        for one in part:
            for key, (good, all_) in one.items():
                held = side.get(key, (0, 0))
                side[key] = (held[0] + good, held[1] + all_)
    found = share_shift(now, then)
    return found is not None and found[0] * TOGETHER <= ALPHA and abs(found[2] - found[1]) >= MATERIAL


CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "drift-false-alarms": false_alarms,
    "drift-power": drift_power,
    "drift-topics": beyond,
    "drift-opinions": opinions,
}


def main() -> None:
    """Print one JSON object."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--case", action="append", choices=list(CASES))
    asked.add_argument("--months", type=int, default=200)
    asked.add_argument("--data", type=Path, help="folder of banking77; shared/data/banking77 beside the checkout where absent")
    asked.add_argument("--json", action="store_true", help="one line of JSON")
    given = asked.parse_args()
    folder = given.data or DATA
    if not folder.is_dir():
        sys.exit("the public data sets are not beside the checkout (shared/data): nothing to measure")
    cases = []
    for name in given.case or CASES:
        began = time.perf_counter()
        world(folder)
        cases.append({"case": name} | CASES[name](given.months) | {"took_seconds": round(time.perf_counter() - began, 1)})
        print(f"{name}: {cases[-1]['value']} {cases[-1]['unit']}, {cases[-1]['took_seconds']} s", file=sys.stderr, flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    told = {"commit": commit, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, 1 core", "cases": cases}
    print(json.dumps(told) if given.json else json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
