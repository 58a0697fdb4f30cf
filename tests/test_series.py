import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from lossacc_mlflow.keys import parse_override
from lossacc_mlflow.records import Curve, Split, StepUnit
from lossacc_mlflow.series import Series, assemble_curves

Place = tuple[str, Split, StepUnit]


def series(key: str, value: ArrayLike, step: ArrayLike | None = None, timestamp: ArrayLike | None = None) -> Series:
    values = np.asarray(value, dtype=float)
    return Series(
        key,
        np.arange(len(values)) if step is None else np.asarray(step),
        values,
        None if timestamp is None else np.asarray(timestamp),
    )


def assemble(*given_series: Series, **options: Any) -> tuple[dict[Place, Curve], tuple[str, ...]]:  # noqa: ANN401  (any option)
    """Return curves by (metric, split, unit), and the keys that were not understood."""
    curves, other = assemble_curves(given_series, **options)
    by_place = {(c.metric.name, c.split, c.step_unit): c for c in curves}
    assert len(by_place) == len(curves)
    return by_place, other


def only(*given_series: Series, **options: Any) -> Curve:  # noqa: ANN401  (any option)
    (curve,) = assemble(*given_series, **options)[0].values()
    return curve


def test_a_resumed_run_keeps_the_last_value_of_each_step_by_timestamp() -> None:
    curve = only(series("val_loss", [9, 1, 2, 7, 8], step=[2, 0, 1, 1, 2], timestamp=[30, 10, 20, 21, 31]))

    assert curve.step.tolist() == [0, 1, 2]
    assert curve.value.tolist() == [1, 7, 8]
    assert (curve.n_repeated, curve.n_unsorted) == (2, 0)


def test_points_logged_after_a_greater_step_are_counted() -> None:
    curve = only(series("val_loss", [1, 2, 3, 4, 5], step=[0, 5, 1, 2, 6], timestamp=[1, 2, 3, 4, 5]))

    assert curve.value.tolist() == [1, 3, 4, 2, 5]
    assert (curve.n_repeated, curve.n_unsorted) == (0, 2)


def test_the_order_within_one_batch_means_nothing() -> None:
    assert only(series("val_loss", [3, 1, 2], step=[2, 0, 1], timestamp=[5, 5, 5])).n_unsorted == 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_against_a_plain_loop(points: list[tuple[int, int]]) -> None:
    step, timestamp = np.array(points).T
    curve = only(series("loss", np.arange(len(points)), step=step, timestamp=timestamp))

    expected: dict[int, int] = {}
    n_unsorted, greatest = 0, -1
    for _, at, value in sorted((t, s, i) for i, (s, t) in enumerate(points)):
        expected[at] = value
        n_unsorted += at < greatest
        greatest = max(greatest, at)
    assert dict(zip(curve.step.tolist(), curve.value.tolist(), strict=True)) == expected
    assert (curve.n_repeated, curve.n_unsorted) == (len(points) - len(expected), n_unsorted)
    assert (np.diff(curve.step) > 0).all()


def test_logged_non_finite_values_stay_and_mlflows_infinity_is_one() -> None:
    value = only(series("loss", [1, np.nan, 1.7976931348623157e308, -1.7976931348623157e308])).value

    np.testing.assert_array_equal(value, [1, np.nan, np.inf, -np.inf])


def test_error_rates_become_accuracies_and_boosting_counts_iterations() -> None:
    curves, _ = assemble(series("eval-merror", [0.25, 0.125]), series("eval-mlogloss", [0.5, 0.25]))

    assert curves["accuracy", "validation", "iteration"].value.tolist() == [0.75, 0.875]
    assert ("log_loss", "validation", "iteration") in curves
    assert ("log_loss", "validation", "n_estimators") in assemble(
        series("eval-mlogloss", [0.5]), step_unit="n_estimators"
    )[0]


def test_the_tags_say_what_loss_and_steps_are() -> None:
    curve = only(series("val_loss", [1, 2]), loss="log_loss", step_unit="n_estimators")

    assert (curve.metric.name, curve.metric.unit, curve.step_unit) == ("log_loss", "nats", "n_estimators")
    assert only(series("val_loss", [1]), loss="brier").metric.name == "brier_score_loss"
    assert only(series("val_loss", [1]), loss="focal:2").metric.name == "loss"
    assert only(series("val_loss", [1]), loss="accuracy").metric.name == "loss"
    assert only(series("val_loss_by_n_samples", [1]), step_unit="iteration").step_unit == "n_samples"


def test_of_two_keys_for_one_curve_the_fuller_then_the_plainer_is_kept() -> None:
    keras, _ = assemble(series("validation_loss", [0.1]), series("val_loss", [3, 2, 1]))
    transformers, _ = assemble(series("train_loss", [2], step=[300]), series("loss", [3, 2], step=[100, 200]))
    lightning, _ = assemble(
        series("train_loss_epoch", [3, 2]), series("train_loss", [3, 2]), series("train_loss_step", range(20))
    )

    assert keras["loss", "validation", "epoch"].key == "val_loss"
    assert transformers["loss", "train", "epoch"].key == "loss"
    assert {place[2]: curve.key for place, curve in lightning.items()} == {
        "epoch": "train_loss",
        "global_step": "train_loss_step",
    }


def test_a_diverged_curve_is_not_replaced_by_a_shorter_finite_one_of_fewer_points() -> None:
    curves, _ = assemble(series("loss", [1, 2, np.nan, np.nan]), series("train_loss", [5]))

    assert curves["loss", "train", "epoch"].key == "loss"


def test_an_override_stands_above_everything() -> None:
    overrides = dict([parse_override("x=validation:log_loss"), parse_override("lr=train:accuracy")])
    curves, other = assemble(
        series("x", [1]), series("val_log_loss", [1, 2]), series("lr", [0.1]), series("y", [1]), overrides=overrides
    )

    assert curves["log_loss", "validation", "epoch"].key == "x"
    assert curves["accuracy", "train", "epoch"].key == "lr"
    assert other == ("y",)


def test_other_keys_are_sorted_and_without_bookkeeping() -> None:
    hostile = "<script>'\n" + "k" * 300
    names = ["zeta", hostile, "lossacc/best_loss", "system/gpu", "best_iteration", "epoch", "loss", "top5_acc"]
    assert assemble(*(series(name, [1]) for name in names))[1] == tuple(sorted(["zeta", hostile, "top5_acc"]))
    assert assemble() == ({}, ())
    assert assemble(series("loss", [])) == ({}, ())


def test_lightning_global_steps_become_epochs() -> None:
    steps = [9, 19, 29]
    curves, _ = assemble(
        series("epoch", [0, 0, 1, 1, 2, 2], step=[4, 9, 14, 19, 24, 29]),
        series("train_loss_step", range(6), step=[4, 9, 14, 19, 24, 29]),
        series("train_loss_epoch", [3, 2, 1], step=steps),
        series("val_loss", [6, 5, 4], step=steps),
    )

    assert curves["loss", "train", "epoch"].step.tolist() == [0, 1, 2]
    assert curves["loss", "validation", "epoch"].step.tolist() == [0, 1, 2]
    assert curves["loss", "train", "global_step"].step.tolist() == [4, 9, 14, 19, 24, 29]


@pytest.mark.parametrize("by_tag", [True, False])
def test_a_curve_by_batches_does_not_keep_the_others_from_epochs_where_one_by_epoch_is_there(by_tag: bool) -> None:
    steps = [9, 19, 29]
    logged = [
        series("epoch", [0, 0, 1, 1, 2, 2], step=[4, 9, 14, 19, 24, 29]),
        series("train_loss", range(6), step=[4, 9, 14, 19, 24, 29]),
        series("train_loss_epoch", [3, 2, 1], step=steps),
        series("val_loss", [6, 5, 4], step=steps),
    ]
    overrides = dict([parse_override("train_loss_epoch=train:loss")]) if by_tag else {}
    curves, _ = assemble(*logged, overrides=overrides)

    assert curves["loss", "train", "epoch"].value.tolist() == [3, 2, 1]
    assert curves["loss", "validation", "epoch"].step.tolist() == [0, 1, 2]
    assert curves["loss", "train", "global_step"].key == "train_loss"


@pytest.mark.parametrize("epoch", [[0, 0, 1, 1], [0.5, 1.0, 1.5, 2.0]])
def test_several_points_an_epoch_stay_on_the_axis_of_global_steps(epoch: list[float]) -> None:
    curves, _ = assemble(
        series("epoch", epoch, step=[50, 100, 150, 200]),
        series("loss", [4, 3, 2, 1], step=[50, 100, 150, 200]),
        series("eval_loss", [5, 4], step=[100, 200]),
    )

    assert curves["loss", "train", "global_step"].step.tolist() == [50, 100, 150, 200]
    assert curves["loss", "validation", "global_step"].step.tolist() == [100, 200]


def test_steps_outside_the_epoch_series_are_left_alone() -> None:
    curve = only(series("epoch", [0, 1], step=[5, 10]), series("val_loss", [1, 2, 3], step=[0, 1, 2]))

    assert (curve.step_unit, curve.step.tolist()) == ("epoch", [0, 1, 2])


@pytest.mark.parametrize(
    ("marks", "value", "n_left"),
    [
        ({"stopped_iteration": 4, "best_iteration": 2}, [5, 4, 3, 4, 5, 3], 5),  # XGBoost
        ({"stopped_iteration": 5, "best_iteration": 3}, [5, 4, 3, 4, 5, 3], 5),  # LightGBM
        ({"stopped_epoch": 4, "restored_epoch": 2}, [5, 4, 3, 4, 5, 3], 5),  # Keras
        ({"stopped_iteration": 4, "best_iteration": 2}, [5, 4, np.nan, 4, 5, np.nan], 5),
        ({"stopped_iteration": 4, "best_iteration": 2}, [5, 4, 3, 4, 5, 2], 6),
        ({"stopped_epoch": 5, "restored_epoch": 3}, [5, 4, 3, 4, 5, 3], 6),  # Lightning appends nothing
        ({"best_iteration": 2}, [5, 4, 3, 4, 5, 3], 6),
        ({}, [5, 4, 3, 4, 5, 3], 6),
    ],
)
def test_the_repetition_of_the_best_iteration_is_dropped(
    marks: dict[str, float], value: list[float], n_left: int
) -> None:
    curve = only(series("validation_0-logloss", value), *(series(key, [mark]) for key, mark in marks.items()))

    assert curve.value.tolist() == pytest.approx(value[:n_left], nan_ok=True)


def test_fractional_steps_are_ranked_on_one_axis_for_all_curves() -> None:
    curves, _ = assemble(
        series("loss", [4, 3, 2, 1], step=[0.5, 1.0, 1.5, 2.0]), series("eval_loss", [5, 4], step=np.array([1, 2]))
    )

    assert curves["loss", "train", "global_step"].step.tolist() == [0, 1, 2, 3]
    assert curves["loss", "validation", "global_step"].step.tolist() == [1, 3]


def test_integral_float_steps_are_what_they_say_and_points_without_a_step_are_left_out() -> None:
    curve = only(series("loss", [4, 3, 2, 1], step=[1.0, np.nan, 3.0, np.inf]))

    assert (curve.step.tolist(), curve.value.tolist(), curve.step_unit) == ([1, 3], [4, 2], "epoch")
    assert assemble(series("loss", [1], step=[np.nan])) == ({}, ())


def test_a_million_points_take_well_under_a_tenth_of_a_second() -> None:
    n = 1_000_000
    big = series("val_loss", np.linspace(1, 0, n), timestamp=np.arange(n) // 1000)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert len(only(big)) == n
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


@pytest.mark.parametrize("has_timestamps", [False, True])
def test_the_mean_that_transformers_logs_at_the_end_is_no_point_of_the_curve(has_timestamps: bool) -> None:
    def logged(key: str, step: list[int], timestamp: list[int]) -> Series:
        times = np.array(timestamp) if has_timestamps else None
        return Series(key, np.array(step), np.arange(len(step), dtype=np.float64), times)

    ends = logged("train_runtime", [3], [50])
    curves, other = assemble_curves([ends, logged("train_loss", [1, 2, 3, 3], [10, 20, 30, 50])])
    assert curves[0].value.tolist() == ([0, 1, 2] if has_timestamps else [0, 1])
    assert other == ()
    assert assemble_curves([ends, logged("train_loss", [3], [50])]) == ((), ())
