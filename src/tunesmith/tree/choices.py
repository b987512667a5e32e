"""Many prompts, each followed by every one of the same choices, as few flat passes.

The choices form a trie that hangs under each prompt; the prompts form a prefix tree among themselves. An instruction
or a set of worked examples that all prompts begin with is computed once a pass, and the first letters that labels
share once a prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.tree.plan import Floats, Ints, Pass, Sequence_, plan, shared_length


@dataclass(frozen=True, slots=True)
class Trie:
    """Choices as one flat tree of the tokens that something is predicted from; places count from 0, and -1 stands for the
    prompt's last token."""

    ids_N: Ints
    depths_N: Ints
    ends_N: Ints
    source_S: Ints
    """Place each supervised token is predicted from; -1: the prompt's last."""
    target_S: Ints
    choice_S: Ints


def build_trie(choices: Sequence[Sequence[int]]) -> Trie:
    """The trie of some choices, every token of each supervised. Each must hold at least one id.

    The last token of a choice is predicted and never predicted from, unless a longer choice goes on from it: it is not
    computed. Of a label set that is a third of the trie, every end of an answer.
    """
    if any(len(choice) == 0 for choice in choices):
        raise ValueError("a choice without tokens can't be scored")
    root = 0  # any id: stands in for the prompt's last token and is taken off again
    rows = [Sequence_((root, *choice), (0.0, *(1.0 for _ in choice))) for choice in choices]
    whole = plan(rows, token_budget=10**9, layout="tree")[0]
    assert whole.ends_T is not None
    kept = whole.from_P[whole.from_P > 0]
    return Trie(
        ids_N=whole.ids_BT[0, kept],
        depths_N=whole.positions_BT[0, kept] - 1,
        ends_N=np.searchsorted(kept, whole.ends_T[kept]),
        source_S=np.searchsorted(kept, whole.from_P[whole.place_S], side="right") - 1,
        target_S=whole.target_S,
        choice_S=whole.row_S,
    )


def plan_choices(prompts: Sequence[Sequence[int]], trie: Trie, *, token_budget: int) -> list[Pass]:
    """Passes that score every choice under every prompt.

    Args:
        prompts: token ids, none empty.
        trie: the choices.
        token_budget: most tokens in a pass; one prompt with its trie always fits.

    Returns:
        Passes whose row_S is prompt * C + choice, with C = number of choices.
    """
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt without tokens can't be scored")
    number = int(trie.choice_S.max()) + 1
    order = sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))
    groups: list[list[int]] = []
    used = token_budget + 1
    previous: tuple[int, ...] = ()
    for index in order:
        prompt = tuple(prompts[index])
        cost = len(prompt) - shared_length(previous, prompt) + len(trie.ids_N)
        if used + cost > token_budget:
            groups.append([])
            used, cost = 0, len(prompt) + len(trie.ids_N)
        groups[-1].append(index)
        used += cost
        previous = prompt
    return [_pass(prompts, group, trie, number) for group in groups]


def _pass(prompts: Sequence[Sequence[int]], group: list[int], trie: Trie, number: int) -> Pass:
    """One flat row: each prompt's own tokens, then the trie, then on to the next prompt."""
    ids: list[Ints] = []
    depths: list[Ints] = []
    ends: list[Ints] = []
    size = 0
    path: list[int] = []
    open_ends: dict[int, int] = {}
    sources: list[Ints] = []
    lasts: list[int] = []
    previous: Sequence[int] = ()
    for index in group:
        prompt = prompts[index]
        shared = shared_length(previous, prompt)
        for place in path[shared:]:
            open_ends[place] = size
        own = np.array(prompt[shared:], dtype=np.int64)
        path = path[:shared] + list(range(size, size + len(own)))
        ids.append(own)
        depths.append(np.arange(shared, len(prompt), dtype=np.int64))
        ends.append(np.full(len(own), -1, dtype=np.int64))
        size += len(own)
        ids.append(trie.ids_N)
        depths.append(trie.depths_N + len(prompt))
        ends.append(trie.ends_N + size)
        sources.append(np.where(trie.source_S < 0, path[-1], trie.source_S + size))
        lasts.append(path[-1])
        size += len(trie.ids_N)
        previous = prompt
    ends_T = np.concatenate(ends)
    for place, end in open_ends.items():
        ends_T[place] = end
    ends_T[ends_T < 0] = size
    from_P, place_S = np.unique(np.concatenate(sources), return_inverse=True)
    weights: Floats = np.ones(len(place_S))
    return Pass(
        ids_BT=np.concatenate(ids)[None],
        positions_BT=np.concatenate(depths)[None],
        ends_T=ends_T,
        from_P=from_P,
        place_S=place_S.astype(np.int64).reshape(-1),
        target_S=np.tile(trie.target_S, len(group)),
        weight_S=weights,
        row_S=np.concatenate([index * number + trie.choice_S for index in group]),
        last_R=np.array(lasts, dtype=np.int64),
        rows_R=np.array(group, dtype=np.int64),
        path_N=np.zeros(0, dtype=np.int64),
        lengths_R=np.zeros(0, dtype=np.int64),
    )
