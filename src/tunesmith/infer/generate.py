"""Generate answers to many prompts: greedy or drawn, stopped, constrained, with their log-probabilities.

Prompts that begin alike share a batch, and what they share is computed once (underway.py). Every row is on its own
otherwise: its random numbers, its stop, its constraint, its end; a row that has ended leaves the batch once half have.
An answer is that of its prompt alone, up to rounding in the last bits of a logit.

Memory: keys and values of `batch_tokens` tokens. Letters: R rows, V vocabulary.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tunesmith.core.errors import RecipeError
from tunesmith.infer.rules import Guide, Rule
from tunesmith.infer.sampling import Sampling, choose
from tunesmith.infer.stops import Stops
from tunesmith.infer.underway import Underway
from tunesmith.models.forward import layout_of_rows, to_tensors, token_logps
from tunesmith.models.virtual import has_prefix, virtual_tokens
from tunesmith.tree.plan import answer_only, plan

Ended = Literal["end", "stop", "length", "closed"]
FAMILY = 32
"""Tokens that prompts must share to be batched apart from others."""
FEWEST = 8
"""Prompts of a family at least: fewer go with the others, for a batch of few rows costs a step as well."""
EMPTIED = 0.5
"""Share of a batch's rows that have to be done before they leave it: leaving copies the keys of those that stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What answers are to be."""

    end_ids: tuple[int, ...]
    """Ids that end an answer."""
    max_new_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stops: tuple[str, ...] = ()
    """Strings that end an answer and are no part of it. Needs a tokenizer."""
    rule: Rule | None = None
    """What every answer keeps to, made by `rules.Vocabulary`."""
    tokenizer: Any = None
    """A Hugging Face fast tokenizer, where texts are wanted."""
    logps: bool = False
    """Log-probabilities too, for likelihood as confidence."""

    def __post_init__(self) -> None:
        if self.stops and self.tokenizer is None:
            raise ValueError("stop strings are looked for in text: hand over the tokenizer")
        if any(not stop for stop in self.stops):
            raise RecipeError("A stop string is empty, and would end every answer before it began: leave it out.")
        if self.rule is not None and self.stops:
            raise RecipeError(
                "An answer can't both be stopped by a string and keep to a constraint, which it might then break: choose one."
            )
        if self.rule is not None and self.rule.fewest > self.max_new_tokens:
            raise RecipeError(
                f"An answer that keeps to the constraint takes {self.rule.fewest} tokens, and max_new_tokens is {self.max_new_tokens}: raise it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """An answer."""

    made: tuple[int, ...]
    """Ids as the model made them, with the end token or the stop; of a closed answer, with the ids that closed it."""
    ids: tuple[int, ...]
    """Ids of the answer alone: without the end token, cut before the stop."""
    ended: Ended
    """By an end token, a stop string, at the most tokens; or closed, so that the constraint holds where the model did not end."""
    text: str | None = None
    """What `ids` say, where a tokenizer was handed over."""
    logps: tuple[float, ...] | None = None
    """Natural log-probability of each of `made` under the model itself: before temperature, top-k, top-p or a constraint."""


@torch.inference_mode()
def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    end_ids: Sequence[int],
    max_new_tokens: int,
    device: torch.device,
    batch_tokens: int = 8192,
    advanced: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Greedy continuations, without their prompts, in the order of `prompts`; the end token is included where it came.

    Args:
        model: a causal language model in evaluation mode.
        prompts: N prompts as ids.
        end_ids: ids that end an answer.
        max_new_tokens: most ids of an answer.
        device: where the model is.
        batch_tokens: most tokens, answers included, held at once.
        advanced: told how many prompts are done.
    """
    wanted = Wanted(end_ids=tuple(end_ids), max_new_tokens=max_new_tokens)
    made = answers(model, prompts, wanted, device=device, batch_tokens=batch_tokens, advanced=advanced)
    return [list(one[0].made) for one in made]


@torch.inference_mode()
def answers(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    wanted: Wanted,
    *,
    device: torch.device,
    batch_tokens: int = 8192,
    advanced: Callable[[int], None] = lambda done: None,
) -> list[list[Generated]]:
    """Answers to each prompt, `wanted.sampling.samples` of them, in the order of `prompts`.

    A model's own generation settings (penalties, suppressed tokens, lengths) are not looked at. The same prompt under the
    same seed is given the same answers, whatever else is asked.

    Raises:
        ValueError: a prompt without tokens.
    """
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt without tokens can't be continued")
    found: list[dict[int, Generated]] = [{} for _ in prompts]
    done = 0
    for group in _groups(model, prompts, wanted, batch_tokens):
        for line in _answered(model, prompts, group, wanted, device):
            found[line.prompt][line.sample] = finished(model, prompts[line.prompt], line, wanted, device)
            done += 1
        advanced(done // wanted.sampling.samples)
    return [[one[sample] for sample in range(wanted.sampling.samples)] for one in found]


@dataclass(slots=True)
class Line:
    """One answer in the making."""

    prompt: int
    sample: int
    stream: random.Random
    guide: Guide | None
    made: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    ended: Ended | None = None

    def take(self, token: int, wanted: Wanted, stops: Stops | None, end_ids: frozenset[int]) -> None:
        """The next token, and whether the answer ends with it."""
        self.made.append(token)
        if self.guide is not None and not self.guide.take(token):
            self.ended = "length"  # the parser met a limit of its own: what can be kept of the answer is closed
        elif token in end_ids:
            self.ended = "end"
        elif stops is not None and stops.reached(self.made):
            self.ended = "stop"
        elif len(self.made) >= wanted.max_new_tokens:
            self.ended = "length"


def _answered(
    model: nn.Module, prompts: Sequence[Sequence[int]], group: list[tuple[int, int]], wanted: Wanted, device: torch.device
) -> list[Line]:
    """Run a batch until each of its answers has ended."""
    distinct = list(dict.fromkeys(prompt for prompt, _ in group))
    lines = [
        Line(prompt, sample, wanted.sampling.stream(prompts[prompt], sample), wanted.rule.begin() if wanted.rule else None)
        for prompt, sample in group
    ]
    everyone, end_ids = lines, ends_of(wanted)
    stops = Stops(wanted.tokenizer, wanted.stops) if wanted.stops else None
    if wanted.max_new_tokens < 1:
        return everyone
    underway = Underway(model, [prompts[prompt] for prompt in distinct], device)
    if len(group) != len(distinct):
        place = {prompt: row for row, prompt in enumerate(distinct)}
        underway.keep([place[prompt] for prompt, _ in group])
    while True:
        logits_RV = underway.logits_RV
        tokens_R = choose(allowed(logits_RV, lines), wanted.sampling, [line.stream for line in lines])
        logps_R = torch.log_softmax(logits_RV, dim=-1).gather(1, tokens_R[:, None])[:, 0].tolist() if wanted.logps else None
        tokens = tokens_R.tolist()
        for row, line in enumerate(lines):
            if line.ended is None:
                line.take(tokens[row], wanted, stops, end_ids)
                line.logps += [] if logps_R is None else [logps_R[row]]
        live = [row for row, line in enumerate(lines) if line.ended is None]
        if not live:
            return everyone
        if len(live) <= EMPTIED * len(lines):
            underway.keep(live)
            lines, tokens = [lines[row] for row in live], [tokens[row] for row in live]
        underway.step(tokens)


def ends_of(wanted: Wanted) -> frozenset[int]:
    """Ids that end an answer; a stop string that is a control token is one, for text does not show it."""
    added = wanted.tokenizer.get_added_vocab() if wanted.stops else {}
    return frozenset((*wanted.end_ids, *(added[stop] for stop in wanted.stops if stop in added)))


def allowed(logits_RV: Tensor, lines: Sequence[Line]) -> Tensor:
    """Logits with -inf for every token that a row's constraint does not allow next."""
    if all(line.guide is None for line in lines):
        return logits_RV
    masks = [line.guide.allowed() if line.guide is not None and line.ended is None else None for line in lines]
    width = logits_RV.shape[1]
    open_V = torch.ones(width, dtype=torch.bool)
    allowed_RV = torch.stack([open_V if mask is None else torch.from_numpy(mask) for mask in masks])
    return logits_RV.masked_fill(~allowed_RV.to(logits_RV.device), -torch.inf)


def finished(model: nn.Module, prompt: Sequence[int], line: Line, wanted: Wanted, device: torch.device) -> Generated:
    """The answer as it is handed out."""
    made, ended, logps = tuple(line.made), line.ended or "length", tuple(line.logps)
    if wanted.rule is not None and ended != "end":
        closed = wanted.rule.completed(made, wanted.max_new_tokens)
        if closed != made:
            made, ended = closed, "closed"
            logps = _logps(model, prompt, made, device) if wanted.logps else ()
    ids = made[:-1] if ended == "end" else made
    text = None
    if wanted.tokenizer is not None:
        text, ids = Stops(wanted.tokenizer, wanted.stops).cut(ids)
    return Generated(made=made, ids=ids, ended=ended, text=text, logps=logps if wanted.logps else None)


def _logps(model: nn.Module, prompt: Sequence[int], made: Sequence[int], device: torch.device) -> tuple[float, ...]:
    """Log-probability of each id of an answer that was not made as it stands."""
    row = answer_only((*prompt, *made), len(prompt))
    (planned,) = plan([row], token_budget=len(row.ids), layout=layout_of_rows(model))
    found: list[float] = token_logps(model, to_tensors(planned, device)).tolist()
    return tuple(found)


def _groups(model: nn.Module, prompts: Sequence[Sequence[int]], wanted: Wanted, batch_tokens: int) -> list[list[tuple[int, int]]]:
    """(prompt, sample) in batches: prompts that begin alike together, of like length so that little is fed twice; of one
    length under prefix tuning, whose past can't be moved behind padding."""
    room, alike = virtual_tokens(model) + wanted.max_new_tokens, has_prefix(model)
    groups: list[list[tuple[int, int]]] = []
    for family in families(prompts):
        longest = 0
        for index in sorted(family, key=lambda index: (-len(prompts[index]), tuple(prompts[index]), index)):
            for sample in range(wanted.sampling.samples):
                fits = longest and (room + longest) * (len(groups[-1]) + 1) <= batch_tokens
                if not fits or (alike and len(prompts[index]) != longest):
                    groups.append([])
                    longest = len(prompts[index])
                groups[-1].append((index, sample))
    return groups


def families(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Prompts that share their first `FAMILY` tokens; the small families together, last."""
    by_start: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_start.setdefault(tuple(prompt[:FAMILY]), []).append(index)
    large = [family for family in by_start.values() if len(family) >= FEWEST]
    small = [index for family in by_start.values() if len(family) < FEWEST for index in family]
    return [*large, small] if small else large
