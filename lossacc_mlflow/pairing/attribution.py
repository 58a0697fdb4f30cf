"""The exact attribution of a loss difference between two models, with its tests."""

from collections.abc import Mapping
from dataclasses import replace
from math import copysign, isnan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.clips import LOG_LOSS_CLIP, largest_loss
from lossacc_mlflow.pairing.explanation import explain
from lossacc_mlflow.pairing.outcomes import Outcomes, align_outcomes, outcomes_of
from lossacc_mlflow.pairing.significance import ALPHA, mcnemar, paired_t, paired_t_half_width
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import AttributionGroup, FloatArray, PairedComparison, PredictionSummary, SamplePredictions

__all__ = ["adjust_for_many", "compare_outcomes", "compare_predictions", "compare_samples", "hangs_on_clip"]

_CLIP_FACTOR = 3.0
"""With 95 % confidence the expected number of errors at the clip is below 3 where none was seen (rule of three)."""


def compare_predictions(
    y_true: ArrayLike, proba_a: ArrayLike, proba_b: ArrayLike, *, name_a: str = "A", name_b: str = "B"
) -> PairedComparison:
    """Explain the difference in log loss between two models on the same samples.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    proba_a, proba_b : array-like of shape (n_samples, n_classes) or (n_samples,)
    name_a, name_b : str

    Returns
    -------
    PairedComparison

    Raises
    ------
    PredictionsError
        If labels and probabilities do not fit together, or the models have different classes.

    Examples
    --------
    >>> pair = compare_predictions([0, 0, 1], [0.1, 0.1, 0.6], [0.4, 0.4, 0.01])
    >>> [(g.name, g.n) for g in pair.groups if g.n]
    [('both_right', 2), ('only_a_right', 1)]
    >>> round(sum(g.contribution for g in pair.groups) - pair.delta_loss, 12)
    0.0
    """
    judged = [judge_predictions(make_predictions(y_true, proba)) for proba in (proba_a, proba_b)]
    (summary_a, a), (summary_b, b) = judged
    return compare_samples(a, b, name_a=name_a, name_b=name_b, summary_a=summary_a, summary_b=summary_b)


def compare_samples(
    a: SamplePredictions,
    b: SamplePredictions,
    *,
    name_a: str = "A",
    name_b: str = "B",
    summary_a: PredictionSummary | None = None,
    summary_b: PredictionSummary | None = None,
) -> PairedComparison:
    """Explain the difference in log loss between two models from what was kept of their predictions.

    Parameters
    ----------
    a, b : SamplePredictions
        Of the same samples; matched by ``sample_id``.
    name_a, name_b : str
    summary_a, summary_b : PredictionSummary, optional
        Of the same samples: they know the temperatures.

    Returns
    -------
    PairedComparison
        The contributions of its four groups sum to ``delta_loss`` exactly: sum over groups of
        n_g / n · mean_g(l_A - l_B). Where only answers and confidences are known, losses are NaN.

    Raises
    ------
    PredictionsError
        If samples, classes or true labels are not the same.

    Notes
    -----
    Accuracy is tested by McNemar's exact test (mid-p beside it), the loss by a paired t test. Where a probability
    sits at the clip of the logarithm the t test on log losses misses its level: a single sample more could move the
    mean by -ln(clip) / n. There the Brier scores decide, and nothing is decided while 3 such samples would make up
    for the difference. Where samples are weighted, every mean is, and accuracies are compared by a t test too.
    """
    first = outcomes_of(a, name=name_a, summary=summary_a)
    second = align_outcomes(first, outcomes_of(b, name=name_b, summary=summary_b))
    return compare_outcomes(first, second)


def compare_outcomes(a: Outcomes, b: Outcomes) -> PairedComparison:
    """Explain the difference in log loss between two models whose samples are in the same order.

    Parameters
    ----------
    a, b : Outcomes
        As :func:`align_outcomes` leaves them.

    Returns
    -------
    PairedComparison
        See :func:`compare_samples`.
    """
    n, weight = len(a), a.weight
    accuracy_p, mid_p = _test_accuracy(a, b)
    delta, error, t_p = _mean_difference(a.loss, b.loss, weight)
    delta_brier, _, brier_p = _mean_difference(a.brier, b.brier, weight)
    delta_after, _, after_p = _mean_difference(a.loss_after_temperature, b.loss_after_temperature, weight)
    half = paired_t_half_width(error, n)
    pair = PairedComparison(
        name_a=a.name,
        name_b=b.name,
        split=a.samples.split,
        n_samples=n,
        accuracy_a=float((weight * a.right).mean()),
        accuracy_b=float((weight * b.right).mean()),
        loss_a=float((weight * a.loss).mean()),
        loss_b=float((weight * b.loss).mean()),
        delta_loss=delta,
        delta_accuracy=float((weight * (a.right * 1.0 - b.right)).mean()),
        groups=_attribute(a, b),
        mcnemar_p=accuracy_p,
        mcnemar_mid_p=mid_p,
        paired_t_p=t_p,
        brier_t_p=brier_p,
        decided=False,
        delta_loss_ci95=(delta - half, delta + half),
        loss_a_after_temperature=float((weight * a.loss_after_temperature).mean()),
        loss_b_after_temperature=float((weight * b.loss_after_temperature).mean()),
        delta_loss_after_temperature=delta_after,
        explanation="",
        delta_brier=delta_brier,
        temperature_a=a.temperature,
        temperature_b=b.temperature,
        after_temperature_t_p=after_p,
        confidence_a=float((weight * a.samples.confidence).mean()),
        confidence_b=float((weight * b.samples.confidence).mean()),
        at_clip=a.at_clip or b.at_clip,
        loss_max=largest_loss(LOG_LOSS_CLIP),
    )
    return _judge(pair, brier_p if pair.at_clip else t_p)


def adjust_for_many(pair: PairedComparison, *, mcnemar_p: float, loss_p: float, n_pairs: int) -> PairedComparison:
    """Judge a pair as one of many that were tested together.

    Parameters
    ----------
    pair : PairedComparison
    mcnemar_p, loss_p : float
        Its p values after :func:`~lossacc_mlflow.pairing.holm`; of the loss that of the test that decides it.
    n_pairs : int
        How many pairs were tested.

    Returns
    -------
    PairedComparison
        With ``decided`` and ``explanation`` from the adjusted values.
    """
    return _judge(replace(pair, mcnemar_p_holm=mcnemar_p, loss_p_holm=loss_p, n_pairs=n_pairs), loss_p)


def hangs_on_clip(delta_loss: float, delta_brier: float, loss_max: float, n_samples: int) -> bool:
    """Tell whether a difference of losses, some of which sit at the clip, may be a matter of a few samples.

    Parameters
    ----------
    delta_loss, delta_brier : float
        Differences of the mean log loss and of the mean Brier score.
    loss_max : float
        Largest loss that one sample can have.
    n_samples : int

    Returns
    -------
    bool
        Whether three samples more at the clip could turn the order round, or the Brier scores have another order.
    """
    agree = copysign(1, delta_brier) == copysign(1, delta_loss)
    return not agree or _CLIP_FACTOR * loss_max / n_samples > abs(delta_loss)


def _judge(pair: PairedComparison, loss_p: float) -> PairedComparison:
    hangs = pair.at_clip and hangs_on_clip(pair.delta_loss, pair.delta_brier, pair.loss_max, pair.n_samples)
    judged = replace(pair, decided=loss_p < ALPHA and not hangs)
    return replace(judged, explanation=explain(judged))


def _test_accuracy(a: Outcomes, b: Outcomes) -> tuple[float, float]:
    """McNemar's exact and mid p; counts say nothing of weighted answers, which a t test compares."""
    if a.is_weighted:
        p = _mean_difference(a.right.astype(np.float64), b.right.astype(np.float64), a.weight)[2]
        return p, p
    exact, mid_p = mcnemar(np.count_nonzero(a.right & ~b.right), np.count_nonzero(b.right & ~a.right))
    return float(exact), float(mid_p)


def _mean_difference(a: FloatArray, b: FloatArray, weight: FloatArray) -> tuple[float, float, float]:
    """Mean of the differences, its standard error, and the p value of a paired t test."""
    difference, n = a - b, len(a)
    mean = float((weight * difference).mean())
    if isnan(mean):
        return mean, mean, mean
    # Equal differences have a deviation of rounding alone.
    spread = 0.0 if np.ptp(difference) == 0 else float(((weight * (difference - mean)) ** 2).sum())
    error = sqrt(spread / (n - 1) / n) if n > 1 else float("nan")
    return mean, error, float(paired_t(mean, error, n))


def _attribute(a: Outcomes, b: Outcomes) -> tuple[AttributionGroup, ...]:
    """Split the mean difference over who got which samples right; additive without any model."""
    masks: Mapping[str, NDArray[np.bool_]] = {
        "both_right": a.right & b.right,
        "only_a_right": a.right & ~b.right,
        "only_b_right": ~a.right & b.right,
        "both_wrong": ~a.right & ~b.right,
    }
    n, weight = len(a), a.weight
    return tuple(
        AttributionGroup(
            name=name,  # type: ignore[arg-type]  # the keys above are the literals
            n=int(mask.sum()),
            mean_loss_a=_weighted_mean(a.loss[mask], weight[mask]),
            mean_loss_b=_weighted_mean(b.loss[mask], weight[mask]),
            contribution=float((weight[mask] * (a.loss[mask] - b.loss[mask])).sum() / n),
        )
        for name, mask in masks.items()
    )


def _weighted_mean(value: FloatArray, weight: FloatArray) -> float:
    """Mean, NaN of nothing."""
    total = float(weight.sum())
    return float((weight * value).sum()) / total if total > 0 else float("nan")
