"""The blocks of a tree see every pair that a token's row holds, and no other."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.models import attention, blocks
from tunesmith.models.attention import layout_of, plan_tensor, tree_attention
from tunesmith.models.blocks import Layout, cut, lay, lay_whole
from tunesmith.models.flex import flexed
from tunesmith.tree.plan import Sequence_, plan

rows = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=12).map(tuple), min_size=1, max_size=8)


def flat(ids: list[tuple[int, ...]], layout: Any = "tree") -> tuple[torch.Tensor, torch.Tensor]:
    """Ends and depths of one flat pass over some rows."""
    (one,) = plan([Sequence_(row, (0.0,) * len(row)) for row in ids], token_budget=10**6, layout=layout)
    assert one.ends_T is not None
    return torch.from_numpy(one.ends_T), torch.from_numpy(one.positions_BT[0])


def seen_by_rule(ends: torch.Tensor, depths: torch.Tensor, window: int) -> torch.Tensor:
    """What each token may attend to, from the definition: ancestors and itself, no further up than the window."""
    place = torch.arange(len(ends))
    seen = (place[None] <= place[:, None]) & (place[:, None] < ends[None])
    return seen & (depths[:, None] - depths[None] < window) if window else seen


def seen_by(made: Layout, tokens: int) -> torch.Tensor:
    """How often each pair is computed: [T, T]."""
    seen = torch.zeros(tokens, tokens, dtype=torch.int64)
    for block in made.causal:
        here = slice(block.start, block.end)
        seen[here, here] += torch.ones(block.end - block.start, block.end - block.start).tril().long()
    for stack in made.stacks:
        assert stack.seen.any(dim=2).all(), "a softmax over nothing"
        for block, row in stack.real.nonzero().tolist():
            seen[stack.queries[block, row]].index_add_(0, stack.keys[block], stack.seen[block, row].long())
    return seen


@settings(deadline=None)
@given(ids=rows, window=st.sampled_from([0, 1, 3]), layout=st.sampled_from(["tree", "apart"]), price=st.sampled_from([0, 20, 10_000]))
def test_blocks_hold_every_pair_once(ids: list[tuple[int, ...]], window: int, layout: Any, price: int) -> None:
    ends, depths = flat(ids, layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_PAIRS", price)
        pieces = cut(ends.tolist(), depths.tolist(), window)
    assert [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == len(ends)
    for made in (lay(pieces, ends, depths, window), lay_whole(ends, depths, window)):
        assert (seen_by(made, len(ends)) == seen_by_rule(ends, depths, window).long()).all()


def test_long_prompts_are_not_recomputed_against_each_branch() -> None:
    """Pairs computed stay near the pairs that exist, where a dense mask would compute them all."""
    prompt = tuple(range(100, 200))
    ends, depths = flat([(*prompt, *(1000 * number + place for place in range(50))) for number in range(16)])
    pairs = sum((b.end - b.start) * b.keys for b in cut(ends.tolist(), depths.tolist(), 0))
    assert pairs < 0.2 * len(ends) ** 2
    assert pairs < 2.1 * int(seen_by_rule(ends, depths, 0).sum())


@settings(deadline=None, max_examples=60)
@given(
    ids=rows,
    window=st.sampled_from([0, 2]),
    heads=st.sampled_from([(4, 4), (4, 2)]),
    small=st.sampled_from([0, blocks.SMALL]),
    kept=st.sampled_from([0, blocks.MOST_KEPT]),
)
def test_attention_and_its_gradient_equal_a_dense_mask(
    ids: list[tuple[int, ...]], window: int, heads: tuple[int, int], small: int, kept: int
) -> None:
    """Whole or cut, by products or by the kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "SMALL", small)
        patch.setattr(blocks, "MOST_KEPT", kept)
        equals_a_dense_mask(ids, window, heads)


def equals_a_dense_mask(ids: list[tuple[int, ...]], window: int, heads: tuple[int, int]) -> None:
    ends, depths = flat(ids)
    torch.manual_seed(len(ends))
    query, key, value = (
        torch.randn(1, count, len(ends), 8, dtype=torch.float64, requires_grad=True) for count in (heads[0], heads[1], heads[1])
    )
    ours, _ = tree_attention(torch.nn.Identity(), query, key, value, plan_tensor(ends, depths, window), scaling=0.3)
    repeated = [x.repeat_interleave(heads[0] // heads[1], dim=1) for x in (key, value)]
    scores = (query @ repeated[0].transpose(2, 3) * 0.3).masked_fill(~seen_by_rule(ends, depths, window), -torch.inf)
    dense = (torch.softmax(scores, dim=-1) @ repeated[1]).transpose(1, 2)
    torch.testing.assert_close(ours, dense, rtol=1e-9, atol=1e-11)
    upstream = torch.randn_like(dense)
    mine, theirs = (torch.autograd.grad(made, (query, key, value), upstream, retain_graph=True) for made in (ours, dense))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [0, 3])
def test_the_rule_for_cuda_is_the_same(window: int) -> None:
    """The kernel needs a GPU; its mask does not."""
    ends, depths = flat([(1, 2, 3, 4), (1, 2, 5), (1, 2, 3, 4), (6,), (6, 1, 1, 1, 1, 1)])
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 4, len(ends), 16), torch.randn(1, 2, len(ends), 16), torch.randn(1, 2, len(ends), 16)
    planned = plan_tensor(ends, depths, window)
    blocks, _ = tree_attention(torch.nn.Identity(), query, key, value, planned, scaling=0.25)
    torch.testing.assert_close(flexed(query, key, value, planned, 0.25), blocks, rtol=1e-5, atol=1e-6)


def test_what_a_tree_can_not_hold_is_refused() -> None:
    ends, depths = flat([(1, 2), (1, 3)])
    states = torch.randn(1, 2, 3, 8)
    for wrong in ({"dropout": 0.1}, {"softcap": 30.0}):
        with pytest.raises(TypeError, match="padded"):
            tree_attention(torch.nn.Identity(), states, states, states, plan_tensor(ends, depths, None), scaling=1.0, **wrong)


def test_blocks_are_cut_once_for_all_layers() -> None:
    planned = plan_tensor(*flat([(1, 2), (1, 3)]), None)
    assert layout_of(planned) is layout_of(planned)
