"""At which smallest probability each library clips a log loss: it decides how much one sample can cost."""

from collections.abc import Mapping
from math import exp, inf, log
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIPS", "LOG_LOSS_CLIP", "largest_loss", "log_losses"]

CLIPS: Mapping[str, float] = MappingProxyType(
    {
        "sklearn-float16": float(np.finfo(np.float16).eps),
        "sklearn-float32": float(np.finfo(np.float32).eps),
        "keras": 1e-7,
        "lightgbm": 1e-15,
        "sklearn": float(np.finfo(np.float64).eps),
        "xgboost": 1e-16,
        "torch-bce": exp(-100),
        "torch": 0.0,
        "none": 0.0,
    }
)
"""Smallest probability by library, largest first; 0 where nothing is clipped.

scikit-learn >= 1.3 takes the float type's eps. Keras clips at 1e-7 (not on the TensorFlow backend behind a softmax
layer). PyTorch's BCELoss bounds one sample's loss at 100, its cross-entropy and BCEWithLogitsLoss do not clip.
"""


LOG_LOSS_CLIP = CLIPS["sklearn"]
"""Where our own log losses are clipped: as scikit-learn does in float64, whatever type the probabilities came in.

The same probabilities then have the same loss as float32 and as float64; ``CLIPS`` tells what other programs show.
"""


def log_losses(p_true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log loss of every sample.

    Parameters
    ----------
    p_true : ndarray of float64, shape (n_samples,)
        Probability of the true class; NaN where it is not known.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        In nats; NaN where the probability is.

    Examples
    --------
    >>> log_losses(np.array([1.0, 0.5, 0.0])).round(3).tolist()
    [0.0, 0.693, 36.044]
    """
    loss: NDArray[np.float64] = -np.log(np.clip(p_true, LOG_LOSS_CLIP, 1.0 - LOG_LOSS_CLIP))
    return loss


def largest_loss(clip: float) -> float:
    """Return the largest log loss that one sample can have.

    Parameters
    ----------
    clip : float
        Smallest probability, in [0, 1).

    Returns
    -------
    float
        In nats; infinite without a clip.

    Examples
    --------
    >>> round(largest_loss(CLIPS["keras"]), 2), largest_loss(0.0)
    (16.12, inf)
    """
    return -log(clip) if clip > 0 else inf
