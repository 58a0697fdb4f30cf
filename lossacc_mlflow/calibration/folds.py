"""Which sample belongs to which fold of a cross-fit."""

from itertools import permutations

import numpy as np

from lossacc_mlflow.records import IntArray

__all__ = ["N_FOLDS", "assign_folds"]

N_FOLDS = 5

_ORDERS = np.array(list(permutations(range(N_FOLDS))), dtype=np.int64)


def assign_folds(start: int, n: int) -> IntArray:
    """Return the folds of n samples in a row, of which the first is number ``start``.

    Five neighbours are spread over the five folds, in an order that a hash of their place decides: rows sorted by
    class are spread evenly, rows that repeat with a period are not taken apart by it, and the folds do not depend on
    how the rows were cut into blocks.

    Examples
    --------
    >>> sorted(assign_folds(10, 5).tolist())
    [0, 1, 2, 3, 4]
    >>> assign_folds(0, 8).tolist()[3:] == assign_folds(3, 5).tolist()
    True
    """
    place = np.arange(start, start + n, dtype=np.uint64)
    group = place // np.uint64(N_FOLDS)
    mixed = (group ^ (group >> np.uint64(15))) * np.uint64(0x9E3779B97F4A7C15)  # wraps around: multiplicative hashing
    order = ((mixed >> np.uint64(32)) % np.uint64(len(_ORDERS))).astype(np.int64)
    return _ORDERS[order, (place % np.uint64(N_FOLDS)).astype(np.int64)]
