"""Arithmetic on curves: noise, smoothing, best steps, rises, and the choice of curves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from lossacc_mlflow.curves import (
    loss_curve,
    measure_agreement,
    measure_rise,
    noise_level,
    quality_curve,
    shape_of,
    summarize_curve,
)
from tests.builders import falling, make_curve, make_run


def test_noise_is_measured_around_any_trend() -> None:
    rng = np.random.default_rng(0)
    trend = 3 * np.exp(-np.linspace(0, 5, 2000))
    assert_allclose(noise_level(trend + 0.05 * rng.standard_normal(2000)), 0.05, rtol=0.1)
    spiky = trend + 0.05 * rng.standard_normal(2000)
    spiky[::50] += 10
    assert_allclose(noise_level(spiky), 0.05, rtol=0.3)
    assert noise_level(np.array([1.0, 2.0])) == 0.0


@given(n=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-8, 1.0, 1e8]))
def test_smoothing_stays_within_the_values_and_scales_with_them(n: int, seed: int, scale: float) -> None:
    values = np.abs(np.random.default_rng(seed).standard_normal(n)) + 0.1
    shape, scaled = shape_of(make_curve("val_loss", values)), shape_of(make_curve("val_loss", values * scale))
    assert shape is not None
    assert scaled is not None
    assert values.min() - 1e-9 <= shape.smooth.min()
    assert shape.smooth.max() <= values.max() + 1e-9
    assert_allclose(scaled.smooth, shape.smooth * scale, rtol=1e-6)


def test_short_curves_are_not_smoothed() -> None:
    values = [1.0, 0.2, 0.9, 0.1, 0.8]
    shape = shape_of(make_curve("val_loss", values))
    assert shape is not None
    assert shape.smooth.tolist() == values
    assert shape.best_step == 3


def test_direction_of_the_metric_decides_what_is_best() -> None:
    shape = shape_of(make_curve("val_accuracy", [0.1, 0.9, 0.5]))
    assert shape is not None
    assert shape.best_step == 1


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


def test_slow_swings_are_doubted_and_plain_noise_is_not() -> None:
    steps = np.arange(400)
    noise = 0.01 * np.random.default_rng(0).standard_normal(400)
    plain = shape_of(make_curve("val_loss", 1 + noise))
    swinging = shape_of(make_curve("val_loss", 1 + noise + 0.2 * np.sin(steps / 15)))
    assert plain is not None
    assert swinging is not None
    assert plain.wide_doubt == plain.doubt
    assert swinging.wide_doubt > 4 * swinging.doubt


@given(n=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_the_best_step_lies_in_its_interval(n: int, seed: int) -> None:
    shape = shape_of(make_curve("val_loss", np.random.default_rng(seed).standard_normal(n)))
    assert shape is not None
    low, high = shape.best_interval
    assert low <= shape.best_step <= high
    point = shape.step[shape.best_point]
    assert low <= point <= high
    near = (np.abs(shape.smooth - shape.best_value) <= 2 * shape.level_noise + 1e-12)[low : high + 1]
    assert near.all() or point in (low, high)


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
