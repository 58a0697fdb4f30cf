"""At which smallest probability each library clips a log loss: it decides how much one sample can cost."""

from collections.abc import Mapping
from math import exp, inf, log
from types import MappingProxyType

import numpy as np

__all__ = ["CLIPS", "largest_loss"]

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
