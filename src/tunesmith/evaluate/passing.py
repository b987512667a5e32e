"""Written answers that are code: how probable it is that one of k passes, by a command in a sandbox (code_runs.py).

Beside the models' samples the rows' own answers are run once: where these don't pass, it is the command or the tests that fail.
So are answers that hold nothing, or end the program at once: where these pass, so would anything. Costs a run for each sample; equal
answers to one row are run once.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Row
from tunesmith.evaluate.code_runs import CodeRuns, Ended, run_answers
from tunesmith.evaluate.generation_config import CodeConfig
from tunesmith.score.intervals import Interval, bootstrap_interval
from tunesmith.score.pass_at_k import pass_at_k, pass_at_k_of
from tunesmith.score.resampling import Resamples

HOLLOW_ROWS = 20
"""Rows on which answers that hold nothing are tried."""
_ENDINGS = {".py": "raise SystemExit(0)", ".sh": "exit 0", ".js": "process.exit(0)"}
"""Answers that end a program at once, as if all were well, by the ending of their file's name."""
_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassAtK:
    """How probable it is that one of k answers passes: the mean over problems."""

    k: int
    value: float
    low: float
    """95% interval; problems are drawn anew, their samples stay."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """One system's samples, run."""

    key: str
    name: str
    pass_at_k: tuple[PassAtK, ...]
    right: int
    wrong: int
    late: int
    """Runs that were out of time; they count as wrong."""

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)


def code_of(text: str, *, fenced: bool) -> str:
    """What is run of an answer: what stands in its first ``` fence, where it has one and that is asked for; a line end at its end."""
    found = _FENCED.search(text) if fenced else None
    return (text if found is None else found[1]).rstrip("\n") + "\n"


def runs_of(config: CodeConfig) -> CodeRuns:
    """How answers are run."""
    return CodeRuns(
        command=tuple(config.command),
        seconds=config.timeout,
        memory_mib=config.memory_mib,
        at_once=config.at_once,
        readable=tuple(config.readable),
    )


def files_of(row: Row, config: CodeConfig) -> dict[str, str]:
    """The files beside an answer, from the row's columns; lists of texts are lines. DataError where a column is absent or no text."""
    found = {}
    for name, column in config.files.items():
        value = row.fields.get(column)
        lines = [value] if isinstance(value, str) else value
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise DataError(
                f"Row {row.id} holds no text in the column {column!r}, which evaluate.code.files names for {name}: name a column of texts."
            )
        found[name] = "\n".join(lines) + "\n"
    return found


def ended(rows: Sequence[Row], samples: Sequence[Sequence[str]], config: CodeConfig) -> list[list[Ended]]:
    """How the command ended on each sample of each row."""
    places: dict[tuple[int, str], int] = {}
    files: list[Mapping[str, str]] = []
    for number, (row, some) in enumerate(zip(rows, samples, strict=True)):
        beside = files_of(row, config)
        for code in dict.fromkeys(code_of(text, fenced=config.fenced) for text in some):
            places[number, code] = len(files)
            files.append(beside | {config.answer: code})
    found = run_answers(runs_of(config), files)
    return [[found[places[number, code_of(text, fenced=config.fenced)]] for text in some] for number, some in enumerate(samples)]


def hollow(rows: Sequence[Row], config: CodeConfig) -> dict[str, int]:
    """What passes of answers that hold nothing: what they are, and in how many of the first `HOLLOW_ROWS` rows they pass."""
    tried = {"An empty answer": "", "An answer that only ends the program": _ENDINGS.get(PurePath(config.answer).suffix, "")}
    first = rows[:HOLLOW_ROWS]
    runs = ended(first, [list(tried.values())] * len(first), config)
    return {name: sum(some[place] == "right" for some in runs) for place, name in enumerate(tried) if place == 0 or tried[name]}


def passing(key: str, name: str, runs: Sequence[Sequence[Ended]], ks: Sequence[int], resamples: Resamples) -> Passing:
    """pass@k for each k, over problems.

    Args:
        runs: how each sample of each problem ended; as many samples as the greatest k at least.
        resamples: of as many rows as there are problems.
    """
    counts, seen = counted(runs), Counter(one for some in runs for one in some)
    found = tuple(PassAtK(k=k, **asdict(pass_at_k_of(counts, k, resamples))) for k in sorted(set(ks)))
    return Passing(key=key, name=name, pass_at_k=found, right=seen["right"], wrong=seen["wrong"], late=seen["out of time"])


def counted(runs: Sequence[Sequence[Ended]]) -> list[tuple[int, int]]:
    """Samples, and right ones, of each problem."""
    return [(len(some), sum(one == "right" for one in some)) for some in runs]


def apart(ours: Sequence[Sequence[Ended]], theirs: Sequence[Sequence[Ended]], k: int, resamples: Resamples) -> Interval:
    """Our pass@k less theirs, and its 95% interval over the same problems."""
    both = zip(counted(ours), counted(theirs), strict=True)
    difference_R = np.array([pass_at_k(*mine, k) - pass_at_k(*other, k) for mine, other in both])
    table_R2 = np.column_stack([difference_R, np.ones(len(difference_R))])
    drawn_B2 = resamples.sums(table_R2)
    without_U2 = np.concatenate(list(resamples.without_each(table_R2)))
    without_U = without_U2[:, 0] / np.maximum(without_U2[:, 1], 1.0)
    return bootstrap_interval(float(difference_R.mean()), drawn_B2[:, 0] / drawn_B2[:, 1], without_U, low=-1.0, high=1.0)
