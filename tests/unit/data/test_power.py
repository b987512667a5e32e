"""How small a gain a test set can show: the figures, and that they hold in simulation."""

import numpy as np
import pytest

from tunesmith.data.power import rows_to_show, smallest_gain


@pytest.mark.parametrize(("gain", "rows"), [(0.02, 3923), (0.05, 626), (0.1, 155)])
def test_rows_it_takes(gain: float, rows: int) -> None:
    assert rows_to_show(gain) == pytest.approx(rows, abs=2)


def test_one_undoes_the_other() -> None:
    for rows in (60, 155, 1000, 20_000):
        assert rows_to_show(smallest_gain(rows)) <= rows < rows_to_show(smallest_gain(rows) * 0.99)
    assert smallest_gain(5) == 0.2


def test_it_is_seen_four_times_in_five() -> None:
    gain, draws = 0.05, np.random.default_rng(0)
    rows = rows_to_show(gain)
    better, worse = 0.2 / 2 + gain / 2, 0.2 / 2 - gain / 2
    counts = draws.multinomial(rows, [better, worse, 1 - better - worse], size=20_000)
    seen = (counts[:, 0] - counts[:, 1]) / np.sqrt(np.maximum(1, counts[:, 0] + counts[:, 1])) > 1.96
    assert seen.mean() == pytest.approx(0.8, abs=0.02)
