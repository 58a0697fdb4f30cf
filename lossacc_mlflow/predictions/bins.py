"""The confidence bins of the reliability diagram and of the ECE."""

import numpy as np

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["N_BINS", "place_in_bins"]

N_BINS = 15
"""Equal-width confidence bins (lo, hi] of the reliability diagram and of the ECE (Guo et al. 2017)."""

_EDGES = np.linspace(0, 1, N_BINS + 1)


def place_in_bins(confidence: FloatArray) -> IntArray:
    """Return the bin of every confidence; 0 belongs to the first, what is above 1 by rounding to the last.

    Examples
    --------
    >>> place_in_bins(np.array([0.0, 1 / 15, 0.0667, 1.0])).tolist()
    [0, 0, 1, 14]
    """
    place = np.clip((confidence * N_BINS).astype(np.int64), 0, N_BINS - 1)
    # The product rounds: the edges decide. This is a search for the edge, at a fraction of its cost.
    place -= (confidence <= _EDGES[place]) & (place > 0)
    place += (confidence > _EDGES[place + 1]) & (place < N_BINS - 1)
    return place
