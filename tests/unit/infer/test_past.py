"""A layer's past: whatever rows come, go and take each other's place, each finds its own keys and values, and nothing but zeros or its own."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tunesmith.infer.past import GrowingLayer

HEADS, WIDTH = 2, 3


def states(first: int, rows: int, places: int) -> Tensor:
    """[R, H, T, d] of numbers that occur nowhere else."""
    count = rows * HEADS * places * WIDTH
    return torch.arange(first, first + count, dtype=torch.float64).view(rows, HEADS, places, WIDTH) + 1


class Rows:
    """The same by definition: a list of each row's own states, latest last."""

    def __init__(self) -> None:
        self.made = 0
        self.layer = GrowingLayer()
        self.own: list[Tensor] = []

    def fresh(self, rows: int, places: int) -> tuple[GrowingLayer, list[Tensor]]:
        """Rows by themselves."""
        new = states(self.made, rows, places)
        self.made += new.numel()
        layer = GrowingLayer()
        layer.update(new, -new)
        return layer, list(new)

    def step(self, places: int) -> None:
        """The next tokens of every row."""
        new = states(self.made, len(self.own), places)
        self.made += new.numel()
        keys, values = self.layer.update(new, -new)
        self.own = [torch.cat([old, one], dim=1) for old, one in zip(self.own, new, strict=True)]
        assert keys is self.layer.keys and values is self.layer.values

    def check(self) -> None:
        """Each row's states stand at the end of its line, in keys and negated in values."""
        assert len(self.layer.keys) == len(self.layer.values) == len(self.own)
        for row, own in enumerate(self.own):
            seen = min(own.shape[1], self.layer.get_seq_length())
            for part, sign in ((self.layer.keys, 1), (self.layer.values, -1)):
                assert torch.equal(part[row, :, part.shape[2] - seen :], sign * own[:, own.shape[1] - seen :])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["step", "add", "put", "leave", "select"]), st.integers(1, 40), st.integers(0, 10**6)), max_size=14)
)
def test_every_row_finds_its_own_past_whatever_became_of_the_others(acts: list[tuple[str, int, int]]) -> None:
    rows = Rows()
    rows.layer, rows.own = rows.fresh(3, 5)
    for act, places, drawn in acts:
        longest = rows.layer.get_seq_length()
        if act == "step":
            rows.step(places)
        elif act in ("add", "put"):
            other, own = rows.fresh(1 + drawn % 3, places)
            if places > longest:
                rows.layer.pad(places - longest)
            if act == "add":
                rows.layer.add(other)
                rows.own += own
            else:
                chosen = [(drawn + at) % len(rows.own) for at in range(min(len(own), len(rows.own)))]
                rows.layer.put(torch.tensor(chosen), other)
                for row, one in zip(chosen, own, strict=False):
                    rows.own[row] = one
        elif act == "leave" and longest > places:
            rows.layer.leave(places)
            rows.own = [own[:, max(0, own.shape[1] - (longest - places)) :] for own in rows.own]
        elif act == "select":
            chosen = sorted({drawn % len(rows.own), places % len(rows.own)})
            picked = torch.tensor(chosen)
            rows.layer.keys, rows.layer.values = rows.layer.keys[picked], rows.layer.values[picked]
            rows.own = [rows.own[row] for row in chosen]
        rows.check()


def test_what_a_row_left_behind_does_not_reach_the_next() -> None:
    rows = Rows()
    rows.layer, _ = rows.fresh(2, 8)
    broken = torch.full((2, HEADS, 1, WIDTH), torch.nan, dtype=torch.float64)
    rows.layer.update(broken, broken)
    other, _ = rows.fresh(1, 3)
    rows.layer.put(torch.tensor([1]), other)
    assert torch.equal(rows.layer.keys[1, :, :6], torch.zeros(HEADS, 6, WIDTH, dtype=torch.float64))
    assert torch.equal(rows.layer.values[1, :, 6:], other.values[0])
    assert rows.layer.keys[0].isnan().any()


def test_a_step_copies_nothing_while_there_is_room() -> None:
    rows = Rows()
    rows.layer, rows.own = rows.fresh(4, 10)
    rows.step(1)
    place, steps = rows.layer.keys.data_ptr(), 0
    while rows.layer.keys.data_ptr() == place:
        rows.step(1)
        other, own = rows.fresh(1, 6)
        rows.layer.put(torch.tensor([steps % 4]), other)
        rows.own[steps % 4] = own[0]
        steps += 1
    rows.check()
    assert steps > 20
