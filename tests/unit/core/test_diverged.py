"""What a divergence says: a lower rate is advised only where one could help."""

from tunesmith.core.errors import DivergedError


def test_before_any_update_no_rate_is_blamed() -> None:
    for error in (
        DivergedError(step=1, loss=float("inf"), grad_norm=1.0, row_ids=["a"]),
        DivergedError(step=0, loss=float("nan"), grad_norm=float("nan")),
    ):
        assert error.before_any_update
        assert "no rate helps" in str(error)
        assert "learning_rate" not in str(error)


def test_afterwards_it_is() -> None:
    for error in (
        DivergedError(step=2, loss=float("inf"), grad_norm=1.0, row_ids=["a"]),
        DivergedError(step=1, loss=2.0, grad_norm=float("inf"), row_ids=["a"]),
        DivergedError(step=1, loss=float("nan"), grad_norm=float("nan")),  # a validation after the first update
    ):
        assert not error.before_any_update
        assert "train.learning_rate" in str(error)
