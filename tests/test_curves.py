"""Arithmetic on curves: noise, smoothing, best steps, rises, and the choice of curves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from lossacc_mlflow.curves import loss_curve, measure_agreement, measure_rise, quality_curve, summarize_curve
from lossacc_mlflow.smoothing import shape_of
from tests.builders import falling, make_curve, make_run


def test_nothing_finite_has_no_shape() -> None:
    assert shape_of(make_curve("val_loss", [float("nan"), float("inf")])) is None
    summary = summarize_curve(make_curve("val_loss", [float("nan"), float("inf")]))
    assert np.isnan(summary.best)
    assert summary.last == float("inf")


def test_rise_of_a_parabola() -> None:
    steps = np.arange(101)
    curve = make_curve("val_loss", 0.5 + ((steps - 40) / 100) ** 2)
    shape = shape_of(curve)
    assert shape is not None
    rise = measure_rise(shape)
    assert rise.step == 40
    assert rise.interval[0] <= 40 <= rise.interval[1]
    assert_allclose(rise.relative, 0.36 / 0.5, rtol=0.1)
    assert rise.points_since == 60


def test_rise_of_a_negative_loss_is_relative_to_its_own_fall() -> None:
    shape = shape_of(make_curve("val_loss", [0.0, -1.0, -2.0, -1.5, -1.0]))
    assert shape is not None
    assert_allclose(measure_rise(shape).relative, 0.75 / 2.0)


def test_one_point_has_no_rise() -> None:
    shape = shape_of(make_curve("val_loss", [0.3]))
    assert shape is not None
    assert measure_rise(shape).absolute == 0.0


def test_choice_prefers_what_train_and_validation_share_and_steps_over_sizes() -> None:
    run = make_run({"train_loss": falling(6), "val_loss": falling(6), "val_log_loss": falling(6)})
    chosen = loss_curve(run, "validation")
    assert chosen is not None
    assert chosen.key == "val_loss"
    by_size = make_curve("val_accuracy", [0.5, 0.9], step=[10, 20], unit="n_samples")
    by_step = make_curve("val_accuracy", [0.5, 0.8], unit="epoch")
    quality = quality_curve(make_run().__class__("r", "r", (by_size, by_step)), "validation")
    assert quality is by_step
    assert loss_curve(make_run(), "train") is None


@given(n=st.integers(3, 200), seed=st.integers(0, 2**32 - 1))
def test_agreement_is_spearmans(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal(n), rng.standard_normal(n)
    shapes = shape_of(make_curve("train_loss", one)), shape_of(make_curve("val_loss", other))
    assert shapes[0] is not None
    assert shapes[1] is not None
    assert_allclose(measure_agreement(shapes[0], shapes[1]), spearmanr(one, other).statistic, atol=1e-12)


def test_agreement_of_a_loss_per_batch_and_one_per_epoch() -> None:
    batch = shape_of(make_curve("train_loss", np.geomspace(2, 0.1, 1000)))
    epoch = shape_of(make_curve("val_loss", np.geomspace(0.1, 2, 10), step=range(0, 1000, 100)))
    constant = shape_of(make_curve("val_loss", [0.5] * 10))
    assert batch is not None
    assert epoch is not None
    assert constant is not None
    assert_allclose(measure_agreement(batch, epoch), -1)
    assert np.isnan(measure_agreement(batch, constant))
