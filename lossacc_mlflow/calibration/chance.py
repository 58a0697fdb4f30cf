"""The ECE that a perfectly calibrated model shows by chance."""

import numpy as np

from lossacc_mlflow.records import FloatArray

__all__ = ["expected_calibration_error_null"]


def expected_calibration_error_null(
    count: FloatArray, variance: FloatArray, *, quantile_draws: int = 2000
) -> tuple[float, float]:
    """Mean and 95 % quantile of the ECE that a perfectly calibrated model would show by chance.

    Parameters
    ----------
    count : ndarray of shape (n_bins,)
        Samples in each confidence bin, or the sum of their weights.
    variance : ndarray of shape (n_bins,)
        Sum of (weight² ·) confidence · (1 - confidence) in each bin: the variance of the number of hits.

    Returns
    -------
    mean, q95 : float

    Notes
    -----
    Under calibration the gap of a bin is normal with that variance, so E[ECE] = sum_b sqrt(2 V_b / pi) / n: a plug-in
    ECE of .010 at n = 200 may be pure bias (Broecker and Smith 2007, doi:10.1175/WAF993.1, resample instead). The
    quantile is drawn from the same normals with a fixed seed.

    Examples
    --------
    >>> mean, q95 = expected_calibration_error_null(np.array([100.0]), np.array([9.0]))
    >>> round(mean, 4), bool(q95 > mean)
    (0.0239, True)
    """
    n = float(np.sum(count))
    if n == 0:
        return float("nan"), float("nan")
    sd = np.sqrt(variance)
    mean = float(np.sum(sd) * np.sqrt(2 / np.pi) / n)
    draws = np.abs(np.random.default_rng(0).standard_normal((quantile_draws, len(sd)))) @ sd / n
    return mean, float(np.quantile(draws, 0.95))
