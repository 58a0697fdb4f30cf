"""Held-out data hold in their block and thread, and nowhere else."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

import lossacc_mlflow
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.validation import held_out_data

INNER, OUTER, OPTION = ([[1.0]], [1]), ([[2.0]], [2]), ([[3.0]], [3])


def test_the_innermost_block_counts_then_the_option() -> None:
    options = Options(validation_data=OPTION)
    with lossacc_mlflow.validation_data(*OUTER):
        with lossacc_mlflow.validation_data(*INNER):
            assert held_out_data(options) == INNER
        assert held_out_data(options) == OUTER
        with pytest.raises(RuntimeError), lossacc_mlflow.validation_data(*INNER):
            raise RuntimeError
        assert held_out_data(Options()) == OUTER
    assert held_out_data(options) == OPTION
    assert held_out_data(Options()) is None


def test_a_block_holds_in_its_own_thread() -> None:
    with ThreadPoolExecutor(1) as pool, lossacc_mlflow.validation_data(*INNER):
        assert pool.submit(held_out_data, Options()).result() is None
        assert pool.submit(copy_context().run, held_out_data, Options()).result() == INNER


def test_a_block_is_entered_again_and_decorates() -> None:
    block = lossacc_mlflow.validation_data(*INNER)
    for _ in range(2):
        with block:
            assert held_out_data(Options()) == INNER

    @block
    def train() -> object:
        return held_out_data(Options())

    assert train() == INNER
    assert held_out_data(Options()) is None


def test_data_that_do_not_fit_together_are_said() -> None:
    with pytest.raises(InputError, match=r"validation_data: X has 3 samples, y has 2"):
        lossacc_mlflow.validation_data(np.zeros((3, 2)), [0, 1])
    with pytest.raises(InputError, match=r"validation_data: X has 3 samples, y has 2"):
        Options(validation_data=(np.zeros((3, 2)), [0, 1]))
