"""The stage: every rule over every row. What a rule finds is dropped where the recipe says so, else counted for the report."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Changed, Dropped, Kept, Outcome, Row
from tunesmith.data.config import Task
from tunesmith.data.filter import answers, shape
from tunesmith.data.filter.facts import FilterFacts, boilerplate_share
from tunesmith.data.filter.labels import nearest
from tunesmith.data.filter.language import check_languages, is_foreign
from tunesmith.data.filter.seen import Seen, see
from tunesmith.data.quoting import shown_label
from tunesmith.data.settings.filter import FilterConfig, LabelRule
from tunesmith.score.meanings import write_labels

STAGE = "filter"
_SAMPLES = 20
_TOLD = 5
_WRITTEN = (Task.GENERATE, Task.PREFER, Task.TEXT)

Finds = Callable[[Seen], bool]
Maker = Callable[[FilterConfig, FilterFacts, Task], Finds]


def _empty(config: FilterConfig, facts: FilterFacts, task: Task) -> Finds:
    return lambda seen: shape.is_empty(seen, task in _WRITTEN)


def _language(config: FilterConfig, facts: FilterFacts, task: Task) -> Finds:
    check_languages(config.languages)
    languages = frozenset(config.languages)
    return lambda seen: is_foreign(seen, languages, config.language)


def _breaks_off(config: FilterConfig, facts: FilterFacts, task: Task) -> Finds:
    return lambda seen: bool(seen.answer) and answers.breaks_off(seen.answer, config.truncated, facts.endings)


def _boilerplate(config: FilterConfig, facts: FilterFacts, task: Task) -> Finds:
    if not facts.boilerplate:
        return lambda seen: False
    return lambda seen: boilerplate_share(seen.learned, facts.boilerplate) > config.boilerplate.text_share


RULES: dict[str, tuple[str, Maker]] = {
    "empty": ("nothing in it prints", _empty),
    "too_short": ("too short", lambda config, facts, task: lambda seen: shape.is_short(seen, config.too_short)),
    "too_long": ("too long", lambda config, facts, task: lambda seen: shape.is_long(seen, config.too_long)),
    "language": ("not in a wanted language", _language),
    "repeats": ("repeats itself", lambda config, facts, task: lambda seen: shape.repeats(seen.learned, config.repeats)),
    "boilerplate": ("mostly lines that stand in many rows", _boilerplate),
    "echo": ("the answer only repeats the prompt", lambda config, facts, task: lambda seen: answers.echoes(seen, config.echo)),
    "truncated": ("the answer breaks off", _breaks_off),
    "refusal": ("the answer is a refusal", lambda config, facts, task: lambda seen: answers.refuses(seen.answer)),
}
"""Name in `data.filter` -> why it drops a row, and what makes it. Dropping rules are asked in this order, the first that finds counts."""
_OF_ANSWERS = ("echo", "truncated", "refusal")
_LABEL, _LABEL_REASON = "label", "its label is not in the label set"


@dataclass(slots=True)
class Suspicions:
    """What rules that only count have found, among the rows that are kept."""

    counts: Counter[str] = field(default_factory=Counter)
    """Rule -> rows it would drop."""
    samples: dict[str, list[int]] = field(default_factory=dict)
    """Rule -> the first twenty of them, by their place in the stage's input."""

    def add(self, rule: str, ordinal: int) -> None:
        """One row more that a rule would drop."""
        self.counts[rule] += 1
        samples = self.samples.setdefault(rule, [])
        if len(samples) < _SAMPLES:
            samples.append(ordinal)

    def notes(self) -> list[str]:
        """One sentence a rule, the commonest first."""
        return [
            f"data.filter.{rule} would drop {count:,} rows ({reason_of(rule)}): set its action to drop for that, or to off"
            for rule, count in self.counts.most_common()
        ]


def reason_of(rule: str) -> str:
    """Why a rule drops a row."""
    return RULES[rule][0] if rule in RULES else _LABEL_REASON


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that are on, for one task and one set."""

    task: Task
    drop: tuple[tuple[str, Finds], ...]
    count: tuple[tuple[str, Finds], ...]
    label: LabelRule
    labels: tuple[str, ...]


def rules_of(config: FilterConfig, task: Task, facts: FilterFacts | None = None, labels: Iterable[str] = ()) -> Rules:
    """The rules to follow.

    Args:
        config: the section.
        task: what rows ask for; rules on answers are off where answers are labels, numbers or spans.
        facts: of the same rows; rules that need them find nothing where absent.
        labels: the label set, where the recipe gives it.

    Raises:
        RecipeError: a language that can't be told apart.
        DataError: labels outside the set, where these are to be asked about.
    """
    facts = facts or FilterFacts()
    known = tuple(sorted(set(labels)))
    if known and config.label.action == "ask" and facts.strange:
        raise DataError(_strange(facts, known))
    made: dict[str, list[tuple[str, Finds]]] = {"drop": [], "count": []}
    for name, (_, maker) in RULES.items():
        action = getattr(config, name).action
        applies = task in _WRITTEN if name in _OF_ANSWERS else bool(config.languages) if name == "language" else True
        if action != "off" and applies:
            made[action].append((name, maker(config, facts, task)))
    return Rules(task, tuple(made["drop"]), tuple(made["count"]), config.label, known)


def _strange(facts: FilterFacts, known: tuple[str, ...]) -> str:
    """Which labels are not in the set, how many rows carry each, and what is nearest."""
    told = [
        f"'{shown_label(label, 40)}' ({count:,} rows; nearest: '{shown_label(nearest(label, known)[0])}')"
        for label, count in facts.strange[:_TOLD]
    ]
    more = f" and {len(facts.strange) - _TOLD:,} more" if len(facts.strange) > _TOLD else ""
    return (
        f"Labels that are not in data.labels: {', '.join(told)}{more}. Add them there, or set data.filter.label.action to map "
        "(to the nearest), drop or count."
    )


def filter_rows(rows: Iterable[Row], rules: Rules, suspicions: Suspicions | None = None) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order.

    Args:
        rows: after `fill`.
        rules: from `rules_of`.
        suspicions: told what the rules that only count have found; they are not asked where absent.
    """
    for ordinal, row in enumerate(rows):
        seen = see(row, rules.task)
        dropped = next((name for name, finds in rules.drop if finds(seen)), None)
        outcome: Outcome = Kept(row) if dropped is None else Dropped(row, stage=STAGE, reason=reason_of(dropped))
        if dropped is None and rules.labels:
            outcome = _labelled(row, seen, rules)
        if suspicions is not None and not isinstance(outcome, Dropped):
            _suspect(seen, ordinal, rules, suspicions)
        yield outcome


def _suspect(seen: Seen, ordinal: int, rules: Rules, suspicions: Suspicions) -> None:
    for name, finds in rules.count:
        if finds(seen):
            suspicions.add(name, ordinal)
    if rules.label.action == "count" and any(label not in rules.labels for label in _labels(seen)) and rules.labels:
        suspicions.add(_LABEL, ordinal)


def _labels(seen: Seen) -> tuple[str, ...]:
    return seen.labels if seen.label is None else (seen.label,)


def _labelled(row: Row, seen: Seen, rules: Rules) -> Outcome:
    """The row with its labels as the label set has them, or dropped where one is none of these."""
    if rules.label.action == "count" or all(label in rules.labels for label in _labels(seen)):
        return Kept(row)
    near = [(label, 1.0) if label in rules.labels else nearest(label, rules.labels) for label in _labels(seen)]
    if rules.label.action != "map" or min(score for _, score in near) < rules.label.similarity:
        return Dropped(row, stage=STAGE, reason=_LABEL_REASON)
    if seen.label is not None:
        changed = replace(row, answer=near[0][0])
    else:
        names = tuple(sorted({label for label, _ in near}))
        changed = replace(row, labels=names, answer=write_labels(names))
    return Changed(changed, stage=STAGE, reason="label written as in the label set")
