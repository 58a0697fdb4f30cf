"""Two models on the same samples: where exactly the difference in their losses comes from."""

from dataclasses import replace
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lossacc_mlflow.bounds import LOSS_MAX_FLOAT64
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions import judge_predictions, make_predictions, sample_losses
from lossacc_mlflow.records import AttributionGroup, FloatArray, PairedComparison, SamplePredictions
from lossacc_mlflow.wording import number, signed

__all__ = ["ALPHA", "compare_predictions", "compare_samples", "write_p_value"]

ALPHA = 0.05
"""Level of every test."""

_GROUP_WORDS = {
    "both_right": "that both get right",
    "only_a_right": "that only {a} gets right",
    "only_b_right": "that only {b} gets right",
    "both_wrong": "that both get wrong",
}


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
        If labels and probabilities do not fit together.

    Examples
    --------
    >>> pair = compare_predictions([0, 0, 1], [0.1, 0.1, 0.6], [0.4, 0.4, 0.01])
    >>> [(g.name, g.n) for g in pair.groups if g.n]
    [('both_right', 2), ('only_a_right', 1)]
    >>> round(sum(g.contribution for g in pair.groups) - pair.delta_loss, 12)
    0.0
    """
    samples = [judge_predictions(make_predictions(y_true, proba))[1] for proba in (proba_a, proba_b)]
    return compare_samples(samples[0], samples[1], name_a=name_a, name_b=name_b)


def compare_samples(
    a: SamplePredictions, b: SamplePredictions, *, name_a: str = "A", name_b: str = "B"
) -> PairedComparison:
    """Explain the difference in log loss between two models from what was kept of their predictions.

    Parameters
    ----------
    a, b : SamplePredictions
        Of the same samples; matched by ``sample_id``.
    name_a, name_b : str

    Returns
    -------
    PairedComparison
        The contributions of its four groups sum to ``delta_loss`` exactly: sum over groups of
        n_g / n · mean_g(l_A - l_B).

    Raises
    ------
    PredictionsError
        If the samples are not the same, or their true labels differ.

    Notes
    -----
    Accuracy is tested by McNemar's exact test (mid-p beside it), the loss by a paired t test. Where a probability
    sits at the clip of the logarithm the t test on log losses misses its level; there the Brier scores decide, and
    nothing is decided while 3 loss_max / n exceeds the difference.
    """
    a, b = _match(a, b)
    loss_a, loss_b = sample_losses(a), sample_losses(b)
    right_a, right_b = a.y_pred == a.y_true, b.y_pred == b.y_true
    difference = loss_a - loss_b
    groups = _attribute(loss_a, loss_b, right_a, right_b)
    after_a, after_b = (sample_losses(replace(s, p_true=s.p_true_after_temperature)) for s in (a, b))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    mcnemar, mid_p = _mcnemar(only_a, only_b)
    t_p, interval = _paired_t(difference)
    brier_p = _paired_t(a.brier - b.brier)[0]
    at_clip = bool((np.maximum(loss_a, loss_b) > LOSS_MAX_FLOAT64 - 1e-6).any())
    delta = float(difference.mean())
    unexplained = PairedComparison(
        name_a=name_a,
        name_b=name_b,
        split=a.split,
        n_samples=len(a),
        accuracy_a=float(right_a.mean()),
        accuracy_b=float(right_b.mean()),
        loss_a=float(loss_a.mean()),
        loss_b=float(loss_b.mean()),
        delta_loss=delta,
        delta_accuracy=float(right_a.mean() - right_b.mean()),
        groups=groups,
        mcnemar_p=mcnemar,
        mcnemar_mid_p=mid_p,
        paired_t_p=t_p,
        brier_t_p=brier_p,
        decided=_is_decided(delta, t_p, brier_p, len(a), at_clip=at_clip),
        delta_loss_ci95=interval,
        loss_a_after_temperature=float(after_a.mean()),
        loss_b_after_temperature=float(after_b.mean()),
        delta_loss_after_temperature=float((after_a - after_b).mean()),
        explanation="",
    )
    return replace(unexplained, explanation=_explain(unexplained))


def _match(a: SamplePredictions, b: SamplePredictions) -> tuple[SamplePredictions, SamplePredictions]:
    """Bring both into the same order of samples."""
    if len(a) != len(b) or set(a.sample_id) != set(b.sample_id):
        raise PredictionsError(
            f"the two models were not judged on the same samples ({len(a)} and {len(b)}, "
            f"{len(set(a.sample_id) & set(b.sample_id))} in common): log the predictions of one common split."
        )
    if a.sample_id != b.sample_id:
        place = {sample: i for i, sample in enumerate(b.sample_id)}
        order = np.array([place[sample] for sample in a.sample_id])
        b = SamplePredictions(
            split=b.split,
            sample_id=a.sample_id,
            y_true=b.y_true[order],
            y_pred=b.y_pred[order],
            p_true=b.p_true[order],
            confidence=b.confidence[order],
            p_true_after_temperature=b.p_true_after_temperature[order],
            brier=b.brier[order],
            classes=b.classes,
        )
    if a.classes != b.classes or not np.array_equal(a.y_true, b.y_true):
        raise PredictionsError(
            "the two models name different true labels for the same samples: compare predictions of the same data."
        )
    return a, b


def _attribute(
    loss_a: FloatArray, loss_b: FloatArray, right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]
) -> tuple[AttributionGroup, ...]:
    """Split the mean difference over who got which samples right; additive without any model."""
    masks = {
        "both_right": right_a & right_b,
        "only_a_right": right_a & ~right_b,
        "only_b_right": ~right_a & right_b,
        "both_wrong": ~right_a & ~right_b,
    }
    n = len(loss_a)
    return tuple(
        AttributionGroup(
            name=name,  # type: ignore[arg-type]  # the keys above are the literals
            n=int(mask.sum()),
            mean_loss_a=float(loss_a[mask].mean()) if mask.any() else float("nan"),
            mean_loss_b=float(loss_b[mask].mean()) if mask.any() else float("nan"),
            contribution=float((loss_a[mask] - loss_b[mask]).sum() / n),
        )
        for name, mask in masks.items()
    )


def _mcnemar(only_a: int, only_b: int) -> tuple[float, float]:
    """Exact and mid p of McNemar's test of equal accuracies."""
    n = only_a + only_b
    if n == 0:
        return 1.0, 1.0
    exact = float(stats.binomtest(only_a, n, 0.5).pvalue)
    return exact, max(0.0, exact - float(stats.binom.pmf(only_a, n, 0.5)))


def _paired_t(difference: FloatArray) -> tuple[float, tuple[float, float]]:
    """Two-sided p of a mean of zero, and the 95 % interval of the mean."""
    n = len(difference)
    if n < 2:
        return float("nan"), (float("nan"), float("nan"))
    mean, se = float(difference.mean()), float(difference.std(ddof=1)) / sqrt(n)
    if se == 0:
        return (1.0 if mean == 0 else 0.0), (mean, mean)
    half = float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * se
    return float(2 * stats.t.sf(abs(mean) / se, n - 1)), (mean - half, mean + half)


def _is_decided(delta: float, t_p: float, brier_p: float, n: int, *, at_clip: bool) -> bool:
    if at_clip:
        return brier_p < ALPHA and 3 * LOSS_MAX_FLOAT64 / n <= abs(delta)
    return t_p < ALPHA


def _explain(pair: PairedComparison) -> str:
    """The attribution as one paragraph, significance first."""
    a, b = f"'{pair.name_a}'", f"'{pair.name_b}'"
    if not pair.decided:
        first = f"The difference in loss is not significant (p = {write_p_value(pair.paired_t_p)})."
    else:
        first = f"The difference in loss is significant (p = {write_p_value(pair.paired_t_p)})."
    higher, lower, sign = (a, b, 1.0) if pair.delta_loss >= 0 else (b, a, -1.0)
    parts = [
        f"{signed(sign * g.contribution)} from the {g.n} sample{'s' * (g.n != 1)} "
        + _GROUP_WORDS[g.name].format(a=a, b=b)
        for g in sorted(pair.groups, key=lambda g: -abs(g.contribution))
        if g.n
    ]
    accuracy = (
        f"{a} is right on {100 * pair.accuracy_a:.1f} %, {b} on {100 * pair.accuracy_b:.1f} % "
        f"of {pair.n_samples} samples (McNemar p = {write_p_value(pair.mcnemar_p)})."
    )
    total = number(abs(pair.delta_loss))
    of = f"Of the {total} by which the loss of {higher} is above that of {lower}: {', '.join(parts)}."
    return " ".join([accuracy, first, of, _after_temperature(pair, higher, lower, sign)])


def _after_temperature(pair: PairedComparison, higher: str, lower: str, sign: float) -> str:
    after = sign * pair.delta_loss_after_temperature
    loss_a, loss_b = number(pair.loss_a_after_temperature), number(pair.loss_b_after_temperature)
    figures = f"'{pair.name_a}' {loss_a}, '{pair.name_b}' {loss_b}"
    if after < 0:
        return f"After each model's own temperature the order turns round ({figures}): {higher} is then the better one."
    removed = 1 - after / abs(pair.delta_loss) if pair.delta_loss else 0.0
    if removed > 0.05:
        return f"After each model's own temperature {100 * removed:.0f} % of the difference is gone ({figures})."
    return f"After each model's own temperature {lower} is still ahead ({figures}): it is not a matter of temperature."


def write_p_value(value: float) -> str:
    """Write a p value for a person.

    Examples
    --------
    >>> write_p_value(0.2171), write_p_value(3.2e-7)
    ('0.22', '3e-07')
    """
    return "unknown" if not isfinite(value) else f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"
