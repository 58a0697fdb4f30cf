"""Which steps are scored, where scoring each would cost too much: every early one, then in growing distances."""

from math import ceil

import numpy as np

from lossacc_mlflow.records import IntArray

__all__ = ["MAX_STEPS", "Spacing", "spaced_steps"]

MAX_STEPS = 60
"""Steps of a finished training that are scored by default."""


def spaced_steps(n_steps: int, max_steps: int | None) -> IntArray:
    """Choose steps from 1 to `n_steps`, both among them: all where they are few, else in equal ratios.

    Parameters
    ----------
    n_steps : int
    max_steps : int, optional
        None: all.

    Examples
    --------
    >>> spaced_steps(100, 10).tolist()
    [1, 2, 3, 5, 8, 13, 22, 36, 60, 100]
    """
    if max_steps is None or n_steps <= max_steps:
        return np.arange(1, n_steps + 1)
    max_steps = max(max_steps, 2)
    n_ratios, steps = max_steps, np.array([1, n_steps])
    # Small steps in equal ratios coincide: as many ratios as give as many different steps as are wanted.
    while True:
        finer = np.unique(np.geomspace(1, n_steps, n_ratios).round().astype(np.int64))
        if len(finer) > max_steps:
            return steps
        n_ratios, steps = n_ratios + 1, finer


class Spacing:
    """Chooses steps while it is not known how many there will be: the first ten, then each a twelfth later.

    That is 26 of 50, 42 of 200 and 62 of 1,000; whoever asks adds the last one.
    """

    def __init__(self) -> None:
        self._next = 1

    def is_due(self, step: int) -> bool:
        """Whether this step is scored; ask once a step."""
        if step < self._next:
            return False
        self._next = step + 1 if step < 10 else max(step + 1, ceil(step * 13 / 12))
        return True
