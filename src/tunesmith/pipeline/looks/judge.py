"""What an engine makes of the tuned model's answers beside those of the best baseline that is a language model.

Costs two requests a row. What was answered is kept in the workspace's cache, so that a round that goes on pays for nothing twice.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.config import Task
from tunesmith.engines.openai import OpenAIEngine, Prices
from tunesmith.evaluate.generation_config import JudgeConfig
from tunesmith.evaluate.judging import CRITERION, Judging, Pair, judge_pairs
from tunesmith.evaluate.measures import better
from tunesmith.pipeline.handed import engine_of
from tunesmith.pipeline.looks.look import Found, Looking
from tunesmith.score.intervals import Interval
from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.resampling import units

BASELINES = {"zero-shot": "the base, zero-shot", "few-shot": "the base, few-shot"}


def look_at_judge(given: Looking) -> Found | None:
    """A judge between the tuned model and the better baseline; nothing where the recipe asks for none."""
    config = given.recipe.evaluate.judge
    if config is None or given.sides.task != Task.GENERATE:
        return None
    key, theirs = _best_baseline(given)
    rows = drawn(given.sides.test, config.rows, given.groups("test"), seed=derive_seed(given.recipe.seed, "judge"))
    engine = engine_of(config.engine, given.stages.workspace)
    try:
        judging = judge_pairs(
            engine, _pairs(rows, given.answers, theirs, config), criterion=config.criterion or CRITERION, listen=given.listen
        )
    finally:
        if engine.memory is not None:
            engine.memory.close()
    worse = judging.compared is not None and judging.compared.high < 0
    return Found(
        piece=_piece(judging, key, engine, config),
        alarm=f"A judge prefers {BASELINES[key]}: {judging.sentence}" if worse else None,
        public=public_of(judging, key),
    )


def public_of(judging: Judging, baseline: str) -> str:
    """What was found, without who judged: an engine's name holds its address, and often a path."""
    unnamed = replace(judging, judge="Another model, as a judge,")
    return f"Beside {BASELINES[baseline]}: {' '.join([unnamed.sentence, judging.length.sentence]).strip()}"


def drawn(rows: Sequence[Row], most: int, groups: Mapping[str, str] | None, *, seed: int) -> list[Row]:
    """At most so many rows in their order, drawn at random; of rows that belong together one, so that each counts for itself."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    names = units([rows[at].id for at in order], groups or {}) or []
    kept = set(dict(zip(reversed(names), reversed(order), strict=True)).values())  # of each unit the first that was drawn
    return [rows[at] for at in sorted([at for at in order if at in kept][:most])]


def _best_baseline(given: Looking) -> tuple[str, list[Prediction]]:
    """The better of the base's ways by the deciding measure, and its answers."""
    scored = {key: answers for key in BASELINES if (answers := given.answers_of(key)) is not None}
    best = next(iter(scored))
    for key, answers in scored.items():
        if better(given.metric, measure(given.metric).of(answers), measure(given.metric).of(scored[best])):
            best = key
    return best, scored[best]


def _pairs(rows: Sequence[Row], ours: Sequence[Prediction], theirs: Sequence[Prediction], config: JudgeConfig) -> list[Pair]:
    said = [{one.row_id: one.answer for one in answers} for answers in (ours, theirs)]
    return [
        Pair(
            row_id=row.id,
            question=_question(row),
            ours=said[0][row.id],
            theirs=said[1][row.id],
            reference=row.answer if config.reference else "",
        )
        for row in rows
    ]


def _question(row: Row) -> str:
    """What was asked: the message, or all turns with who spoke."""
    if len(row.prompt) == 1:
        return row.prompt[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in row.prompt)


def _piece(judging: Judging, baseline: str, engine: OpenAIEngine, config: JudgeConfig) -> dict[str, Any]:
    prices = config.engine.price_asked, config.engine.price_answered
    known = None if prices[0] is None or prices[1] is None else Prices(prices[0], prices[1])
    compared = judging.compared
    return {
        "judge": judging.judge,
        "baseline": baseline,
        "rows": len(judging.pairs),
        "counts": dict(judging.counts),
        "wins": _ends(judging.wins),
        "losses": _ends(judging.losses),
        "agreement": _ends(judging.agreement),
        "against": None if compared is None else asdict(compared),
        "leans": judging.leans,
        "lean_p": judging.lean_p,
        "length": asdict(judging.length) | {"leans": judging.length.leans},
        "spent": asdict(engine.spent) | {"cost": engine.spent.cost(known)},
        "sentence": judging.sentence,
        "notes": [judging.length.sentence] if judging.length.sentence else [],
    }


def _ends(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}
