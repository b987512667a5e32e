"""Missing values: each field has its policy, and what was done is told by the name of its column.

Missing is what is empty, white space, or a whole value such as `nan` (`data.fill.missing`); in labels also a word such as `none`
(`data.fill.missing_labels`), unless at least 1% of the rows and five of them carry it: then it is a label. That, the commonest
values, and the places that `ask` tells take an earlier pass (`FillCount`), whose memory doesn't grow with the rows.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.core.rows import Changed, Dropped, Kept, Message, Outcome, Row
from tunesmith.data.filter.frequent import Frequent
from tunesmith.data.missing import Missing, plain
from tunesmith.data.settings.fill import Constant, FillConfig, FromColumn, Policy
from tunesmith.data.values import number_of
from tunesmith.score.meanings import write_labels, write_number

STAGE = "fill"
_ASKED = ("label", "labels", "value", "spans", "tags", "completion", "output", "chosen", "messages", "text")
"""Roles that hold what a row asks for."""
_SHOWN = ("messages", "prompt", "instruction", "text", "tokens", "first")
"""Roles that hold what it shows."""
_WRITABLE = ("text", "prompt", "instruction", "label", "labels", "value", "completion", "output", "chosen", "rejected")
"""Roles whose value can be written from outside; spans, tokens and conversations can't."""
_PLACES_TOLD = 5


@dataclass(frozen=True, slots=True)
class FillFacts:
    """What an earlier pass over all rows has found."""

    missing: Mapping[str, int]
    """Field (role, or column without one) -> rows that lack it."""
    places: Mapping[str, tuple[str, ...]]
    """Field -> file and line of the first few of them."""
    labels: frozenset[str]
    """Words of `missing_labels` that are labels here."""
    commonest: Mapping[tuple[str, str], Any]
    """Field and label -> its commonest value; label `""` for that of all rows."""


class FillCount:
    """Gathers the facts: `add` each row, then ask for the `result`. Holds counts of at most 4,096 values a field."""

    def __init__(self, mapping: Mapping[str, str], config: FillConfig) -> None:
        self._fields = _Fields(mapping, config)
        self._rows = 0
        self._missing: Counter[tuple[str, str]] = Counter()
        self._places: dict[tuple[str, str], list[str]] = {}
        self._values: dict[str, Frequent[tuple[str, Any]]] = {name: Frequent() for name in self._fields.counted}

    def add(self, row: Row) -> None:
        """One row more."""
        self._rows += 1
        fields = self._fields
        word, lacking = fields.word(row), fields.lacking(row)
        for key in [*((name, "") for name in lacking), *([(fields.asked, word)] if word else [])]:
            self._missing[key] += 1
            places = self._places.setdefault(key, [])
            if len(places) < _PLACES_TOLD:
                places.append(row.source)
        for name, values in self._values.items():
            value = fields.value(row, name)
            if name not in lacking and isinstance(value, (str, int, float)):
                values.add(("" if name == fields.asked else row.answer, value))

    def merge(self, other: "FillCount") -> None:
        """Take in what another has counted of rows that come after these."""
        self._rows += other._rows
        self._missing.update(other._missing)
        for key, places in other._places.items():
            self._places[key] = [*self._places.get(key, []), *places][:_PLACES_TOLD]
        for name, values in self._values.items():
            values.merge(other._values[name])

    def result(self) -> FillFacts:
        """What was found in the rows so far."""
        labels = Missing.labels_among({word: count for (_, word), count in self._missing.items() if word}, self._rows)
        missing: Counter[str] = Counter()
        places: dict[str, list[str]] = {}
        for (name, word), count in self._missing.items():
            if word not in labels:
                missing[name] += count
                places[name] = [*places.get(name, []), *self._places[name, word]][:_PLACES_TOLD]
        told = {name: tuple(sources) for name, sources in places.items()}
        return FillFacts(dict(missing), told, labels, self._commonest(labels))

    def _commonest(self, labels: frozenset[str]) -> dict[tuple[str, str], Any]:
        found: dict[tuple[str, str], Any] = {}
        for name, values in self._values.items():
            overall: Counter[Any] = Counter()
            for (label, value), count in values.items():
                if not (name == self._fields.asked and plain(str(value)) in self._fields.missing.unsaid - labels):
                    found.setdefault((name, label), value)
                    overall[value] += count
            if overall:
                found[name, ""] = overall.most_common(1)[0][0]
        return found


def fill(
    rows: Iterable[Row], mapping: Mapping[str, str], config: FillConfig | None = None, facts: FillFacts | None = None
) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order.

    Args:
        rows: after `normalise`.
        mapping: role -> column, as it was read.
        config: what becomes of rows that lack a value; every one is dropped where absent.
        facts: of the same rows and config; without them no word of `missing_labels` is taken for missing.

    Raises:
        DataError: a field whose policy is `ask` is missing somewhere.
    """
    config = config or FillConfig()
    if facts is None and needs_facts(config):
        raise ValueError("ask and most_frequent need facts")
    if facts is not None:
        _ask(mapping, config, facts)
    fields = _Fields(mapping, config)
    words = frozenset() if facts is None else fields.missing.unsaid - facts.labels
    for row in rows:
        yield _outcome(row, fields, words, facts)


def needs_facts(config: FillConfig) -> bool:
    """Whether a policy can't be followed without an earlier pass."""
    return config.default == "ask" or any(policy in ("ask", "most_frequent") for policy in config.fields.values())


def check_fill(config: FillConfig, mapping: Mapping[str, str], columns: Iterable[str]) -> None:
    """Refuse policies that can't be: a field that isn't there, a value that can't be written.

    Args:
        config: the section.
        mapping: role -> column.
        columns: all columns of the file.

    Raises:
        RecipeError: says which policy, why, and what may stand there.
    """
    extra = set(columns) - set(mapping.values())
    roles = _roles_by_name(mapping)
    for name, policy in config.fields.items():
        where = f"data.fill.fields.{name}"
        role = roles.get(name)
        if role is None and name not in extra:
            raise RecipeError(f"{where}: the rows have no such field.{did_you_mean(name, {*roles, *extra})}")
        if isinstance(policy, FromColumn) and policy.column not in extra:
            raise RecipeError(
                f"{where}: column '{policy.column}' isn't there or has a role of its own.{did_you_mean(policy.column, extra)}"
            )
        if role is not None:
            _check_role(where, role, policy)


def _check_role(where: str, role: str, policy: Policy) -> None:
    if policy == "most_frequent" and role != "label":
        raise RecipeError(
            f"{where}: most_frequent is for labels and for columns without a role: use drop, ask, a constant or another column."
        )
    if isinstance(policy, (Constant, FromColumn)) and role not in _WRITABLE:
        raise RecipeError(f"{where}: {role} can't be written from a value: use drop or ask.")
    if isinstance(policy, Constant) and role == "value" and number_of(policy.constant) is None:
        raise RecipeError(f"{where}: '{policy.constant}' is not a number, and value has to be one.")


def _roles_by_name(mapping: Mapping[str, str]) -> dict[str, str]:
    """Role or column -> role."""
    return {column: role for role, column in mapping.items()} | {role: role for role in mapping}


def _ask(mapping: Mapping[str, str], config: FillConfig, facts: FillFacts) -> None:
    fields = _Fields(mapping, config)
    for name, count in facts.missing.items():
        if fields.policy(name) == "ask":
            more = ", ..." if count > len(facts.places[name]) else ""
            raise DataError(
                f"{count:,} rows have no {fields.column(name)} ({', '.join(facts.places[name])}{more}): choose with data.fill.fields.{name} "
                "what becomes of them: drop, {constant: VALUE}, {from: COLUMN}, or for labels and other columns most_frequent."
            )


class _Fields:
    """Where the fields of a row stand, and which of them it lacks."""

    __slots__ = ("asked", "counted", "extra", "mapping", "missing", "named", "rejected", "shown")

    def __init__(self, mapping: Mapping[str, str], config: FillConfig) -> None:
        roles = _roles_by_name(mapping)
        self.mapping = mapping
        self.named = {roles.get(name, name): policy for name, policy in config.fields.items()} | {"": config.default}
        self.shown = [role for role in _SHOWN if role in mapping]
        self.asked = next((role for role in _ASKED if role in mapping), "answer")
        self.extra = [name for name in config.fields if name not in roles]
        self.missing = Missing(config)
        self.rejected = "rejected"
        self.counted = [name for name, policy in self.named.items() if policy == "most_frequent"]

    def policy(self, name: str) -> Policy:
        """What becomes of a row that lacks a field."""
        return self.named.get(name, self.named[""])

    def column(self, name: str) -> str:
        """A field's name in the file."""
        return self.mapping.get(name, name)

    def value(self, row: Row, name: str) -> Any:
        """The value of a label, or of a column without a role."""
        return row.answer if name == self.asked else row.fields.get(name)

    def word(self, row: Row) -> str:
        """The word of `missing_labels` that stands where the label should, or nothing."""
        return self.missing.word(row.answer) if self.asked == "label" else ""

    def lacking(self, row: Row) -> list[str]:
        """The fields a row lacks, what it shows before what it asks for."""
        found = [role for role in self.shown[:1] if self._shows_nothing(row, role)]
        if self.missing.says_nothing(row.answer) or (row.labels and len(row.labels) == 1 and plain(row.labels[0]) in self.missing.values):
            found.append(self.asked)
        if row.rejected is not None and self.missing.says_nothing(row.rejected):
            found.append(self.rejected)
        return found + [name for name in self.extra if self.is_nothing(row.fields.get(name))]

    def _shows_nothing(self, row: Row, role: str) -> bool:
        if role == "text" and not row.prompt:
            return False
        return all(self.missing.says_nothing(turn.content) for turn in row.prompt)

    def is_nothing(self, value: Any) -> bool:
        """Whether the value of a column without a role says nothing."""
        if value is None or (isinstance(value, float) and isnan(value)):
            return True
        return isinstance(value, str) and (self.missing.says_nothing(value) or plain(value) in self.missing.unsaid)


def _outcome(row: Row, fields: _Fields, words: Collection[str], facts: FillFacts | None) -> Outcome:
    lacking = fields.lacking(row)
    if fields.word(row) in words and fields.asked not in lacking:
        lacking.append(fields.asked)
    filled, reasons = row, []
    for name in lacking:
        reason = _nothing_before(row, name) or f"{fields.column(name)} is missing"
        value, how = _instead(row, name, fields, facts)
        written = None if value is None else _written(filled, name, value, fields)
        if written is None:
            return Dropped(row, stage=STAGE, reason=reason + ("" if value is not None else how))
        filled = written
        reasons.append(f"{fields.column(name)} {how}")
    if filled.rejected is not None and filled.rejected == filled.answer:
        return Dropped(row, stage=STAGE, reason="chosen and rejected are the same")
    return Changed(filled, stage=STAGE, reason=", ".join(reasons)) if reasons else Kept(row)


def _nothing_before(row: Row, name: str) -> str:
    return "nothing before the answer" if name == "messages" and not any(turn.content.strip() for turn in row.prompt) else ""


def _instead(row: Row, name: str, fields: _Fields, facts: FillFacts | None) -> tuple[Any, str]:
    """What is to stand in a field that a row lacks, and how the waterfall tells it; None where there is nothing."""
    policy = fields.policy(name)
    if isinstance(policy, Constant):
        return policy.constant, "filled with a constant"
    if isinstance(policy, FromColumn):
        value = row.fields.get(policy.column)
        return (None, f", and so is {policy.column}") if fields.is_nothing(value) else (value, f"filled from {policy.column}")
    if policy == "most_frequent" and facts is not None:
        label = "" if name == fields.asked else row.answer
        value = facts.commonest.get((name, label), facts.commonest.get((name, "")))
        return value, "" if value is None else "filled with the commonest"
    return None, ""


def _written(row: Row, name: str, value: Any, fields: _Fields) -> Row | None:
    """The row with a value in a field; None where the value can't stand there."""
    if name in fields.extra:
        return replace(row, fields={**row.fields, name: value})
    text = str(value)
    if name == fields.rejected:
        return replace(row, rejected=text)
    if name in fields.shown[:1] and not (name == "text" and not row.prompt):
        return replace(row, prompt=_asking(row.prompt, text))
    if name == "value":
        number = number_of(value)
        return None if number is None else replace(row, value=number, answer=write_number(number))
    return replace(row, labels=(text,), answer=write_labels([text])) if name == "labels" else replace(row, answer=text)


def _asking(prompt: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """The messages with the text in place of the last of the user."""
    last = max((place for place, turn in enumerate(prompt) if turn.role == "user"), default=None)
    if last is None:
        return (*prompt, Message("user", text))
    return (*prompt[:last], Message("user", text), *prompt[last + 1 :])
