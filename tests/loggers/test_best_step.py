"""The best step is that of the smallest loss that was held out, whatever else is logged in between."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossacc_mlflow.loggers.best_step import BestStep


@given(st.lists(st.floats(0, 9), min_size=1))
def test_it_is_the_first_smallest_loss(losses: list[float]) -> None:
    best = BestStep()
    seen = [best.consider(step, {"val_loss": loss, "train_loss": -loss}) for step, loss in enumerate(losses)]
    assert best.step == losses.index(min(losses))
    assert [step for step, is_best in enumerate(seen) if is_best][-1] == best.step


def test_accuracy_is_to_rise() -> None:
    best = BestStep()
    assert [best.consider(step, {"val_accuracy": value}) for step, value in enumerate([0.5, 0.4, 0.6])] == [
        True, False, True,
    ]  # fmt: skip


def test_steps_without_validation_are_no_better_for_their_small_train_loss() -> None:
    """As with a validation after every second epoch."""
    best = BestStep()
    rows = [{"train_loss": 0.5}, {"train_loss": 0.4, "val_loss": 0.9}, {"train_loss": 0.1}, {"val_loss": 0.8}]
    assert [best.consider(step, row) for step, row in enumerate(rows)] == [True, True, False, True]
    assert best.step == 3


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_is_never_best(value: float) -> None:
    best = BestStep()
    assert not best.consider(0, {"val_loss": value})
    assert not best.consider(1, {"lr": 0.1})
    assert best.step is None
