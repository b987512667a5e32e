"""The forms rows come in, and which of them a file's columns make: guessed, shown, and refused where two would do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tunesmith.core.errors import DataError, RecipeError, did_you_mean
from tunesmith.data import values
from tunesmith.data.config import Task

_SHOWN = (
    "text", "message", "sentence", "utterance", "query", "comment", "review", "tweet", "content", "prompt", "question", "problem", "input",
    "article", "document", "source_text", "mr", "meaning_representation",
)  # fmt: skip
_LABELS = ("label", "intent", "category", "class", "labels", "sentiment", "topic", "target")
_ANSWERS = ("completion", "response", "answer", "output", "summary", "reference", "ref", "solution")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "text": _SHOWN,
    "prompt": _SHOWN,
    "label": _LABELS,
    "completion": _ANSWERS,
    "output": _ANSWERS,
    "input": ("input", "context"),
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "transcript"),
    "chosen": ("chosen", "preferred", "preferred_output"),
    "rejected": ("rejected", "dispreferred", "non_preferred_output"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "history": ("history",),
    "instruction": ("instruction",),
    "labels": ("labels", "categories", "topics", "intents", "classes", "genres", *_LABELS),
    "value": ("value", "score", "rating", "similarity", "stars", "grade", "target", "label", "y"),
    "first": ("first", "sentence1", "text1", "premise", "sentence_a", "text_a", "question1"),
    "second": ("second", "sentence2", "text2", "hypothesis", "sentence_b", "text_b", "question2"),
    "spans": ("spans", "entities", "annotations"),
    "tokens": ("tokens", "words"),
    "tags": ("tags", "ner_tags", "labels", "ner"),
    "wanted": ("wanted", "label", "desirable", "thumbs_up", "liked"),
}
"""Names a role goes by; its own comes first in rank. Letter case and `-`, `_`, space don't matter."""
_LAST_RESORT = {"completion": ("reply",), "output": ("reply",)}
"""Tried where nothing else fits: a file of messages with intents often holds replies too."""
_SPANNED = {"text": ("full_text",)}
"""The same for a text with spans."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of rows: what columns it needs and what it is called in reports."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = (Task.GENERATE, Task.CLASSIFY)


_BESIDE = ("system", "tools")
"""What may stand beside the turns of a chat and is shown with them."""
PREFERENCE = Form("prompt/chosen/rejected", ("chosen", "rejected"), ("prompt", *_BESIDE), (Task.PREFER,))
MESSAGES = Form("messages", ("messages",), _BESIDE)
INSTRUCTION = Form("instruction/input/output", ("instruction", "output"), ("input", "history", *_BESIDE))
COMPLETION = Form("prompt/completion", ("prompt", "completion"), _BESIDE)
LABEL = Form("text/label", ("text", "label"))
TEXT = Form("text", ("text",), (), (Task.TEXT,))
LABELS = Form("text/labels", ("text", "labels"), (), (Task.MULTILABEL,))
VALUE = Form("text/value", ("text", "value"), (), (Task.REGRESS,))
COMPARED = Form("first/second/value", ("first", "second", "value"), (), (Task.REGRESS,))
SPANS = Form("text/spans", ("text", "spans"), (), (Task.TAG,))
TOKENS = Form("tokens/tags", ("tokens", "tags"), (), (Task.TAG,))
MARKED_MESSAGES = Form("messages/wanted", ("messages", "wanted"), _BESIDE, (Task.PREFER,))
MARKED_COMPLETION = Form("prompt/completion/wanted", ("prompt", "completion", "wanted"), _BESIDE, (Task.PREFER,))
FORMS = (
    PREFERENCE, MESSAGES, INSTRUCTION, COMPLETION, LABEL, TEXT,
    LABELS, VALUE, COMPARED, SPANS, TOKENS, MARKED_MESSAGES, MARKED_COMPLETION,
)  # fmt: skip
_PAIRED = (PREFERENCE, MESSAGES, INSTRUCTION, COMPLETION, LABEL)
_TRIED: dict[Task | None, tuple[tuple[Form, ...], ...]] = {
    None: (_PAIRED,),
    Task.CLASSIFY: ((LABEL,), (MESSAGES, INSTRUCTION, COMPLETION)),
    Task.GENERATE: ((MESSAGES, INSTRUCTION, COMPLETION), (LABEL,)),
    Task.MULTILABEL: ((LABELS,),),
    Task.REGRESS: ((COMPARED,), (VALUE,)),
    Task.TAG: ((TOKENS, SPANS),),
    Task.PREFER: ((PREFERENCE,), (MARKED_MESSAGES, MARKED_COMPLETION)),
    Task.TEXT: (),
}
"""The forms tried for each task, one group after the other."""
GUESSED = (*_PAIRED, TEXT, LABELS, TOKENS)
"""The forms a file is taken for where the recipe names no task."""
WEIGHT = "weight"
"""A role beside every form; read only where the recipe names its column, since a weight may be of anything."""
ROLES = (
    "text", "label", "prompt", "completion", "instruction", "input", "output", "messages", "chosen", "rejected",
    "labels", "value", "first", "second", "spans", "tokens", "tags", "wanted", "system", "tools", "history", WEIGHT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file's columns were taken for."""

    form: Form
    mapping: dict[str, str]
    """Role -> column."""
    notes: tuple[str, ...] = ()
    separator: str | None = None
    """What stands between labels that are one text."""


@dataclass(frozen=True, slots=True)
class _Match:
    form: Form
    mapping: dict[str, str]
    by_name: bool
    """Every required column goes by the role's own name, or was named in the recipe."""


def folded(column: str) -> str:
    """A column's name as it is compared."""
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def recognise(columns: Mapping[str, list[Any]], named: Mapping[str, str], task: Task | None, path: str) -> Recognised:
    """Choose the form that the columns make.

    A form whose columns all stand there by their own names wins. After that come synonyms, where any doubt is an error.

    Args:
        columns: every column of the file, with some of its values.
        named: `data.read.columns`: role -> column.
        task: the recipe's task, where it says one.
        path: for messages.

    Raises:
        RecipeError: a role or column is named that doesn't exist, or the task needs columns that aren't there.
        DataError: no form fits, or more than one does.
    """
    _check_named(columns, named, path)
    if WEIGHT in named:
        return _weighted(columns, named, task, path)
    matches: list[_Match] = []
    for forms in _TRIED[task]:
        matches = matches or _matches(columns, named, forms, last=_last_for(task))
    notes: list[str] = []
    if not matches and task in (None, Task.CLASSIFY) and (pair := _text_and_one_other(columns, named)):
        notes.append(f"{pair.mapping['label']!r} is taken as the label, being the only other column and of few distinct values.")
        matches = [pair]
    if not matches and (task in (None, Task.TEXT) or (task is Task.GENERATE and _has_transcripts(columns))):
        matches = list(_fit(TEXT, columns, named, ("text", "content", "document")))
    if not matches and task is None:
        matches = _matches(columns, named, (TOKENS,), last={})
    if not matches:
        raise _nothing_fits(columns, named, task, path)
    chosen = _only_one(matches, columns, path)
    if chosen.form is LABEL and task is None and values.mostly(list, columns[chosen.mapping["label"]]):
        chosen = _Match(LABELS, {"text": chosen.mapping["text"], "labels": chosen.mapping["label"]}, chosen.by_name)
    if chosen.form is TEXT and not named and task in (None, Task.GENERATE) and values.holds_transcripts(columns[chosen.mapping["text"]]):
        notes.append(f"{chosen.mapping['text']!r} holds transcripts of Human: and Assistant: turns, and is read as messages.")
        chosen = _Match(MESSAGES, {"messages": chosen.mapping["text"]}, True)
    return Recognised(chosen.form, chosen.mapping, tuple(notes + _unused(chosen, columns)))


def _last_for(task: Task | None) -> Mapping[str, tuple[str, ...]]:
    return _SPANNED if task is Task.TAG else _LAST_RESORT


def _has_transcripts(columns: Mapping[str, list[Any]]) -> bool:
    return any(values.holds_transcripts(held) for held in columns.values())


def _weighted(columns: Mapping[str, list[Any]], named: Mapping[str, str], task: Task | None, path: str) -> Recognised:
    """As without the column of weights, which no other role may take."""
    column = named[WEIGHT]
    rest = {name: held for name, held in columns.items() if name != column}
    found = recognise(rest, {role: name for role, name in named.items() if role != WEIGHT}, task, path)
    return replace(found, mapping=found.mapping | {WEIGHT: column})


def forms_of(columns: Iterable[str]) -> set[str]:
    """The names of the forms that one record's columns would make by themselves."""
    return {match.form.name for match in _matches({column: [] for column in columns}, {}, _PAIRED, last={})}


def _check_named(columns: Mapping[str, list[Any]], named: Mapping[str, str], path: str) -> None:
    for role, column in named.items():
        if role not in ROLES:
            raise RecipeError(f"data.read.columns: {role!r} is no role of a column.{did_you_mean(role, ROLES)}")
        if column not in columns:
            raise RecipeError(f"data.read.columns.{role}: {path} has no column {column!r}.{_near(column, columns)}")


def _near(column: str, columns: Iterable[str]) -> str:
    columns = list(columns)
    near = did_you_mean(column, columns)
    return near if near.startswith(" Did") else f" Its columns: {named_together(columns)}."


def _matches(
    columns: Mapping[str, list[Any]],
    named: Mapping[str, str],
    forms: tuple[Form, ...],
    *,
    last: Mapping[str, tuple[str, ...]] = _LAST_RESORT,
) -> list[_Match]:
    """Every way the columns make one of the forms, the best kind only: preference, instruction, own names, synonyms."""
    usable = [form for form in forms if set(named) <= {*form.required, *form.optional}]
    found = [match for form in usable for match in _fit(form, columns, named)]
    found = [match for match in found if _holds_its_values(match, columns, named)]
    if any(match.form is PREFERENCE for match in found):
        return [match for match in found if match.form is PREFERENCE]
    instruction = [match for match in found if match.form is INSTRUCTION]
    if instruction:
        return [match for match in found if match.form is INSTRUCTION or (match.by_name and match.form in (MESSAGES, LABEL))]
    own = [match for match in found if match.by_name or match.form is MESSAGES]
    if own or found:
        return own or found
    return [match for form in usable for match in _fit(form, columns, named, last=last)]


def _fit(
    form: Form,
    columns: Mapping[str, list[Any]],
    named: Mapping[str, str],
    only: tuple[str, ...] = (),
    *,
    last: Mapping[str, tuple[str, ...]] | None = None,
) -> Iterator[_Match]:
    """The ways a form can take its required columns; optional ones are added where there is exactly one candidate."""
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(folded(column), []).append(column)
    own = not only and all(role in named or role in by_name for role in form.required)
    taken = set(named.values())
    options: list[list[str]] = []
    for role in form.required:
        names = (role,) if own else only or (*SYNONYMS[role], *(last or {}).get(role, ()))
        here = [column for name in names for column in by_name.get(name, []) if column not in taken]
        options.append([named[role]] if role in named else here)
    for choice in product(*options):
        if len(set(choice)) == len(choice):
            mapping = dict(zip(form.required, choice, strict=True))
            yield _Match(form, mapping | _optional(form, columns, by_name, named, mapping), own)


def _optional(
    form: Form, columns: Mapping[str, list[Any]], by_name: Mapping[str, list[str]], named: Mapping[str, str], mapping: Mapping[str, str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for role in form.optional:
        names = [*SYNONYMS["messages"], "instruction", *SYNONYMS[role]] if role == "prompt" else SYNONYMS[role]
        taken = {*mapping.values(), *found.values(), *named.values()}
        here = [column for name in dict.fromkeys((role, *names)) for column in by_name.get(name, []) if column not in taken]
        here = [column for column in here if _HOLDS_BESIDE.get(role, bool)(columns[column] or [None])] if role in _HOLDS_BESIDE else here
        if role in named or here:
            found[role] = named.get(role) or here[0]
    return found


def _holds_its_values(match: _Match, columns: Mapping[str, list[Any]], named: Mapping[str, str]) -> bool:
    """Whether columns that were not named hold what the form wants of them."""
    return all(
        holds(columns[match.mapping[role]])
        for role, holds in _HOLDS.items()
        if role in match.form.required and (role == "messages" or role not in named)
    )


_HOLDS: dict[str, Callable[[list[Any]], bool]] = {
    "messages": values.holds_lists,
    "spans": values.holds_lists,
    "tokens": values.holds_lists,
    "tags": values.holds_lists,
    "value": values.holds_numbers,
    "wanted": values.holds_flags,
}
"""Roles whose values tell whether a column is meant."""
_HOLDS_BESIDE: dict[str, Callable[[list[Any]], bool]] = {
    "system": lambda held: all(value is None or isinstance(value, str) for value in held),
    "tools": values.holds_tools,
    "history": values.holds_lists,
}
"""The same for roles that a form can do without."""


def _text_and_one_other(columns: Mapping[str, list[Any]], named: Mapping[str, str]) -> _Match | None:
    """A file of two columns, one a text and one of few distinct values."""
    texts = [match.mapping["text"] for match in _fit(TEXT, columns, {role: named[role] for role in named if role == "text"})]
    if len(columns) != 2 or len(texts) != 1 or set(named) - {"text"}:
        return None
    other = next(column for column in columns if column != texts[0])
    return _Match(LABEL, {"text": texts[0], "label": other}, True) if values.few_distinct(columns[other]) else None


def _only_one(matches: list[_Match], columns: Mapping[str, list[Any]], path: str) -> _Match:
    """The one match there is; of `label` and `label_text` the names; an error naming the columns otherwise."""
    if len(matches) == 1:
        (match,) = matches
        texts = [column for column in columns if folded(column) in ("label_text", "label_name")]
        if match.form is LABEL and folded(match.mapping["label"]) == "label" and texts:
            return _Match(LABEL, match.mapping | {"label": texts[0]}, match.by_name)
        return match
    ways = ["; ".join(f"{role}: {printable(column)}" for role, column in match.mapping.items()) for match in matches]
    raise DataError(
        f"{path}: the columns can be read in more than one way ({' | or | '.join(dict.fromkeys(ways))}): "
        f"say which in data.read.columns, such as {{{ways[0].replace(';', ',')}}}."
    )


def _nothing_fits(columns: Mapping[str, list[Any]], named: Mapping[str, str], task: Task | None, path: str) -> Exception:
    held = named_together(columns)
    others = [
        other.value
        for other in Task
        if task is None and any(_matches(columns, {}, forms, last=_last_for(other)) for forms in _TRIED[other])
    ]
    if named:
        return RecipeError(
            f"{path}: data.read.columns names {', '.join(named)}, which is not enough for a row: it takes {_needs(task)}. "
            f"Its columns: {held}."
        )
    if task is not None and recognisable(columns):
        return RecipeError(
            f"{path}: data.task is {task.value}, which needs columns {_needs(task)}; it has {held}. Name them in data.read.columns."
        )
    return DataError(
        f"{path}: its columns ({held}) make no known form of row. "
        + (f"With data.task: {others[0]} they would. " if others and not named else "")
        + f"A row takes {_needs(task)}: say in data.read.columns which column is which, or rename them."
    )


def printable(column: str) -> str:
    """A column's name as it may be shown: what prints nothing, terminal sequences among it, as a question mark."""
    return "".join(mark if mark.isprintable() else "?" for mark in column)[:80]


def named_together(columns: Iterable[str]) -> str:
    """The first twenty columns, as a phrase."""
    columns = list(columns)
    return ", ".join(map(printable, columns[:20])) + (" ..." if len(columns) > 20 else "") if columns else "none"


def recognisable(columns: Mapping[str, list[Any]]) -> bool:
    """Whether some task could use these columns."""
    return bool(_matches(columns, {}, _PAIRED) or list(_fit(TEXT, columns, {}, ("text", "content", "document"))))


def _needs(task: Task | None) -> str:
    """The columns each form asks for, as a phrase."""
    forms = [form for form in FORMS if (form in GUESSED if task is None else task in form.tasks)]
    return ", or ".join(" and ".join(form.required) for form in forms)


def _unused(match: _Match, columns: Mapping[str, list[Any]]) -> list[str]:
    """Columns that look as if they mattered and are not read."""
    used = set(match.mapping.values())
    rest = [column for column in columns if column not in used and folded(column) in {*_LABELS, *_ANSWERS}]
    if match.form in (MESSAGES, PREFERENCE, MARKED_MESSAGES):
        return []
    if match.form is TEXT:
        rest = [column for column in columns if column not in used and values.few_distinct(columns[column])]
    return [f"Not used as a prompt or an answer: {', '.join(map(repr, rest))}; kept beside each row."] if rest else []
