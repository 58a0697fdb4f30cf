"""Summaries of predicted numbers: how large the error is beside the target, and what kind of error it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import FloatArray, RegressionSamples, RegressionSummary, Split
from lossacc_mlflow.wording import number

__all__ = ["judge_regression", "summarize_regression"]


def summarize_regression(y_true: ArrayLike, y_pred: ArrayLike) -> RegressionSummary:
    """Summarise targets and predicted numbers.

    A squared error has no meaning of its own: 0.5 is much on targets in 0..1 and nothing on targets in 0..255. So every
    figure is also given relative to how much the target varies, and the error is split into what kind it is.

    Parameters
    ----------
    y_true, y_pred : array-like of numbers, shape (n_samples,) or (n_samples, 1)
        In the unit of the target; computed in float64, whatever the dtype.

    Returns
    -------
    RegressionSummary
        What is not defined (R² and correlation on a constant target, the slope over constant predictions) is NaN, and
        its ``notes`` say why.

    Raises
    ------
    PredictionsError
        If there is no sample, lengths differ, there are several targets, or a value is no finite number.

    Notes
    -----
    With error e = f - y, standard deviations s (of the samples, divided by n) and correlation r::

        MSE = mean(e)² + (s_f - r s_y)² + (1 - r²) s_y²
              bias       slope            residual

    which is exact (the regression form of Murphy 1988, doi:10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2; Theil
    1966). The slope part is computed as the variance of the line of e on f, the residual part as that of what the line
    leaves: so no part is a difference of large numbers, and none is ever negative.

    Examples
    --------
    >>> summary = summarize_regression([1.0, 2.0, 3.0, 4.0], [2.0, 2.5, 3.0, 3.5])
    >>> [round(figure, 4) for figure in (summary.mse, summary.r2, summary.slope)]
    [0.375, 0.7, 2.0]
    >>> [round(figure, 4) for figure in (summary.mse_bias, summary.mse_slope, summary.mse_residual)]
    [0.0625, 0.3125, 0.0]
    """
    return judge_regression(y_true, y_pred)[0]


def judge_regression(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    split: Split = "validation",
    sample_id: Sequence[object] | None = None,
) -> tuple[RegressionSummary, RegressionSamples]:
    """Compute the summary and what is kept of every sample.

    Parameters
    ----------
    y_true, y_pred : array-like of numbers, shape (n_samples,) or (n_samples, 1)
    split : {"train", "validation", "test"}
    sample_id : sequence of length n_samples, optional
        Their position by default.

    Returns
    -------
    summary : RegressionSummary
    samples : RegressionSamples

    Raises
    ------
    PredictionsError
        As :func:`summarize_regression`, and if there is not one id a sample.
    """
    target, predicted = _numbers(y_true, "y_true"), _numbers(y_pred, "y_pred")
    if len(target) != len(predicted):
        raise PredictionsError(f"y_true has {len(target)} values, y_pred has {len(predicted)}: give one a sample.")
    if len(target) == 0:
        raise PredictionsError("y_true and y_pred are empty; wanted at least one sample.")
    if sample_id is not None and len(sample_id) != len(target):
        raise PredictionsError(f"sample_id has {len(sample_id)} entries for {len(target)} samples: give one a sample.")
    ids = tuple(map(str, range(len(target)) if sample_id is None else sample_id))
    return _summary(target, predicted), RegressionSamples(split, ids, target, predicted)


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    """Finite float64 of shape (n_samples,)."""
    try:
        array: NDArray[Any] = np.asarray(values)
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, RuntimeError) as error:
        raise PredictionsError(f"{name} holds values that are no numbers: {error}") from error
    if numbers is None:
        raise PredictionsError(f"{name} holds {array.dtype} values; wanted numbers.")
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if numbers.ndim != 1:
        several = numbers.ndim == 2 and numbers.shape[1] > 1
        raise PredictionsError(
            f"{name} has shape {numbers.shape}; wanted (n_samples,)."
            + (
                f" Several targets are not supported: summarise one at a time, {name}[:, 0] and so on."
                if several
                else ""
            )
        )
    n_bad = int(np.count_nonzero(~np.isfinite(numbers)))
    if n_bad:
        why = "the model diverged" if name == "y_pred" else "targets are missing"
        raise PredictionsError(
            f"{n_bad} of {len(numbers)} values of {name} are NaN or infinite: {why}. Leave these samples out."
        )
    return numbers


@np.errstate(all="ignore")
def _summary(target: FloatArray, predicted: FloatArray) -> RegressionSummary:
    # A power of two, so that scaling is exact and no square overflows or vanishes.
    scale = float(2.0 ** np.clip(np.frexp(max(np.abs(target).max(), np.abs(predicted).max()))[1], -1022, 1023))
    y, f = target / scale, predicted / scale
    error = f - y
    squared = error**2
    bias, centred_error = _centred(error)
    target_mean, centred_y = _centred(y)
    _, centred_f = _centred(f)
    target_sd, predicted_sd = (float(np.sqrt(np.mean(c**2))) for c in (centred_y, centred_f))
    # The line of the error on the prediction: its slope is 1 - cov(y, f) / s_f², its variance (s_f - r s_y)².
    tilt = float(np.mean(centred_f * centred_error)) / predicted_sd**2 if predicted_sd > 0 else 0.0
    mse = float(np.mean(squared))
    rmse = float(np.sqrt(mse))
    varies, predicts = target_sd > 0, predicted_sd > 0
    covariance = float(np.mean(centred_f / (predicted_sd or 1.0) * centred_y))
    return RegressionSummary(
        n_samples=len(y),
        mse=_square_unit(mse, scale),
        rmse=rmse * scale,
        mae=float(np.mean(np.abs(error))) * scale,
        r2=1 - mse / target_sd**2 if varies else float("nan"),
        target_mean=target_mean * scale,
        target_sd=target_sd * scale,
        rmse_over_sd=rmse / target_sd if varies else float("nan"),
        correlation=min(1.0, max(-1.0, covariance / target_sd)) if varies and predicts else float("nan"),
        bias=bias * scale,
        slope=1 - tilt if predicts else float("nan"),
        mse_bias=_square_unit(bias**2, scale),
        mse_slope=_square_unit((tilt * predicted_sd) ** 2, scale),
        mse_residual=_square_unit(float(np.mean((centred_error - tilt * centred_f) ** 2)), scale),
        **_concentration(squared),
        notes=_notes(target, predicted),
    )


def _square_unit(value: float, scale: float) -> float:
    """Bring a square back into the unit of the target, in two steps: the square of the scale may not be a float."""
    return value * scale * scale


def _centred(values: FloatArray) -> tuple[float, FloatArray]:
    """Mean and what is left of the values, in two passes: the first mean is off by its own rounding."""
    if values.min() == values.max():
        return float(values[0]), np.zeros_like(values)
    mean = float(np.mean(values))
    left = values - mean
    rest = float(np.mean(left))
    return mean + rest, left - rest


def _concentration(loss: FloatArray) -> dict[str, float]:
    """How few samples carry the loss: the share of the worst 1 % (of one at least), and the Gini coefficient."""
    n, total = len(loss), float(loss.sum())
    if total <= 0:
        return {"loss_share_top1pct": 0.0, "loss_gini": 0.0}
    ascending = np.sort(loss)
    n_top = max(1, round(0.01 * n))
    gini = 2 * float(np.arange(1, n + 1) @ ascending) / (n * total) - (n + 1) / n
    return {"loss_share_top1pct": float(ascending[n - n_top :].sum()) / total, "loss_gini": gini}


def _notes(target: FloatArray, predicted: FloatArray) -> tuple[str, ...]:
    if len(target) == 1:
        return ("One sample has no variance: R², RMSE/sd, correlation and slope are not defined.",)
    notes = []
    if target.min() == target.max():
        notes.append(
            f"Every target is {number(float(target[0]))}: R², RMSE/sd and correlation are not defined on a constant."
        )
    if predicted.min() == predicted.max():
        notes.append(
            f"Every prediction is {number(float(predicted[0]))}: correlation and slope are not defined for a constant."
        )
    return tuple(notes)
