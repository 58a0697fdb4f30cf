"""Smoothing: noise, window, doubt, the best step and how sure it is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lossacc_mlflow.smoothing import noise_level, shape_of
from tests.builders import make_curve


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


def test_where_the_last_part_begins() -> None:
    shape = shape_of(make_curve("val_loss", [5.0, 4.0, 3.0, 2.0, 1.0]))
    assert shape is not None
    assert [shape.before_last(part) for part in (0.0, 0.25, 0.5, 1.0, 7.0)] == [2.0, 2.0, 3.0, 5.0, 5.0]
