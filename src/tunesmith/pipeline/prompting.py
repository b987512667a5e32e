"""Choosing the base's prompt on `select`: its form, how many examples stand in it, and how these are chosen.

Costs one pass over at most `evaluate.select_rows` rows for each form tried. Examples that are the same for every row are read once a pass;
those by similarity are read with every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.chat.render import Renderer
from tunesmith.core.errors import DataError
from tunesmith.core.progress import Listener, Said
from tunesmith.core.rows import Row
from tunesmith.data.config import Task
from tunesmith.evaluate.measures import better, values
from tunesmith.evaluate.prompts import LISTED, PLAIN, RANGED, By, Forms, PromptForm, one_of
from tunesmith.evaluate.shots import double_while_it_helps
from tunesmith.evaluate.systems import Answers
from tunesmith.pipeline.sides import Sides, meant
from tunesmith.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Prompted:
    """The base with one way of prompting it, and how good that was on `select`."""

    base: Answers
    form: PromptForm
    value: float

    @property
    def name(self) -> str:
        """The form, and how label scores are scaled where that is not the plain sum."""
        scale = self.base.scale
        return self.form.name + (f", {scale.name}" if scale is not None and scale.name != "sum" else "")

    @property
    def cost(self) -> tuple[int, bool, bool, bool]:
        """What decides between equals: fewer examples, the same for all rows, no list, no scaling."""
        return (self.form.k, self.form.by == "similar", bool(self.form.asked), self.name != self.form.name)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The prompts of the base that go to the test set."""

    zero: Prompted
    few: Prompted | None
    piece: dict[str, Any]
    """The `few_shot` piece of report.json."""


def choose_prompts(base: Answers, sides: Sides, recipe: Recipe, metrics: Sequence[str], listen: Listener) -> Chosen:
    """Try each form, k and scale on `select`; the best without examples and the best with them go on.

    Forms whose longest prompt would leave no room within the context are left out, and named.
    """
    if sides.task == "text":
        return Chosen(Prompted(base, PromptForm(PLAIN), 0.0), None, {"k": 0, "form": PLAIN, "by": "random", "tried": [], "rows": 0})
    search = _Search(base, sides, recipe, metrics[0], listen)
    zeros = [search.tried(form) for form in search.forms.bare()]
    shots = [one for by in recipe.evaluate.few_shot_by for one in search.shots(by)]
    zero, few = search.best([one for one in zeros if one]), search.best(shots) if shots else None
    shown = few or zero
    tried = [{"k": one.form.k, "form": one.name, "value": one.value} for one in [*(one for one in zeros if one), *shots]]
    piece = {"k": shown.form.k, "form": shown.name, "by": shown.form.by, "tried": tried, "rows": len(search.rows)}
    return Chosen(zero, few, piece)


class _Search:
    """What is tried on `select`."""

    def __init__(self, base: Answers, sides: Sides, recipe: Recipe, metric: str, listen: Listener) -> None:
        self.base, self.metric, self.listen, self.config = base, metric, listen, recipe.evaluate
        self.rows = list(sides.select[: recipe.evaluate.select_rows])
        self.answered = [*self.rows, *sides.test]
        self.forms = Forms(
            train=sides.train,
            asked=self.answered,
            told=_told(sides, base.renderer),
            by_answer=sides.task in (Task.CLASSIFY, Task.MULTILABEL),
            written=base.renderer.written,
            seed=recipe.seed,
            group_by=recipe.data.split.by,
        )

    def shots(self, by: By) -> list[Prompted]:
        """The prompts with examples that were tried, of one way of choosing these."""
        found: list[Prompted] = []

        def attempt(k: int) -> float | None:
            made = [one for form in self.forms.with_examples(k, by) if (one := self.tried(form)) is not None]
            found.extend(made)
            return self.best(made).value if made else None

        if self.config.few_shot == "auto":
            double_while_it_helps(attempt, lambda ours, theirs: better(self.metric, ours, theirs), most=self.config.few_shot_most)
        else:
            for k in sorted(set(self.config.few_shot) - {0}):
                attempt(k)
        return found

    def tried(self, form: PromptForm) -> Prompted | None:
        """A form with the scale that suits it best; None where it doesn't fit."""
        bare = form.k == 0 and form.name == PLAIN  # always scored: what is too long is cut, and preflight has said so
        if not bare and not _fits(self.base, form, self.answered):
            context = self.base.renderer.max_tokens
            self.listen(Said(f"{form.k} examples ({form.name}) don't fit the base's context of {context} tokens: left out."))
            return None
        work = f"choose the base's prompt: k = {form.k}, {form.name}"
        scored = self.base.under_each_scale(self.rows, form.messages, work=work, listen=self.listen)
        found = [(one, values(predictions, [self.metric])[self.metric]) for one, predictions in scored]
        return self.best([Prompted(one, form, value) for one, value in found if value is not None])

    def best(self, tried: Sequence[Prompted]) -> Prompted:
        """The best value; the cheaper way where they tie."""
        found = tried[0]
        for candidate in tried[1:]:
            if better(self.metric, candidate.value, found.value) or (candidate.value == found.value and candidate.cost < found.cost):
                found = candidate
        return found


def _told(sides: Sides, renderer: Renderer) -> tuple[str, str] | None:
    """The name of the other way of prompting, and what the base is told in it."""
    if sides.task == Task.CLASSIFY:
        return LISTED, one_of(sides.labels or (), renderer.written)
    understood = meant(sides, renderer)
    return None if understood is None else (RANGED if sides.task == Task.REGRESS else LISTED, understood.question())


def _fits(base: Answers, form: PromptForm, rows: Sequence[Row]) -> bool:
    """Whether no prompt of this form would be cut, judged by the rows with the longest texts, their examples included."""
    longest = sorted(rows, key=lambda row: -sum(len(message.content) for message in form.messages(row)))[:8]
    try:
        return all(base.renderer.prompt(form.messages(row), room=base.room(row)).cut_tokens == 0 for row in longest)
    except DataError:
        return False
