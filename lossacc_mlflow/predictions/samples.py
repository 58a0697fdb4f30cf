"""The log loss of single samples, from what was kept of them."""

import numpy as np

from lossacc_mlflow.records import FloatArray, SamplePredictions

__all__ = ["sample_losses"]


def sample_losses(samples: SamplePredictions, log_loss: float | None = None) -> FloatArray:
    """Return the log loss of every sample.

    Parameters
    ----------
    samples : SamplePredictions
    log_loss : float, optional
        Their (weighted) mean, as it was computed from the probabilities; it tells which float type they had, and so
        where they were clipped. float64 by default.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        NaN where the probability of the true class is not known.
    """
    kinds = (np.float64, np.float32, np.float16)
    candidates = [_clipped_loss(samples.p_true, float(np.finfo(kind).eps)) for kind in kinds]
    if log_loss is None or not len(samples):
        return candidates[0]
    return min(candidates, key=lambda loss: abs(float(np.average(loss, weights=samples.sample_weight)) - log_loss))


def _clipped_loss(p_true: FloatArray, eps: float) -> FloatArray:
    loss: FloatArray = -np.log(np.clip(p_true, eps, 1.0 - eps))
    return loss
